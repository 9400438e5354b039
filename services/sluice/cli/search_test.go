package cli_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/store/search"
)

func TestSearchNarrowed(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.sees("demo", "--once", "--words")
	pages := func(args ...string) []string {
		var hits []search.Hit
		require.NoError(t, json.Unmarshal([]byte(p.sees(append(append([]string{"search"}, args...), "--limit", "50", "-o", "json")...)), &hits))
		ids := []string{}
		for _, h := range hits {
			ids = append(ids, h.PageID)
			require.NotEmpty(t, h.URL)
			require.NotEmpty(t, h.Breadcrumb, "%s: every page but the home page is below another", h.Title)
			require.Positive(t, h.Version)
			require.False(t, h.LastModified.IsZero())
		}
		slices.Sort(ids)
		return slices.Compact(ids)
	}
	const rotate = "65666"
	all := pages("signing keys", "--source", "demo")
	require.Contains(t, all, rotate)
	require.Greater(t, len(all), 1)
	for _, narrowed := range [][]string{
		{"--under", rotate}, {"--jira", "sec-412"}, {"--space", "DEMO", "--under", rotate}, {"--under", rotate, "--since", "2001-01-01"},
	} {
		require.Equal(t, []string{rotate}, pages(append([]string{"signing keys"}, narrowed...)...), narrowed)
	}
	require.Contains(t, pages("signing keys", "--label", "Runbook"), rotate)
	require.Contains(t, pages("leaked token", "--mentions", "63f0a7c1b24e9d5508a6e111"), "65673")
	require.Empty(t, pages("signing keys", "--space", "NONE"))
	require.Empty(t, pages("signing keys", "--since", time.Now().Add(time.Hour).Format(time.RFC3339)))
	require.Contains(t, p.sees("search", "signing", "keys", "--under", rotate), "\n   in ")

	code, _, said := p.types("search", "x", "--source", "nowhere")
	require.Equal(t, 1, code)
	require.Contains(t, said, "existing sources: demo")
	code, _, said = p.types("search", "x", "--under", "1")
	require.Equal(t, 1, code)
	require.Contains(t, said, `page "1" is not stored`)
}

func TestSearchRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"search"}, "usage: sluice search QUERY"},
		{[]string{"search", "x", "--since", "yesterday"}, "2026-01-31 or an age such as 7d or 24h"},
		{[]string{"search", "x", "--since", "-7d"}, "--since"},
		{[]string{"search", "x", "--since", "-24h"}, "--since"},
		{[]string{"search", "x", "--since", "2026-02-30"}, "--since"},
		{[]string{"search", "x", "--limit", "0"}, "from 1 to 100"},
		{[]string{"search", "x", "--limit", "101"}, "from 1 to 100"},
		{[]string{"search", "x", "--limit", "many"}, "--limit"},
		{[]string{"search", "x", "--under", "Home"}, "a page's id"},
	} {
		code, _, said := p.types(c.args...)
		require.Equal(t, 2, code, "%v: %s", c.args, said)
		require.Contains(t, said, c.says, "%v", c.args)
	}
	require.Contains(t, p.sees("search", "--help"), "--mentions account")
}
