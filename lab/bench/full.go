package bench

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/sluicehq/sluice/lab/bench/report"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/viewer"
)

// fullSyncs measures full syncs into an empty knowledge base, and the limits beside each.
func (b *bench) fullSyncs(ctx context.Context) error {
	for _, pages := range b.full {
		g := report.Group{Pages: pages}
		for range b.roundsOf(pages) {
			r, err := b.fullSync(ctx, layout{pages: pages})
			if err != nil {
				return err
			}
			g.Rounds = append(g.Rounds, r)
		}
		b.r.Full = append(b.r.Full, g)
	}
	g := report.Group{Pages: b.pages}
	for range b.rounds {
		r, err := b.fullSync(ctx, layout{pages: b.pages, one: true})
		if err != nil {
			return fmt.Errorf("in one process: %w", err)
		}
		g.Rounds = append(g.Rounds, r)
	}
	b.r.One = &g
	return nil
}

func (b *bench) fullSync(ctx context.Context, l layout) (r report.Full, err error) {
	w, err := b.newWorld(ctx, l)
	defer w.close(&err)
	if err != nil {
		return r, err
	}
	if r, err = w.firstSync(ctx); err != nil {
		return r, err
	}
	b.say("%d pages in %s, %.0f a second", l.pages, r.Took.Round(time.Millisecond), float64(l.pages)/r.Took.Seconds())
	if l.one {
		return r, nil
	}
	calls, err := w.site.calls(ctx)
	if err != nil {
		return r, err
	}
	st, err := w.site.Stats(ctx)
	if err != nil {
		return r, err
	}
	if err := w.stop(""); err != nil {
		return r, err
	}
	r.Limits, err = w.limits(ctx, calls, st.Peak)
	debug.FreeOSMemory() // frees the memory of the limits before the next round
	b.say("limits: fetch %s, convert %s, copy %s", r.Limits.Fetch.Round(time.Millisecond),
		r.Limits.Convert.Round(time.Millisecond), r.Limits.Copy.Round(time.Millisecond))
	return r, err
}

// firstSync is the first full sync of the source, with the resources that every process used for it.
func (w *world) firstSync(ctx context.Context) (r report.Full, err error) {
	if err := w.site.forget(ctx); err != nil {
		return r, err
	}
	m := w.meter(ctx)
	r.Began = time.Now()
	end, took, err := w.sync(ctx, source, event.Full)
	r.Processes, r.Took = m.stop(), took
	if err != nil {
		return r, err
	}
	st, err := w.site.Stats(ctx)
	if err != nil {
		return r, err
	}
	r.Calls = st.Total
	story, err := w.store.Reader().Story(ctx, viewer.All(), end.RunID)
	if err != nil {
		return r, err
	}
	src, err := w.store.Reader().Source(ctx, viewer.All(), source)
	if err != nil {
		return r, err
	}
	r.Bytes, r.Chunks = story.Bytes, src.Chunks
	if src.Pages != w.layout.pages || end.Counts.Created != w.layout.pages || src.Chunks < src.Pages {
		return r, fmt.Errorf("%d pages were generated, and %d created and %d stored with %d chunks", w.layout.pages, end.Counts.Created, src.Pages, src.Chunks)
	}
	return r, nil
}
