package confluence_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	email  = "reader@example.org"
	canary = "ATATT3xCanaryCanaryCanaryCanary=1F2E3D4C"
)

// fake is the part of Confluence that one test needs.
type fake struct {
	*httptest.Server
	mu       sync.Mutex
	requests []string // "GET /wiki/api/v2/pages?limit=250"
}

func (f *fake) seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.requests...)
}

// quick are settings that make tests with many calls fast.
func quick(more ...confluence.Option) []confluence.Option {
	return append([]confluence.Option{
		confluence.WithInsecureHTTP(), confluence.WithRate(math.Inf(1), 1),
		confluence.WithRetryDelays(time.Millisecond, time.Millisecond, time.Millisecond),
	}, more...)
}

func serve(t *testing.T, h http.HandlerFunc, opts ...confluence.Option) (*fake, *confluence.Client) {
	t.Helper()
	f := &fake{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.requests = append(f.requests, r.Method+" "+r.URL.RequestURI())
		f.mu.Unlock()
		h(w, r)
	}))
	c, err := confluence.New(f.URL, email, secret.New(canary), quick(opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close(); f.Close() })
	return f, c
}

func reply(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// always gives the same answer to every call.
func always(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { reply(w, status, body) }
}

// script answers the n-th call by its n-th step, and later calls by the last step.
func script(steps ...http.HandlerFunc) http.HandlerFunc {
	var mu sync.Mutex
	n := 0
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		step := steps[min(n, len(steps)-1)]
		n++
		mu.Unlock()
		step(w, r)
	}
}

// rowMade is the time of the version in a pageRow.
var rowMade = time.Date(2026, 2, 3, 4, 5, 6, 789e6, time.UTC)

// pageRow is a row of v2 in Confluence's format, including undocumented keys.
func pageRow(id, version int, more string) string {
	return fmt.Sprintf(`{"parentType":"page","parentId":"7","ownerId":"5c0","lastOwnerId":null,"authorId":"712020:aa-bb",
		"version":{"number":%d,"message":"","minorEdit":false,"authorId":"5c0","createdAt":"2026-02-03T04:05:06.789Z","ncsStepVersion":"12"},
		"id":"%d","status":"current","title":"Page %d","spaceId":"42","position":901463041,"createdAt":"2025-05-27T07:09:12Z",
		"body":{},"subtype":null,"_links":{"webui":"/spaces/ENG/pages/%d/Page+%d","editui":"/pages/resumedraft.action?draftId=%d",
		"edituiv2":"/spaces/ENG/pages/edit-v2/%d","tinyui":"/x/AbC"}%s}`, version, id, id, id, id, id, id, more)
}

func rows(rows ...string) string { return strings.Join(rows, ",") }

// listOf is a v2 list; an empty next is left out.
func listOf(next string, rows ...string) string {
	links := `"base":"https://acme.example.net/wiki"`
	if next != "" {
		quoted, _ := json.Marshal(next)
		links = `"next":` + string(quoted) + "," + links
	}
	return `{"results":[` + strings.Join(rows, ",") + `],"_links":{` + links + `}}`
}

const spaceENG = `{"id":"42","key":"ENG","name":"Engineering","type":"global","status":"current","authorId":"5c0",
	"createdAt":"2025-01-01T00:00:00.000Z","homepageId":"7","currentActiveAlias":"ENG","icon":null,"spaceOwnerId":"5c0","_links":{"webui":"/spaces/ENG"}}`

// errorV2 is the envelope of v2's errors.
func errorV2(status int, code, title string) string {
	return fmt.Sprintf(`{"errors":[{"status":%d,"code":%q,"title":%q,"detail":null}]}`, status, code, title)
}

// errorV1 is the envelope of v1's errors.
func errorV1(status int, message string) string {
	return fmt.Sprintf(`{"statusCode":%d,"data":{"authorized":true,"valid":true,"errors":[],"successful":false},"message":%q}`, status, message)
}

func ids(seq func(func(confluence.PageStub, error) bool)) ([]string, error) {
	var got []string
	for stub, err := range seq {
		if err != nil {
			return got, err
		}
		got = append(got, stub.ID)
	}
	return got, nil
}

// wire is Confluence without a network, for tests with their own clock.
type wire func(*http.Request) (*http.Response, error)

func (f wire) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func wired(t testing.TB, f wire, opts ...confluence.Option) *confluence.Client {
	t.Helper()
	opts = append([]confluence.Option{confluence.WithTransport(f)}, opts...)
	c, err := confluence.New("https://acme.example.net", email, secret.New(canary), opts...)
	require.NoError(t, err)
	return c
}

func response(status int, body string, header ...string) *http.Response {
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{
		StatusCode: status, Header: h, Body: io.NopCloser(bytes.NewReader([]byte(body))),
		ContentLength: int64(len(body)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
}

// readPage makes the simplest call.
func readPage(c *confluence.Client) error {
	_, err := c.GetPageByID(context.Background(), "1001", "")
	return err
}
