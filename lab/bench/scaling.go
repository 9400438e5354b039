package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/lab/bench/backlog"
	"github.com/sluicehq/sluice/lab/bench/figure"
	"github.com/sluicehq/sluice/lab/bench/report"
	"github.com/sluicehq/sluice/lab/bench/site"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/event"
)

// fetcherConcurrency is the largest concurrency that the setting permits, so that the fetchers are
// measured and not the fleet's budget.
const fetcherConcurrency = 64

// scaling measures whether more replicas of a stage are faster when a run waits for that stage.
func (b *bench) scaling(ctx context.Context) error {
	for _, stage := range []struct {
		name     string
		replicas []int
		run      func(context.Context, int) (report.Scaled, error)
	}{{"fetcher", b.fetchers, b.withFetchers}, {"converter", b.converters, b.withConverters}} {
		for _, n := range stage.replicas {
			s := report.Scaling{Stage: stage.name, Replicas: n, Pages: b.pages}
			for range b.rounds {
				r, err := stage.run(ctx, n)
				if err != nil {
					return fmt.Errorf("%d of the %s: %w", n, stage.name, err)
				}
				s.Rounds = append(s.Rounds, r)
			}
			b.say("%d of the %s: %.1f s", n, stage.name, figure.Over(s.Rounds, func(r report.Scaled) float64 { return r.Took.Seconds() }).Median)
			b.r.Scaling = append(b.r.Scaling, s)
		}
	}
	return nil
}

// withFetchers measures only the fetching: no page is converted meanwhile, so that the processor is not
// the limit.
func (b *bench) withFetchers(ctx context.Context, n int) (r report.Scaled, err error) {
	w, err := b.newWorld(ctx, layout{
		pages: b.pages, replicas: map[string]int{"fetcher": n, "converter": 0, "chunk-writer": 0},
		env: map[string][]string{"": {fmt.Sprint("CONFLUENCE_CONCURRENCY=", fetcherConcurrency)}},
	})
	defer w.close(&err)
	if err != nil {
		return r, err
	}
	if err := w.site.Behave(ctx, site.Slow); err != nil {
		return r, err
	}
	m := w.meter(ctx)
	began := time.Now()
	if err = w.ask(ctx); err == nil {
		err = w.waitFor(ctx, bus.Convert, b.pages)
	}
	r.Took = time.Since(began)
	for _, p := range m.stop() {
		if p.Name == "fetcher" {
			r.CPU = p.CPU
		}
	}
	return r, err
}

// withConverters first fetches everything, then measures the converters, on one core each. Nothing is
// written meanwhile.
func (b *bench) withConverters(ctx context.Context, n int) (r report.Scaled, err error) {
	w, err := b.newWorld(ctx, layout{
		pages: b.pages, replicas: map[string]int{"converter": 0, "chunk-writer": 0},
		env: map[string][]string{"converter": {"GOMAXPROCS=1"}},
	})
	defer w.close(&err)
	if err != nil {
		return r, err
	}
	if err := w.ask(ctx); err != nil {
		return r, err
	}
	if err := w.waitFor(ctx, bus.Convert, b.pages); err != nil {
		return r, err
	}
	began := time.Now()
	for range n {
		if _, err := w.launch("converter"); err != nil {
			return r, err
		}
	}
	m := w.meter(ctx)
	if err = w.waitFor(ctx, bus.Write, b.pages); err != nil {
		m.stop()
		return r, err
	}
	r.Took = time.Since(began)
	for _, p := range m.stop() {
		if p.Name == "converter" {
			r.CPU = p.CPU
		}
	}
	return r, nil
}

// ask requests a full run and does not wait for it.
func (w *world) ask(ctx context.Context) error {
	w.runs++
	return w.bus.Publish(ctx, event.SyncRequested{SourceID: source, RequestID: fmt.Sprint("bench-", w.runs), Mode: event.Full})
}

// waitFor waits until that many messages wait for a consumer.
func (w *world) waitFor(ctx context.Context, c bus.Consumer, messages int) error {
	ctx, cancel := w.whileAllRun(ctx)
	defer cancel()
	return backlog.Await(ctx, w.bus, c, messages)
}
