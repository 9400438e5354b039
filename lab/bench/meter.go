package bench

import (
	"context"
	"sync"
	"time"

	"github.com/sluicehq/sluice/lab/bench/proc"
	"github.com/sluicehq/sluice/lab/bench/report"
)

// memoryEvery is the interval of samples of Postgres's memory; its processes come and go. The kernel
// keeps the peak of the other processes.
const memoryEvery = 200 * time.Millisecond

const postgres = "postgres"

// meter measures the resources of every process of a world.
type meter struct {
	w      *world
	before map[string]time.Duration
	cancel context.CancelFunc
	ended  sync.WaitGroup
	peak   int64 // of Postgres; read after ended
}

func (w *world) meter(ctx context.Context) *meter {
	m := &meter{w: w, before: map[string]time.Duration{postgres: proc.OfFamily(w.pg.PID()).CPU}}
	for _, p := range w.procs {
		m.before[p.name] += proc.Of(p.PID()).CPU
	}
	ctx, m.cancel = context.WithCancel(ctx)
	m.ended.Go(func() {
		tick := time.NewTicker(memoryEvery)
		defer tick.Stop()
		for ctx.Err() == nil {
			m.peak = max(m.peak, proc.OfFamily(w.pg.PID()).Memory)
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
	return m
}

// stop returns the resources used since the meter began. For several replicas, the CPU time is the sum
// and the peak is the largest replica's.
// the peak that of the largest.
func (m *meter) stop() []report.Process {
	m.cancel()
	m.ended.Wait()
	var list []report.Process
	place := map[string]int{}
	for _, p := range m.w.procs {
		u := proc.Of(p.PID())
		i, there := place[p.name]
		if !there {
			i = len(list)
			place[p.name] = i
			list = append(list, report.Process{Name: p.name, CPU: -m.before[p.name]})
		}
		list[i].CPU += u.CPU
		list[i].Peak = max(list[i].Peak, u.Memory)
	}
	return append(list, report.Process{
		Name: postgres, CPU: proc.OfFamily(m.w.pg.PID()).CPU - m.before[postgres], Peak: m.peak,
	})
}
