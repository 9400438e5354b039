package apikey_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/access"
	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/apikey/apikeytest"
)

func TestAKeyIsProvedByItsHashAlone(t *testing.T) {
	id, token, hash := apikey.New()
	gotID, text, ok := apikey.Parse(token.Reveal())
	require.True(t, ok)
	require.Equal(t, id, gotID)
	require.True(t, apikey.Matches(hash, id, text))
	require.NotContains(t, hash, text)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", token, token, token), text)

	// Every letter counts, even the last one.
	for i := range len(text) {
		other := []byte(text)
		other[i] = 'a' + (other[i]-'a'+1)%26
		if i%10 == 0 || i == len(text)-1 {
			require.False(t, apikey.Matches(hash, id, string(other)), "letter %d", i)
		}
	}
	otherID, _, _ := apikey.New()
	require.False(t, apikey.Matches(hash, otherID, text), "a hash that was moved to another row proves nothing")
	require.False(t, apikey.Matches("", id, text))
}

func TestHashesOfEarlierReleasesAreKnown(t *testing.T) {
	id, token, hash := apikey.New()
	_, text, _ := apikey.Parse(token.Reveal())
	older := apikeytest.OlderHash(t, token.Reveal())
	require.True(t, apikey.Slow(older))
	require.False(t, apikey.Slow(hash))
	require.True(t, apikey.Matches(older, id, text))
	require.False(t, apikey.Matches(older, id, "b"+text[1:]) && apikey.Matches(older, id, "c"+text[1:]))
}

func TestWhatCannotBeAKey(t *testing.T) {
	_, token, _ := apikey.New()
	good := token.Reveal()
	for _, bad := range []string{
		"", "sluice", "sluice__", good + "_", good + "a", good[:len(good)-1], strings.ToUpper(good), " " + good,
		strings.Replace(good, "sluice", "other", 1), good[:len(good)-1] + "'", good[:len(good)-1] + "\x00", strings.ReplaceAll(good, "_", "-"),
	} {
		_, _, ok := apikey.Parse(bad)
		require.False(t, ok, "%q", bad)
	}
}

func TestRoles(t *testing.T) {
	for i, has := range apikey.Roles {
		for j, need := range apikey.Roles {
			require.Equal(t, i >= j, has.May(need), "%s for %s", has, need)
		}
		require.False(t, has.May("owner"))
	}
	require.False(t, apikey.Role("").May(apikey.Read))
	require.False(t, apikey.Role("").May(""))
}

func TestOnWhoseBehalfAKeyReads(t *testing.T) {
	require.True(t, apikey.Key{Role: apikey.Read}.Viewer().SeesAll())
	scoped := apikey.Key{Role: apikey.Admin, Sources: []string{"docs"}}.Viewer()
	require.True(t, scoped.Sees("docs"))
	require.False(t, scoped.Sees("doc"))
	require.False(t, scoped.Sees(""))
	for _, nobodys := range []apikey.Key{{}, {Sources: []string{"docs"}}, {Role: "root"}} {
		require.False(t, nobodys.Viewer().Sees("docs"))
	}
}

func TestForWhomAKeyReads(t *testing.T) {
	read := apikey.Key{Role: apikey.Read, Sources: []string{"docs"}}
	require.False(t, read.Viewer().Operator(), "only who has the database sees every page")
	require.False(t, apikey.Key{Role: apikey.Admin}.Viewer().Operator())
	require.Empty(t, read.Viewer().Account())
	_, err := read.ViewerAs("ann")
	require.ErrorIs(t, err, apikey.ErrReader)

	bound := read
	bound.Account = "ann"
	require.Equal(t, "ann", bound.Viewer().Account())
	_, err = bound.ViewerAs("bob")
	require.ErrorIs(t, err, apikey.ErrReader)

	read.ActAs = true
	v, err := read.ViewerAs("712020:8d0f-1")
	require.NoError(t, err)
	require.Equal(t, "712020:8d0f-1", v.Account())
	require.True(t, v.Sees("docs"))
	require.False(t, v.Sees("hr"), "a reader makes no more sources visible")
	v, err = read.ViewerAs("")
	require.NoError(t, err)
	require.Empty(t, v.Account())
	for _, bad := range []string{" ", "ann bob", "ann\n", "é", strings.Repeat("a", 129)} {
		_, err = read.ViewerAs(bad)
		require.ErrorIs(t, err, access.ErrAccount, "%q", bad)
	}
}
