package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/sluicehq/sluice/lab/bench/site"
	"github.com/sluicehq/sluice/services/sandbox/sandbox"
)

// call is a request that the stand-in answered, in a form that can be repeated.
type call struct {
	Method string `json:"method"`
	URI    string `json:"uri"`
	Body   []byte `json:"body,omitempty"`

	At time.Time `json:"at"` // when it came
}

// serveSite is the stand-in's process: the site, and a record of its calls.
func serveSite(ctx context.Context, addr string, pages int) error {
	made := sandbox.New(sandbox.Options{})
	made.AddGenerated(sandbox.GeneratedSpace, pages, seed)
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("serve the stand-in: %w", err)
	}
	srv := &http.Server{Handler: recorded(made.Handler()), ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the stand-in: %w", err)
	}
	return nil
}

// recorded keeps a site's calls until they are fetched and deleted at /_bench/calls.
func recorded(made http.Handler) http.Handler {
	var mu sync.Mutex
	calls := []call{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /_bench/calls", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		_ = json.NewEncoder(w).Encode(calls)
		calls = []call{}
	})
	mux.Handle("/_sandbox/", made)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		c := call{Method: r.Method, URI: r.URL.RequestURI(), At: time.Now()}
		if r.ContentLength != 0 {
			c.Body, _ = io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(c.Body))
		}
		mu.Lock()
		calls = append(calls, c)
		mu.Unlock()
		made.ServeHTTP(w, r)
	})
	return mux
}

// standIn is a stand-in in another process, with a record of its calls.
type standIn struct{ site.Site }

// forget resets the counts and the record.
func (s standIn) forget(ctx context.Context) error {
	if _, err := s.calls(ctx); err != nil {
		return err
	}
	return s.Forget(ctx)
}

// calls returns the calls since the last time.
func (s standIn) calls(ctx context.Context) ([]call, error) {
	var list []call
	return list, s.Ask(ctx, http.MethodPost, "/_bench/calls", nil, &list)
}

// pages lists a space.
func (s standIn) pages(ctx context.Context, space string) ([]sandbox.Page, error) {
	var out struct {
		Pages []sandbox.Page `json:"pages"`
	}
	return out.Pages, s.Ask(ctx, http.MethodGet, "/_sandbox/spaces/"+space+"/pages", nil, &out)
}

// edit gives a page a body, and so a new version.
func (s standIn) edit(ctx context.Context, id, body string) error {
	return s.Ask(ctx, http.MethodPost, "/_sandbox/pages/"+id+"/edit", map[string]string{"body": body}, nil)
}
