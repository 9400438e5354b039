package credential_test

import (
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/store/vault"
)

func TestTheDayOnWhichATokenExpires(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	at, err := credential.ParseExpiry("2027-03-01", now)
	require.NoError(t, err)
	require.Equal(t, time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC), at)
	at, err = credential.ParseExpiry("2026-11-30T14:30:00+01:00", now)
	require.NoError(t, err)
	require.Equal(t, 90*time.Minute, at.Sub(now))
	for _, wrong := range []string{"", "soon", "90d", "2026-11-30", "2026-02-30", "2029-01-01", "01.03.2027", "2026-11-30T12:00:00Z"} {
		_, err := credential.ParseExpiry(wrong, now)
		require.ErrorIs(t, err, credential.ErrExpiry, wrong)
	}
}

func TestTokensAreWarnedOfBeforeTheyExpire(t *testing.T) {
	t.Parallel()
	now, day := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC), 24*time.Hour
	for _, c := range []struct {
		left    time.Duration
		urgency int
		says    string
	}{
		{31 * day, 0, ""},
		{30 * day, 1, "The token of docs expires on 2026-12-30, in 30 days"},
		{7 * day, 2, "in 7 days"},
		{36 * time.Hour, 2, "in 1 day"},
		{time.Hour, 3, "in less than a day"},
		{0, 4, "The token of docs expired on 2026-11-30"},
		{-90 * day, 4, "The token of docs expired on 2026-09-01"},
	} {
		list := credential.Expiring([]vault.Secret{
			{Name: "docs", Expires: now.Add(c.left)}, {Name: "unknown"}, {Name: "gone", Expires: now, Vanished: true},
		}, config.Confluence{}, now)
		if c.urgency == 0 {
			require.Empty(t, list)
			continue
		}
		require.Len(t, list, 1)
		require.Equal(t, c.urgency, list[0].Urgency(), c.left)
		require.Contains(t, list[0].Says(), c.says)
		require.Contains(t, list[0].Mend(), "sluice secret set docs --expires DAY")
	}
	settings := config.Confluence{APIToken: secret.New("t"), TokenExpires: "2026-12-01"}
	list := credential.Expiring(nil, settings, now)
	require.Len(t, list, 1)
	require.Contains(t, list[0].Says(), "The token of CONFLUENCE_API_TOKEN expires on 2026-12-01, in less than a day")
	require.Contains(t, list[0].Mend(), "CONFLUENCE_API_TOKEN_EXPIRES")
}

func TestWhenTheTokenOfASourceEnds(t *testing.T) {
	t.Parallel()
	day := func(n int) time.Time { return time.Date(2027, 3, n, 0, 0, 0, 0, time.UTC) }
	stored := []vault.Secret{{Name: "own", Expires: day(1)}, {Name: "unsaid"}, {Name: "acme.atlassian.net", Expires: day(2)}, {Name: "gone", Expires: day(3), Vanished: true}}
	s, err := credential.NewSite(config.Confluence{BaseURL: "https://env.atlassian.net", Email: "a@b.c", APIToken: secret.New("x"), TokenExpires: "2027-03-04", RequestsPerSecond: 1, Concurrency: 1}, zerolog.Nop())
	require.NoError(t, err)
	const acme, env = "https://ACME.atlassian.net/wiki", "https://env.atlassian.net/wiki"
	for id, want := range map[string]time.Time{"own": day(1), "unsaid": {}, "other": day(2), "gone": day(2)} {
		require.Equal(t, want, s.Ends(id, acme, stored), id)
	}
	require.Equal(t, day(4), s.Ends("other", env, stored))
	require.Zero(t, s.Ends("other", "https://third.atlassian.net/wiki", stored))
	s = nil
	require.Equal(t, day(1), s.Ends("own", acme, stored))
	require.Zero(t, s.Ends("other", env, stored))
}
