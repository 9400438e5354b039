package torture

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
)

// result is what a seed did and how it ended.
type result struct {
	seed                              int64
	blows                             map[blow]int
	calls, faults                     int // of the site, while it misbehaved
	changes, copies, runs             int
	created, updated, removed, failed int
	codes                             map[string]int // failure codes of pages
	samples                           int
	readers                           int // processes that read files and were killed
	began                             time.Time
	took                              time.Duration
	problems                          int
}

func (r result) verdict() string {
	if r.problems == 0 {
		return "equal"
	}
	return fmt.Sprintf("%d problems", r.problems)
}

func (r result) String() string {
	return fmt.Sprintf("seed %d: %d stages killed, %d frozen, NATS killed %d times and wiped %d times, Postgres killed %d times; "+
		"%d processes that read files killed; %d faults in %d calls, %d changes of the site, %d copies of messages; %d runs: %d created, %d updated, %d removed, %d failed on the way %v; "+
		"%d looks, %s: %s", r.seed, r.blows[killStage], r.blows[freezeStage], r.blows[killNats], r.blows[wipeNats], r.blows[killPostgres],
		r.readers, r.faults, r.calls, r.changes, r.copies, r.runs, r.created, r.updated, r.removed, r.failed, r.codes, r.samples, r.took.Round(time.Second), r.verdict())
}

func (r result) cells() []string {
	var cells []string
	for _, n := range []int{
		int(r.seed), r.blows[killStage], r.blows[freezeStage], r.blows[killNats], r.blows[killPostgres], r.blows[wipeNats],
		r.calls, r.faults, r.changes, r.copies, r.runs, r.created, r.updated, r.removed, r.failed, r.codes[string(failure.Unauthorized)],
	} {
		cells = append(cells, fmt.Sprint(n))
	}
	return append(cells, fmt.Sprintf("%.1f", r.took.Minutes()), r.verdict())
}

// torment runs one seed.
func torment(t *testing.T, p plan) result {
	t.Helper()
	w := newWorld(t, p)
	ctx := t.Context()
	answered := w.asked(ctx)
	w.inTheBackground(ctx, func(ctx context.Context) {
		for i, ph := range p.phases {
			w.disturbed(ctx, i, ph)
		}
	})
	w.setFaults(0)
	if w.model != nil {
		w.model.calm()
		w.second.calm()
	}
	if state := w.run(ctx, event.Full); state != event.StateCompleted {
		w.wrong("the last run, which is undisturbed, ends as %s", state)
	}
	w.settle(ctx)
	w.compare(ctx)
	w.compareVectors(ctx)
	answered()
	w.stop()
	return w.conclude()
}

// inTheBackground copies messages and watches the tables while f runs, until the last run has started.
func (w *world) inTheBackground(ctx context.Context, f func(context.Context)) {
	ctx, cancel := context.WithCancel(ctx)
	var both sync.WaitGroup
	both.Go(func() { w.copyMessages(ctx) })
	both.Go(func() { w.watch(ctx) })
	f(ctx)
	cancel()
	both.Wait()
}

// disturbed runs a phase: one run after another until the last strike and the last change of the site have happened
// during a run.
func (w *world) disturbed(ctx context.Context, number int, ph phase) {
	rng := w.plan.random(uint64(10 + number))
	pages := w.site.Pages(sandbox.GeneratedSpace)
	// A page at the end of the tree, so that fewer pages are hidden with it than the limit on removals.
	faults := append(slices.Clone(ph.faults), sandbox.Fault{
		Kind: sandbox.FaultLostTree, Rate: 0.02, Times: 1, After: 5, PageID: pages[len(pages)*9/10].ID,
	})
	w.setFaults(rng.Int64(), faults...)
	var others sync.WaitGroup
	others.Go(func() { w.strike(ctx, ph.strikes) })
	others.Go(func() { w.people(ctx, rng, ph.changes) })
	if number == 1 && w.model != nil {
		others.Go(func() { w.changeModel(ctx) })
	}
	over := make(chan struct{})
	go func() {
		others.Wait()
		close(over)
	}()
	for ended := false; !ended && ctx.Err() == nil; {
		w.run(ctx, ph.mode)
		select {
		case <-over:
			ended = true
		default:
		}
	}
	<-over
}

// strike carries out the strikes. It does not wait for one to end before the next.
func (w *world) strike(ctx context.Context, strikes []strike) {
	var under sync.WaitGroup
	defer under.Wait()
	for _, s := range strikes {
		if !pause(ctx, s.after) {
			return
		}
		w.result.blows[s.blow]++
		under.Go(func() { w.deal(ctx, s) })
	}
}

func (w *world) deal(ctx context.Context, s strike) {
	p := w.nats
	if s.blow == killStage || s.blow == freezeStage {
		p = w.stages[s.victim]
	}
	switch s.blow {
	case killPostgres:
		if err := w.pg.strike(ctx, s.pause); err != nil {
			w.wrong("Postgres does not come back: %v", err)
		}
		return
	case freezeStage:
		p.freeze(ctx, s.pause)
		return
	case killReaders:
		w.killReaders()
		return
	}
	for !p.seize() {
		if !pause(ctx, 50*time.Millisecond) {
			return
		}
	}
	defer p.release()
	p.kill()
	if s.blow == wipeNats {
		if err := os.RemoveAll(filepath.Join(w.dir, "nats-store")); err != nil {
			w.wrong("cannot delete the store of NATS: %v", err)
		}
	}
	pause(ctx, s.pause)
	if err := p.start(); err != nil {
		w.wrong("%v", err)
	}
}

// killReaders kills the processes in which the extractors read files.
func (w *world) killReaders() {
	for i, p := range w.stages {
		if replicas[i] != extractorName {
			continue
		}
		pid := p.pid()
		if pid == 0 {
			continue // it is struck itself; 0 is the parent of the system's first process
		}
		for _, reader := range childrenOf(pid) {
			_ = syscall.Kill(reader, syscall.SIGKILL)
			w.readers.Add(1)
		}
	}
}

// stop ends every process as an operator would, and checks that none is left.
func (w *world) stop() {
	for _, p := range w.stages {
		if !p.seize() {
			w.wrong("%s is still being struck", p.name)
		}
	}
	var all sync.WaitGroup
	for _, p := range w.stages {
		all.Go(func() {
			if err := p.terminate(15 * time.Second); err != nil {
				w.wrong("%v", err)
			}
		})
	}
	all.Wait()
	for _, p := range append(w.stages, w.nats) {
		for _, how := range p.selfEnds {
			w.wrong("%s ended by itself: %s", p.name, how)
		}
	}
	w.nc.Close()
	if err := w.nats.terminate(15 * time.Second); err != nil {
		w.wrong("%v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := w.pg.server.Stop(ctx); err != nil {
		w.wrong("%v", err)
	}
	// What an extractor starts has the extractor's own path in its command line.
	for _, line := range append(leftovers(w.dir+"/"), leftovers(filepath.Join(w.bin, extractorName))...) {
		w.wrong("still running: %s", line)
	}
}

// conclude reports what is wrong and where to look, and cleans up if nothing is wrong.
func (w *world) conclude() result {
	w.result.took, w.result.problems, w.result.readers = time.Since(w.result.began), len(w.problems), int(w.readers.Load())
	if len(w.problems) == 0 && *keep {
		w.t.Logf("logs are in %s", w.dir)
		return w.result
	}
	if len(w.problems) == 0 {
		require.NoError(w.t, os.RemoveAll(w.dir))
		return w.result
	}
	w.t.Errorf("%d problems; logs and both databases as text are in %s\nrepeat: make torture SEED=%d PAGES=%d\n%s",
		len(w.problems), w.dir, w.plan.seed, w.plan.pages, strings.Join(w.problems, "\n"))
	return w.result
}
