package confluence

import (
	"context"
	"fmt"
	"iter"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SearchResult is one content object that a CQL query found. The index lags behind writes and has no
// archived pages: a search is a hint, a listing is the truth.
type SearchResult struct {
	ID      string
	Type    string // page, blogpost, comment, attachment, …; an attachment's ID is att and digits
	Status  string
	Title   string
	Version int // 0 unless expand has version

	ModifiedAt time.Time // when this version was made, UTC; zero unless expand has version
	SpaceKey   string    // "" if Confluence omits it
	Labels     []string  // by name, sorted, personal ones left out; nil unless expand has metadata.labels
}

type wireContent struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Status  string `json:"status"`
	Title   string `json:"title"`
	Version *struct {
		Number int      `json:"number"`
		When   wireTime `json:"when"`
	} `json:"version"`
	Space struct {
		Key string `json:"key"`
	} `json:"space"`
	Metadata struct {
		Labels *struct {
			Results []struct {
				Name   string `json:"name"`
				Prefix string `json:"prefix"`
			} `json:"results"`
		} `json:"labels"`
	} `json:"metadata"`
	Expandable struct {
		Space string `json:"space"`
	} `json:"_expandable"`
}

const defaultSearchLimit = 100 // rows per call

// CQLSearch reads everything that the query finds. The expand is Confluence's own comma-separated list
// ("version,space"); the limit is the number of rows per call (1 to 250; 0 means 100), which Confluence
// may lower. Rows may appear twice, or be missed, when pages change during a walk that is ordered by
// lastmodified. It returns the query's own error, such as ErrInvalidSpaceKey, before any call, and
// *StatusError when Confluence rejects the query. An unusable result is a *RowError, after which the
// search continues.
func (c *Client) CQLSearch(ctx context.Context, cql CQL, expand string, limit int) iter.Seq2[SearchResult, error] {
	text, err := cql.Text()
	if err != nil {
		return fail[SearchResult](fmt.Errorf("search: %w", err))
	}
	if strings.ContainsFunc(expand, func(r rune) bool {
		return r >= 0x80 || !strings.ContainsRune(expandRunes, r)
	}) {
		return fail[SearchResult](fmt.Errorf("search: expand: %w", ErrInvalidArgument))
	}
	if limit <= 0 {
		limit = defaultSearchLimit
	}
	limit = min(limit, maxLimit)
	if strings.Contains(expand, "body.export_view") || strings.Contains(expand, "body.styled_view") {
		limit = min(limit, 25) // more is rejected
	}
	query := url.Values{"cql": {text}}
	if expand != "" {
		query.Set("expand", expand)
	}
	l := listing{limit: limit, request: request{
		method: http.MethodGet, route: "/wiki/rest/api/content/search", path: "/rest/api/content/search", query: query,
	}}
	return list(ctx, c, l, func(w wireContent) (SearchResult, error) {
		return w.result(hasWord(expand, "version"))
	})
}

const expandRunes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._,-"

func hasWord(expand, word string) bool { return strings.Contains(","+expand+",", ","+word+",") }

func (w wireContent) result(version bool) (SearchResult, error) {
	if !isID(strings.TrimPrefix(w.ID, "att")) {
		return SearchResult{}, &objectError{"", "a result whose id is not a string of digits"}
	}
	s := SearchResult{ID: w.ID, Type: w.Type, Status: w.Status, Title: plain(w.Title), SpaceKey: w.Space.Key}
	if s.SpaceKey == "" {
		s.SpaceKey, _ = strings.CutPrefix(w.Expandable.Space, "/rest/api/space/")
	}
	if l := w.Metadata.Labels; l != nil {
		s.Labels = []string{}
		for _, label := range l.Results {
			if label.Name != "" && label.Prefix != "my" {
				s.Labels = append(s.Labels, plain(label.Name))
			}
		}
		slices.Sort(s.Labels)
		s.Labels = slices.Compact(s.Labels)
	}
	if w.Version != nil {
		s.Version, s.ModifiedAt = w.Version.Number, w.Version.When.Time
	}
	if s.Version > math.MaxInt32 {
		return SearchResult{}, &objectError{w.ID, "a result whose version is too large: " + strconv.Itoa(s.Version)}
	}
	if version && s.Version < 1 {
		return SearchResult{}, &objectError{w.ID, "a result without the requested version"}
	}
	return s, nil
}
