package fetcher

import (
	"context"
	"errors"
	"html"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
)

// HandlePages fetches the bodies of a task's pages that have not ended yet and publishes
// them. A page that Confluence no longer gives as a current page of the space ends as
// skipped: whether it is to be removed is the deletion-detector's to prove.
func (f *Fetcher) HandlePages(ctx context.Context, d bus.Delivery) error {
	task, err := bus.Decode[event.PagesListed](d)
	if err != nil {
		return err
	}
	ids, kinds := make([]string, len(task.Pages)), make(map[string]string, len(task.Pages))
	for i, ref := range task.Pages {
		ids[i], kinds[ref.ID] = ref.ID, ref.Kind
	}
	if ids, err = f.ledger.Unfinished(ctx, task.RunID, ids); err != nil || len(ids) == 0 {
		return err
	}
	run, src, err := f.runAndSource(ctx, task.RunID)
	// Nobody waits for the pages of a run that was given up, and those of one that was sent
	// again come in its newest tasks.
	if err != nil || run.State.Final() || task.Attempt < run.Attempt {
		return err
	}
	ids, err = f.restore(ctx, run, src, task.Attempt, ids)
	if err != nil || len(ids) == 0 {
		return err
	}
	client, err := f.site.Client(ctx, src)
	if err != nil {
		return err
	}
	ctx, usage := confluence.WithUsage(ctx)
	defer f.account(ctx, run.ID, usage)
	b := bodies{Fetcher: f, client: client, run: run, task: task, attempts: d.Attempt, kinds: kinds, wanted: ids}
	err = f.fetch(ctx, client, run, src, &b)
	if d.Attempt >= splitAfter && len(b.wanted) > 1 && f.onlyHere(ctx, client, src, err) {
		return f.split(ctx, run, task, b.wanted)
	}
	return f.doubt(ctx, client, src, err)
}

// splitAfter is the attempt from which on a task that Confluence cannot answer is taken apart.
const splitAfter = 3

// onlyHere reports whether Confluence fails at these pages while it answers otherwise: taking
// every task apart while all of it is down would only make more calls of them.
func (f *Fetcher) onlyHere(ctx context.Context, client *confluence.Client, src store.Source, err error) bool {
	var server *confluence.ServerError
	if !errors.As(err, &server) {
		return false
	}
	_, probed := client.Probe(ctx, src.SpaceKey)
	return probed == nil
}

// split makes two tasks of the pages of one, so that the one page that breaks the answer for
// all ends up alone and fails alone.
func (f *Fetcher) split(ctx context.Context, run store.Run, task event.PagesListed, ids []string) error {
	var refs []page.Ref
	for _, ref := range task.Pages {
		if slices.Contains(ids, ref.ID) {
			refs = append(refs, ref)
		}
	}
	f.log.Warn().Str("run", run.ID).Int("pages", len(refs)).Msg("no answer for these pages together, task is taken apart")
	half := len(refs) / 2
	return f.bus.PublishAll(ctx, []event.Event{
		event.PagesListed{SourceID: run.SourceID, RunID: run.ID, Attempt: task.Attempt, Pages: refs[:half]},
		event.PagesListed{SourceID: run.SourceID, RunID: run.ID, Attempt: task.Attempt, Pages: refs[half:]},
	})
}

// fetch fetches the pages of a task and publishes them.
func (f *Fetcher) fetch(ctx context.Context, client *confluence.Client, run store.Run, src store.Source, b *bodies) error {
	if err := b.fetch(ctx); err != nil {
		return err
	}
	pages, err := f.sift(ctx, client, run, src, b.wanted, b.found)
	if err != nil {
		return err
	}
	if err := f.place(ctx, client, run, pages); err != nil {
		return err
	}
	events, err := f.describe(ctx, client, run, src, b.task.Attempt, pages)
	if err != nil {
		return err
	}
	return f.bus.PublishAll(ctx, events)
}

// doubt gives a refusal another try when the credential proves alive right after it: something
// on the way may have refused that one call, and a whole task must not fail for it.
func (f *Fetcher) doubt(ctx context.Context, client *confluence.Client, src store.Source, err error) error {
	var denied *confluence.AuthError
	if !errors.As(err, &denied) {
		return err
	}
	if _, probed := client.Probe(ctx, src.SpaceKey); probed != nil {
		return err
	}
	return failure.Doubt(err)
}

// restore publishes the pages that are back in the version whose Markdown is still kept, and
// returns the ids of the others. Only the listing of a full run is proof enough that a page is
// back: the search index lags behind.
func (f *Fetcher) restore(ctx context.Context, run store.Run, src store.Source, attempt int, ids []string) ([]string, error) {
	if run.Mode != event.Full {
		return ids, nil
	}
	kept, err := f.ledger.Kept(ctx, run, ids)
	if err != nil || len(kept) == 0 {
		return ids, err
	}
	events := make([]event.Event, len(kept))
	for i, k := range kept {
		ids = slices.DeleteFunc(ids, func(id string) bool { return id == k.Page.ID })
		k.Page.BaseURL, k.Page.Status = src.BaseURL, "current"
		events[i] = event.PageConverted{
			SourceID: run.SourceID, RunID: run.ID, Attempt: attempt, Page: k.Page, Markdown: k.Markdown,
			Metadata: k.Metadata, Headings: k.Headings, Losses: k.Losses, Includes: k.Includes,
		}
	}
	return ids, f.bus.PublishAll(ctx, events)
}

func (f *Fetcher) runAndSource(ctx context.Context, runID string) (store.Run, store.Source, error) {
	run, err := f.ledger.Run(ctx, runID)
	if err == nil {
		var src store.Source
		if src, err = f.ledger.Source(ctx, run.SourceID); err == nil {
			return run, src, nil
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		err = bus.Permanent(failure.Wrap(failure.SourceGone, err))
	}
	return run, store.Source{}, err
}

// sift keeps the current pages of the source's space and ends the others as skipped.
func (f *Fetcher) sift(ctx context.Context, client *confluence.Client, run store.Run, src store.Source, ids []string, found []confluence.Page) ([]confluence.Page, error) {
	spaceID, err := f.spaceID(ctx, client, src, false)
	if err == nil && slices.ContainsFunc(found, func(p confluence.Page) bool { return p.SpaceID != spaceID }) {
		// Before a page counts as moved: the space may have been made anew under its key.
		spaceID, err = f.spaceID(ctx, client, src, true)
	}
	if err != nil {
		return nil, err
	}
	reasons := make(map[string]string, len(ids))
	for _, id := range ids {
		reasons[id] = "missing"
	}
	var keep []confluence.Page
	for _, p := range found {
		switch {
		case p.Status != "current":
			reasons[p.ID] = p.Status
		case p.SpaceID != spaceID:
			reasons[p.ID] = "moved"
		default:
			delete(reasons, p.ID)
			keep = append(keep, p)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(reasons)) {
		if err := f.ledger.SkipPage(ctx, run.ID, id, reasons[id]); err != nil {
			return nil, err
		}
	}
	return keep, nil
}

// place brings the pages' own places into the tree where they differ from what it has: after
// an incremental listing, which knows no parents, or when a page moved since.
func (f *Fetcher) place(ctx context.Context, client *confluence.Client, run store.Run, pages []confluence.Page) error {
	nodes := make([]store.Node, len(pages))
	for i, p := range pages {
		nodes[i] = store.Node{ID: p.ID, Kind: p.Kind, Title: p.Title, ParentID: p.ParentID, ParentKind: p.ParentType}
	}
	stray, err := f.ledger.StrayNodes(ctx, run.SourceID, nodes)
	if err != nil || len(stray) == 0 {
		return err
	}
	if err := f.ledger.PutNodes(ctx, run, stray); err != nil {
		return err
	}
	return f.growTree(ctx, client, run)
}

var (
	mentioned = regexp.MustCompile(`ri:account-id="([^"]+)"`)
	pageLink  = regexp.MustCompile(`<ri:page\s[^>]*>`)
	linkTitle = regexp.MustCompile(`ri:content-title="([^"]+)"`)
	linkSpace = regexp.MustCompile(`ri:space-key="([^"]+)"`)
)

// describe makes the pages' events. What a body refers to by account id or by title is
// looked up here, so that the converter needs neither network nor database.
func (f *Fetcher) describe(ctx context.Context, client *confluence.Client, run store.Run, src store.Source, attempt int, pages []confluence.Page) ([]event.Event, error) {
	people, titles := map[string]bool{}, map[string]bool{}
	refs := make([]struct{ people, titles []string }, len(pages))
	for i, p := range pages {
		refs[i].people, refs[i].titles = references(p, src.SpaceKey)
		for _, id := range refs[i].people {
			people[id] = true
		}
		for _, title := range refs[i].titles {
			titles[title] = true
		}
	}
	names, err := f.names(ctx, client, slices.Sorted(maps.Keys(people)))
	if err != nil {
		return nil, err
	}
	byTitle, err := f.ledger.PagesByTitle(ctx, run.SourceID, slices.Sorted(maps.Keys(titles)))
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(pages))
	for i, p := range pages {
		ids[i] = p.ID
	}
	labels, err := f.ledger.Labels(ctx, run.ID, ids)
	if err != nil {
		return nil, err
	}
	now, events := time.Now().UTC(), make([]event.Event, len(pages))
	for i, p := range pages {
		facts := page.Facts{
			ID: p.ID, Kind: kindOf(p.Kind), Version: p.Version, Title: p.Title, SpaceKey: src.SpaceKey, BaseURL: src.BaseURL, URL: p.URL,
			Status: p.Status, ParentID: p.ParentID, ParentType: p.ParentType, AuthorID: p.AuthorID,
			CreatedAt: p.CreatedAt, ModifiedAt: p.ModifiedAt, Labels: labels[p.ID],
			Users: map[string]string{}, Links: map[string]page.Link{},
		}
		for _, id := range refs[i].people {
			if name := names[id]; name != "" {
				facts.Users[id] = name
			}
		}
		for _, title := range refs[i].titles {
			if id := byTitle[title]; id != "" {
				facts.Links[title] = page.Link{PageID: id, PageTitle: title, PageURL: src.BaseURL + "/spaces/" + src.SpaceKey + "/pages/" + id}
			}
		}
		events[i] = event.PageFetched{SourceID: run.SourceID, RunID: run.ID, Attempt: attempt, FetchedAt: now, Page: facts, Body: p.Body}
	}
	return events, nil
}

// references finds the accounts that a page mentions, its author's among them, and the
// titles of this space's pages that it links to. Markup is only searched here, not parsed:
// a name too many costs a look-up and changes nothing.
func references(p confluence.Page, spaceKey string) (people, titles []string) {
	if p.AuthorID != "" {
		people = append(people, p.AuthorID)
	}
	for _, m := range mentioned.FindAllStringSubmatch(p.Body, -1) {
		people = append(people, html.UnescapeString(m[1]))
	}
	for _, tag := range pageLink.FindAllString(p.Body, -1) {
		title, space := linkTitle.FindStringSubmatch(tag), linkSpace.FindStringSubmatch(tag)
		if title != nil && (space == nil || space[1] == spaceKey) {
			titles = append(titles, html.UnescapeString(title[1]))
		}
	}
	return people, titles
}
