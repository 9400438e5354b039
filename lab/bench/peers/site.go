package peers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sluicehq/sluice/lab/bench/site"
	"github.com/sluicehq/sluice/services/sandbox/sandbox"
)

// ServeSite serves the stand-in until ctx ends and writes its address to out. The site has the generated
// space with that many pages and the built-in space, and answers the lists of v1, which most peers use.
//
// A path that begins with /rest/ is treated as one below /wiki: confluence-markdown-exporter adds /wiki
// only for sites on atlassian.net.
func ServeSite(ctx context.Context, pages int, out io.Writer) error {
	made := sandbox.New(sandbox.Options{V1Lists: true})
	made.AddBuiltin()
	made.AddGenerated(sandbox.GeneratedSpace, pages, 1)
	handler := made.Handler()
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

// standIn is the stand-in as its callers see it.
type standIn struct {
	site.Site
	pid int
}

// pageTruth is a page in the site.
type pageTruth struct {
	ID, Title, Body, View, URL string
}

// pages reads the current pages of a space, with their bodies in storage format and as the site renders
// them.
func (s standIn) pages(ctx context.Context, space string) ([]pageTruth, error) {
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
		if err := s.Ask(ctx, http.MethodGet, next, nil, &answer); err != nil {
			return nil, err
		}
		for _, r := range answer.Results {
			out = append(out, pageTruth{r.ID, r.Title, r.Body.Storage.Value, r.Body.View.Value, s.URL + "/wiki" + r.Links.WebUI})
		}
		next = answer.Links.Next
		if next != "" {
			next = "/wiki" + next
		}
	}
	return out, nil
}

// users are the names of the people with the account ids.
func (s standIn) users(ctx context.Context, ids []string) (map[string]string, error) {
	names := map[string]string{}
	if len(ids) == 0 {
		return names, nil
	}
	var answer struct {
		Results []struct{ AccountID, DisplayName string }
	}
	err := s.Ask(ctx, http.MethodPost, "/wiki/api/v2/users-bulk", map[string]any{"accountIds": ids}, &answer)
	for _, u := range answer.Results {
		names[u.AccountID] = u.DisplayName
	}
	return names, err
}
