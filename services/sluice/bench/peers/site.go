package peers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
)

// ServeSite serves the stand-in until ctx ends and writes its address to out. It has the
// generated space with so many pages and the built-in one, and answers the lists of v1, which
// most peers live on.
//
// A path that begins with /rest/ is taken for one below /wiki: confluence-markdown-exporter knows
// only sites on atlassian.net by their /wiki and leaves it out everywhere else.
func ServeSite(ctx context.Context, pages int, out io.Writer) error {
	site := sandbox.New(sandbox.Options{V1Lists: true})
	site.AddBuiltin()
	site.AddGenerated(sandbox.GeneratedSpace, pages, 1)
	handler := site.Handler()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("serve the stand-in: %w", err)
	}
	srv := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/rest/") {
			r.URL.Path = "/wiki" + r.URL.Path
		}
		handler.ServeHTTP(w, r)
	})}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	fmt.Fprintln(out, "http://"+listener.Addr().String())
	if err := srv.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the stand-in: %w", err)
	}
	return nil
}

// site is the stand-in as its callers see it.
type site struct {
	url string
	pid int
}

func (s site) call(ctx context.Context, method, path string, body, answer any) error {
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("ask the stand-in: %w", err)
		}
		sent = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, sent)
	if err != nil {
		return fmt.Errorf("ask the stand-in: %w", err)
	}
	req.SetBasicAuth(sandbox.DefaultEmail, sandbox.DefaultToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask the stand-in: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return fmt.Errorf("ask the stand-in for %s: %s", path, resp.Status)
	}
	if answer == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return fmt.Errorf("read the stand-in's answer: %w", err)
	}
	return nil
}

func (s site) stats(ctx context.Context) (out sandbox.Stats, err error) {
	err = s.call(ctx, http.MethodGet, "/_sandbox/stats", nil, &out)
	return out, err
}

func (s site) resetStats(ctx context.Context) error {
	return s.call(ctx, http.MethodPost, "/_sandbox/stats/reset", nil, nil)
}

// limit makes the site refuse what is more than so many calls within a second; 0 lifts that.
func (s site) limit(ctx context.Context, perSecond int) error {
	faults := []sandbox.Fault{}
	if perSecond > 0 {
		faults = append(faults, sandbox.Fault{Kind: sandbox.FaultBurst, MaxCalls: perSecond, RetryAfter: 1})
	}
	return s.call(ctx, http.MethodPost, "/_sandbox/faults", map[string]any{"seed": 1, "faults": faults}, nil)
}

// pageTruth is a page as the site has it.
type pageTruth struct {
	ID, Title, Body, View, URL string
}

// pages reads the current pages of a space, with their bodies in storage format and as the
// site shows them.
func (s site) pages(ctx context.Context, space string) ([]pageTruth, error) {
	var out []pageTruth
	next := "/wiki/rest/api/content?limit=50&expand=body.storage,body.view&spaceKey=" + url.QueryEscape(space)
	for next != "" {
		var answer struct {
			Results []struct {
				ID, Title string
				Body      struct{ Storage, View struct{ Value string } }
				Links     struct{ WebUI string } `json:"_links"`
			}
			Links struct{ Next string } `json:"_links"`
		}
		if err := s.call(ctx, http.MethodGet, next, nil, &answer); err != nil {
			return nil, err
		}
		for _, r := range answer.Results {
			out = append(out, pageTruth{r.ID, r.Title, r.Body.Storage.Value, r.Body.View.Value, s.url + "/wiki" + r.Links.WebUI})
		}
		next = answer.Links.Next
		if next != "" {
			next = "/wiki" + next
		}
	}
	return out, nil
}

// users are the names of the people with the account ids.
func (s site) users(ctx context.Context, ids []string) (map[string]string, error) {
	names := map[string]string{}
	if len(ids) == 0 {
		return names, nil
	}
	var answer struct {
		Results []struct{ AccountID, DisplayName string }
	}
	err := s.call(ctx, http.MethodPost, "/wiki/api/v2/users-bulk", map[string]any{"accountIds": ids}, &answer)
	for _, u := range answer.Results {
		names[u.AccountID] = u.DisplayName
	}
	return names, err
}
