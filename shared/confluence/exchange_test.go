package confluence_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/secret"
)

// hijacked gives the raw connection to f and closes it, with a reset where it can.
func hijacked(f func(w *bufio.ReadWriter)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		f(buf)
		_ = buf.Flush()
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
	}
}

// Connections break before an answer, inside its head and inside its body. All calls are retried, and a
// connection that stays broken is an error, never half an answer.
func TestBrokenConnections(t *testing.T) {
	whole := listOf("", pageRow(1001, 1, ""))
	half := whole[:len(whole)/2]
	for name, breakIt := range map[string]http.HandlerFunc{
		"before the answer": hijacked(func(*bufio.ReadWriter) {}),
		"within the head":   hijacked(func(w *bufio.ReadWriter) { _, _ = w.WriteString("HTTP/1.1 200 OK\r\nContent-Ty") }),
		"no HTTP":           hijacked(func(w *bufio.ReadWriter) { _, _ = w.WriteString("220 mail.example.org ESMTP\r\n") }),
		"within a body of known length": hijacked(func(w *bufio.ReadWriter) {
			_, _ = fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(whole), half)
		}),
		"within a chunked body": hijacked(func(w *bufio.ReadWriter) {
			_, _ = fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(half), half)
		}),
		"within gzip": func(w http.ResponseWriter, _ *http.Request) {
			packed := pack(whole)
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(packed[:len(packed)/2])
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, c := serve(t, script(breakIt, breakIt, always(200, whole)))
			require.NoError(t, listSpace(c))
			require.GreaterOrEqual(t, len(f.seen()), 3, "net/http repeats some by itself")

			_, c = serve(t, breakIt)
			got, err := ids(c.SpacePages(context.Background(), "42"))
			var broken *confluence.TransportError
			require.ErrorAs(t, err, &broken)
			require.Error(t, errors.Unwrap(broken))
			require.Empty(t, got)
			require.NotContains(t, err.Error(), "127.0.0.1:0/wiki")
		})
	}
}

func pack(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.Bytes()
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	c, err := confluence.New("http://"+addr, email, secret.New(canary), quick()...)
	require.NoError(t, err)
	var broken *confluence.TransportError
	require.ErrorAs(t, readPage(c), &broken)
	require.Zero(t, broken.Status)
}

func TestGzip(t *testing.T) {
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			reply(w, 406, `{}`)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(pack(listOf("", pageRow(1001, 1, ""))))
	})
	got, err := ids(c.SpacePages(context.Background(), "42"))
	require.NoError(t, err)
	require.Equal(t, []string{"1001"}, got)
}

func TestAnswerTooLarge(t *testing.T) {
	large := listOf("", pageRow(1001, 1, fmt.Sprintf(`,"x":%q`, strings.Repeat("y", 5000))))
	for name, answer := range map[string]http.HandlerFunc{
		"known length": always(200, large),
		"chunked": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			for part := range strings.SplitSeq(large, `"x"`) {
				_, _ = io.WriteString(w, part+`"x"`)
				_ = http.NewResponseController(w).Flush()
			}
		},
		"gzip that grows": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(pack(large))
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, c := serve(t, answer, confluence.WithMaxBody(4000))
			err := listSpace(c)
			var protocol *confluence.ProtocolError
			require.ErrorAs(t, err, &protocol)
			require.Contains(t, err.Error(), "larger than 4000 bytes")
			require.Len(t, f.seen(), 1)
		})
	}
	_, c := serve(t, always(200, large), confluence.WithMaxBody(int64(len(large))))
	require.NoError(t, listSpace(c), "exactly at the bound")
}

// A gigabyte, plain and compressed: the client reads only up to its limit and does not retry.
func TestAGigabyteIsNotRead(t *testing.T) {
	const gigabyte = 1 << 30
	var sent atomic.Int64
	flood := func(out io.Writer) {
		piece := bytes.Repeat([]byte(" "), 256<<10)
		for sent.Load() < gigabyte {
			n, err := out.Write(piece)
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	}
	for name, answer := range map[string]http.HandlerFunc{
		"as it is": func(w http.ResponseWriter, _ *http.Request) { flood(w) },
		"packed": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			flood(z)
			_ = z.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			sent.Store(0)
			ended := make(chan struct{})
			f, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				defer close(ended)
				w.Header().Set("Content-Type", "application/json")
				answer(w, r)
			}, confluence.WithMaxBody(8<<20))
			err := listSpace(c)
			var protocol *confluence.ProtocolError
			require.ErrorAs(t, err, &protocol)
			require.Len(t, f.seen(), 1)
			<-ended
			if name == "as it is" {
				require.Less(t, sent.Load(), int64(gigabyte/8), "the server could not get rid of it")
			}
		})
	}
}

// Bodies are read to their end, also for errors, so that connections are reused.
func TestConnectionsAreReused(t *testing.T) {
	var opened atomic.Int64
	answers := []http.HandlerFunc{
		always(200, listOf("", pageRow(1001, 1, ""))), html(503), always(429, strings.Repeat(" ", 200_000)),
		always(500, strings.Repeat("x", 100_000)), always(200, listOf("", pageRow(1001, 1, ""))),
	}
	h := script(answers...)
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	srv.Start()
	c, err := confluence.New(srv.URL, email, secret.New(canary), quick()...)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close(); srv.Close() })
	for range 10 {
		require.NoError(t, listSpace(c))
	}
	require.EqualValues(t, 1, opened.Load())
}

func TestWhatIsSent(t *testing.T) {
	var got *http.Request
	var body []byte
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Clone(context.Background())
		body, _ = io.ReadAll(r.Body)
		reply(w, 200, `{"results":[]}`)
	})
	_, err := c.Users(context.Background(), []string{"712020:aa-bb", "5c0", "5c0", "", `no"id`, strings.Repeat("x", 200)})
	require.NoError(t, err)
	require.Equal(t, http.MethodPost, got.Method)
	require.Equal(t, "application/json", got.Header.Get("Content-Type"))
	require.JSONEq(t, `{"accountIds":["5c0","712020:aa-bb"]}`, string(body))
	user, password, ok := got.BasicAuth()
	require.True(t, ok)
	require.Equal(t, email, user)
	require.Equal(t, canary, password)
	require.Equal(t, "application/json", got.Header.Get("Accept"))
	require.Equal(t, "sluice", got.Header.Get("User-Agent"))
	require.Empty(t, got.Header.Get("If-None-Match"))

	_, c = serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Clone(context.Background())
		reply(w, 200, `{"results":[]}`)
	}, confluence.WithBearer())
	require.NoError(t, listSpace(c))
	require.Equal(t, "Bearer "+canary, got.Header.Get("Authorization"))
	require.Empty(t, got.Header.Get("Content-Type"))
}

// The POST that reads is retried with its body.
func TestUsersAreAskedAgain(t *testing.T) {
	var bodies []string
	answer := script(html(503), always(200, `{"results":[{"accountId":"5c0","displayName":"Ada","publicName":"ada","accountStatus":"active","timeZone":null,"email":""}]}`))
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(b))
		answer(w, r)
	})
	users, err := c.Users(context.Background(), []string{"5c0", "gone"})
	require.NoError(t, err)
	require.Equal(t, map[string]confluence.User{"5c0": {AccountID: "5c0", DisplayName: "Ada", PublicName: "ada", Status: "active"}}, users)
	require.Len(t, bodies, 2)
	require.Equal(t, bodies[0], bodies[1])
}

func TestManyUsers(t *testing.T) {
	var sizes []int
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		sizes = append(sizes, strings.Count(string(b), "712020:"))
		reply(w, 200, `{"results":[]}`)
	})
	var many []string
	for i := range 600 {
		many = append(many, fmt.Sprintf("712020:%d", i))
	}
	users, err := c.Users(context.Background(), many)
	require.NoError(t, err)
	require.Empty(t, users)
	require.Equal(t, []int{250, 250, 100}, sizes)
	users, err = c.Users(context.Background(), nil)
	require.NoError(t, err)
	require.NotNil(t, users)
	require.Len(t, sizes, 3, "no valid ids, no call")
	for _, bad := range []string{`{}`, `{"results":[{"displayName":"Nobody"}]}`, listOf("/wiki/api/v2/users-bulk?cursor=a")} {
		_, c = serve(t, always(200, bad))
		_, err = c.Users(context.Background(), []string{"5c0"})
		var protocol *confluence.ProtocolError
		require.ErrorAs(t, err, &protocol)
	}
}

// The credential goes to one origin only.
func TestRedirects(t *testing.T) {
	var strangers atomic.Int64
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		strangers.Add(1)
		reply(w, 200, listOf(""))
	}))
	t.Cleanup(stranger.Close)
	port := stranger.URL[strings.LastIndex(stranger.URL, ":"):]
	secure := httptest.NewTLSServer(stranger.Config.Handler)
	t.Cleanup(secure.Close)
	to := func(status int, where string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Location", where); w.WriteHeader(status) }
	}
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		auth   bool
	}{
		"another host":      {to(302, "http://localhost"+port+listPath), false},
		"another port":      {to(307, stranger.URL+listPath), false},
		"another scheme":    {to(301, secure.URL+listPath), false},
		"with a credential": {to(302, "http://a:b@"+stranger.Listener.Addr().String()+"/"), false},
		"login, elsewhere":  {to(302, "https://id.example.net/login?continue=x"), true},
		"login, here":       {to(302, "/wiki/login.action?os_destination=x"), true},
		"nowhere":           {to(302, ""), false},
		"in a circle":       {to(302, listPath), false},
	} {
		t.Run(name, func(t *testing.T) {
			_, c := serve(t, tc.answer)
			err := listSpace(c)
			if tc.auth {
				var auth *confluence.AuthError
				require.ErrorAs(t, err, &auth)
			} else {
				var protocol *confluence.ProtocolError
				require.ErrorAs(t, err, &protocol)
			}
		})
	}
	require.Zero(t, strangers.Load())

	t.Run("within the origin", func(t *testing.T) {
		var header []string
		_, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			header = append(header, r.Header.Get("Authorization"))
			if r.URL.Query().Get("moved") == "" {
				to(302, listPath+"?moved=1")(w, r)
				return
			}
			reply(w, 200, listOf("", pageRow(1001, 1, "")))
		})
		require.NoError(t, listSpace(c))
		require.Len(t, header, 2)
		require.Equal(t, header[0], header[1])
	})
	t.Run("down to http", func(t *testing.T) {
		var schemes []string
		c := wired(t, func(r *http.Request) (*http.Response, error) {
			schemes = append(schemes, r.URL.Scheme)
			return response(302, "", "Location", "http://acme.example.net"+listPath), nil
		})
		require.Error(t, listSpace(c))
		require.Equal(t, []string{"https"}, schemes)
	})
	t.Run("a POST stays a POST", func(t *testing.T) {
		f, c := serve(t, to(302, "/wiki/api/v2/users-bulk"))
		_, err := c.Users(context.Background(), []string{"5c0"})
		require.Error(t, err)
		require.Len(t, f.seen(), 1)
	})
}

func TestCertificateIsNotRetried(t *testing.T) {
	srv := httptest.NewUnstartedServer(always(200, listOf("")))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	var calls int
	c, err := confluence.New(srv.URL, email, secret.New(canary), quick(confluence.WithTrace(func(confluence.Call) { calls++ }))...)
	require.NoError(t, err)
	var broken *confluence.TransportError
	require.ErrorAs(t, listSpace(c), &broken)
	require.Equal(t, 1, calls)

	c, err = confluence.New(srv.URL, email, secret.New(canary), confluence.WithTransport(srv.Client().Transport))
	require.NoError(t, err)
	require.NoError(t, listSpace(c))
	c.Close()
}

// The token and its encoded forms never appear in an error, a log line or a trace, even if a server
// echoes them.
func TestTokenIsNeverShown(t *testing.T) {
	basic := base64.StdEncoding.EncodeToString([]byte(email + ":" + canary))
	echoes := map[string]http.HandlerFunc{
		"404 bare": always(404, errorV2(404, "NOT_FOUND", "Not Found")),
		"protocol": always(200, `{"results":"`+canary+`"}`),
		"type":     withHeader(always(200, `{}`), "X-Nothing", canary),
		"no id":    always(200, `{"results":[{"id":"`+canary+`"}]}`),
		"next":     always(200, listOf("https://"+canary+".example.com/?"+basic)),
		"seraph":   withHeader(always(200, `{}`), "X-Seraph-Loginreason", "AUTHENTICATED_FAILED "+canary),
		"redirect": withHeader(always(302, ``), "Location", "https://evil.example.com/"+canary),
		"no HTTP":  hijacked(func(w *bufio.ReadWriter) { _, _ = w.WriteString("Basic " + basic + " " + canary + "\r\n") }),
		"bad head": hijacked(func(w *bufio.ReadWriter) { _, _ = w.WriteString("HTTP/1.1 2" + canary + " OK\r\n\r\n") }),
		"bad chunk": hijacked(func(w *bufio.ReadWriter) {
			_, _ = w.WriteString("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + canary + "\r\n")
		}),
		"reset": hijacked(func(*bufio.ReadWriter) {}),
	}
	for _, status := range []int{400, 401, 403, 404, 410, 429, 500, 503} {
		for shape, body := range map[string]string{
			"v2": errorV2(status, "X", "you sent "+canary+" as Basic "+basic), "v1": errorV1(status, "Basic "+basic+" "+canary),
			"deep": `{"data":{"errors":[{"message":{"translation":"` + canary + `"}}]}}`, "html": "<html>" + canary,
			"long": errorV1(status, strings.Repeat("x", 180)+canary),
		} {
			echoes[fmt.Sprint(status, shape)] = withHeader(always(status, body), "atl-traceid", "t-"+strings.Repeat("y", 80)+canary,
				"RateLimit-Reason", canary, "Retry-After", canary)
		}
	}
	var mu sync.Mutex
	var shown bytes.Buffer
	for name, answer := range echoes {
		var trace []confluence.Call
		_, c := serve(t, answer, confluence.WithLogger(zerolog.New(&shown)), confluence.WithTrace(func(call confluence.Call) {
			mu.Lock()
			defer mu.Unlock()
			trace = append(trace, call)
		}))
		err := listSpace(c)
		require.Error(t, err, name)
		for e := err; e != nil; e = errors.Unwrap(e) {
			fmt.Fprintf(&shown, "%v %+v %#v %q %s\n", e, e, e, e, e)
		}
		for _, call := range trace {
			fmt.Fprintf(&shown, "%v %+v %#v\n", call, call, call)
			fmt.Fprintf(&shown, "%v\n", call.Err)
		}
		fmt.Fprintf(&shown, "%v %+v %#v %+v\n", c, c, c, c.Stats())
		for line := range strings.Lines(shown.String()) {
			for _, part := range []string{"Canary", basic[:20], basic[len(basic)-20:]} {
				require.False(t, strings.Contains(line, part), "%s: %.300s", name, line)
			}
		}
	}
	require.True(t, strings.Contains(shown.String(), "[redacted]"), "the echoes did arrive")
}

func TestTracesHaveAttempts(t *testing.T) {
	var calls []confluence.Call
	_, c := serve(t, script(html(503), withHeader(html(503), "Retry-After", "0"), always(200, listOf(""))),
		confluence.WithTrace(func(call confluence.Call) { calls = append(calls, call) }))
	require.NoError(t, listSpace(c))
	require.Len(t, calls, 3)
	for i, call := range calls {
		require.Equal(t, i+1, call.Attempt)
		require.Equal(t, "/wiki/api/v2/spaces/{id}/pages", call.Route)
		require.WithinDuration(t, time.Now(), call.Start, time.Minute)
		require.Positive(t, call.Duration)
	}
	require.NoError(t, calls[2].Err)
}
