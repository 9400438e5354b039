package retrieval

import (
	"context"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/services/chunk-writer/chunk"
	"github.com/sluicehq/sluice/services/converter/markdown"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

const (
	source  = "retrieval"
	baseURL = "https://retrieval.example/wiki"
)

// base is a knowledge base built from a set.
type base struct {
	texts map[int64]string // the texts of the chunks, by id
}

// build stores the pages of a set in an empty database, as the pipeline does.
func build(ctx context.Context, s *store.Store, pages []Page, o chunk.Options) (*base, error) {
	if err := s.AddSource(ctx, store.Source{ID: source, BaseURL: baseURL, SpaceKey: pages[0].Space}); err != nil {
		return nil, err
	}
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, p := range pages {
		group.Go(func() error { return write(within, s, p, o) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	b := &base{texts: map[int64]string{}}
	for _, p := range pages {
		list, err := s.Reader().Chunks(ctx, viewer.All(), source, p.ID, store.Whole())
		if err != nil {
			return nil, err
		}
		for _, c := range list {
			b.texts[c.ID] = c.Content
		}
	}
	return b, nil
}

func write(ctx context.Context, s *store.Store, p Page, o chunk.Options) error {
	facts := page.Facts{
		ID: p.ID, Version: 1, Title: p.Title, SpaceKey: p.Space, BaseURL: baseURL, Status: "current",
		URL: fmt.Sprintf("%s/spaces/%s/pages/%s", baseURL, p.Space, p.ID),
	}
	r, err := markdown.Convert(p.Body, facts)
	if err != nil {
		return fmt.Errorf("page %s: %w", p.ID, err)
	}
	w := store.PageWrite{
		SourceID: source, Page: facts, Path: "/" + p.ID,
		Metadata: r.Metadata, Markdown: r.Markdown, Headings: r.Headings, Losses: r.Losses, Includes: r.Includes,
	}
	parts := chunk.Split(chunk.Document{Title: p.Title, URL: facts.URL, Markdown: r.Markdown, Headings: r.Headings}, o)
	for _, c := range parts {
		path := c.HeadingPath
		if path == nil {
			path = []string{}
		}
		w.Chunks = append(w.Chunks, store.Chunk{Number: c.Number, Content: c.Content, Metadata: store.ChunkMetadata{
			URL: facts.URL, Title: p.Title, Description: c.SectionTitle, SourceID: source, KnowledgeType: "technical",
			PageID: p.ID, CrawlType: "confluence", WordCount: c.Words, CharCount: c.Chars, ChunkIndex: c.Number, Tags: []string{},
			SectionTitle: c.SectionTitle, HeadingPath: path, Breadcrumb: []string{}, ContentHash: c.Hash,
			CitationURL: c.CitationURL, SpaceKey: p.Space,
		}})
	}
	_, err = s.WritePage(ctx, w)
	return err
}
