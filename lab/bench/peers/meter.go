package peers

import (
	"sync"
	"time"
)

// usage is the resources of a tree of processes so far, and its memory now.
type usage struct {
	cpu    time.Duration // user and system, also of children that have ended
	memory int64         // resident bytes, what processes share counted once
}

// every is the interval of memory samples.
const every = 100 * time.Millisecond

// meter watches trees of processes from its start to stop.
type meter struct {
	pids []int
	from usage
	quit chan struct{}
	done sync.WaitGroup
	peak int64
}

// measure begins to watch the processes with the ids and their descendants.
func measure(pids ...int) *meter {
	m := &meter{pids: pids, from: used(pids...), quit: make(chan struct{})}
	m.peak = m.from.memory
	m.done.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				m.peak = max(m.peak, used(pids...).memory)
			case <-m.quit:
				return
			}
		}
	})
	return m
}

// stop ends watching and returns the CPU time since measure and the highest memory sample; both are 0 if
// the system cannot tell.
func (m *meter) stop() (cpu time.Duration, peak int64) {
	close(m.quit)
	m.done.Wait()
	last := used(m.pids...)
	return last.cpu - m.from.cpu, max(m.peak, last.memory)
}
