package confluence_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/failure"
)

const listPath = "/wiki/api/v2/spaces/42/pages"

// byCursor answers a list by the cursor of the call; a missing cursor is "".
func byCursor(answers map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, ok := answers[r.URL.Query().Get("cursor")]
		if !ok {
			reply(w, 400, errorV2(400, "INVALID_REQUEST_PARAMETER", "no such cursor"))
			return
		}
		reply(w, 200, body)
	}
}

func TestListingFollowsEveryKindOfNext(t *testing.T) {
	ctx := context.Background()
	want := []string{"1001", "1002", "1003"}

	t.Run("path with wiki in the body", func(t *testing.T) {
		f, c := serve(t, byCursor(map[string]string{
			"":     listOf(listPath+"?limit=250&cursor=b+b%3D", pageRow(1001, 3, ""), pageRow(1002, 1, "")),
			"b b=": listOf("", pageRow(1003, 2, "")), // a short page, and the last because it leads nowhere
		}))
		got, err := ids(c.SpacePages(ctx, "42"))
		require.NoError(t, err)
		require.Equal(t, want, got)
		for _, seen := range f.seen() {
			u, err := url.Parse(seen[len("GET "):])
			require.NoError(t, err)
			require.Equal(t, listPath, u.Path)
			require.Equal(t, "current,archived", u.Query().Get("status"), "filters stay the same during a walk")
			require.Equal(t, "250", u.Query().Get("limit"))
			require.Equal(t, "id", u.Query().Get("sort"))
			require.Empty(t, u.Query().Get("body-format"))
		}
	})
	t.Run("Link header only", func(t *testing.T) {
		_, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("cursor") == "" {
				w.Header().Set("Link", `<https://acme.example.net/wiki>; rel="base", <`+listPath+`?cursor=b>; rel="next"`)
				reply(w, 200, `{"results":[`+rows(pageRow(1001, 3, ""), pageRow(1002, 1, ""))+`]}`)
				return
			}
			w.Header().Set("Link", `<https://acme.example.net/wiki>; rel="base"`)
			reply(w, 200, `{"results":[`+pageRow(1003, 1, "")+`]}`)
		})
		got, err := ids(c.SpacePages(ctx, "42"))
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
	t.Run("absolute on the same host", func(t *testing.T) {
		var f *fake
		f, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("cursor") == "" {
				reply(w, 200, listOf(f.URL+listPath+"?cursor=b", pageRow(1001, 1, ""), pageRow(1002, 1, "")))
				return
			}
			reply(w, 200, listOf("", pageRow(1003, 1, "")))
		})
		got, err := ids(c.SpacePages(ctx, "42"))
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
	t.Run("short and empty pages are not the end", func(t *testing.T) {
		_, c := serve(t, byCursor(map[string]string{
			"":  listOf(listPath+"?cursor=b", pageRow(1001, 1, "")),
			"b": listOf(listPath + "?cursor=c"),
			"c": listOf(listPath+"?cursor=d", pageRow(1002, 1, "")),
			"d": listOf(listPath + "?cursor=e"),
			"e": listOf("", pageRow(1003, 1, "")),
		}))
		got, err := ids(c.SpacePages(ctx, "42"))
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
	t.Run("an empty space", func(t *testing.T) {
		f, c := serve(t, always(200, listOf("")))
		got, err := ids(c.SpacePages(ctx, "42"))
		require.NoError(t, err)
		require.Empty(t, got)
		require.Len(t, f.seen(), 1)
	})
}

func TestListingThatCannotBeFollowedFails(t *testing.T) {
	ctx := context.Background()
	first := func(next string) map[string]string {
		return map[string]string{"": listOf(next, pageRow(1001, 1, ""))}
	}
	repeat := first(listPath + "?cursor=b")
	repeat["b"] = listOf(listPath+"?cursor=b", pageRow(1002, 1, ""))
	circle := first(listPath + "?cursor=b")
	circle["b"] = listOf(listPath+"?cursor=c", pageRow(1002, 1, ""))
	circle["c"] = listOf(listPath+"?cursor=b&x=y", pageRow(1003, 1, ""))
	itself := map[string]string{"": listOf(listPath+"?sort=id&limit=250&status=current%2Carchived", pageRow(1001, 1, ""))}
	emptyRepeat := map[string]string{"": listOf(listPath + "?cursor=b"), "b": listOf(listPath + "?cursor=b")}
	endless := map[string]string{"": listOf(listPath + "?cursor=0")}
	for i := range 50 {
		endless[strconv.Itoa(i)] = listOf(listPath + "?cursor=" + strconv.Itoa(i+1))
	}
	for name, tc := range map[string]struct {
		answers map[string]string
		got     int
	}{
		"repeated cursor":                        {repeat, 2},
		"cursors in a circle":                    {circle, 3},
		"leads to itself":                        {itself, 0},
		"leads to itself without its parameters": {first(listPath), 0},
		"empty page leads to itself":             {emptyRepeat, 0},
		"endless empty pages":                    {endless, 0},
		"another host":                           {first("https://evil.example.com" + listPath + "?cursor=b"), 1},
		"another host, no scheme":                {first("//evil.example.com" + listPath + "?cursor=b"), 1},
		"another scheme":                         {first("https://127.0.0.1" + listPath + "?cursor=b"), 1},
		"out of the API":                         {first("/wiki/logout.action?cursor=b"), 1},
		"upwards":                                {first("/wiki/api/v2/../../admin?cursor=b"), 1},
		"upwards, escaped":                       {first("/wiki/api/v2/%2e%2e/%2e%2e/admin?cursor=b"), 1},
		"no URL":                                 {first("/wiki/api/v2/%zz"), 1},
		"a start instead of a place":             {first(listPath + "?start=0"), 2},
	} {
		t.Run(name, func(t *testing.T) {
			f, c := serve(t, byCursor(tc.answers))
			got, err := ids(c.SpacePages(ctx, "42"))
			var protocol *confluence.ProtocolError
			require.ErrorAs(t, err, &protocol)
			require.True(t, protocol.Listing)
			require.Equal(t, failure.BadListing, failure.CodeOf(err))
			require.LessOrEqual(t, len(got), tc.got)
			require.Less(t, len(f.seen()), 20)
		})
	}
}

func TestListingStopsWhereItsReaderStops(t *testing.T) {
	f, c := serve(t, byCursor(map[string]string{
		"": listOf(listPath+"?cursor=b", pageRow(1001, 1, ""), pageRow(1002, 1, "")),
	}))
	for stub, err := range c.SpacePages(context.Background(), "42") {
		require.NoError(t, err)
		require.Equal(t, "1001", stub.ID)
		break
	}
	require.Len(t, f.seen(), 1)
}

func TestListingErrorIsItsLastPair(t *testing.T) {
	_, c := serve(t, byCursor(map[string]string{"": listOf(listPath+"?cursor=gone", pageRow(1001, 1, ""))}))
	var pairs []string
	for stub, err := range c.SpacePages(context.Background(), "42") {
		pairs = append(pairs, fmt.Sprint(stub.ID, err != nil)) // reads on after an error
	}
	require.Equal(t, []string{"1001false", "true"}, pairs)
}

func TestListingCanBeReadAgain(t *testing.T) {
	f, c := serve(t, always(200, listOf("", pageRow(1001, 1, ""))))
	seq := c.SpacePages(context.Background(), "42")
	for range 2 {
		got, err := ids(seq)
		require.NoError(t, err)
		require.Equal(t, []string{"1001"}, got)
	}
	require.Len(t, f.seen(), 2)
}

func TestListingEndsWithItsContext(t *testing.T) {
	_, c := serve(t, always(200, listOf("", pageRow(1001, 1, ""), pageRow(1002, 1, ""))))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var got []string
	var last error
	for stub, err := range c.SpacePages(ctx, "42") {
		if last = err; err == nil {
			got = append(got, stub.ID)
		}
		cancel()
	}
	require.Equal(t, []string{"1001"}, got)
	require.ErrorIs(t, last, context.Canceled)
}

// After a 504 the client requests half as many rows at the same position, down to five.
func TestTooSlowListingIsHalved(t *testing.T) {
	var limits []string
	most := 31
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		limit, cursor := r.URL.Query().Get("limit"), r.URL.Query().Get("cursor")
		limits = append(limits, cursor+":"+limit)
		n, err := strconv.Atoi(limit)
		if err != nil || n > most {
			html(504)(w, r)
			return
		}
		if cursor == "" {
			most = 6 // the second page is heavier still
			reply(w, 200, listOf(listPath+"?cursor=b&limit=250", pageRow(1001, 1, "")))
			return
		}
		reply(w, 200, listOf("", pageRow(1002, 1, "")))
	}, confluence.WithRetryDelays(time.Hour)) // halving is not a retry and does not wait
	got, err := ids(c.SpacePages(context.Background(), "42"))
	require.NoError(t, err)
	require.Equal(t, []string{"1001", "1002"}, got)
	require.Equal(t, []string{":250", ":125", ":62", ":31", "b:31", "b:15", "b:7", "b:5"}, limits)
}

func TestHalvingEndsAtFive(t *testing.T) {
	f, c := serve(t, html(504))
	err := listSpace(c)
	var server *confluence.ServerError
	require.ErrorAs(t, err, &server)
	require.Equal(t, 504, server.Status)
	// 250, 125, 62, 31, 15, 7, then 5 with its three retries.
	require.Len(t, f.seen(), 10)
	require.Contains(t, f.seen()[9], "limit=5&")
}

func TestStubs(t *testing.T) {
	_, c := serve(t, always(200, listOf("",
		pageRow(1001, 3, ""),
		`{"id":"1002","status":"archived","title":"Über & <Co>","parentId":null,"parentType":null,"spaceId":"42","subtype":"live",
		  "version":{"number":12,"createdAt":"2026-02-03T04:05:06Z"},"body":{},"_links":{"webui":"/spaces/ENG/overview"},"later":{"x":[1]}}`)))
	var got []confluence.PageStub
	for stub, err := range c.SpacePages(context.Background(), "42") {
		require.NoError(t, err)
		got = append(got, stub)
	}
	require.Equal(t, []confluence.PageStub{
		{ID: "1001", Kind: "page", Version: 3, ModifiedAt: rowMade, Status: "current", Title: "Page 1001", ParentID: "7", ParentType: "page", WebUI: "/spaces/ENG/pages/1001/Page+1001"},
		{ID: "1002", Kind: "page", Version: 12, ModifiedAt: rowMade.Truncate(time.Second), Status: "archived", Title: "Über & <Co>", WebUI: "/spaces/ENG/overview", Subtype: "live"},
	}, got)
}

func TestGetSpacePageIDs(t *testing.T) {
	f, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wiki/api/v2/spaces" {
			reply(w, 200, listOf("", spaceENG))
			return
		}
		reply(w, 200, listOf("", pageRow(1001, 1, "")))
	})
	got, err := ids(c.GetSpacePageIDs(context.Background(), "eng"))
	require.NoError(t, err)
	require.Equal(t, []string{"1001"}, got)
	require.Equal(t, "GET /wiki/api/v2/spaces?keys=eng&limit=25", f.seen()[0])
	require.Contains(t, f.seen()[1], "GET "+listPath+"?")

	_, c = serve(t, always(200, listOf("")))
	_, err = ids(c.GetSpacePageIDs(context.Background(), "ENG"))
	var missing *confluence.NotFoundError
	require.ErrorAs(t, err, &missing)
	require.Equal(t, failure.SpaceNotFound, failure.CodeOf(err))
	require.Equal(t, "ENG", missing.ID)
}

func TestSearch(t *testing.T) {
	row := func(id, more string) string {
		return `{"id":"` + id + `","type":"page","ari":"ari:cloud:confluence:x","status":"current","title":"A &amp; B","macroRenderedOutput":{},
			"_expandable":{"container":"","space":"/rest/api/space/ENG"},"_links":{"webui":"/x"}` + more + `}`
	}
	f, c := serve(t, byCursor(map[string]string{
		// v1 omits /wiki and some of the client's parameters, and gives an estimate instead of a count.
		"": `{"results":[` + row("1001", `,"version":{"number":4,"when":"2026-01-01T00:00:00.000Z"},"space":{"id":42,"key":"ENG"}`) + `],
			"start":0,"limit":25,"size":1,"totalSize":1,"_links":{"base":"https://acme.example.net/wiki","context":"/wiki",
			"next":"/rest/api/content/search?next=true&cursor=_sa_abc%3D%3D&limit=25&start=25&cql=something"}}`,
		"_sa_abc==": `{"results":[` + row("1002", `,"version":{"number":1}`) + `],"limit":25,"size":1,"_links":{}}`,
	}))
	cql := confluence.Where(confluence.InSpace("ENG"), confluence.TypeIs("page"), confluence.ModifiedWithin(90)).
		OrderBy("lastmodified", confluence.Asc)
	var got []confluence.SearchResult
	for hit, err := range c.CQLSearch(context.Background(), cql, "version,space", 50) {
		require.NoError(t, err)
		got = append(got, hit)
	}
	require.Equal(t, []confluence.SearchResult{
		{ID: "1001", Type: "page", Status: "current", Title: "A &amp; B", Version: 4, ModifiedAt: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), SpaceKey: "ENG"},
		{ID: "1002", Type: "page", Status: "current", Title: "A &amp; B", Version: 1, SpaceKey: "ENG"},
	}, got)
	for _, seen := range f.seen() {
		u, err := url.Parse(seen[len("GET "):])
		require.NoError(t, err)
		require.Equal(t, "/wiki/rest/api/content/search", u.Path)
		require.Equal(t, cql.String(), u.Query().Get("cql"), "one query for a whole walk, encoded once")
		require.Equal(t, "version,space", u.Query().Get("expand"))
		require.Equal(t, "50", u.Query().Get("limit"))
	}

	_, c = serve(t, always(200, `{"results":[`+row("1001", "")+`],"_links":{}}`))
	for _, err := range c.CQLSearch(context.Background(), cql, "version", 0) {
		var protocol *confluence.ProtocolError
		require.ErrorAs(t, err, &protocol, "a version that was asked for and is not there")
		require.Equal(t, "1001", protocol.ObjectID)
	}
	require.NoError(t, searchAll(c), "the version was not requested")
}

func TestSearchLimits(t *testing.T) {
	f, c := serve(t, always(200, `{"results":[],"_links":{}}`))
	for _, tc := range []struct {
		expand string
		limit  int
		want   string
	}{{"", 0, "limit=100"}, {"", -1, "limit=100"}, {"version", 1000, "limit=250"}, {"body.export_view", 100, "limit=25"}, {"version", 7, "limit=7"}} {
		for _, err := range c.CQLSearch(context.Background(), confluence.Where(confluence.InSpace("ENG")), tc.expand, tc.limit) {
			require.NoError(t, err)
		}
		seen := f.seen()
		require.Contains(t, seen[len(seen)-1], tc.want)
	}
}

func TestListingIsNotTakenForComplete(t *testing.T) {
	// Whatever fails on a later page, the listing ends with an error.
	for name, second := range map[string]http.HandlerFunc{
		"error":     html(503),
		"dead":      always(404, errorV2(404, "NOT_FOUND", "Not Found")),
		"HTML":      html(200),
		"truncated": always(200, listOf("", pageRow(1002, 1, ""))[:200]),
		"reset":     func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			_, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Get("cursor") == "" {
					reply(w, 200, listOf(listPath+"?cursor=b", pageRow(1001, 1, "")))
					return
				}
				second(w, r)
			})
			got, err := ids(c.SpacePages(context.Background(), "42"))
			require.Error(t, err)
			require.False(t, errors.Is(err, context.Canceled))
			require.Equal(t, []string{"1001"}, got)
		})
	}
}
