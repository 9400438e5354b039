package credential

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/seal"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/vault"
)

const (
	acme  = "https://acme.atlassian.net/wiki"
	other = "https://other.atlassian.net/wiki"
)

// memory holds credentials by name, and may be broken.
type memory struct {
	mu    sync.Mutex
	kept  map[string]vault.Credential
	err   error
	looks int
}

func (v *memory) Secret(_ context.Context, _ *seal.Ring, names ...string) (vault.Credential, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.looks++
	if v.err != nil {
		return vault.Credential{}, v.err
	}
	for _, name := range names {
		if c, ok := v.kept[name]; ok {
			return c, nil
		}
	}
	return vault.Credential{}, store.ErrNotFound
}

func (v *memory) put(name, site, token string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.kept == nil {
		v.kept = map[string]vault.Credential{}
	}
	v.kept[name] = vault.Credential{Site: site, Email: "reader@acme.com", Token: secret.New(token)}
}

func settings(site string) config.Confluence {
	return config.Confluence{
		BaseURL: site, Email: "env@acme.com", APIToken: secret.New("of-the-environment"), Sites: config.Sites{AllowedHosts: "*.atlassian.net"},
		RequestsPerSecond: 1000, Concurrency: 2,
	}
}

func siteOf(t *testing.T, c config.Confluence, v *memory) *Site {
	t.Helper()
	s, err := NewSite(c, zerolog.Nop(), Stored(v, nil))
	require.NoError(t, err)
	return s
}

// reads returns the token that a source is read with.
func (s *Site) reads(t *testing.T, id, site string) string {
	t.Helper()
	client, err := s.Client(t.Context(), store.Source{ID: id, BaseURL: site})
	require.NoError(t, err)
	for c, its := range s.clients {
		if its == client {
			return c.Token.Reveal()
		}
	}
	require.Fail(t, "a client that is not kept")
	return ""
}

func refusal(t *testing.T, s *Site, id, site string) error {
	t.Helper()
	_, err := s.Client(t.Context(), store.Source{ID: id, BaseURL: site})
	require.Error(t, err)
	require.Equal(t, failure.Unauthorized, failure.CodeOf(err), err)
	return err
}

func TestWhichCredentialASourceIsReadWith(t *testing.T) {
	v := &memory{}
	v.put("docs", acme, "of-the-source")
	v.put("other.atlassian.net", other, "of-the-site")
	s := siteOf(t, settings("https://ACME.atlassian.net"), v)
	require.Equal(t, "of-the-source", s.reads(t, "docs", acme))
	require.Equal(t, "of-the-environment", s.reads(t, "hr", acme))
	require.Equal(t, "of-the-site", s.reads(t, "sales", other+"/"))
	require.ErrorContains(t, refusal(t, s, "lost", "https://third.atlassian.net/wiki"), "sluice secret set lost")

	// A token goes to the site that it was given for, whatever the source's row says.
	require.ErrorContains(t, refusal(t, s, "docs", other), "not sent elsewhere")
	require.Equal(t, "of-the-source", s.reads(t, "docs", acme))

	// The site of a source is among the allowed hosts, whoever wrote it into the table.
	for _, address := range []string{
		"https://evil.example/wiki", "http://acme.atlassian.net/wiki", "https://acme.atlassian.net.evil.example/wiki", "https://169.254.169.254/wiki", "", "x",
	} {
		v.put("evil", address, "of-the-source")
		require.ErrorContains(t, refusal(t, s, "evil", address), "refused", address)
	}
	var none *Site
	require.ErrorContains(t, refusal(t, none, "docs", acme), "CONFLUENCE_BASE_URL")
	// No environment is needed where each source has its own.
	s = siteOf(t, config.Confluence{Sites: config.Sites{AllowedHosts: "*.atlassian.net"}, RequestsPerSecond: 1, Concurrency: 1}, v)
	require.Equal(t, "of-the-source", s.reads(t, "docs", acme))
	require.ErrorContains(t, refusal(t, s, "hr", acme), "CONFLUENCE_BASE_URL")
}

func TestASourceWhoseSecretCannotBeOpenedIsNotReadWithAnother(t *testing.T) {
	v := &memory{err: &vault.SealedError{Name: "docs"}}
	s, err := NewSite(settings(acme), zerolog.Nop(), Stored(v, nil))
	require.NoError(t, err)
	_, err = s.Client(t.Context(), store.Source{ID: "docs", BaseURL: acme})
	require.Equal(t, failure.Unauthorized, failure.CodeOf(err))
	// A database that is away is another matter: the work waits for it.
	v.err = errors.New("connection refused")
	_, err = s.Client(t.Context(), store.Source{ID: "docs", BaseURL: acme})
	require.ErrorIs(t, err, v.err)
	require.False(t, failure.CodeOf(err).Final())
	v.err = nil
	require.Equal(t, "of-the-environment", s.reads(t, "docs", acme))
}

func TestAStoredCredentialIsLookedForNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &memory{}
		v.put("docs", acme, "first")
		s := siteOf(t, settings(acme), v)
		require.Equal(t, "first", s.reads(t, "docs", acme))
		v.put("docs", acme, "second")
		first := s.clients
		for range 100 {
			require.Equal(t, "first", s.reads(t, "docs", acme))
		}
		require.Equal(t, 1, v.looks)
		<-time.After(lookEvery)
		require.Equal(t, "second", s.reads(t, "docs", acme))
		require.Equal(t, 2, v.looks)
		require.Len(t, first, 2, "the replaced client is gone, that of the environment stays")

		// Removed, the source is read with what is left, and then with nothing.
		v.mu.Lock()
		delete(v.kept, "docs")
		v.mu.Unlock()
		<-time.After(lookEvery)
		require.Equal(t, "of-the-environment", s.reads(t, "docs", acme))
		require.Len(t, s.clients, 1)
	})
}

// A token that Confluence refuses is looked for again at once: it was replaced, perhaps.
func TestARefusedCredentialIsLookedForSoon(t *testing.T) {
	var mu sync.Mutex
	var used []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		plain, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(r.Header.Get("Authorization"), "Basic "))
		used = append(used, string(plain))
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(server.Close)
	site := server.URL + "/wiki"
	v := &memory{}
	v.put("docs", site, "first")
	c := settings(site)
	c.AllowHTTP = true
	s := siteOf(t, c, v)
	src := store.Source{ID: "docs", BaseURL: site}
	ask := func() {
		client, err := s.Client(t.Context(), src)
		require.NoError(t, err)
		t.Cleanup(client.Close)
		_, err = client.SpaceByKey(t.Context(), "DOCS")
		var refused *confluence.AuthError
		require.ErrorAs(t, err, &refused)
	}
	ask()
	v.put("docs", site, "second")
	require.Eventually(t, func() bool {
		ask()
		mu.Lock()
		defer mu.Unlock()
		return used[len(used)-1] == "reader@acme.com:second"
	}, 10*time.Second, 50*time.Millisecond, "long before lookEvery")
	require.Equal(t, "reader@acme.com:first", used[0])
	require.Less(t, v.looks, 10, "and not at every call")
}

// Clients of one site share its budget, whosever credential they have.
func TestCredentialsOfASiteShareItsBudget(t *testing.T) {
	for name, with := range map[string][]SiteOption{"alone": nil, "in a fleet": {Sharing(bustest.New(t).Connect())}} {
		v := &memory{}
		v.put("docs", acme, "one")
		v.put("hr", acme, "two")
		v.put("sales", other, "three")
		s, err := NewSite(settings(acme), zerolog.Nop(), append(with, Stored(v, nil))...)
		require.NoError(t, err)
		for _, src := range []store.Source{{ID: "docs", BaseURL: acme}, {ID: "hr", BaseURL: acme}, {ID: "sales", BaseURL: other}, {ID: "docs", BaseURL: acme}} {
			_, err := s.Client(t.Context(), src)
			require.NoError(t, err)
		}
		require.Len(t, s.clients, 4, name)
		require.Len(t, s.budgets, 2, name)
	}
}
