package confluence_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/secret"
)

func all[T any](t *testing.T, seq iter.Seq2[T, error]) []T {
	t.Helper()
	var got []T
	for v, err := range seq {
		require.NoError(t, err)
		got = append(got, v)
	}
	return got
}

// failsWith reads up to the error.
func failsWith[E error, T any](t *testing.T, seq iter.Seq2[T, error]) E {
	t.Helper()
	var last error
	for _, err := range seq {
		last = err
	}
	var want E
	require.ErrorAs(t, last, &want)
	return want
}

// byPath answers by the call's path, and any other path with v2's 404.
func byPath(answers map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if body, ok := answers[strings.TrimPrefix(r.URL.Path, "/wiki")]; ok {
			reply(w, 200, body)
			return
		}
		reply(w, 404, errorV2(404, "NOT_FOUND", "Not Found"))
	}
}

func TestLabels(t *testing.T) {
	f, c := serve(t, byPath(map[string]string{"/api/v2/pages/1001/labels": listOf("", `{"id":"9","name":"howto","prefix":"global"}`, `{"id":"10","name":"fav","prefix":"my"}`)}))
	require.Equal(t, []confluence.Label{{ID: "9", Name: "howto", Prefix: "global"}, {ID: "10", Name: "fav", Prefix: "my"}}, all(t, c.Labels(context.Background(), "1001")))
	require.Equal(t, []string{"GET /wiki/api/v2/pages/1001/labels?limit=250"}, f.seen())

	_, c = serve(t, always(200, listOf("", `{"id":"9"}`)))
	require.Equal(t, "1001", failsWith[*confluence.ProtocolError](t, c.Labels(context.Background(), "1001")).ObjectID)
}

func TestAttachments(t *testing.T) {
	row := `{"id":"att77","status":"current","title":"스크린샷.png","createdAt":"2025-01-01T00:00:00.000Z","pageId":"1001","mediaType":"image/png",
		"fileId":"f-1","fileSize":253016,"webuiLink":"/x","downloadLink":"/download/attachments/1001/a.png?version=1&api=v2","version":{"number":2}}`
	f, c := serve(t, byPath(map[string]string{"/api/v2/pages/1001/attachments": listOf("", row)}))
	require.Equal(t, []confluence.Attachment{{
		ID: "att77", Status: "current", Title: "스크린샷.png", PageID: "1001", MediaType: "image/png", FileID: "f-1", FileSize: 253016, Version: 2,
		CreatedAt: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), URL: f.URL + "/wiki/x",
	}}, all(t, c.Attachments(context.Background(), "1001")))

	for _, bad := range []string{`{"id":"x77","title":"a"}`, `{"id":77,"title":"a"}`} {
		_, c = serve(t, always(200, listOf("", bad)))
		_ = failsWith[*confluence.ProtocolError](t, c.Attachments(context.Background(), "1001"))
	}
	_, c = serve(t, always(200, listOf("", `{"id":"att1","title":"a","pageId":"7","webuiLink":"https://evil.example.com/a","version":{"number":1}}`)))
	require.Equal(t, c.BaseURL()+"/pages/viewpageattachments.action?pageId=7", all(t, c.Attachments(context.Background(), "1001"))[0].URL)
}

func commentRow(id int, more string) string {
	return fmt.Sprintf(`{"id":"%d","status":"current","title":"Re: x","version":{"number":1,"authorId":"5c0","createdAt":"2026-01-01T00:00:00Z"},
		"body":{"storage":{"representation":"storage","value":"<p>%d</p>"}}%s}`, id, id, more)
}

func TestThread(t *testing.T) {
	inline := `,"resolutionStatus":"open","properties":{"inlineOriginalSelection":"these words"}`
	answers := map[string]string{
		"/api/v2/footer-comments/1":            commentRow(1, ""),
		"/api/v2/footer-comments/1/children":   listOf("", commentRow(11, ""), commentRow(12, "")),
		"/api/v2/footer-comments/11/children":  listOf("", commentRow(111, "")),
		"/api/v2/footer-comments/111/children": listOf(""),
		"/api/v2/inline-comments/3":            commentRow(3, inline),
		"/api/v2/inline-comments/3/children":   listOf(""),
		"/api/v2/footer-comments/4":            commentRow(4, ""),
	}
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if body, ok := answers[strings.TrimPrefix(r.URL.Path, "/wiki")]; ok {
			reply(w, 200, body)
			return
		}
		reply(w, 404, errorV2(404, "NOT_FOUND", "Cannot find "+r.URL.Path))
	})
	thread, err := c.Thread(t.Context(), "1")
	require.NoError(t, err)
	var shape []string
	for _, cm := range thread {
		shape = append(shape, cm.ParentID+">"+cm.ID+cm.Body)
	}
	require.Equal(t, []string{">1<p>1</p>", "1>11<p>11</p>", "11>111<p>111</p>", "1>12<p>12</p>"}, shape, "12 was deleted meanwhile: it has no replies")

	got, err := c.Thread(t.Context(), "3")
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.Equal(t, "these words", got[0].Selection)
	require.Equal(t, "open", got[0].Resolution)
	require.Equal(t, "5c0", got[0].AuthorID)
	require.Equal(t, confluence.Inline, got[0].Kind)

	_, err = c.Thread(t.Context(), "4")
	var gone *confluence.NotFoundError
	require.ErrorAs(t, err, &gone, "the first comment was deleted meanwhile")
}

func TestThreadsThatCannotBeRead(t *testing.T) {
	first := func(replies http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/children") {
				replies(w, r)
				return
			}
			reply(w, 200, commentRow(1, ""))
		}
	}
	read := func(replies http.HandlerFunc) error {
		_, c := serve(t, first(replies))
		thread, err := c.Thread(t.Context(), "1")
		require.Empty(t, thread)
		return err
	}
	var auth *confluence.AuthError
	require.ErrorAs(t, read(always(401, `{"code":401,"message":"Unauthorized; scope does not match"}`)), &auth)
	for _, rows := range []string{commentRow(1, ""), `{"id":"2","status":"current","body":{}}`, `{"id":"c1"}`} {
		var bad *confluence.ProtocolError
		require.ErrorAs(t, read(always(200, listOf("", rows))), &bad, rows)
	}
}

// A thread of any depth is read, up to a thousand comments.
func TestLongThreads(t *testing.T) {
	depth := 1000
	f, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		part := strings.Split(strings.TrimPrefix(r.URL.Path, "/wiki/api/v2/footer-comments/"), "/")
		at, err := strconv.Atoi(part[0])
		switch {
		case err != nil:
			reply(w, 404, errorV2(404, "NOT_FOUND", "Not Found"))
		case len(part) == 1:
			reply(w, 200, commentRow(at, ""))
		case at < depth:
			reply(w, 200, listOf("", commentRow(at+1, "")))
		default:
			reply(w, 200, listOf(""))
		}
	})
	thread, err := c.Thread(t.Context(), "1")
	require.NoError(t, err)
	require.Len(t, thread, depth)
	depth = 5000
	before := len(f.seen())
	_, err = c.Thread(t.Context(), "1")
	require.ErrorIs(t, err, confluence.ErrThreadTooLong)
	require.LessOrEqual(t, len(f.seen())-before, 1001)
}

func people(limit int, accounts ...string) string {
	var rows []string
	for _, a := range accounts {
		rows = append(rows, `{"type":"known","accountId":"`+a+`","displayName":"x"}`)
	}
	return fmt.Sprintf(`{"results":[%s],"start":0,"limit":%d,"size":%d}`, strings.Join(rows, ","), limit, len(rows))
}

func restriction(op, user, group string) string {
	return `{"operation":"` + op + `","_expandable":{"content":"x"},"restrictions":{"user":` + user + `,"group":` + group + `}}`
}

const noGroups = `{"results":[],"start":0,"limit":200,"size":0}`

func TestRestrictions(t *testing.T) {
	group := `{"results":[{"type":"group","name":"staff","id":"g-1"}],"start":0,"limit":200,"size":1}`
	f, c := serve(t, byPath(map[string]string{
		"/rest/api/content/1001/restriction/byOperation": `{"read":` + restriction("read", people(200, "a", "b"), group) + `,"update":` + restriction("update", people(200), noGroups) + `,"_links":{}}`,
	}))
	require.Equal(t, []confluence.Restriction{
		{Operation: "read", AccountID: "a"}, {Operation: "read", AccountID: "b"}, {Operation: "read", GroupID: "g-1", GroupName: "staff"},
	}, all(t, c.Restrictions(context.Background(), "1001")))
	require.Len(t, f.seen(), 1)

	// A full part is followed by another call.
	_, c = serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("start") {
		case "":
			reply(w, 200, `{"read":`+restriction("read", people(2, "a", "b"), noGroups)+`,"update":`+restriction("update", people(2), noGroups)+`}`)
		case "2":
			reply(w, 200, restriction("read", people(2, "c"), noGroups))
		default:
			reply(w, 400, `{}`)
		}
	})
	require.Len(t, all(t, c.Restrictions(context.Background(), "1001")), 3)
}

// Missing restrictions must not count as no restrictions.
func TestRestrictionsThatAreNotThere(t *testing.T) {
	ok := restriction("update", people(200), noGroups)
	for _, bad := range []string{
		`{}`, `{"read":null,"update":` + ok + `}`, `{"read":` + ok + `,"update":` + ok + `}`,
		`{"read":` + restriction("read", `null`, noGroups) + `,"update":` + ok + `}`,
		`{"read":` + restriction("read", people(200), `{}`) + `,"update":` + ok + `}`,
		`{"read":{"operation":"read"},"update":` + ok + `}`,
		`{"read":` + restriction("read", people(200, ""), noGroups) + `,"update":` + ok + `}`,
		`{"read":` + restriction("read", people(200), `{"results":[{}],"limit":200}`) + `,"update":` + ok + `}`,
		`{"read":` + restriction("read", people(200), noGroups) + `}`,
	} {
		_, c := serve(t, always(200, bad))
		_ = failsWith[*confluence.ProtocolError](t, c.Restrictions(context.Background(), "1001"))
	}
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		full := restriction("read", people(1, "a"), noGroups)
		if r.URL.Query().Get("start") == "" {
			full = `{"read":` + full + `,"update":` + ok + `}`
		}
		reply(w, 200, full)
	})
	n := 0
	var last error
	for _, err := range c.Restrictions(context.Background(), "1001") {
		n++
		if last = err; n > 20_000 {
			break
		}
	}
	require.Error(t, last, "a list that never ends does")

	_, c = serve(t, always(404, `{"statusCode":404,"message":"No content found with id : 1001"}`))
	_ = failsWith[*confluence.NotFoundError](t, c.Restrictions(context.Background(), "1001"))
}

func TestIDsOfDetailsAreChecked(t *testing.T) {
	f, c := serve(t, always(200, listOf("")))
	ctx := context.Background()
	for _, err := range []error{
		first(c.Labels(ctx, "../1")), first(c.Attachments(ctx, "")),
		first(c.Restrictions(ctx, "1/..")),
	} {
		require.ErrorIs(t, err, confluence.ErrInvalidID)
	}
	_, err := c.Ancestors(ctx, "x")
	require.ErrorIs(t, err, confluence.ErrInvalidID)
	_, err = c.Thread(ctx, "x")
	require.ErrorIs(t, err, confluence.ErrInvalidID)
	require.ErrorIs(t, first(c.SiteComments(ctx, "side")), confluence.ErrInvalidArgument)
	require.Empty(t, f.seen())
}

func first[T any](seq iter.Seq2[T, error]) error {
	for _, err := range seq {
		return err
	}
	return nil
}

func TestGatewayIsFoundOnce(t *testing.T) {
	const cloud = "11111111-2222-3333-4444-555555555555"
	var auths []string
	f, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		auths = append(auths, r.Header.Get("Authorization"))
		switch {
		case r.URL.Path == "/_edge/tenant_info":
			reply(w, 200, `{"cloudId":"`+cloud+`"}`)
		case r.URL.Query().Get("cursor") == "":
			reply(w, 200, listOf(listPath+"?cursor=b", pageRow(1001, 1, "")))
		default:
			reply(w, 200, listOf("", pageRow(1002, 1, "")))
		}
	})
	// The gateway of this test is the same server under its other path.
	c, err := confluence.New(f.URL, email, secret.New(canary), quick(confluence.WithGateway(f.URL+"/"))...)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	for range 2 {
		got, err := ids(c.SpacePages(context.Background(), "42"))
		require.NoError(t, err)
		require.Equal(t, []string{"1001", "1002"}, got)
	}
	seen := f.seen()
	require.Len(t, seen, 5)
	require.Equal(t, "GET /_edge/tenant_info", seen[0])
	require.Empty(t, auths[0], "asked without the credential")
	for i, s := range seen[1:] {
		require.True(t, strings.HasPrefix(s, "GET /ex/confluence/"+cloud+listPath+"?"), s)
		require.NotEmpty(t, auths[i+1])
	}
	require.Equal(t, f.URL+"/wiki", c.BaseURL(), "pages stay where people read them")
}

func TestGatewayIsNotFound(t *testing.T) {
	for _, answer := range []http.HandlerFunc{always(200, `{}`), always(200, `{"cloudId":"../../x"}`), always(200, `{"cloudId":""}`), html(200), always(404, `{}`), html(503)} {
		f, _ := serve(t, answer)
		c, err := confluence.New(f.URL, email, secret.New(canary), quick(confluence.WithGateway(f.URL))...)
		require.NoError(t, err)
		require.Error(t, listSpace(c))
		for _, s := range f.seen() {
			require.Equal(t, "GET /_edge/tenant_info", s)
		}
		c.Close()
	}
}

func TestETags(t *testing.T) {
	var conditions []string
	tag, body := `"v1"`, listOf("", pageRow(1001, 1, ""))
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		conditions = append(conditions, r.Header.Get("If-None-Match"))
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		reply(w, 200, body)
	}, confluence.WithETags(1<<20))
	list := func() []string {
		got, err := ids(c.SpacePages(context.Background(), "42"))
		require.NoError(t, err)
		return got
	}
	require.Equal(t, []string{"1001"}, list())
	require.Equal(t, []string{"1001"}, list())
	tag, body = `"v2"`, listOf("", pageRow(1001, 2, ""), pageRow(1002, 1, ""))
	require.Equal(t, []string{"1001", "1002"}, list())
	require.Equal(t, []string{"1001", "1002"}, list())
	require.Equal(t, []string{"", `"v1"`, `"v1"`, `"v2"`}, conditions)

	conditions = nil
	require.NoError(t, func() error { _, err := c.PagesByID(context.Background(), nil, confluence.PagesOptions{}); return err }())
	_ = probe(c)
	_ = probe(c)
	require.Equal(t, []string{"", ""}, conditions[:2], "a probe is never answered from the cache")
}

// A 304 need not repeat the Link header; the listing must not end because of that.
func TestETagKeepsTheLink(t *testing.T) {
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("cursor") != "" {
			reply(w, 200, `{"results":[`+pageRow(1002, 1, "")+`]}`)
			return
		}
		w.Header().Set("ETag", `"x"`)
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Link", `<`+listPath+`?cursor=b>; rel="next"`)
		reply(w, 200, `{"results":[`+pageRow(1001, 1, "")+`]}`)
	}, confluence.WithETags(1<<20))
	for range 3 {
		got, err := ids(c.SpacePages(context.Background(), "42"))
		require.NoError(t, err)
		require.Equal(t, []string{"1001", "1002"}, got)
	}
}

func TestETagsAreBoundedAndOptional(t *testing.T) {
	asked := 0
	h := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") != "" {
			asked++
		}
		w.Header().Set("ETag", `"same"`)
		id := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		reply(w, 200, strings.ReplaceAll(pageRow(1001, 1, ""), "1001", id))
	}
	read := func(c *confluence.Client, ids ...string) {
		for _, id := range ids {
			_, err := c.GetPageByID(context.Background(), id, "")
			require.NoError(t, err)
		}
	}
	_, c := serve(t, h)
	read(c, "1", "1")
	require.Zero(t, asked, "off by default")

	_, c = serve(t, h, confluence.WithETags(1600)) // two of these answers
	read(c, "1", "2", "1", "3", "2")
	require.Equal(t, 1, asked, "only the second call for 1; 2 made room for 3")
	read(c, "3")
	require.Equal(t, 2, asked)

	asked = 0
	_, c = serve(t, h, confluence.WithETags(10))
	read(c, "1", "1")
	require.Zero(t, asked, "larger than the whole cache")

	// A malformed answer is not kept, or a 304 would make it permanent.
	n := 0
	_, c = serve(t, func(w http.ResponseWriter, r *http.Request) {
		require.Empty(t, r.Header.Get("If-None-Match"))
		w.Header().Set("ETag", `"x"`)
		if n++; n == 1 {
			reply(w, 200, `{"id":}`)
			return
		}
		reply(w, 200, pageRow(1001, 1, ""))
	}, confluence.WithETags(1<<20))
	require.Error(t, readPage(c))
	require.NoError(t, readPage(c))

	// An unrequested 304 is not an answer.
	_, c = serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) })
	var protocol *confluence.ProtocolError
	require.True(t, errors.As(readPage(c), &protocol))
}
