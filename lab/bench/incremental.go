package bench

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sluicehq/sluice/lab/bench/report"
	"github.com/sluicehq/sluice/lab/storebench"
	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/viewer"
)

// someWords is the number of pages in which one word changes.
const someWords = 40

// incrementals measures syncs after small changes or none.
func (b *bench) incrementals(ctx context.Context) (err error) {
	w, err := b.synced(ctx)
	defer b.leave(w, &err)
	if err != nil {
		return err
	}
	hundredth := max(1, b.pages/100)
	// The order matters: later runs list a recently changed page too, because the search index has a
	// precision of minutes.
	for _, kind := range []struct {
		what    string
		changed int
		change  func(ctx context.Context, round int) error
	}{
		{"nothing", 0, func(context.Context, int) error { return nil }},
		{fmt.Sprintf("a new line in %d pages (1 %%)", hundredth), hundredth, func(ctx context.Context, round int) error {
			in := map[string]int{"count": hundredth, "seed": round + 1}
			return w.site.Ask(ctx, http.MethodPost, "/_sandbox/spaces/"+sandbox.GeneratedSpace+"/edit", in, nil)
		}},
		{fmt.Sprintf("one word in each of %d pages", someWords), someWords, w.changeWords},
	} {
		in := report.Incremental{What: kind.what, Pages: b.pages}
		for round := range b.rounds {
			if err := kind.change(ctx, round); err != nil {
				return err
			}
			s, err := w.step(ctx)
			if err != nil {
				return err
			}
			if s.Updated != kind.changed {
				return fmt.Errorf("%s: %d pages were changed and %d updated", kind.what, kind.changed, s.Updated)
			}
			b.say("%s: %s, %d calls", kind.what, s.Took.Round(time.Millisecond), s.Calls)
			in.Rounds = append(in.Rounds, s)
		}
		b.r.Incremental = append(b.r.Incremental, in)
	}
	return nil
}

// step is one incremental sync with all its counts.
func (w *world) step(ctx context.Context) (s report.Step, err error) {
	mark, err := storebench.Now(ctx, w.pg.URL())
	if err != nil {
		return s, err
	}
	if err := w.site.forget(ctx); err != nil {
		return s, err
	}
	end, took, err := w.sync(ctx, source, event.Incremental)
	if err != nil {
		return s, err
	}
	st, err := w.site.Stats(ctx)
	if err != nil {
		return s, err
	}
	rows, err := storebench.Since(ctx, w.pg.URL(), mark)
	return report.Step{
		Took: took, Calls: st.Total, Listed: end.Counts.Listed, Updated: end.Counts.Updated, Rows: report.Rows(rows),
	}, err
}

// changeWords changes one word in the first sentence of some pages.
func (w *world) changeWords(ctx context.Context, round int) error {
	pages, err := w.site.pages(ctx, sandbox.GeneratedSpace)
	if err != nil {
		return err
	}
	texts := sandbox.New(sandbox.Options{})
	texts.AddGenerated(sandbox.GeneratedSpace, w.layout.pages, seed)
	for i := range someWords {
		id := pages[(i*len(pages)/someWords+round)%len(pages)].ID
		body, err := texts.Body(id)
		if err != nil {
			return err
		}
		body = strings.Replace(body, "This is generated", fmt.Sprintf("This is round%d generated", round), 1)
		if err := w.site.edit(ctx, id, body); err != nil {
			return err
		}
	}
	return nil
}

// latencies measures the time until one edit is found, without other load.
func (b *bench) latencies(ctx context.Context) (err error) {
	w, err := b.synced(ctx)
	defer b.leave(w, &err)
	if err != nil {
		return err
	}
	pages, err := w.site.pages(ctx, sandbox.GeneratedSpace)
	if err != nil {
		return err
	}
	for round := range b.rounds {
		var t edits
		for i := range b.edits {
			p := pages[(round*b.edits+i)*7919%len(pages)] // a prime, so that the pages are far apart
			// The words are not similar, because a search also finds similar words.
			if err := w.edit(ctx, &t, p.ID, strings.ToLower(rand.Text())); err != nil {
				return err
			}
		}
		l := t.latency()
		b.say("an edit is found after %.0f ms, p95 %.0f ms", l.Found.P50, l.Found.P95)
		b.r.Latency = append(b.r.Latency, l)
	}
	return nil
}

// edit puts a new word into a page, requests a sync, and searches for the word until it is found.
func (w *world) edit(ctx context.Context, t *edits, id, word string) error {
	body := "<p>The " + word + " has moved in.</p><h2>What was here</h2><p>It was another page before.</p>"
	if err := w.site.edit(ctx, id, body); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	type ended struct {
		run  string
		took time.Duration
		err  error
	}
	end := make(chan ended, 1)
	began := time.Now()
	go func() {
		p, took, err := w.sync(ctx, source, event.Incremental)
		end <- ended{p.RunID, took, err}
	}()
	found, err := w.find(ctx, id, word)
	last := <-end
	if err != nil {
		return err
	}
	if last.err != nil {
		return last.err
	}
	at, err := storebench.FetchedAt(ctx, w.pg.URL(), last.run)
	if err != nil {
		return err
	}
	if at[id].IsZero() {
		return fmt.Errorf("the run %s did not fetch the edited page %s", last.run, id)
	}
	t.found = append(t.found, found.Sub(began))
	t.seen = append(t.seen, found.Sub(at[id]))
	t.ended = append(t.ended, last.took)
	return nil
}

// findEvery is the interval of searches for a word.
const findEvery = 2 * time.Millisecond

var unmarked = strings.NewReplacer(search.MarkStart, "", search.MarkEnd, "")

// find returns the time when a search first found a word in a page.
func (w *world) find(ctx context.Context, id, word string) (time.Time, error) {
	tick := time.NewTicker(findEvery)
	defer tick.Stop()
	for {
		hits, err := w.store.Searcher().Search(ctx, viewer.All(), word, search.Filter{SourceID: source})
		if err != nil {
			return time.Time{}, err
		}
		for _, h := range hits {
			if h.PageID == id && strings.Contains(unmarked.Replace(h.Snippet), word) {
				return time.Now(), nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("the word %s is never found: %w", word, ctx.Err())
		}
	}
}
