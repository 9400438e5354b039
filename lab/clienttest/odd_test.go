package clienttest

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/secret"
)

// One row of a listing is invalid: every other row is returned, and an error names the invalid one.
func TestAnOddRowCostsThatRowAlone(t *testing.T) {
	w := newWorld(t)
	t.Cleanup(w.close)
	odd := w.chain[deep/2]
	for name, row := range map[string]map[string]any{
		"date":    oddRow,
		"version": {"version": map[string]any{"number": 1 << 31}},
	} {
		require.NoError(t, w.site.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultOddRow, PageID: odd, Row: row}))
		var got []string
		var bad []string
		for stub, err := range w.client(t).SpacePages(t.Context(), w.space) {
			var of *confluence.RowError
			if errors.As(err, &of) {
				bad = append(bad, of.ID)
				continue
			}
			require.NoError(t, err, name)
			got = append(got, stub.ID)
		}
		require.Equal(t, []string{odd}, bad, name)
		require.Len(t, got, len(w.site.Pages("TREE"))-1, name)
		require.NotContains(t, got, odd)
	}
}

// A version's number decreases and is used again; its time is not.
func TestTheTimeOfAVersionTellsWhatItsNumberDoesNot(t *testing.T) {
	now := made
	site := sandbox.New(sandbox.Options{Email: email, Token: canary, Now: func() time.Time { return now }})
	require.NoError(t, site.AddSpace("ENG", "Engineering"))
	srv := httptest.NewServer(site.Handler())
	t.Cleanup(srv.Close)
	c, err := confluence.New(srv.URL, email, secret.New(canary), confluence.WithInsecureHTTP())
	require.NoError(t, err)
	t.Cleanup(c.Close)
	id := site.Pages("ENG")[0].ID
	look := func() (stub confluence.PageStub, hit confluence.SearchResult) {
		for s, err := range c.GetSpacePageIDs(t.Context(), "ENG") {
			require.NoError(t, err)
			stub = s
		}
		for h, err := range c.CQLSearch(t.Context(), confluence.Where(confluence.InSpace("ENG")), "version", 0) {
			require.NoError(t, err)
			hit = h
		}
		require.Equal(t, stub.Version, hit.Version)
		require.Equal(t, stub.ModifiedAt, hit.ModifiedAt)
		return stub, hit
	}
	edit := func(body string) {
		now = now.Add(time.Minute)
		_, err := site.EditPage(id, sandbox.Edit{Body: &body})
		require.NoError(t, err)
	}
	edit("<p>first</p>")
	before, _ := look()
	require.NoError(t, site.KeepVersions(id, 1))
	edit("<p>second</p>")
	after, _ := look()
	require.Equal(t, before.Version, after.Version)
	require.True(t, after.ModifiedAt.After(before.ModifiedAt))
}

func TestASiteThatMovedIsToldApartFromOneThatRefuses(t *testing.T) {
	w := newWorld(t)
	t.Cleanup(w.close)
	list := func(more ...confluence.Option) error {
		for _, err := range w.client(t, more...).SpacePages(t.Context(), w.space) {
			if err != nil {
				return err
			}
		}
		return nil
	}
	require.NoError(t, w.site.MoveTo("https://acme2.example.net"))
	var protocol *confluence.ProtocolError
	require.ErrorAs(t, list(), &protocol)
	require.Equal(t, "https://acme2.example.net/wiki", protocol.MovedTo)
	require.NoError(t, w.site.MoveTo(""))

	require.NoError(t, w.site.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultAllowlist}))
	var denied *confluence.AuthError
	require.ErrorAs(t, list(), &denied)
	require.True(t, denied.ByAddress)

	require.NoError(t, w.site.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultTooMany, RetryAfter: 315_360_000}))
	began := time.Now()
	err := list(confluence.WithLongestPause(time.Minute))
	var limited *confluence.RateLimitError
	require.ErrorAs(t, err, &limited)
	require.WithinDuration(t, began.Add(time.Minute), limited.RetryAt, 10*time.Second)
	require.Positive(t, limited.Asked)

	// One byte per second is no usable response: the call ends with its timeout.
	require.NoError(t, w.site.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultTrickle}))
	var broken *confluence.TransportError
	require.ErrorAs(t, list(confluence.WithTimeout(50*time.Millisecond)), &broken)
	require.True(t, strings.Contains(broken.Error(), "deadline"), broken)
}

func TestARekeyedSpaceIsFound(t *testing.T) {
	w := newWorld(t)
	t.Cleanup(w.close)
	require.NoError(t, w.site.RekeySpace("TREE", sandbox.Rekey{Key: "Forest", Alias: true}))
	require.NoError(t, w.site.RekeySpace("OTHER", sandbox.Rekey{Key: "ELSE"}))
	c := w.client(t)
	for asked, key := range map[string]string{"tree": "TREE", "FOREST": "TREE", "other": "ELSE", "else": "ELSE"} {
		space, err := c.SpaceByKey(t.Context(), asked)
		require.NoError(t, err, asked)
		require.Equal(t, key, space.Key, asked)
		again, err := c.SpaceByID(t.Context(), space.ID)
		require.NoError(t, err)
		require.Equal(t, key, again.Key)
	}
	require.NoError(t, w.site.ArchiveSpace("TREE", true))
	space, err := c.SpaceByKey(t.Context(), "TREE")
	require.NoError(t, err)
	require.Equal(t, "archived", space.Status)
}
