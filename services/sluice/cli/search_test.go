package cli_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

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
