package fetcher

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/sluicehq/sluice/services/fetcher/sweep"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/source"
	"github.com/sluicehq/sluice/shared/store"
)

// place updates the pages' places in the tree: after an incremental listing, which may not know parents,
// or when a page has moved since.
func (b *batch) place(ctx context.Context, pages []source.Page) error {
	nodes := make([]store.Node, len(pages))
	for i, p := range pages {
		nodes[i] = store.Node{
			ID: p.Facts.ID, Kind: cmp.Or(p.Facts.Kind, "page"), Title: p.Facts.Title,
			ParentID: p.Facts.ParentID, ParentKind: p.Facts.ParentType,
		}
	}
	stray, err := b.ledger.StrayNodes(ctx, b.Run.SourceID, nodes)
	if err != nil || len(stray) == 0 {
		return err
	}
	if err := b.ledger.PutNodes(ctx, b.Run, stray); err != nil {
		return err
	}
	return b.GrowTree(ctx)
}

// readers reads who may see the pages, before they are stored, and returns those that may be stored. A full run has just
// read it for all pages that were there when it began.
func (b *batch) readers(ctx context.Context, pages []source.Page) ([]source.Page, error) {
	ids, asked := make([]string, len(pages)), make([]string, len(pages))
	for i, p := range pages {
		ids[i], asked[i] = p.Facts.ID, p.Facts.ID
		if page.IsPart(p.Facts.Kind) { // it has the readers of what it is on
			asked[i] = p.Facts.ParentID
		}
	}
	slices.Sort(asked)
	asked = slices.Compact(asked)
	r := sweep.Reader{Ledger: b.ledger, System: b.System, Source: b.Run.SourceID, Log: b.log}
	if err := b.DoWithout(ctx, r.Pages(ctx, asked, b.Run.Mode != event.Full), sweep.Missing); err != nil {
		return nil, err
	}
	out, err := b.ledger.LeaveOut(ctx, b.Run, ids)
	return slices.DeleteFunc(pages, func(p source.Page) bool { return slices.Contains(out, p.Facts.ID) }), err
}

// describe makes the pages' events. It looks up the account ids and titles in a body, so that the
// converter needs neither network nor database.
func (b *batch) describe(ctx context.Context, pages []source.Page) ([]event.Event, error) {
	names, missing, err := b.names(ctx, pages)
	if err != nil {
		return nil, err
	}
	links, err := b.links(ctx, pages)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(pages))
	for i, p := range pages {
		ids[i] = p.Facts.ID
	}
	labels, err := b.ledger.Labels(ctx, b.Run.ID, ids)
	if err != nil {
		return nil, err
	}
	now, events := time.Now().UTC(), make([]event.Event, len(pages))
	for i, p := range pages {
		facts := p.Facts
		facts.Labels = labels[facts.ID]
		facts.Users, facts.Links = filled(facts.Users), filled(facts.Links)
		for _, id := range p.People {
			name, known := names[id]
			if name != "" {
				facts.Users[id] = name
			}
			facts.Unnamed = facts.Unnamed || missing && !known
		}
		for _, title := range p.Titles {
			if link, ok := links[title]; ok {
				facts.Links[title] = link
			}
		}
		if facts.File != nil {
			events[i] = event.FileFound{SourceID: b.Run.SourceID, RunID: b.Run.ID, Attempt: b.task.Attempt, FoundAt: now, Page: facts}
			continue
		}
		events[i] = event.PageFetched{SourceID: b.Run.SourceID, RunID: b.Run.ID, Attempt: b.task.Attempt, FetchedAt: now, Page: facts, Body: p.Body}
	}
	return events, nil
}

// names looks up the display names of all people on the pages. missing says that this failed for some of
// them.
func (b *batch) names(ctx context.Context, pages []source.Page) (names map[string]string, missing bool, err error) {
	people, ok := b.System.(source.People)
	ids := every(pages, func(p source.Page) []string { return p.People })
	if !ok || len(ids) == 0 {
		return nil, false, nil
	}
	names, err = people.Names(ctx, ids)
	missing = err != nil
	if err != nil && (b.deliveries > 1 || failure.CodeOf(err) == failure.Gone) {
		// A page without names is better than none, but it must be fetched again for them: one failure
		// is not enough.
		err = b.DoWithout(ctx, err, "some pages show account ids in place of names until the next run")
	}
	return names, missing, err
}

// links looks up the pages to which the pages link by title.
func (b *batch) links(ctx context.Context, pages []source.Page) (map[string]page.Link, error) {
	byTitle, ok := b.System.(source.TitleLinks)
	titles := every(pages, func(p source.Page) []string { return p.Titles })
	if !ok || len(titles) == 0 {
		return nil, nil
	}
	ids, err := b.ledger.PagesByTitle(ctx, b.Run.SourceID, titles)
	if err != nil {
		return nil, err
	}
	links := make(map[string]page.Link, len(ids))
	for title, id := range ids {
		links[title] = page.Link{PageID: id, PageTitle: title, PageURL: byTitle.PageAddress(id)}
	}
	return links, nil
}

// every gathers a property of the pages, without duplicates and in order.
func every(pages []source.Page, of func(source.Page) []string) []string {
	var all []string
	for _, p := range pages {
		all = append(all, of(p)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// filled returns m, or an empty map for nil: JSON shows it as {}.
func filled[T any](m map[string]T) map[string]T {
	if m == nil {
		return map[string]T{}
	}
	return m
}
