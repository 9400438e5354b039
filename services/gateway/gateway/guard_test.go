package gateway

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/apikey/apikeytest"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/store/vault"
)

// fillIn returns the method of a pattern, and its path with values.
func fillIn(pattern string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	return method, strings.NewReplacer("{source_id}", "docs", "{run}", "r1", "{operation_id}", "r1", "{id}", "11", "{key_id}", "aaaaaaaaaaaa", "{name}", "docs").Replace(path)
}

func TestEveryRouteHasARoleAndAGuard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revoked := "revoked"
	w.addKey(revoked, apikey.Admin)
	_, err := w.store.Vault().RevokeAPIKey(t.Context(), w.ids[revoked])
	require.NoError(t, err)
	require.Len(t, w.g.router.served, len(routes))
	for _, pattern := range w.g.router.served {
		need, ok := routes[pattern]
		require.True(t, ok, pattern)
		method, path := fillIn(pattern)
		if need == anyone {
			require.NotContains(t, path, "/api/", "everything under /api needs a key")
			w.wants(http.StatusOK, "", method, path, "")
			continue
		}
		w.g.keys.peers.Purge() // this test is about the guard, not about the limit of attempts
		require.Equal(t, "unauthenticated", w.wants(http.StatusUnauthorized, "", method, path, "").code(), pattern)
		bad := w.keys["admin"][:len(w.keys["admin"])-1] + "a"
		if bad == w.keys["admin"] {
			bad = bad[:len(bad)-1] + "b"
		}
		w.g.keys.ids.Purge()
		require.Equal(t, "unauthenticated", w.wants(http.StatusUnauthorized, bad, method, path, "").code(), pattern)
		require.Equal(t, "unauthenticated", w.wants(http.StatusUnauthorized, revoked, method, path, "").code(), pattern)
		require.Contains(t, w.ask("", method, path, "").header.Get("WWW-Authenticate"), "Bearer")
		for _, role := range apikey.Roles {
			a := w.ask(string(role), method, path, "")
			if role.May(need) {
				require.NotContains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, a.status, "%s with %s: %s", pattern, role, a.body)
			} else {
				require.Equal(t, http.StatusForbidden, a.status, "%s with %s", pattern, role)
				require.Equal(t, "forbidden", a.code())
			}
		}
	}
}

func TestARouteWithoutARoleIsNotServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.g.router.HandleFunc("GET /api/hidden", func(http.ResponseWriter, *http.Request) {})
	require.ErrorContains(t, w.g.router.checkRoutes(), "GET /api/hidden")
	w.wants(http.StatusNotFound, "admin", "GET", "/api/hidden", "")
}

// No spelling of a path gives access without a key, and with a key only the exact path works.
func TestOtherSpellingsOfPaths(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	paths := []string{
		"//api/confluence/sources", "/api//confluence/sources", "/api/confluence/sources/", "/api/./confluence/sources", "/healthz/../api/confluence/sources",
		"/api/../api/confluence/sources", "/API/confluence/sources", "/api/Confluence/Sources", "/api/confluence/%73ources%2f", "/api%2fconfluence%2fsources",
		"/api/confluence/..%2f..%2fmetrics", "/api/confluence/%2e%2e/confluence/sources", "/api/confluence/sources;x=y", "/api/confluence\\sources",
		"/healthz/api/confluence/sources", "/api/confluence/sources%00", "/api/confluence/sources%20", "/readyz/..;/api/confluence/sources", "*", "/",
	}
	for _, p := range paths {
		for _, key := range []string{"", "read"} {
			w.g.keys.peers.Purge()
			status := w.raw("GET "+p+" HTTP/1.1", key)
			require.Contains(t, []int{http.StatusUnauthorized, http.StatusNotFound, http.StatusBadRequest, http.StatusUnprocessableEntity}, status, "%s with key %q", p, key)
		}
	}
	for _, method := range []string{"PUT", "PATCH", "TRACE", "CONNECT", "OPTIONS", "get", "GETS", "PROPFIND"} {
		require.Contains(t, []int{401, 404, 405, 400, 403}, w.raw(method+" /api/confluence/sources HTTP/1.1", ""), method)
		require.Contains(t, []int{404, 405, 400}, w.raw(method+" /api/confluence/sources HTTP/1.1", "admin"), method)
	}
	require.Equal(t, "POST", w.ask("read", "PUT", "/api/confluence/docs/sync", "").header.Get("Allow"))
	// Headers do not change the method.
	for _, h := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
		w.wants(http.StatusOK, "admin", "GET", "/api/confluence/docs", "", h, "DELETE")
		w.wants(http.StatusForbidden, "read", "POST", "/api/confluence/docs/sync", "", h, "GET")
	}
	for _, h := range []string{"X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix"} {
		require.Equal(t, http.StatusUnauthorized, w.ask("", "GET", "/api/confluence/sources", "", h, "/healthz").status)
	}
	_, err := w.store.Source(t.Context(), "docs")
	require.NoError(t, err)
}

// raw sends the request line unchanged and returns the status.
func (w *world) raw(line, key string) int {
	w.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	require.NoError(w.t, err)
	defer func() { _ = conn.Close() }()
	require.NoError(w.t, conn.SetDeadline(time.Now().Add(bustest.Patience)))
	auth := ""
	if key != "" {
		auth = "Authorization: Bearer " + w.keys[key] + "\r\n"
	}
	_, err = fmt.Fprintf(conn, "%s\r\nHost: 127.0.0.1\r\nConnection: close\r\n%s\r\n", line, auth)
	require.NoError(w.t, err)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(w.t, err, line)
	require.NoError(w.t, res.Body.Close())
	return res.StatusCode
}

func TestKeysAreAcceptedOnlyInTheAuthorizationHeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := w.keys["admin"]
	for name, headers := range map[string][]string{
		"basic": {"Authorization", "Basic " + good}, "bare": {"Authorization", good}, "empty": {"Authorization", "Bearer "},
		"cookie": {"Cookie", "key=" + good}, "other header": {"X-Api-Key", good}, "two": {"Authorization", "Bearer " + good + ", Bearer " + good},
	} {
		w.g.keys.peers.Purge()
		require.Equal(t, http.StatusUnauthorized, w.ask("", "GET", "/api/confluence/sources", "", headers...).status, name)
	}
	require.Equal(t, http.StatusUnauthorized, w.ask("", "GET", "/api/confluence/sources?key="+good, "").status)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/api/confluence/sources", nil)
	require.NoError(t, err)
	req.Header["Authorization"] = []string{"Bearer " + good, "Bearer " + good}
	require.Equal(t, http.StatusUnauthorized, w.send(req).status)
	w.wants(http.StatusOK, "", "GET", "/api/confluence/sources", "", "Authorization", "bearer "+good)
	require.NotContains(t, w.log.String(), good)
}

func TestARevokedKeyStopsWorking(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	clock := time.Now()
	w.g.keys.now = func() time.Time { return clock }
	w.wants(http.StatusOK, "read", "GET", "/api/confluence/sources", "")
	_, err := w.store.Vault().RevokeAPIKey(t.Context(), w.ids["read"])
	require.NoError(t, err)
	clock = clock.Add(time.Minute)
	require.LessOrEqual(t, verifiedFor, time.Minute)
	w.wants(http.StatusUnauthorized, "read", "GET", "/api/confluence/sources", "")
	w.wants(http.StatusOK, "operate", "GET", "/api/confluence/sources", "")
}

// Whoever guesses is slowed down, and nobody else is: a right key passes, from the guesser's own address and with the
// id that was guessed at.
func TestFailedTriesAreLimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	clock := time.Now()
	w.g.keys.now = func() time.Time { return clock }
	guess := func(i int, headers ...string) answer {
		id := w.ids["admin"]
		return w.ask("sluice_"+id+"_"+strings.Repeat(string(rune('a'+i%26)), 52), "GET", "/api/confluence/sources", "", headers...)
	}
	for i := range keyTries {
		require.Equal(t, http.StatusUnauthorized, guess(i).status, "try %d", i)
	}
	a := guess(0)
	require.Equal(t, http.StatusTooManyRequests, a.status)
	require.Equal(t, "too_many_tries", a.code())
	require.NotEmpty(t, a.header.Get("Retry-After"))
	for _, h := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "True-Client-Ip"} {
		require.Equal(t, http.StatusTooManyRequests, guess(1, h, "203.0.113.7").status, "%s changes nothing", h)
	}
	// Other ids count for the same peer.
	for i := range peerTries {
		w.ask(fmt.Sprintf("sluice_%012d_%s", 222222222222+i%4, strings.Repeat("a", 52)), "GET", "/api/confluence/sources", "")
	}
	require.Equal(t, http.StatusTooManyRequests, w.ask("nonsense", "GET", "/api/confluence/sources", "").status)
	for _, key := range []string{"admin", "read", "operate"} {
		w.wants(http.StatusOK, key, "GET", "/api/confluence/sources", "")
		clock = clock.Add(time.Millisecond)
	}
	clock = clock.Add(2 * verifiedFor)
	for i := range keyTries {
		guess(i)
	}
	w.wants(http.StatusOK, "admin", "GET", "/api/confluence/sources", "") // although it has to be verified again
	require.Equal(t, http.StatusTooManyRequests, guess(0).status, "right keys give guessers nothing back")
	clock = clock.Add(time.Hour)
	require.Equal(t, http.StatusUnauthorized, guess(0).status)
}

// countingStore counts key lookups.
type countingStore struct {
	keyStore
	asked int
}

func (s *countingStore) APIKey(ctx context.Context, id string) (vault.APIKey, error) {
	s.asked++
	return s.keyStore.APIKey(ctx, id)
}

// A key that an earlier release stored goes on opening, and its next use makes its hash a fast one. Until then it
// waits with whoever guesses, since to compare it is work.
func TestKeysOfEarlierReleases(t *testing.T) {
	t.Parallel()
	w := bareWorld(t, nil)
	counting := &countingStore{keyStore: w.store.Vault()}
	k, err := newKeyring(counting, zerolog.Nop())
	require.NoError(t, err)
	clock := time.Now()
	k.now = func() time.Time { return clock }
	id, token, _ := apikey.New()
	require.NoError(t, w.store.Vault().AddAPIKey(t.Context(), vault.APIKey{
		Key: apikey.Key{ID: id, Name: "older", Role: apikey.Read}, Hash: apikeytest.OlderHash(t, token.Reveal()),
	}))
	guess := func() {
		for i := range peerTries {
			_, err := k.verify(t.Context(), "sluice_"+id+"_"+strings.Repeat(string(rune('a'+i%26)), 52), "192.0.2.1")
			require.Error(t, err)
		}
	}
	guess()
	var p *Problem
	_, err = k.verify(t.Context(), token.Reveal(), "192.0.2.1")
	require.ErrorAs(t, err, &p)
	require.Equal(t, http.StatusTooManyRequests, p.Status)
	clock = clock.Add(time.Hour)
	got, err := k.verify(t.Context(), token.Reveal(), "192.0.2.1")
	require.NoError(t, err)
	require.Equal(t, id, got.ID)
	kept, err := w.store.Vault().APIKey(t.Context(), id)
	require.NoError(t, err)
	require.False(t, apikey.Slow(kept.Hash))

	clock = clock.Add(time.Hour)
	guess()
	asked := counting.asked
	for range 20 {
		_, err = k.verify(t.Context(), token.Reveal(), "192.0.2.1")
		require.NoError(t, err)
	}
	require.Equal(t, asked+1, counting.asked, "a verified key is cached for a while")
}

func TestPeers(t *testing.T) {
	t.Parallel()
	trusted := proxies(config.API{TrustedProxies: "10.0.0.0/8, fd00::1"}.Proxies())
	for _, tc := range []struct {
		from string
		want string
		xff  []string
		fwd  []string
	}{
		{from: "192.0.2.1:1234", want: "192.0.2.1"},
		{from: "[::ffff:192.0.2.1]:99", want: "192.0.2.1"},
		{from: "[2001:db8:1:2:3::4]:5", want: "2001:db8:1:2::/64"},
		{from: "[fe80::1%eth0]:5", want: "fe80::/64"},
		{from: "pipe", want: "pipe"},
		// Who is no proxy may say what he likes.
		{from: "192.0.2.1:1", want: "192.0.2.1", xff: []string{"203.0.113.7"}},
		{from: "192.0.2.1:1", want: "192.0.2.1", fwd: []string{"for=203.0.113.7"}},
		// A proxy's last address counts; what its client wrote before does not.
		{from: "10.0.0.1:1", want: "203.0.113.7", xff: []string{"203.0.113.7"}},
		{from: "[::ffff:10.0.0.1]:1", want: "203.0.113.7", xff: []string{"198.51.100.1, 203.0.113.7"}},
		{from: "10.0.0.1:1", want: "203.0.113.7", xff: []string{"198.51.100.1", "203.0.113.7, 10.1.1.1"}},
		{from: "[fd00::1]:1", want: "2001:db8::/64", xff: []string{"2001:db8::9"}},
		{from: "10.0.0.1:1", want: "203.0.113.7", fwd: []string{`for=198.51.100.1, For="203.0.113.7:4711";proto=https`}},
		{from: "10.0.0.1:1", want: "2001:db8::/64", fwd: []string{`proto=http;for="[2001:db8::1]:4711"`}},
		{from: "10.0.0.1:1", want: "203.0.113.7", xff: []string{"203.0.113.7"}, fwd: []string{"for=203.0.113.7"}},
		// A client that adds the header that its proxy does not write gains nothing.
		{from: "10.0.0.1:1", want: "10.0.0.1", xff: []string{"203.0.113.7"}, fwd: []string{"for=198.51.100.1"}},
		{from: "10.0.0.1:1", want: "10.0.0.1", xff: []string{"garbage"}},
		{from: "10.0.0.1:1", want: "10.0.0.1", fwd: []string{"for=_hidden"}},
		{from: "10.0.0.1:1", want: "10.0.0.1", fwd: []string{"proto=https"}},
		{from: "10.0.0.1:1", want: "10.0.0.1"},
	} {
		r := &http.Request{RemoteAddr: tc.from, Header: http.Header{"X-Forwarded-For": tc.xff, "Forwarded": tc.fwd}}
		require.Equal(t, tc.want, trusted.peer(r), "%+v", tc)
		require.NotEqual(t, "203.0.113.7", proxies(nil).peer(r), "without the setting, no header counts")
	}
}

// Whether through a proxy, another host name or another user of this machine: every request needs a key, and this
// machine's own key is in a file that only its owner can read.
func TestEveryRequestNeedsAKey(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "data", "api-key")
	w := bareWorld(t, func(o *setup) { o.API.KeyFile = file })
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	for _, host := range []string{"", "localhost", "127.0.0.1", "[::1]", "[::1%25evil.com]", "rebound.example"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/api/confluence/sources", nil)
		require.NoError(t, err)
		if host != "" {
			req.Host = host
		}
		require.Equal(t, http.StatusUnauthorized, w.send(req).status, host)
	}
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		require.Equal(t, http.StatusUnauthorized, w.ask("", "GET", "/api/confluence/sources", "", h, "127.0.0.1").status, h)
	}
	// A form on another site's page, sent by a browser.
	a := w.ask("", "DELETE", "/api/confluence/docs", "", "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example")
	require.Equal(t, http.StatusForbidden, a.status)
	require.Equal(t, "cross_origin", a.code())

	text, err := os.ReadFile(file)
	require.NoError(t, err)
	w.keys["local"] = strings.TrimSpace(string(text))
	require.Equal(t, http.StatusUnauthorized, w.ask("wrong", "GET", "/api/confluence/sources", "").status)
	w.wants(http.StatusOK, "local", "GET", "/api/confluence/sources", "")
	require.Contains(t, w.log.String(), `"key":"local"`)
	w.addKey("read", apikey.Read)
	w.wants(http.StatusOK, "read", "GET", "/api/confluence/sources", "")
	w.wants(http.StatusOK, "local", "GET", "/metrics", "")
	again, err := readLocalKey(file)
	require.NoError(t, err)
	require.Equal(t, w.g.keys.local, again, "it stays the same")
}

func TestAKeyFileThatOthersMayReadIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, make := range map[string]func(file string) error{
		"open":    func(file string) error { return os.WriteFile(file, []byte("sluice_x"), 0o644) },
		"garbage": func(file string) error { return os.WriteFile(file, []byte("sluice_x"), 0o600) },
		"empty":   func(file string) error { return os.WriteFile(file, nil, 0o600) },
		"link":    func(file string) error { return os.Symlink(filepath.Join(dir, "elsewhere"), file) },
		"folder":  func(file string) error { return os.Mkdir(file, 0o700) },
	} {
		file := filepath.Join(dir, name)
		require.NoError(t, make(file))
		_, err := readLocalKey(file)
		require.ErrorContains(t, err, "GATEWAY_KEY_FILE", name)
		require.ErrorContains(t, err, "delete it", name)
	}
	require.NoFileExists(t, filepath.Join(dir, "elsewhere"))
}

func TestTheAPIDoesNotStartWithoutAKey(t *testing.T) {
	t.Parallel()
	s, kit := newStore(t), bustest.New(t)
	at := func(addr string, log zerolog.Logger) Options {
		return newSetup(s, kit.Bus, func(o *setup) { o.API.Addr, o.Log = addr, log })
	}
	refused := func() {
		t.Helper()
		for _, addr := range []string{":0", "0.0.0.0:0", "[::]:0", "127.0.0.1:0", "localhost:0"} {
			g, err := New(at(addr, zerolog.Nop()))
			require.NoError(t, err)
			require.ErrorIs(t, g.Serve(t.Context()), ErrNoKeys, addr)
		}
	}
	serves := func(o Options, log *lockedBuffer) {
		t.Helper()
		g, err := New(o)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- g.Serve(ctx) }()
		require.Eventually(t, func() bool { return strings.Contains(log.String(), "serving the HTTP API") }, bustest.Patience, 5*time.Millisecond)
		cancel()
		require.NoError(t, <-ended)
	}
	refused()
	log := &lockedBuffer{}
	own := at("127.0.0.1:0", zerolog.New(log))
	own.API.KeyFile = filepath.Join(t.TempDir(), "api-key")
	serves(own, log)
	id, _, hash := apikey.New()
	require.NoError(t, s.Vault().AddAPIKey(t.Context(), vault.APIKey{Key: apikey.Key{ID: id, Name: "x", Role: apikey.Read}, Hash: hash}))
	log = &lockedBuffer{}
	serves(at("0.0.0.0:0", zerolog.New(log)), log)
	_, err := s.Vault().RevokeAPIKey(t.Context(), id)
	require.NoError(t, err)
	refused() // a revoked key does not count
}
