package clienttest

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/confluence"
)

// notes collects everything that a client outputs: log lines, errors, traces, counts.
type notes struct {
	mu   sync.Mutex
	text bytes.Buffer
	n    int
}

func (o *notes) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// say records a value in every format in which it may be printed.
func (o *notes) say(v any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.n++
	fmt.Fprintf(&o.text, "%v\n%+v\n%#v\n%q\n", v, v, v, v)
}

// chain records an error and every error that it wraps.
func (o *notes) chain(err error) {
	for err != nil {
		o.say(err)
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			return
		}
		err = u.Unwrap()
	}
}

// forms returns the forms in which the token could appear.
func forms() []string {
	basic := base64.StdEncoding.EncodeToString([]byte(email + ":" + canary))
	return []string{canary, canary[:len(canary)-9], basic, basic[:24], base64.StdEncoding.EncodeToString([]byte(canary))[:24]}
}

// shown returns where in the notes the token appears, "" if nowhere.
func (o *notes) shown() string {
	text := o.text.String()
	for _, form := range forms() {
		if i := strings.Index(text, form); i >= 0 {
			return text[max(0, i-200):min(len(text), i+80)]
		}
	}
	return ""
}

func TestAShownTokenIsFound(t *testing.T) {
	for _, form := range forms() {
		var o notes
		require.Empty(t, o.shown())
		o.chain(fmt.Errorf("call: %w", &confluence.AuthError{Exchange: confluence.Exchange{Reason: "with " + form}}))
		require.NotEmpty(t, o.shown(), form)
	}
}

func (o *notes) watch() []confluence.Option {
	return []confluence.Option{
		confluence.WithLogger(zerolog.New(o).Level(zerolog.TraceLevel)), confluence.WithTrace(func(c confluence.Call) { o.say(c) }),
	}
}

// Every read under every fault; the token must not appear in any output.
func TestTheTokenShowsUpNowhere(t *testing.T) {
	w := newWorld(t)
	t.Cleanup(w.close)
	var o notes
	errs := map[outcome]int{}
	for _, kind := range troubles {
		for _, i := range []int{0, 2}[:min(2, variants)] {
			for _, r := range reads {
				s := alone(w, r, kind, i, sandbox.Fault{})
				require.NoError(t, w.site.SetFaults(int64(i), s.faults...))
				c := w.client(t, o.watch()...)
				if _, err := r.call(t.Context(), w, c); err != nil {
					errs[kindOf(err)]++
					o.chain(err)
				}
				o.say(c.Stats())
			}
		}
	}
	o.say(w.client(t))
	o.say(w.site.Stats())
	require.Empty(t, o.shown())
	require.Greater(t, o.n, 1000, "there was much to check")
	require.Contains(t, o.text.String(), "confluence call failed, retrying", "the test checks the log")
	for _, kind := range []outcome{"AuthError", "RateLimitError", "ServerError", "TransportError", "ProtocolError"} {
		require.Positive(t, errs[kind], kind)
	}
}

// A server that repeats what it receives in every part of a response.
func TestTheTokenIsNotShownWhenAServerEchoesIt(t *testing.T) {
	var o notes
	for _, status := range []int{200, 302, 400, 401, 403, 404, 410, 429, 500, 503} {
		for _, body := range []string{`{"message":"%s"}`, `{"errors":[{"title":"%s","code":"%[1]s"}]}`, `{"results":"%s"}`, `<html>%s</html>`, `%s`} {
			srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				said := r.Header.Get("Authorization")
				if _, token, ok := r.BasicAuth(); ok {
					said += " " + token
				}
				for _, name := range []string{"Atl-Traceid", "X-Request-Id", "RateLimit-Reason", "X-Seraph-Loginreason", "Location", "Retry-After", "Link"} {
					rw.Header().Set(name, said)
				}
				rw.Header().Set("Content-Type", "application/json")
				rw.WriteHeader(status)
				_, _ = fmt.Fprintf(rw, body, said)
			}))
			w := &world{url: srv.URL, space: "42", chain: make([]string, deep)}
			w.chain[deep-1], w.folder, w.closed, w.crowd = "7", "8", "9", "11"
			w.people, w.posts = []string{"712020:a"}, []string{"10"}
			for _, r := range reads {
				if r.name == "PagesByID" {
					continue // its world has no pages
				}
				c := w.client(t, o.watch()...)
				_, err := r.call(t.Context(), w, c)
				require.Error(t, err, "%s %d", r.name, status)
				o.chain(err)
				o.say(c.Stats())
			}
			srv.Close()
		}
	}
	require.Empty(t, o.shown())
	require.Contains(t, o.text.String(), "[redacted]", "the echo was redacted")
}
