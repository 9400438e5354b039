// Package chunkwriter is the stage that splits a page's Markdown into chunks and writes page and
// chunks in one transaction. The pure package chunk does the splitting.
//
// Delivery is at least once: a repeated page is written once and announced again.
package chunkwriter

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/sluicehq/sluice/services/chunk-writer/chunk"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/store"
)

// pages is the part of the store that the chunk-writer uses.
type pages interface {
	Source(ctx context.Context, id string) (store.Source, error)
	Place(ctx context.Context, sourceID, pageID, spaceKey, baseURL string) (store.Place, error)
	WritePage(ctx context.Context, w store.PageWrite) (event.Outcome, error)
}

// publisher is the part of the bus that the chunk-writer uses.
type publisher interface {
	Publish(ctx context.Context, e event.Event) error
}

var (
	_ pages     = (*store.Store)(nil)
	_ publisher = (*bus.Bus)(nil)
)

// Handler returns the handler of converted pages.
func Handler(s pages, b publisher, o chunk.Options) bus.Handler {
	return func(ctx context.Context, d bus.Delivery) error {
		in, err := bus.Decode[event.PageConverted](d)
		if err != nil {
			return err
		}
		if in.RunID == "" {
			return failure.New(failure.BadEvent, "page %s is of no run: only what a run lists is stored", in.Page.ID)
		}
		src, err := s.Source(ctx, in.SourceID)
		if err != nil {
			if errors.Is(err, store.ErrNotFound) {
				err = failure.Wrap(failure.SourceGone, err)
			}
			return err
		}
		in.Page.BaseURL, in.Page.URL = src.BaseURL, address(in.Page, src.BaseURL)
		var w store.PageWrite
		var outcome event.Outcome
		for {
			place, err := s.Place(ctx, in.SourceID, in.Page.ID, in.Page.SpaceKey, in.Page.BaseURL)
			if err != nil {
				return err
			}
			w = compose(in, src, place, o)
			outcome, err = s.WritePage(ctx, w)
			if err == nil {
				break
			}
			if !errors.Is(err, store.ErrMoved) {
				return err
			}
		}
		if outcome != event.Created && outcome != event.Updated && outcome != event.Unchanged {
			return nil // a late copy of a page that already has another outcome; it is not stored
		}
		return b.Publish(ctx, event.PageStored{
			SourceID: in.SourceID, RunID: in.RunID, PageID: in.Page.ID, Version: in.Page.Version,
			Title: in.Page.Title, Outcome: outcome, Chunks: len(w.Chunks), Attempt: in.Attempt, At: time.Now().UTC(),
		})
	}
}

// address is the page's address for people: always below its source's own address, whatever an
// event says, because people follow it.
func address(p page.Facts, base string) string {
	base = strings.TrimSuffix(base, "/")
	if strings.HasPrefix(p.URL, base+"/") {
		return p.URL
	}
	u, err := url.Parse(p.URL)
	if site, ok := strings.CutSuffix(base, "/wiki"); ok && err == nil && strings.HasPrefix(u.EscapedPath(), "/wiki/") {
		return site + u.RequestURI() // the site has several names; this is another one
	}
	return base + "/pages/viewpage.action?pageId=" + url.QueryEscape(p.ID)
}

// compose builds the rows of a page.
func compose(in event.PageConverted, src store.Source, place store.Place, o chunk.Options) store.PageWrite {
	in.Metadata.Ancestors = place.Ancestors
	breadcrumb := place.Breadcrumb()
	parts := chunk.Split(chunk.Document{
		Title: in.Page.Title, URL: in.Page.URL, Markdown: in.Markdown, Headings: in.Headings, Breadcrumb: breadcrumb,
	}, o)
	if len(parts) == 0 {
		// A page without text is found by its title.
		parts = chunk.Split(chunk.Document{Title: in.Page.Title, URL: in.Page.URL, Markdown: titleOnly(in.Page.Title)}, o)
	}
	chunks := rows(parts, store.ChunkMetadata{
		URL: in.Page.URL, Title: in.Page.Title, SourceID: in.SourceID, KnowledgeType: src.KnowledgeType,
		PageID: in.Page.ID, CrawlType: src.CrawlType(), SourceType: "url", Tags: src.Tags, Breadcrumb: breadcrumb, SpaceKey: in.Page.SpaceKey,
	}, in.Metadata)
	return store.PageWrite{
		SourceID: in.SourceID, RunID: in.RunID, Attempt: in.Attempt, Page: in.Page, Path: place.Path, Trail: place.Trail,
		FetchedAt: in.FetchedAt, ConvertedAt: in.ConvertedAt, BodyBytes: in.BodyBytes,
		Metadata: in.Metadata, Markdown: in.Markdown, Headings: in.Headings, Losses: in.Losses, Includes: in.Includes, Chunks: chunks,
	}
}

// Stage describes the chunk-writer as a stage of a process.
func Stage() service.Stage {
	return service.Stage{Name: "chunk-writer", Settings: config.TypeOf[config.ChunkWriter](), Open: open, GCPercent: 400}
}

func open(ctx context.Context, h *service.Host) (service.Runner, error) {
	cfg, s, b, err := service.Open[config.ChunkWriter](ctx, h)
	if err != nil {
		return nil, err
	}
	o := chunk.Options{MaxTokens: cfg.MaxTokens, OverlapTokens: cfg.OverlapTokens}
	return service.Consume(b, bus.Write, Handler(s, b, o), bus.Workers(cfg.Workers)), nil
}
