package confluence_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/secret"
)

// A site that was renamed, or has a custom domain, returns its new address. The credential does not
// follow automatically: the server at the new address would get it.
func TestASiteThatMovedNamesItsNewAddress(t *testing.T) {
	for name, c := range map[string]struct {
		status      int
		to          string
		moved, says string
	}{
		"renamed":             {301, "https://Acme2.example.net/wiki/api/v2/pages/1001", "https://acme2.example.net/wiki", "the site is at Acme2.example.net now"},
		"a domain of its own": {308, "https://wiki.acme.example/wiki/api/v2/pages/1001?x=1", "https://wiki.acme.example/wiki", "wiki.acme.example"},
		"for now":             {302, "https://backup.example.net/", "", "redirected to backup.example.net"},
		"without TLS":         {301, "ftp://acme2.example.net/", "", "redirected to acme2.example.net"},
		"nowhere":             {301, "", "", "where the credential must not go"},
		"with a credential":   {301, "https://" + canary + ".example.net/", "", "[redacted]"},
	} {
		t.Run(name, func(t *testing.T) {
			_, client := serve(t, withHeader(always(c.status, ``), "Location", c.to))
			err := readPage(client)
			var protocol *confluence.ProtocolError
			require.ErrorAs(t, err, &protocol)
			require.Equal(t, c.moved, protocol.MovedTo)
			require.Contains(t, err.Error(), c.says)
		})
	}
}

// A 403 with an HTML page is not about the token, and must not make people create a new one.
func TestARefusedAddressIsNotARefusedToken(t *testing.T) {
	_, c := serve(t, html(403))
	err := readPage(c)
	var denied *confluence.AuthError
	require.ErrorAs(t, err, &denied)
	require.True(t, denied.ByAddress)
	require.Contains(t, err.Error(), "IP allowlist")
	require.NotContains(t, err.Error(), "scoped")
	require.Equal(t, failure.Unauthorized, failure.CodeOf(err))

	_, c = serve(t, html(401))
	require.ErrorAs(t, readPage(c), &denied)
	require.False(t, denied.ByAddress)
	require.Contains(t, denied.Error(), "a scoped API token is taken by the gateway only")

	_, c = serve(t, always(403, errorV1(403, "caller cannot access Confluence")))
	require.ErrorAs(t, readPage(c), &denied)
	require.False(t, denied.ByAddress, "Confluence's own words")
}

// A wait of ten years is shortened to the limit, for this client and for all that share its budget, and
// the error states the requested wait.
func TestAWaitOfTenYearsIsShortened(t *testing.T) {
	const tenYears = 315_360_000 * time.Second
	for name, answer := range map[string]http.HandlerFunc{
		"429": withHeader(always(429, ``), "Retry-After", "315360000"),
		"503": withHeader(html(503), "Retry-After", "315360000"),
	} {
		t.Run(name, func(t *testing.T) {
			f, c := serve(t, answer)
			err := readPage(c)
			var limited *confluence.RateLimitError
			require.ErrorAs(t, err, &limited)
			require.WithinDuration(t, time.Now().Add(time.Hour), limited.RetryAt, time.Minute)
			require.Equal(t, tenYears, limited.Asked)
			require.Contains(t, err.Error(), "315360000 seconds")
			require.ErrorAs(t, readPage(c), &limited)
			require.WithinDuration(t, time.Now().Add(time.Hour), limited.RetryAt, time.Minute, "the budget's pause too")
			require.Len(t, f.seen(), 1)
		})
	}
	_, c := serve(t, withHeader(always(429, ``), "Retry-After", "1847"), confluence.WithLongestPause(30*time.Minute))
	var limited *confluence.RateLimitError
	require.ErrorAs(t, readPage(c), &limited)
	require.WithinDuration(t, time.Now().Add(30*time.Minute), limited.RetryAt, time.Minute)
	require.Equal(t, 1847*time.Second, limited.Asked)

	_, c = serve(t, withHeader(always(429, ``), "Retry-After", "1847"))
	require.ErrorAs(t, readPage(c), &limited)
	require.WithinDuration(t, time.Now().Add(1847*time.Second), limited.RetryAt, time.Minute, "waits of quotas are accepted")
	require.Zero(t, limited.Asked)
	require.False(t, strings.Contains(limited.Error(), "asked"))

	_, err := confluence.New("https://acme.example.net", email, secret.New(canary), confluence.WithLongestPause(0))
	require.Error(t, err)
}

// A space has several names: its id, its key, its alias, and its former keys.
func TestASpaceByWhateverNameItHas(t *testing.T) {
	ctx := context.Background()
	renamed := strings.Replace(spaceENG, `"currentActiveAlias":"ENG"`, `"currentActiveAlias":"Craft"`, 1)
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch key := r.URL.Query().Get("keys"); {
		case r.URL.Path == "/wiki/api/v2/spaces/42":
			reply(w, 200, strings.Replace(renamed, `,"currentActiveAlias":"Craft"`, "", 1))
		case r.URL.Path != "/wiki/api/v2/spaces":
			reply(w, 404, errorV2(404, "NOT_FOUND", "Cannot find a space with id [43]"))
		case key == "OLD", strings.EqualFold(key, "craft"), strings.EqualFold(key, "eng"):
			reply(w, 200, listOf("", renamed))
		default:
			reply(w, 200, listOf(""))
		}
	})
	for _, key := range []string{"ENG", "eng", "craft", "Craft", "OLD"} {
		space, err := c.SpaceByKey(ctx, key)
		require.NoError(t, err, key)
		require.Equal(t, []string{"42", "ENG", "Craft"}, []string{space.ID, space.Key, space.Alias}, key)
	}
	space, err := c.SpaceByID(ctx, "42")
	require.NoError(t, err)
	require.Equal(t, []string{"42", "ENG", ""}, []string{space.ID, space.Key, space.Alias})
	var missing *confluence.NotFoundError
	_, err = c.SpaceByID(ctx, "43")
	require.ErrorAs(t, err, &missing)
	require.Equal(t, failure.SpaceNotFound, failure.CodeOf(err))
	_, err = c.SpaceByID(ctx, "ENG")
	require.ErrorIs(t, err, confluence.ErrInvalidID)

	// A site that ignores the filter returns its only space for any key.
	_, c = serve(t, always(200, listOf("", spaceENG)))
	_, err = c.SpaceByKey(ctx, "OPS")
	var protocol *confluence.ProtocolError
	require.True(t, errors.As(err, &protocol), err)
}

// A wrong token is said in words with the way out, not with the name of a Java class.
func TestARefusalNamesNoJavaClass(t *testing.T) {
	t.Parallel()
	const said = "caller cannot access Confluence"
	_, c := serve(t, always(403, errorV1(403, "com.atlassian.confluence.api.service.exceptions.PermissionException: "+said)))
	_, err := c.Probe(t.Context(), "DOCS")
	require.ErrorContains(t, err, said+"; check the account's e-mail address, its API token and what it may see")
	require.NotContains(t, err.Error(), "com.atlassian")
}
