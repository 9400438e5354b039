package gateway

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
)

// cursor hides what a list goes on from, so that nobody builds on it.
func cursor(id string) string {
	if id == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte(id))
}

func cursorOf(text string) (string, error) {
	id, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || text != "" && !event.ValidID(string(id)) {
		return "", fail(http.StatusUnprocessableEntity, "invalid", "cursor is not the next of an earlier answer")
	}
	return string(id), nil
}

type listPagesInput struct {
	SourcePath
	Kind          string    `query:"kind" enum:"page,blogpost" doc:"only pages or only blog posts"`
	Label         string    `query:"label" maxLength:"255" doc:"only pages with this label"`
	Title         string    `query:"title" maxLength:"255" doc:"only pages whose title holds this, in any case"`
	Under         string    `query:"under" maxLength:"64" pattern:"^[0-9]*$" doc:"only the page with this id and those below it"`
	ModifiedSince time.Time `query:"modified_since" doc:"only pages changed since" example:"2026-01-31T00:00:00Z"`
	Cursor        string    `query:"cursor" maxLength:"200" doc:"next of the part before"`
	Limit         int       `query:"limit" minimum:"1" maximum:"500" default:"50"`
}

type listPagesOutput struct{ Body list[store.PageInfo] }

func (g *Gateway) listPages(ctx context.Context, in *listPagesInput) (*listPagesOutput, error) {
	after, err := cursorOf(in.Cursor)
	if err == nil {
		err = g.known(ctx, in.SourceID)
	}
	if err != nil {
		return nil, err
	}
	pages, err := g.store.Reader().Pages(ctx, viewing(ctx), in.SourceID, store.PageFilter{
		Kind: in.Kind, Label: in.Label, Title: in.Title, Under: in.Under, ModifiedSince: in.ModifiedSince, After: after, Limit: in.Limit + 1,
	})
	out := &listPagesOutput{Body: list[store.PageInfo]{Items: orEmpty(pages)}}
	if len(pages) > in.Limit {
		out.Body.Items = pages[:in.Limit]
		out.Body.Next = cursor(pages[in.Limit-1].ID)
	}
	return out, err
}

type getPageInput struct {
	ID string `path:"id" maxLength:"64" doc:"Confluence's page id" example:"7000000012"`
}

type getPageOutput struct{ Body store.Page }

func (g *Gateway) getPage(ctx context.Context, in *getPageInput) (*getPageOutput, error) {
	missing := fail(http.StatusNotFound, string(failure.NotFound), "no such page is stored, or the key is not for its source")
	p, err := g.store.Reader().LivePage(ctx, viewing(ctx), in.ID)
	switch {
	case errors.Is(err, store.ErrNotFound) && p.Deleted:
		return nil, fail(http.StatusGone, "page_removed", "the page left its space")
	case errors.Is(err, store.ErrNotFound):
		return nil, missing
	case err != nil:
		return nil, err
	}
	return &getPageOutput{Body: p}, nil
}

type searchInput struct {
	Body struct {
		Query         string    `json:"query" minLength:"1" maxLength:"1000" doc:"words, \"phrases\", or, -not" example:"rotate the signing keys"`
		SourceID      string    `json:"source_id,omitempty" maxLength:"64" doc:"only chunks of this source"`
		Sources       []string  `json:"sources,omitempty" maxItems:"100" nullable:"false" doc:"only chunks of these sources"`
		SpaceKey      string    `json:"space_key,omitempty" maxLength:"255" doc:"only pages of this space"`
		Under         string    `json:"under,omitempty" maxLength:"64" doc:"only the page with this id and those below it"`
		Label         string    `json:"label,omitempty" maxLength:"255" doc:"only pages with this label"`
		JiraIssue     string    `json:"jira_issue,omitempty" maxLength:"255" doc:"only pages that show or link to this issue" example:"OPS-42"`
		Mentions      string    `json:"mentions,omitempty" maxLength:"255" doc:"only pages that mention the account with this id"`
		ModifiedSince time.Time `json:"modified_since,omitzero" doc:"only pages changed since"`
		Limit         int       `json:"limit,omitempty" minimum:"1" maximum:"100" default:"10"`
	}
}

type found struct {
	Query string       `json:"query"`
	Items []search.Hit `json:"items" nullable:"false" doc:"the best first"`
}

type searchOutput struct{ Body found }

func (g *Gateway) search(ctx context.Context, in *searchInput) (*searchOutput, error) {
	b := in.Body
	if strings.TrimSpace(b.Query) == "" || !utf8.ValidString(b.Query) {
		return nil, fail(http.StatusUnprocessableEntity, "invalid", "query holds no word")
	}
	f := search.Filter{
		SourceID: b.SourceID, SpaceKey: b.SpaceKey, Under: b.Under, Label: b.Label, JiraIssue: b.JiraIssue, Mentions: b.Mentions,
		ModifiedSince: b.ModifiedSince, Limit: b.Limit, Sources: b.Sources,
	}
	v := viewing(ctx)
	for _, id := range append([]string{b.SourceID}, b.Sources...) {
		if id != "" && !v.Sees(id) {
			return nil, noSource(id)
		}
	}
	if b.SourceID != "" {
		if err := g.known(ctx, b.SourceID); err != nil {
			return nil, err
		}
	}
	hits, err := g.store.Searcher().Search(ctx, v, b.Query, f)
	return &searchOutput{Body: found{Query: b.Query, Items: orEmpty(hits)}}, err
}
