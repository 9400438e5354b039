package gateway

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// writes returns the patterns of the routes with a request body.
func writes() []string {
	var all []string
	for pattern := range routes {
		if strings.HasPrefix(pattern, "POST ") {
			all = append(all, pattern)
		}
	}
	slices.Sort(all)
	return all
}

// quiet is a fuzz test whose servers may log after its target has returned, which the testing package otherwise
// punishes with a panic.
type quiet struct{ testing.TB }

func (quiet) Helper()             {}
func (quiet) Log(...any)          {}
func (quiet) Logf(string, ...any) {}

// Any body from an authorized caller is either accepted or refused as JSON, and never causes an internal error.
func FuzzBodies(f *testing.F) {
	w := bareWorld(quiet{f}, func(o *setup) { o.API.Timeout, o.Log = time.Minute, o.Log.Level(zerolog.WarnLevel) })
	w.addKey("admin", "admin")
	w.source("docs")
	w.source("hr")
	w.fill()
	for i := range writes() {
		for _, body := range []string{
			"", `{}`, `[]`, `null`, `{"query":"signing keys","limit":3}`, `{"query":"\"a b\" or -c","modified_since":"2026-01-02T03:04:05Z","sources":["docs"]}`,
			`{"query":"a\u0000b","label":"\u0000","mentions":"\u0000","jira_issue":"\u0000","space_key":"\u0000","under":"\u0000"}`, `{"query":"x","source_id":"\u0000"}`,
			`{"query":"x","sources":["\u0000","'"]}`, `{"query":"!&|():*<->"}`, `{"query":"x","modified_since":"9999-12-31T23:59:59-23:59"}`, `{"query":"x","modified_since":"0000-01-01T00:00:00+23:59"}`,
			`{"mode":"full","approve_removals":true}`, `{"mode":"everything"}`,
			`{"source_id":"new","base_url":"https://acme.atlassian.net","space_key":"NEW","display_name":"\u0000","tags":["\u0000"]}`,
			`{"source_id":"new","base_url":"https://acme.atlassian.net","space_key":"~a.b@c","tags":["a","a"],"token":"t","email":"a@b"}`,
			`{"source_id":"new","base_url":"https://[::1]:99999/%zz","space_key":"NEW"}`, `{"source_id":"new","base_url":"https://acme.atlassian.net","space_key":"NEW","display_name":"\ud800"}`,
			strings.Repeat(`{"query":`, 2000), "\xff\xfe",
			`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search","arguments":null}}`,
			`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search","arguments":{"query":"a\u0000b","since":"-1h","cursor":"\u0000"}}}`,
			`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","arguments":{"page":"sluice://\u0000/%zz#%zz","bytes":4000}}}`,
			`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"sluice://docs/\u0000"}}`, `{"jsonrpc":"2.0","method":"notifications/initialized"}`,
		} {
			f.Add(uint8(i), body, "")
		}
		f.Add(uint8(i), `{}`, "key")
	}
	f.Fuzz(func(t *testing.T, which uint8, body, idempotencyKey string) {
		method, path := fillIn(writes()[int(which)%len(writes())])
		req := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		req.RemoteAddr = "127.0.0.1:1"
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream") // which MCP asks for
		req.Header.Set("Authorization", "Bearer "+w.keys["admin"])
		if idempotencyKey != "" {
			req.Header.Set("Idempotency-Key", idempotencyKey)
		}
		rec := httptest.NewRecorder()
		w.g.Handler().ServeHTTP(rec, req)
		require.Less(t, rec.Code, http.StatusInternalServerError, "%s %s with %q: %s\n%s", method, path, body, rec.Body, w.log)
		require.NotContains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, rec.Code)
		require.NotContains(t, rec.Body.String(), "SQLSTATE")
		if path == mcpPath { // it has errors of its own, and no answer to a notification
			require.NotContains(t, w.log.String(), "panicked")
			return
		}
		require.True(t, json.Valid(rec.Body.Bytes()), "%s", rec.Body)
		if rec.Code >= http.StatusBadRequest {
			require.Equal(t, "application/problem+json", rec.Header().Get("Content-Type"))
		}
	})
}
