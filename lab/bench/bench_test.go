package bench

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/lab/bench/report"
	"github.com/sluicehq/sluice/lab/bench/site"
	"github.com/sluicehq/sluice/lab/bench/versus"
	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/event"
)

func TestTheListenerHearsWhatWasHandled(t *testing.T) {
	l := &listener{}
	one, other := l.from(), l.from()
	for _, part := range []struct {
		ear  *ear
		text string
	}{
		{one, `{"level":"debug","event":"page.fetched","page":"7","took":1.5,"message":"hand`},
		{other, `{"level":"debug","event":"pages.listed","page":"1","pages":100,"took":20,"message":"handled"}` + "\n"},
		{one, `led"}` + "\n" + `{"message":"started"}` + "\nno JSON\n" + `{"event":"listing.completed","took":1,"message":"handled"}` + "\n"},
	} {
		n, err := part.ear.Write([]byte(part.text))
		require.NoError(t, err)
		require.Equal(t, len(part.text), n)
	}
	require.Len(t, l.handled, 2)
	require.Equal(t, event.TypePagesListed, l.handled[0].Event)
	require.Equal(t, event.TypePageFetched, l.handled[1].Event)
	require.Equal(t, "7", l.handled[1].Page)
	require.Equal(t, 1500*time.Microsecond, l.handled[1].Took)
	require.WithinDuration(t, time.Now(), l.handled[1].Ended, time.Minute)
}

// A repeated call must be exactly the recorded call.
func TestCallsAreRecordedAndGetTheSameAnswerAgain(t *testing.T) {
	made := sandbox.New(sandbox.Options{})
	made.AddGenerated(sandbox.GeneratedSpace, 30, seed)
	srv := httptest.NewServer(recorded(made.Handler()))
	defer srv.Close()
	w := &world{site: standIn{site.Site{URL: srv.URL}}}
	require.NoError(t, w.site.forget(t.Context()))

	var first []byte
	for _, c := range []call{
		{Method: http.MethodGet, URI: "/wiki/api/v2/pages?limit=25&body-format=storage"},
		{Method: http.MethodPost, URI: "/wiki/api/v2/users-bulk", Body: []byte(`{"accountIds":["712020:x"]}`)},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.Method, srv.URL+c.URI, bytes.NewReader(c.Body))
		require.NoError(t, err)
		req.SetBasicAuth(sandbox.DefaultEmail, sandbox.DefaultToken)
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, res.Body.Close())
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, res.StatusCode, string(body))
		first = append(first, body...)
	}
	st, err := w.site.Stats(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, st.Total)

	calls, err := w.site.calls(t.Context())
	require.NoError(t, err)
	require.Len(t, calls, 2, "control routes are not calls")
	require.Equal(t, "/wiki/api/v2/pages?limit=25&body-format=storage", calls[0].URI)
	require.JSONEq(t, `{"accountIds":["712020:x"]}`, string(calls[1].Body))
	require.False(t, calls[1].At.Before(calls[0].At))

	took, size, err := w.replay(t.Context(), calls, 2)
	require.NoError(t, err)
	require.Positive(t, took)
	require.EqualValues(t, len(first), size)

	calls[0].URI = "/wiki/api/v2/pages?limit=1000"
	_, _, err = w.replay(t.Context(), calls, 2)
	require.ErrorContains(t, err, "400", "an answer that is not the same is an error and no figure")
}

func TestEveryBodyIsConverted(t *testing.T) {
	took, _, size, err := convertAll(t.Context(), 25)
	require.NoError(t, err)
	require.Positive(t, took)
	site := sandbox.New(sandbox.Options{})
	site.AddGenerated(sandbox.GeneratedSpace, 25, seed)
	var want int64
	for _, p := range site.Pages(sandbox.GeneratedSpace) {
		body, err := site.Body(p.ID)
		require.NoError(t, err)
		want += int64(len(body))
	}
	require.Equal(t, want, size)
}

func TestQuestionsAreOfEveryKind(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var all strings.Builder
	sure := 0
	for range 200 {
		query, must := question(rng, 50)
		require.NotEmpty(t, strings.TrimSpace(query))
		if must {
			sure++
		}
		all.WriteString(query + "\n")
	}
	for _, part := range []string{`"generated page `, " -", "why does", "the "} {
		require.Contains(t, all.String(), part)
	}
	require.Greater(t, sure, 50)
}

func TestWhatIsAskedFor(t *testing.T) {
	for args, wrong := range map[string]string{
		"-form tiny":          "whole or small",
		"-only full,fuel":     `no section is called "fuel"`,
		"-full 10,many":       "numbers of pages",
		"-rounds 0":           "at least 1",
		"-from nowhere.json":  "read what was measured",
		"-only full extra":    "extra",
		"serve-site addr lot": "how many pages",
	} {
		require.ErrorContains(t, run(t.Context(), strings.Fields(args), io.Discard), wrong, args)
	}
}

func TestAReportIsMadeOfWhatWasSaved(t *testing.T) {
	dir := t.TempDir()
	raw, page := filepath.Join(dir, "raw.json"), filepath.Join(dir, "page.md")
	r := report.Results{Took: map[string]time.Duration{"latency": time.Minute}, Latency: []report.Latency{{}}}
	require.NoError(t, save(raw, r))
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-from", raw}, &out))
	require.Contains(t, out.String(), "## From an edit to its being found")
	require.NotContains(t, out.String(), "## Search")
	require.ErrorContains(t, run(t.Context(), []string{"-from", raw, "-write", page}, io.Discard), "every section")
	require.NoFileExists(t, page)

	for _, s := range sections {
		r.Took[s.name] = time.Minute
	}
	require.NoError(t, save(raw, r))
	require.NoError(t, run(t.Context(), []string{"-from", raw, "-write", page}, io.Discard))
	require.FileExists(t, page)

	peers := filepath.Join(dir, "peers.json")
	out.Reset()
	require.NoError(t, run(t.Context(), []string{"-from", raw, "-peers", peers}, &out))
	require.Contains(t, out.String(), "[beside the peers](benchmarks-peers.md)", "nobody has compared yet")
	one := []versus.Run{{Pages: 1, Wall: time.Second, Calls: 1}}
	theirs := versus.Results{Tables: []versus.Table{{Pages: 1, Rows: []versus.Row{{Name: "Sluice", Ours: true, Rounds: one}, {Name: "theirs", Rounds: one}}}}}
	require.NoError(t, theirs.Save(peers))
	out.Reset()
	require.NoError(t, run(t.Context(), []string{"-from", raw, "-peers", peers}, &out))
	require.Contains(t, out.String(), "[theirs](benchmarks-peers.md), 1 pages")
}
