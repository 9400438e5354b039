package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
)

type listPagesInput struct {
	SourcePath
	Window
	Kind          string    `query:"kind" enum:"page,blogpost,comment,attachment" doc:"only pages, only blog posts, only threads of comments, or only files of pages; the last two are not in the list otherwise"`
	Label         string    `query:"label" maxLength:"255" doc:"only pages with this label"`
	Title         string    `query:"title" maxLength:"255" doc:"only pages whose title contains this, ignoring case"`
	Under         string    `query:"under" maxLength:"64" pattern:"^[0-9]*$" doc:"only the page or folder with this id and the pages below it"`
	ModifiedSince time.Time `query:"modified_since" doc:"only pages changed since" example:"2026-01-31T00:00:00Z"`
	Limit         int       `query:"limit" minimum:"1" maximum:"500" default:"50"`
}

func (g *Gateway) listPages(ctx context.Context, in *listPagesInput) (*listOutput[store.PageInfo], error) {
	return listOf(in.Window, in.Limit, func(p store.Part) ([]store.PageInfo, error) {
		return g.control.Pages(ctx, viewerOf(ctx), in.SourceID, store.PageFilter{
			Kind: in.Kind, Label: in.Label, Title: in.Title, Under: in.Under, ModifiedSince: in.ModifiedSince, Part: p,
		})
	})
}

// PagePath is the part of a path with a page's id.
type PagePath struct {
	ID string `path:"id" maxLength:"64" doc:"Confluence's page id" example:"7000000012"`
}

// PageInput is the part of a request that says which page is meant.
type PageInput struct {
	PagePath
	Source string `query:"source" maxLength:"64" doc:"the page's source; needed if several sites have a page with this id"`
}

type getPageOutput struct{ Body store.Page }

func (g *Gateway) getPage(ctx context.Context, in *PageInput) (*getPageOutput, error) {
	p, err := g.control.Page(ctx, viewerOf(ctx), in.Source, in.ID)
	return &getPageOutput{Body: p}, err
}

type listChunksInput struct {
	PageInput
	Window
	Limit int `query:"limit" minimum:"1" maximum:"500" default:"50"`
}

func (g *Gateway) listChunks(ctx context.Context, in *listChunksInput) (*listOutput[store.StoredChunk], error) {
	v := viewerOf(ctx)
	page, err := g.control.Page(ctx, v, in.Source, in.ID)
	if err != nil {
		return nil, err
	}
	return listOf(in.Window, in.Limit, func(p store.Part) ([]store.StoredChunk, error) { return g.control.Chunks(ctx, v, page, p) })
}

type accessInput struct {
	PageInput
	Account string `query:"account" required:"true" minLength:"1" maxLength:"128" doc:"the account id of a reader" example:"712020:8d0f"`
}

type accessOutput struct{ Body store.AccessWhy }

func (g *Gateway) whyAccess(ctx context.Context, in *accessInput) (*accessOutput, error) {
	why, err := g.control.Why(ctx, viewerOf(ctx), in.Account, in.Source, in.ID)
	return &accessOutput{Body: why}, err
}

type searchInput struct {
	Body struct {
		Query         string    `json:"query" minLength:"1" maxLength:"1000" doc:"words, \"exact phrase\", -excluded" example:"rotate the signing keys"`
		SourceID      string    `json:"source_id,omitempty" maxLength:"64" doc:"only chunks of this source"`
		Sources       []string  `json:"sources,omitempty" maxItems:"100" nullable:"false" doc:"only chunks of these sources"`
		SpaceKey      string    `json:"space_key,omitempty" maxLength:"255" doc:"only pages of this space"`
		Under         string    `json:"under,omitempty" maxLength:"64" doc:"only the page or folder with this id and the pages below it"`
		Label         string    `json:"label,omitempty" maxLength:"255" doc:"only pages with this label"`
		JiraIssue     string    `json:"jira_issue,omitempty" maxLength:"255" doc:"only pages that show or link to this issue" example:"OPS-42"`
		Mentions      string    `json:"mentions,omitempty" maxLength:"255" doc:"only pages that mention the account with this id"`
		Kind          string    `json:"kind,omitempty" enum:"page,blogpost,comment,attachment,document" doc:"only content of this kind; a comment is a thread, an attachment a file of a page, a document is on no page"`
		FileType      string    `json:"file_type,omitempty" enum:"pdf,docx,xlsx,pptx,html,markdown,text,csv,json,code,drawio,svg,image,doc,xls,ppt,xlsb,opendocument,rtf,vsd,msg,postscript,ole,other" doc:"only attachments of this type, or documents with that kind" example:"pdf"`
		Resolution    string    `json:"resolution,omitempty" enum:"open,resolved" doc:"only inline comments whose thread is open or resolved"`
		ModifiedSince time.Time `json:"modified_since,omitzero" doc:"only pages changed since"`
		Limit         int       `json:"limit,omitempty" minimum:"1" maximum:"100" default:"10"`
		PerPage       int       `json:"per_page,omitempty" minimum:"1" maximum:"100" default:"3" doc:"maximum number of hits of a page with its comments"`
	}
}

type found struct {
	Query string       `json:"query"`
	Items []search.Hit `json:"items" nullable:"false" doc:"best first"`
	// WordsOnly is as in search.Answer.
	WordsOnly string `json:"words_only,omitempty" doc:"why the search went by words alone although it is to go by meaning as well"`
	// NotReranked is as in search.Answer.
	NotReranked string `json:"not_reranked,omitempty" doc:"why the best hits were not ordered again although a reranker is set"`
}

type searchOutput struct{ Body found }

func (g *Gateway) search(ctx context.Context, in *searchInput) (*searchOutput, error) {
	b := in.Body
	answer, err := g.control.Explain(ctx, viewerOf(ctx), b.Query, search.Filter{
		SourceID: b.SourceID, Sources: b.Sources, SpaceKey: b.SpaceKey, Under: b.Under, Label: b.Label, JiraIssue: b.JiraIssue, Mentions: b.Mentions, Kind: b.Kind, FileType: b.FileType, Resolution: b.Resolution,
		ModifiedSince: b.ModifiedSince, Limit: b.Limit, PerPage: b.PerPage,
	})
	var noPage *control.UnknownPageError
	if errors.As(err, &noPage) { // no page is below an unknown one
		err = nil
	}
	return &searchOutput{Body: found{Query: b.Query, Items: orEmpty(answer.Hits), WordsOnly: answer.WordsOnly, NotReranked: answer.NotReranked}}, err
}

type embeddingsOutput struct{ Body control.Embeddings }

func (g *Gateway) embeddings(ctx context.Context, _ *struct{}) (*embeddingsOutput, error) {
	e, err := g.control.Embeddings(ctx, viewerOf(ctx))
	return &embeddingsOutput{Body: e}, err
}
