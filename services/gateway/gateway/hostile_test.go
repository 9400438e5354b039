package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/confluence/outgoing"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

func (w *world) source(id string) {
	w.t.Helper()
	require.NoError(w.t, w.store.AddSource(w.t.Context(), store.Source{ID: id, BaseURL: site, SpaceKey: strings.ToUpper(id)}))
}

func (w *world) keyOf(name string) apikey.Key {
	w.t.Helper()
	k, err := w.store.Vault().APIKey(w.t.Context(), w.ids[name])
	require.NoError(w.t, err)
	return k.Key
}

var injections = []string{
	"'", `"`, "' OR '1'='1", "docs'; DROP TABLE confluence_pages; --", "1) OR (1=1", `\'; SELECT pg_sleep(60) --`, "%27%20OR%201=1--", "${1}", "$1", "$$",
	"docs\x00", "\xff\xfe", "%", "_", `\`, "{{7*7}}", "../../etc/passwd", "%00", "<script>alert(1)</script>", "' UNION SELECT key_id, hash FROM confluence_api_keys --", "\n\r\nX-Evil: 1",
	strings.Repeat("'", 250), "💥'", "@@ to_tsquery('x')", `{"$ne":null}`,
}

// Each of them in every parameter: the response is an ordinary one, and no data is lost.
func TestSQLInEveryParameter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	for _, bad := range injections {
		began := time.Now()
		path, query := url.PathEscape(bad), url.QueryEscape(bad)
		for _, at := range []string{
			"/api/confluence/" + path, "/api/confluence/" + path + "/status", "/api/confluence/" + path + "/pages", "/api/progress/" + path, "/api/pages/" + path,
			"/api/confluence/docs/pages?cursor=" + query, "/api/confluence/docs/pages?label=" + query, "/api/confluence/docs/pages?title=" + query,
			"/api/confluence/docs/pages?under=" + query, "/api/confluence/docs/pages?kind=" + query, "/api/confluence/docs/pages?modified_since=" + query, "/api/confluence/docs/pages?limit=" + query,
			"/api/confluence/docs/pages?" + query + "=1", "/api/confluence/docs/runs?cursor=" + query, "/api/confluence/docs/failures?run=" + query, "/api/confluence/docs/failures?page_id=" + query,
			"/api/confluence/docs/removals?run=" + query, "/api/confluence/docs/pages?cursor=" + base64.RawURLEncoding.EncodeToString([]byte(bad)),
		} {
			a := w.ask("admin", "GET", at, "")
			require.Contains(t, []int{200, 404, 422, 400}, a.status, "%s: %s", at, a.body)
			require.NotContains(t, string(a.body), "SQLSTATE")
			require.Empty(t, a.header.Get("X-Evil"))
		}
		quoted := fmt.Sprintf("%q", strings.ToValidUTF8(strings.ReplaceAll(bad, "\x00", ""), ""))
		quoted = strings.ReplaceAll(quoted, `\x`, `\\x`)
		for _, field := range []string{"query", "source_id", "space_key", "under", "label", "jira_issue", "mentions"} {
			body := `{"query":"keys","` + field + `":` + quoted + `}`
			if field == "query" {
				body = `{"query":` + quoted + `}`
			}
			a := w.ask("admin", "POST", "/api/knowledge/search", body)
			require.Contains(t, []int{200, 404, 422}, a.status, "%s: %s", body, a.body)
		}
		for _, body := range []string{
			`{"source_id":` + quoted + `,"base_url":"https://acme.atlassian.net","space_key":"X"}`, `{"source_id":"x1","base_url":` + quoted + `,"space_key":"X"}`,
			`{"source_id":"x1","base_url":"https://acme.atlassian.net","space_key":` + quoted + `}`,
		} {
			require.Contains(t, []int{409, 422}, w.ask("admin", "POST", "/api/confluence/sources", body).status, body)
		}
		for _, do := range []string{"POST /api/confluence/" + path + "/sync", "DELETE /api/confluence/" + path, "POST /api/confluence/docs/removals/" + path + "/approve", "POST /api/confluence/docs/removals/" + path + "/reject"} {
			method, at, _ := strings.Cut(do, " ")
			require.Contains(t, []int{404, 422, 405}, w.ask("admin", method, at, "").status, do)
		}
		require.Less(t, time.Since(began), 55*time.Second, "nothing slept in the database: %s", bad) // for 60 s
	}
	sources, err := w.store.Reader().Sources(t.Context(), viewer.All(), store.Whole())
	require.NoError(t, err)
	require.Len(t, sources, 2)
	require.Equal(t, 3, sources[0].Pages+sources[1].Pages-3)
	require.NotContains(t, w.log.String(), `"level":"error"`)
	for _, body := range []string{
		`{"source_id":"nul","base_url":"https://acme.atlassian.net","space_key":"NUL","display_name":"\u0000"}`,
		`{"source_id":"nul","base_url":"https://acme.atlassian.net","space_key":"NUL","tags":["\u0000"]}`,
	} {
		require.Equal(t, "invalid", w.wants(http.StatusUnprocessableEntity, "admin", "POST", "/api/confluence/sources", body).code())
	}
	require.Equal(t, "invalid", w.wants(http.StatusUnprocessableEntity, "admin", "POST", "/api/knowledge/search", `{"query":"x","source_id":"\u0000"}`).code())
	// A title with such text is stored and found unchanged.
	name := `x'; DROP TABLE archon_sources; --`
	w.wants(http.StatusCreated, "admin", "POST", "/api/confluence/sources", `{"source_id":"odd","base_url":"https://acme.atlassian.net","space_key":"ODD","display_name":"`+name+`"}`)
	src, err := w.store.Source(t.Context(), "odd")
	require.NoError(t, err)
	require.Equal(t, name, src.DisplayName)
}

func TestInvalidBodiesAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const at = "/api/knowledge/search"
	for body, want := range map[string]int{
		`{"query":"x","unknown":1}`: 422, `{"query":"x","Query":"y"}`: 422, `{"query":1}`: 422, `{}`: 422, `[]`: 422, `null`: 422, `"x"`: 422,
		`{"query":"x","limit":0}`: 422, `{"query":"x","limit":101}`: 422, `{"query":"x","limit":1e99}`: 422, `{"query":"x"`: 400, `{"query":"x"}{}`: 400, `not json`: 400, "\x00": 400,
		`{"query":"` + strings.Repeat("x", 1001) + `"}`: 422, `{"query":"x","modified_since":"yesterday"}`: 422, `{"query":"  "}`: 422,
		strings.Repeat("[", 60_000): 400, `{"query":` + strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9001): 422,
	} {
		a := w.ask("read", "POST", at, body)
		require.Equal(t, want, a.status, "%.60q: %.200s", body, a.body)
		require.Contains(t, []string{"invalid", "bad_request"}, a.code())
	}
	require.Equal(t, "unsupported_media_type", w.wants(http.StatusUnsupportedMediaType, "read", "POST", at, `query=x`, "Content-Type", "application/x-www-form-urlencoded").code())
	require.Equal(t, "unsupported_media_type", w.wants(http.StatusUnsupportedMediaType, "read", "POST", at, `x`, "Content-Type", "text/plain").code())
}

// endless is a body without an end.
type endless struct{ read atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, bytes.Repeat([]byte("x"), len(p)))
	if e.read.Add(int64(n)) > 1<<30 {
		return n, io.EOF
	}
	return n, nil
}

func TestABodyThatIsTooLargeIsNotRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, size := range []int{w.g.cfg.MaxBody + 1, 75 << 10, 5 << 20} {
		a := w.ask("read", "POST", "/api/knowledge/search", `{"query":"`+strings.Repeat("x", size)+`"}`)
		require.Equal(t, http.StatusRequestEntityTooLarge, a.status)
		require.Equal(t, "body_too_large", a.code())
	}
	exactly := `{"query":"x"}`
	exactly += strings.Repeat(" ", w.g.cfg.MaxBody-len(exactly))
	w.wants(http.StatusOK, "read", "POST", "/api/knowledge/search", exactly)

	// A gigabyte in chunks, with and without a key: the server stops the sender early.
	for _, key := range []string{"read", ""} {
		body := &endless{}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/api/knowledge/search", body)
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		if key != "" {
			req.Header.Set("Authorization", "Bearer "+w.keys[key])
		}
		client := http.Client{Transport: &http.Transport{}}
		res, err := client.Do(req)
		if err == nil {
			require.Contains(t, []int{http.StatusRequestEntityTooLarge, http.StatusUnauthorized}, res.StatusCode)
			require.NoError(t, res.Body.Close())
		}
		client.CloseIdleConnections()
		require.Less(t, body.read.Load(), int64(64<<20))
	}
}

func TestSlowClientsAreDisconnected(t *testing.T) {
	t.Parallel()
	srv := bareWorld(t, nil).g.server()
	require.Positive(t, srv.ReadHeaderTimeout)
	require.Positive(t, srv.ReadTimeout)
	require.Positive(t, srv.WriteTimeout)
	require.Positive(t, srv.IdleTimeout)
	require.LessOrEqual(t, srv.MaxHeaderBytes, 64<<10)

	w := bareWorld(t, func(o *setup) { o.API.Timeout = time.Second })
	for name, begin := range map[string]string{
		"header": "GET /api/confluence/sources HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
		"body":   "POST /api/knowledge/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
		"chunk":  "POST /api/knowledge/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
			require.NoError(t, err)
			_, err = io.WriteString(conn, begin)
			require.NoError(t, err)
			require.NoError(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
			said, err := io.ReadAll(conn)
			require.NoError(t, err, "the server closes the connection")
			require.NotContains(t, string(said), "200 OK")
			require.NoError(t, conn.Close())
		})
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/api/confluence/sources", nil)
	require.NoError(t, err)
	req.Header.Set("X-Large", strings.Repeat("x", 1<<20))
	client := http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	if res, err := client.Do(req); err == nil {
		require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, res.StatusCode)
		require.NoError(t, res.Body.Close())
	}
}

func TestSourcesMustBeOnAllowedSites(t *testing.T) {
	t.Parallel()
	hosts := outgoing.Hosts{"*.atlassian.net", "wiki.acme.com", "127.0.0.1:8090"}
	secure := bareWorld(t, func(o *setup) { o.Trust = credential.Trust{Hosts: hosts} })
	standIn := bareWorld(t, func(o *setup) { o.Trust = credential.Trust{Hosts: hosts, AllowHTTP: true} })
	secure.addKey("admin", apikey.Admin)
	standIn.addKey("admin", apikey.Admin)
	n := 0
	adds := func(w *world, address, want string) {
		n++
		body, err := json.Marshal(map[string]string{"source_id": fmt.Sprint("s", n), "base_url": address, "space_key": fmt.Sprint("S", n)})
		require.NoError(t, err)
		a := w.ask("admin", "POST", "/api/confluence/sources", string(body))
		if want == "" {
			require.Equal(t, http.StatusUnprocessableEntity, a.status, "%q: %s", address, a.body)
			require.Equal(t, "site_not_allowed", a.code(), address)
			require.NotContains(t, string(a.body), "hunter2")
			return
		}
		require.Equal(t, http.StatusCreated, a.status, "%q: %s", address, a.body)
		var src store.Source
		a.into(&src)
		require.Equal(t, want, src.BaseURL, address)
	}
	for address, want := range map[string]string{
		"https://acme.atlassian.net": site, "https://ACME.atlassian.net/wiki/": site, "https://wiki.acme.com": "https://wiki.acme.com/wiki",
		"https://acme.atlassian.net/evil": "", "https://user:hunter2@acme.atlassian.net": "", "http://wiki.acme.com": "", "http://127.0.0.1:8090/wiki": "",
		"http://acme.atlassian.net": "", "https://atlassian.net": "", "https://evilatlassian.net": "", "https://acme.atlassian.net.evil.example": "",
		"https://acme.atlassian.net@evil.example": "", "https://evil.example/acme.atlassian.net": "", "https://acme.atlassian.net:8443": "", "ftp://acme.atlassian.net": "",
		"https://169.254.169.254": "", "http://localhost:8090": "", "javascript:alert(1)": "", "//acme.atlassian.net": "", "": "", "https://acme.atlassian.net/wiki?x=1": "", "https://.atlassian.net": "",
	} {
		adds(secure, address, want)
	}
	for address, want := range map[string]string{
		"http://127.0.0.1:8090/wiki": "http://127.0.0.1:8090/wiki", "https://acme.atlassian.net": site, "http://127.0.0.1:8091": "", "http://localhost:8090": "", "http://evil.example": "",
	} {
		adds(standIn, address, want)
	}
}

func TestInternalErrorsStayInternal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.g.router.mux.HandleFunc("GET /panics", func(http.ResponseWriter, *http.Request) { panic("secret detail") })
	a := w.wants(http.StatusInternalServerError, "read", "GET", "/panics", "")
	require.Equal(t, "panic", a.code())
	require.NotContains(t, string(a.body), "secret detail")
	require.Contains(t, w.log.String(), "secret detail")
	w.store.Close()
	a = w.wants(http.StatusServiceUnavailable, "read", "GET", "/readyz", "")
	require.Equal(t, "unavailable", a.code())
}

// The log has a request's route, and a path that can neither tell a secret nor forge a line. It never has the query.
func TestTheLogHasACleanPath(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ask("read", "GET", "/api/nothing/%0A%1B%5B2J%E2%80%AE"+strings.Repeat("x", 400)+"?token="+canary, "")
	w.ask("read", "GET", "/api/pages/ATATT3xFfGF0abc_-=?q="+canary, "")
	w.ask("read", "GET", "/api/pages/11?source=docs", "")
	log := w.log.String()
	require.NotContains(t, log, canary)
	require.NotContains(t, log, "xFfGF0abc")
	require.NotContains(t, log, strings.Repeat("x", 300))
	require.Contains(t, log, "\"path\":\"/api/nothing/\uFFFD\uFFFD[2J\uFFFDxx")
	require.Contains(t, log, `"path":"/api/pages/11","route":"/api/pages/{id}"`)
}
