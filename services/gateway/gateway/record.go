package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"runtime/debug"
	"strings"
	"time"
	"unicode"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/shared/failure"
)

// record is the content of a request's log line.
type record struct {
	id     string
	route  string // the pattern, "" if no route matched
	key    string // the key's id
	status int
	bytes  int64
}

func recordOf(ctx context.Context) *record {
	rec, _ := ctx.Value(recordKey).(*record)
	return rec
}

func requestID(ctx context.Context) string {
	if rec := recordOf(ctx); rec != nil {
		return rec.id
	}
	return ""
}

// validRequestID is the allowed form of a client's X-Request-Id; any other value is replaced.
var validRequestID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$`)

// withRecord gives every request an id, a log line and an entry in the metrics, and converts a panic to a response.
func (g *Gateway) withRecord(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		rec := &record{id: r.Header.Get("X-Request-Id")}
		if !validRequestID.MatchString(rec.id) {
			rec.id = rand.Text()
		}
		h := w.Header()
		h.Set("X-Request-Id", rec.id)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Cache-Control", "no-store")
		out := &responseRecorder{ResponseWriter: w, rec: rec}
		defer func() {
			aborted := recover()
			if asked, _ := aborted.(error); aborted != nil && !errors.Is(asked, http.ErrAbortHandler) {
				g.log.Error().Str("request_id", rec.id).Str("panic", fmt.Sprint(aborted)).Bytes("stack", debug.Stack()).Msg("a handler panicked")
				if rec.status == 0 {
					aborted = nil
					h.Set("Connection", "close")
					fail(http.StatusInternalServerError, string(failure.Panic), "internal error; the server's log has the details under the request id "+rec.id).write(out)
				}
			}
			g.logRequest(r, rec, time.Since(began))
			if aborted != nil {
				panic(http.ErrAbortHandler) // the connection cannot be used any longer
			}
		}()
		next.ServeHTTP(out, r.WithContext(context.WithValue(r.Context(), recordKey, rec)))
	})
}

func (g *Gateway) logRequest(r *http.Request, rec *record, took time.Duration) {
	if rec.status == 0 {
		rec.status = http.StatusOK
	}
	g.metrics.observe(r.Method, rec.route, rec.status, took)
	level := zerolog.InfoLevel
	if rec.route == "/healthz" || rec.route == "/readyz" {
		level = zerolog.DebugLevel
	}
	// The query may contain search terms, so only the path is logged. Metrics have the route, whose number is bounded.
	g.log.WithLevel(level).Str("request_id", rec.id).Str("method", r.Method).Str("path", loggedPath(r.URL.Path)).Str("route", rec.route).
		Int("status", rec.status).Int64("bytes", rec.bytes).Dur("took_ms", took).Str("key", rec.key).Str("peer", g.proxies.peer(r)).Msg("request")
}

// maxLoggedPath is the longest path in the log, in bytes.
const maxLoggedPath = 256

// secretLike is what keys of the API and tokens of Atlassian look like.
var secretLike = regexp.MustCompile(`sluice_[a-z2-7]{12}_[a-z2-7]+|ATATT[A-Za-z0-9_=-]+`)

// loggedPath is a path as the log shows it: without keys and tokens, which somebody has put there by mistake, without
// characters that would change a terminal or look like another line, and of a bounded length.
func loggedPath(path string) string {
	path = secretLike.ReplaceAllString(strings.ToValidUTF8(path, "\uFFFD"), "[secret]")
	path = strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) {
			return r
		}
		return '\uFFFD'
	}, path)
	if len(path) > maxLoggedPath {
		path = strings.ToValidUTF8(path[:maxLoggedPath], "") + "…"
	}
	return path
}

// responseRecorder records the status and size of a response.
type responseRecorder struct {
	http.ResponseWriter
	rec *record
}

// WriteHeader records the status.
func (c *responseRecorder) WriteHeader(status int) {
	if c.rec.status == 0 {
		c.rec.status = status
	}
	c.ResponseWriter.WriteHeader(status)
}

// Write counts the bytes.
func (c *responseRecorder) Write(b []byte) (int, error) {
	if c.rec.status == 0 {
		c.rec.status = http.StatusOK
	}
	n, err := c.ResponseWriter.Write(b)
	c.rec.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (c *responseRecorder) Unwrap() http.ResponseWriter { return c.ResponseWriter }
