package confluence_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/failure"
)

func html(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html;charset=utf-8")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "<!doctype html><html><head><title>HTTP Status</title></head><body><h1>Tomcat</h1></body></html>")
	}
}

func withHeader(next http.HandlerFunc, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		next(w, r)
	}
}

func searchAll(c *confluence.Client) error {
	for _, err := range c.CQLSearch(context.Background(), confluence.Where(confluence.InSpace("ENG")), "", 0) {
		if err != nil {
			return err
		}
	}
	return nil
}

func listSpace(c *confluence.Client) error {
	_, err := ids(c.SpacePages(context.Background(), "42"))
	return err
}

func bulk(c *confluence.Client) error {
	_, err := c.PagesByID(context.Background(), []string{"1001"}, confluence.PagesOptions{})
	return err
}

func probe(c *confluence.Client) error {
	_, err := c.Probe(context.Background(), "ENG")
	return err
}

func lookUp(c *confluence.Client) error {
	_, err := c.Users(context.Background(), []string{"712020:aa-bb"})
	return err
}

func readFolder(c *confluence.Client) error {
	_, err := c.Container(context.Background(), "folder", "1001")
	return err
}

// Every known failure answer of Confluence, by the call that can get it.
func TestEveryFailureHasItsError(t *testing.T) {
	type call = func(*confluence.Client) error
	isA := func(err error, as string) bool {
		switch as {
		case "auth":
			var e *confluence.AuthError
			return errors.As(err, &e)
		case "missing":
			var e *confluence.NotFoundError
			return errors.As(err, &e)
		case "gone":
			var e *confluence.GoneError
			return errors.As(err, &e)
		case "limit":
			var e *confluence.RateLimitError
			return errors.As(err, &e)
		case "server":
			var e *confluence.ServerError
			return errors.As(err, &e)
		case "status":
			var e *confluence.StatusError
			return errors.As(err, &e)
		case "protocol":
			var e *confluence.ProtocolError
			return errors.As(err, &e)
		}
		return false
	}
	bare404 := always(404, errorV2(404, "NOT_FOUND", "Not Found"))
	for _, tc := range []struct {
		name   string
		answer http.HandlerFunc
		call   call
		as     string
		code   failure.Code
		status int
		calls  int // 4 with retries
	}{
		{"v2 refuses the credential", bare404, readPage, "auth", failure.Unauthorized, 404, 1},
		{"v2 refuses the credential on a list", bare404, listSpace, "auth", failure.Unauthorized, 404, 1},
		{"v2 refuses the credential in bulk", bare404, bulk, "auth", failure.Unauthorized, 404, 1},
		{"v2 404 with a null title", always(404, `{"errors":[{"status":404,"code":"NOT_FOUND","title":null}]}`), readPage, "auth", failure.Unauthorized, 404, 1},
		{"v2 404 that says nothing", always(404, `{}`), readPage, "auth", failure.Unauthorized, 404, 1},
		{"v2 404 about another page", always(404, errorV2(404, "NOT_FOUND", "Cannot find a page with id [77]")), readPage, "status", failure.Internal, 404, 1},
		{"v2 404 in bulk is no missing page", always(404, errorV2(404, "NOT_FOUND", "Cannot find a page with id [1001]")), bulk, "status", failure.Internal, 404, 1},
		{"page missing or hidden", always(404, errorV2(404, "NOT_FOUND", "Cannot find a page with id [1001]")), readPage, "missing", failure.NotFound, 404, 1},
		{"space missing or hidden", always(404, errorV2(404, "NOT_FOUND", "Cannot find a space with id [42]")), listSpace, "missing", failure.SpaceNotFound, 404, 1},
		{"folder missing", always(404, errorV2(404, "NOT_FOUND", "Content with id: [1001] not found")), readFolder, "missing", failure.NotFound, 404, 1},
		{"404 of no Confluence at all", html(404), readPage, "protocol", failure.Protocol, 404, 1},
		{"v1 refuses the credential, user", always(403, errorV1(403, "caller cannot access Confluence")), probe, "auth", failure.Unauthorized, 403, 1},
		{"v1 refuses the credential, search", always(403, errorV1(403, "Current user not permitted to use Confluence")), searchAll, "auth", failure.Unauthorized, 403, 1},
		{"token lacks a scope", always(401, `{"code":401,"message":"Unauthorized; scope does not match"}`), readPage, "auth", failure.Unauthorized, 401, 1},
		{"scoped token on the site's domain", html(401), readPage, "auth", failure.Unauthorized, 401, 1},
		{"token rejected at the edge", withHeader(always(401, `{}`), "x-seraph-loginreason", "AUTHENTICATED_FAILED"), readPage, "auth", failure.Unauthorized, 401, 1},
		{"refused, but answered as a visitor", withHeader(always(200, listOf("")), "x-seraph-loginreason", "AUTHENTICATED_FAILED"), listSpace, "auth", failure.Unauthorized, 200, 1},
		{"locked by a captcha", withHeader(always(200, listOf("")), "X-Seraph-LoginReason", "AUTHENTICATION_DENIED"), listSpace, "auth", failure.Unauthorized, 200, 1},
		{"anonymous", always(200, `{"type":"anonymous","username":"","displayName":"Anonymous"}`), probe, "auth", failure.Unauthorized, 200, 1},
		{"endpoint removed", always(410, errorV1(410, "GoneException: This deprecated endpoint has been removed.")), searchAll, "gone", failure.Gone, 410, 1},
		{"v1 404 of a batch", always(404, `{"message":"Cannot find content. Outdated version? Please provide a valid id."}`), searchAll, "status", failure.Internal, 404, 1},
		{"v1 404 of a batch, deep", always(404, `{"statusCode":404,"data":{"authorized":false,"valid":false,"errors":[{"message":{"translation":"No content with id 12345 can be found"}}]}}`), searchAll, "status", failure.Internal, 404, 1},
		{"v1 404 that says nothing", always(404, `{"statusCode":404,"message":"Not Found"}`), searchAll, "auth", failure.Unauthorized, 404, 1},
		{"profiles not to be seen", always(404, errorV2(404, "NOT_FOUND", "No permission to view user profiles")), lookUp, "auth", failure.Unauthorized, 404, 1},
		{"unknown CQL field", always(400, errorV1(400, "No field exists with the name: 'status'\nDid you mean space?")), searchAll, "status", failure.Internal, 400, 1},
		{"NullPointerException", always(500, errorV1(500, "java.lang.NullPointerException: query is required.")), searchAll, "server", failure.Unavailable, 500, 4},
		{"not implemented", always(501, errorV1(501, "Cannot fetch folders with ContentFinder")), searchAll, "server", failure.Unavailable, 501, 1},
		{"unavailable", html(503), readPage, "server", failure.Unavailable, 503, 4},
		{"504 of one page", html(504), readPage, "server", failure.Unavailable, 504, 4},
		{"429", always(429, `{"message":"Rate limit exceeded"}`), readPage, "limit", failure.Internal, 429, 4},
		{"another 4xx", always(413, `{"message":"too much"}`), readPage, "status", failure.Internal, 413, 1},
		{"HTML with 200", html(200), readPage, "protocol", failure.Protocol, 200, 4},
		{"HTML for a list", html(200), listSpace, "protocol", failure.Protocol, 200, 4},
		{"JSON that is cut", always(200, listOf("", pageRow(1001, 1, ""))[:300]), listSpace, "protocol", failure.Protocol, 200, 4},
		{"two answers in one", always(200, listOf("")+listOf("")), listSpace, "protocol", failure.Protocol, 200, 1},
		{"nothing", always(200, ""), listSpace, "protocol", failure.Protocol, 200, 4},
		{"no results", always(200, `{"_links":{}}`), listSpace, "protocol", failure.BadListing, 200, 1},
		{"null results", always(200, `{"results":null,"_links":{}}`), listSpace, "protocol", failure.BadListing, 200, 1},
		{"an error in a 200", always(200, errorV2(500, "INTERNAL_SERVER_ERROR", "Oops")), listSpace, "protocol", failure.BadListing, 200, 1},
		{"204", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, listSpace, "protocol", failure.Protocol, 204, 1},
		{"202", always(202, listOf("")), listSpace, "protocol", failure.Protocol, 202, 1},
		{"id as a number", always(200, `{"results":[{"id":1001}]}`), listSpace, "protocol", failure.Protocol, 200, 1},
		{"id that is none", always(200, `{"results":[{"id":"10x1","status":"current","version":{"number":1}}]}`), listSpace, "protocol", failure.Protocol, 200, 1},
		{"no version", always(200, `{"results":[{"id":"1001","status":"current"}]}`), listSpace, "protocol", failure.Protocol, 200, 1},
		{"no status", always(200, `{"results":[{"id":"1001","version":{"number":1}}]}`), listSpace, "protocol", failure.Protocol, 200, 1},
		{"page that was not asked for", always(200, listOf("", pageRow(1002, 1, ""))), bulk, "protocol", failure.Protocol, 200, 1},
		{"another page", always(200, pageRow(1002, 1, "")), readPage, "protocol", failure.Protocol, 200, 1},
		{"a time that is none", always(200, `{"results":[{"id":"1001","status":"current","createdAt":"yesterday","version":{"number":1}}]}`), listSpace, "protocol", failure.Protocol, 200, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var trace []confluence.Call
			f, c := serve(t, withHeader(tc.answer, "atl-traceid", "5f3a"), confluence.WithTrace(func(c confluence.Call) { trace = append(trace, c) }))
			err := tc.call(c)
			require.Error(t, err)
			require.True(t, isA(err, tc.as), "%T: %v", err, err)
			require.Equal(t, tc.code, failure.CodeOf(err))
			require.Len(t, f.seen(), tc.calls)
			require.Len(t, trace, tc.calls)
			require.Equal(t, tc.status, trace[0].Status)
			require.Equal(t, "5f3a", trace[0].TraceID)
			require.True(t, isA(fmt.Errorf("list: %w", err), tc.as), "wrapped errors are found too")
			require.NotContains(t, err.Error(), "\n")
			require.NotContains(t, err.Error(), "<html>")
			require.Less(t, len(err.Error()), 500)
		})
	}
}

func TestErrorsSayWhichCall(t *testing.T) {
	_, c := serve(t, withHeader(always(404, errorV2(404, "NOT_FOUND", "Cannot find a page with id [1001]")), "X-Request-Id", "req-9"))
	err := readPage(c)
	var missing *confluence.NotFoundError
	require.ErrorAs(t, err, &missing)
	require.Equal(t, confluence.Exchange{
		Method: "GET", Route: "/wiki/api/v2/pages/{id}", Status: 404, TraceID: "req-9",
		Reason: "Cannot find a page with id [1001]",
	}, missing.Exchange)
	require.Equal(t, "page", missing.Kind)
	require.Equal(t, "1001", missing.ID)
	require.EqualError(t, err, `GET /wiki/api/v2/pages/{id}: no page "1001" (404): Cannot find a page with id [1001] [trace req-9]`)
}

func TestArgumentsAreCheckedBeforeAnyCall(t *testing.T) {
	f, c := serve(t, always(200, listOf("")))
	ctx := context.Background()
	for _, id := range []string{"", "x", "1 or 1=1", "../1", "1?x=1", "１", "123456789012345678901"} {
		_, err := c.GetPageByID(ctx, id, "")
		require.ErrorIs(t, err, confluence.ErrInvalidID, id)
		_, err = c.PagesByID(ctx, []string{"1", id}, confluence.PagesOptions{})
		require.ErrorIs(t, err, confluence.ErrInvalidID, id)
		_, err = c.Container(ctx, "folder", id)
		require.ErrorIs(t, err, confluence.ErrInvalidID, id)
		_, err = ids(c.SpacePages(ctx, id))
		require.ErrorIs(t, err, confluence.ErrInvalidID, id)
	}
	_, err := c.GetPageByID(ctx, "1", "body,secrets")
	require.ErrorIs(t, err, confluence.ErrInvalidArgument)
	_, err = c.Container(ctx, "page", "1")
	require.ErrorIs(t, err, confluence.ErrInvalidArgument)
	for _, key := range []string{"", `EN"G`, "ENG' OR 1=1 --", "ENG; DROP TABLE pages", "../ENG", "~", "ENG,OPS"} {
		_, err = c.SpaceByKey(ctx, key)
		require.ErrorIs(t, err, confluence.ErrInvalidSpaceKey, key)
		_, err = ids(c.GetSpacePageIDs(ctx, key))
		require.ErrorIs(t, err, confluence.ErrInvalidSpaceKey, key)
		_, err = c.Probe(ctx, key)
		require.ErrorIs(t, err, confluence.ErrInvalidSpaceKey, key)
	}
	for _, err := range c.CQLSearch(ctx, confluence.Where(confluence.InSpace("a b")), "", 0) {
		require.ErrorIs(t, err, confluence.ErrInvalidSpaceKey)
	}
	for _, err := range c.CQLSearch(ctx, confluence.Where(confluence.InSpace("ENG")), "version&cql=x", 0) {
		require.ErrorIs(t, err, confluence.ErrInvalidArgument)
	}
	require.Empty(t, f.seen())
}

func TestRetryAt(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	got, ok := failure.RetryAt(fmt.Errorf("x: %w", &confluence.RateLimitError{RetryAt: at}))
	require.True(t, ok)
	require.Equal(t, at, got)
	got, ok = failure.RetryAt(&confluence.ServerError{RetryAt: at})
	require.True(t, ok)
	require.Equal(t, at, got)
	_, ok = failure.RetryAt(&confluence.ServerError{})
	require.False(t, ok)
	_, ok = failure.RetryAt(io.EOF)
	require.False(t, ok)
}
