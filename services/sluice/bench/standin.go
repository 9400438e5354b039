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
	"strings"
	"sync"
	"time"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
)

// call is a request that the stand-in answered, as it can be asked again.
type call struct {
	Method string `json:"method"`
	URI    string `json:"uri"`
	Body   []byte `json:"body,omitempty"`

	At time.Time `json:"at"` // when it came
}

// serveSite is the stand-in's process: the site, and a record of what it is asked.
func serveSite(ctx context.Context, addr string, pages int) error {
	site := sandbox.New(sandbox.Options{})
	site.AddGenerated(sandbox.GeneratedSpace, pages, seed)
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("serve the stand-in: %w", err)
	}
	srv := &http.Server{Handler: recorded(site.Handler()), ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the stand-in: %w", err)
	}
	return nil
}

// recorded keeps what a site is asked until it is fetched and forgotten at /_bench/calls.
func recorded(site http.Handler) http.Handler {
	var mu sync.Mutex
	calls := []call{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /_bench/calls", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		_ = json.NewEncoder(w).Encode(calls)
		calls = []call{}
	})
	mux.Handle("/_sandbox/", site)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		c := call{Method: r.Method, URI: r.URL.RequestURI(), At: time.Now()}
		if r.ContentLength != 0 {
			c.Body, _ = io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(c.Body))
		}
		mu.Lock()
		calls = append(calls, c)
		mu.Unlock()
		site.ServeHTTP(w, r)
	})
	return mux
}

// standIn turns the knobs of a stand-in in another process.
type standIn struct{ url string }

// control calls a control route; out, unless it is nil, takes the answer.
func (s standIn) control(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("ask the stand-in: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask the stand-in: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask the stand-in: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 300))
		return fmt.Errorf("ask the stand-in: %s %s: %s: %s", method, path, res.Status, strings.TrimSpace(string(text)))
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		return fmt.Errorf("ask the stand-in: %s: %w", path, err)
	}
	return nil
}

// forget begins to count and to record anew.
func (s standIn) forget(ctx context.Context) error {
	if _, err := s.calls(ctx); err != nil {
		return err
	}
	return s.control(ctx, http.MethodPost, "/_sandbox/stats/reset", nil, nil)
}

func (s standIn) stats(ctx context.Context) (sandbox.Stats, error) {
	var st sandbox.Stats
	return st, s.control(ctx, http.MethodGet, "/_sandbox/stats", nil, &st)
}

// calls gives what was asked since the last time.
func (s standIn) calls(ctx context.Context) ([]call, error) {
	var list []call
	return list, s.control(ctx, http.MethodPost, "/_bench/calls", nil, &list)
}

// behave sets the faults in place of those before; none makes it a good site again.
func (s standIn) behave(ctx context.Context, faults ...sandbox.Fault) error {
	return s.control(ctx, http.MethodPost, "/_sandbox/faults", map[string]any{"seed": seed, "faults": append([]sandbox.Fault{}, faults...)}, nil)
}

// pages lists a space.
func (s standIn) pages(ctx context.Context, space string) ([]sandbox.Page, error) {
	var out struct {
		Pages []sandbox.Page `json:"pages"`
	}
	return out.Pages, s.control(ctx, http.MethodGet, "/_sandbox/spaces/"+space+"/pages", nil, &out)
}

// edit gives a page a body, and so a new version.
func (s standIn) edit(ctx context.Context, id, body string) error {
	return s.control(ctx, http.MethodPost, "/_sandbox/pages/"+id+"/edit", map[string]string{"body": body}, nil)
}
