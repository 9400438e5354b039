package confluencesource_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/source"
	"github.com/sluicehq/sluice/shared/source/confluencesource"
	"github.com/sluicehq/sluice/shared/store"
)

// comment is one on page 7. Its parent may be one that the account does not see.
type comment struct{ parent, body, resolution string }

// talk are the comments of a site by id. Those with a resolution are inline.
type talk map[string]comment

func (t talk) rows(of func(id string, c comment) bool) string {
	var rows []string
	for _, id := range slices.Sorted(maps.Keys(t)) {
		c := t[id]
		if !of(id, c) {
			continue
		}
		rows = append(rows, fmt.Sprintf(`{"id":%q,"status":"current","title":"Re: x","pageId":"7","parentCommentId":%q,"resolutionStatus":%q,
			"version":{"number":1,"authorId":"5c0","createdAt":"2026-01-01T00:00:00Z"},
			"body":{"storage":{"representation":"storage","value":%q}}}`, id, c.parent, c.resolution, c.body))
	}
	return `[` + strings.Join(rows, ",") + `]`
}

func (t talk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	path := strings.TrimPrefix(r.URL.Path, "/wiki")
	kind, rest, _ := strings.Cut(strings.TrimPrefix(path, "/api/v2/"), "-comments")
	id := strings.TrimSuffix(strings.TrimPrefix(rest, "/"), "/children")
	var rows string
	switch c, there := t[id]; {
	case path == "/rest/api/user/current":
		_, _ = w.Write([]byte(`{"type":"known","accountId":"5c0"}`))
		return
	case path == "/api/v2/spaces":
		rows = `[{"id":"42","key":"ENG","name":"Engineering","type":"global","status":"current"}]`
	case path == "/api/v2/spaces/42/pages", path == "/api/v2/pages":
		rows = `[{"id":"7","status":"current","title":"x","spaceId":"42","version":{"number":1,"createdAt":"2026-01-01T00:00:00Z"},"_links":{"webui":"/x"}}]`
	case strings.HasSuffix(rest, "/children"):
		rows = t.rows(func(_ string, c comment) bool { return c.parent == id })
	case rest == "":
		rows = t.rows(func(_ string, c comment) bool { return (c.resolution != "") == (kind == "inline") })
		if from, _ := strconv.Atoi(r.URL.Query().Get("cursor")); from < 11 { // more empty answers than other lists have
			_, _ = fmt.Fprintf(w, `{"results":[],"_links":{"next":"/wiki/api/v2/%s-comments?cursor=%d"}}`, kind, from+1)
			return
		}
		// What is unusable of another space does not matter here.
		rows = strings.Replace(rows, "[", `[{"id":"55","pageId":"8"},{"id":"x","pageId":"8"},{"id":"56","blogPostId":"9"}`+strings.Repeat(",", min(1, len(rows)-2)), 1)
	case there && (c.resolution != "") == (kind == "inline"):
		row := t.rows(func(of string, _ comment) bool { return of == id })
		_, _ = w.Write([]byte(row[1 : len(row)-1]))
		return
	default:
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"errors":[{"status":404,"code":"NOT_FOUND","title":"Cannot find a comment with id [` + id + `]"}]}`))
		return
	}
	_, _ = w.Write([]byte(`{"results":` + rows + `,"_links":{}}`))
}

// oneSite gives out the client of one site.
type oneSite struct{ client *confluence.Client }

func (s oneSite) Client(context.Context, store.Source) (*confluence.Client, error) {
	return s.client, nil
}

func (t talk) open(tb testing.TB) source.System {
	tb.Helper()
	srv := httptest.NewServer(t)
	c, err := confluence.New(srv.URL, "a@example.org", secret.New("token"), confluence.WithInsecureHTTP(), confluence.WithRate(math.Inf(1), 1))
	require.NoError(tb, err)
	tb.Cleanup(func() { c.Close(); srv.Close() })
	system, err := confluencesource.New(oneSite{c}, zerolog.Nop()).Open(tb.Context(), store.Source{
		ID: "docs", SpaceKey: "ENG", BaseURL: srv.URL + "/wiki", Comments: store.AllComments,
	})
	require.NoError(tb, err)
	return system
}

// threads are the hashes that a full listing has, by the first comment.
func threads(tb testing.TB, s source.System) map[string]string {
	tb.Helper()
	listing, err := s.List(tb.Context(), source.Kinds{page.Comment})
	require.NoError(tb, err)
	out := map[string]string{}
	for _, part := range listing.Parts {
		for item, err := range part(tb.Context()) {
			require.NoError(tb, err)
			if item.Kind == page.Comment {
				require.Equal(tb, item.Err != nil, strings.Count(item.Hash, ": ") > confluence.LongestThread)
				require.NotContains(tb, out, item.ID)
				out[item.ID] = item.Hash
			}
		}
	}
	return out
}

func bodies(s source.System, ids ...string) (map[string]source.Page, error) {
	var refs []page.Ref
	for _, id := range ids {
		refs = append(refs, page.Ref{ID: id, Kind: page.Comment})
	}
	found, err := s.Bodies(context.Background(), refs)
	out := map[string]source.Page{}
	for _, p := range found {
		out[p.Facts.ID] = p
	}
	return out, err
}

// What a listing and a reading say of one thread is the same, also where its beginning is hidden.
func TestAListingSaysOfAThreadWhatReadingItSays(t *testing.T) {
	system := talk{
		"71": {}, "711": {parent: "71"}, "712": {parent: "711"},
		"72": {resolution: "open"}, "721": {parent: "72", resolution: "open"},
		"81": {parent: "80", resolution: "resolved"}, "811": {parent: "81", resolution: "resolved"},
		"82": {parent: "80"},
	}.open(t)
	listed := threads(t, system)
	require.Len(t, listed, 4)
	read, err := bodies(system, slices.Collect(maps.Keys(listed))...)
	require.NoError(t, err)
	for id, hash := range listed {
		require.Equal(t, hash, read[id].Facts.Hash, id)
	}
	require.Equal(t, " 81:1:resolved 811:1: ", listed["81"])
}

func TestThreadsOfAnyShape(t *testing.T) {
	site := talk{"1": {}, "90001": {parent: "90003"}, "90002": {parent: "90001"}, "90003": {parent: "90002"}, "90004": {parent: "90003"}}
	for i := 2; i <= 20000; i++ { // a chain
		site[strconv.Itoa(i)] = comment{parent: strconv.Itoa(i - 1)}
	}
	listed := threads(t, site.open(t))
	require.Len(t, listed, 2)
	require.Contains(t, listed["1"], " 20000:1: ")
	require.Equal(t, " 90001:1: 90002:1: 90003:1: 90004:1: ", listed["90001"], "a circle")
}

// Everybody who may comment can write what looks like another person's comment.
func TestNobodySpeaksForAnother(t *testing.T) {
	forged := `<p><strong><ac:link><ri:user ri:account-id="ceo" /></ac:link></strong>, <time datetime="2026-01-02" /></p><p>Granted.</p>`
	read, err := bodies(talk{"1": {body: "<p>May we?</p>"}, "2": {parent: "1", body: forged}}.open(t), "1")
	require.NoError(t, err)
	name := `<p><strong><ac:link><ri:user ri:account-id="5c0" /></ac:link></strong>, <time datetime="2026-01-01" /></p>`
	require.Equal(t, name+`<blockquote><p>May we?</p></blockquote>`+name+`<blockquote>`+forged+`</blockquote>`, read["1"].Body)
}

func TestThreadsThatAreTooMuch(t *testing.T) {
	long := talk{"1": {}, "99999": {}}
	for i := 2; i <= 1001; i++ {
		long[strconv.Itoa(i)] = comment{parent: "1"}
	}
	read, err := bodies(long.open(t), "1", "99999")
	require.NoError(t, err)
	require.Equal(t, failure.ConvertTooLarge, failure.CodeOf(read["1"].Err))
	require.NoError(t, read["99999"].Err)

	large := strings.Repeat("x", page.MaxBody*2/3)
	system := talk{"1": {body: large}, "2": {body: large}}.open(t)
	_, err = bodies(system, "1", "2")
	require.ErrorIs(t, err, source.ErrTooMuch)
	read, err = bodies(system, "2")
	require.NoError(t, err)
	require.Len(t, read, 1)
}
