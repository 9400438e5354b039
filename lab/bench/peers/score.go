package peers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/sluicehq/sluice/lab/fidelity"
	"github.com/sluicehq/sluice/shared/page"
)

// scored are the features in the report.
var scored = []fidelity.Feature{fidelity.Words, fidelity.Headings, fidelity.Code, fidelity.Cells, fidelity.Links, fidelity.Tasks}

// Scores is the share of the pages' content that was found again, by feature.
type Scores map[fidelity.Feature]fidelity.Score

// judge knows the content of a space's pages.
type judge struct {
	site  string
	pages []pageTruth
	users map[string]string
	home  string // the id of the page that the space's own address leads to
	links map[string]page.Link
}

var account = regexp.MustCompile(`ri:account-id="([^"]+)"`)

// newJudge asks the site for everything that scoring needs.
func newJudge(ctx context.Context, s standIn, space string) (*judge, error) {
	pages, err := s.pages(ctx, space)
	if err != nil {
		return nil, fmt.Errorf("read space %s: %w", space, err)
	}
	j := &judge{site: s.URL, pages: pages, links: map[string]page.Link{}}
	var ids []string
	seen := map[string]bool{}
	for _, p := range pages {
		j.links[p.Title] = page.Link{PageID: p.ID, PageTitle: p.Title, PageURL: p.URL}
		if strings.HasSuffix(p.URL, "/overview") {
			j.home = p.ID
		}
		for _, m := range account.FindAllStringSubmatch(p.Body, -1) {
			if !seen[m[1]] {
				seen[m[1]] = true
				ids = append(ids, m[1])
			}
		}
	}
	j.users, err = s.users(ctx, ids)
	return j, err
}

func (j *judge) facts(p pageTruth, space string) page.Facts {
	return page.Facts{ID: p.ID, Title: p.Title, SpaceKey: space, BaseURL: j.site + "/wiki", URL: p.URL, Users: j.users, Links: j.links}
}

// score scores the folder, which has one file for each page, and counts those files. A page without a
// file has lost everything.
func (j *judge) score(dir, space string) (Scores, int, error) {
	var all []fidelity.Page
	there := 0
	for _, p := range j.pages {
		text, err := os.ReadFile(filepath.Join(dir, p.ID+".md")) //nolint:gosec // a folder that the comparison has made
		if err == nil {
			there++
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, 0, fmt.Errorf("read a page: %w", err)
		}
		scored, err := fidelity.Written(p.ID, p.Body, j.facts(p, space), string(text), func(address string) string {
			if strings.HasPrefix(address, "#") {
				return "page " + p.ID // a place on this page
			}
			return j.plain(address)
		})
		if err != nil {
			return nil, 0, err
		}
		all = append(all, scored)
	}
	return fidelity.Sum(all), there, nil
}

var (
	byID    = regexp.MustCompile(`(?:/pages/|/blog/\d+/\d+/\d+/|pageId=)(\d+)`)
	display = regexp.MustCompile(`/display/[^/]+/([^/#?]+)`)
	byFile  = regexp.MustCompile(`^(?:\./)?(\d+)\.md$`)
)

// plain is the common part of all spellings of a page's address. An address inside the page counts for
// the page.
func (j *judge) plain(address string) string {
	address, _, _ = strings.Cut(strings.TrimSpace(address), "#")
	address = strings.TrimSuffix(strings.TrimPrefix(address, j.site), "/")
	if strings.Contains(address, "/download/attachments/") {
		address, _, _ = strings.Cut(address, "?") // a version, at the most
	}
	if m := byFile.FindStringSubmatch(address); m != nil {
		return "page " + m[1]
	}
	if m := byID.FindStringSubmatch(address); m != nil {
		return "page " + m[1]
	}
	if m := display.FindStringSubmatch(address); m != nil {
		if title, err := url.QueryUnescape(m[1]); err == nil && j.links[title].PageID != "" {
			return "page " + j.links[title].PageID
		}
	}
	if strings.HasSuffix(address, "/overview") && j.home != "" {
		return "page " + j.home
	}
	return strings.TrimPrefix(address, "/wiki")
}
