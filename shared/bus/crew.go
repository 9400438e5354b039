package bus

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// A consumer whose handlers wait for other servers must not be stopped by one server that is slow. So a
// handler that takes longer than Options.Slow no longer counts as one of the consumer's workers: another
// worker is hired for it, up to crewMost for each. And no site has more than its share of the workers.
// A message beyond the share goes back to the broker, so that the messages of other sites behind it are
// reached.
const (
	// crewMost limits the workers, and so the memory of a process: times the consumer's number.
	crewMost = 4
	// laneRest is the shortest delay of a message that goes back, and laneStep is the time between two
	// such messages of a site, so that they do not all return together.
	laneRest = 250 * time.Millisecond
	laneStep = 50 * time.Millisecond
)

// Lanes says on which site a source is: sources on one site share its part of the workers. Without it,
// every source is a site of its own.
func Lanes(site func(ctx context.Context, sourceID string) string) ConsumeOption {
	return func(k *consuming) { k.site = site }
}

// crew are the workers of one consumer in this process.
type crew struct {
	group   *errgroup.Group
	work    func() error
	workers int // that are not slow
	most    int
	slow    time.Duration // 0 where handlers do not wait for other servers

	mu    sync.Mutex
	total int
	late  int // of them, those that are slow
	lanes map[string]*lane
}

// lane is the part of the workers that one site has.
type lane struct {
	held  int       // messages that are handled
	again time.Time // when the last message that went back returns
}

// start hires the first workers.
func (c *crew) start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for range c.workers {
		c.hire()
	}
}

func (c *crew) hire() {
	c.total++
	c.group.Go(c.work)
}

// spare reports whether a worker that has finished a message is no longer needed. It must then end.
func (c *crew) spare() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.total-c.late <= c.workers {
		return false
	}
	c.total--
	return true
}

// enter gives a message of the site a worker until leave is called. If the site has its share already,
// leave is nil, and the message must come again after the delay.
func (c *crew) enter(site string) (leave func(), delay time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.slow == 0 {
		return func() {}, 0
	}
	l := c.lanes[site]
	if l == nil {
		l = &lane{}
		c.lanes[site] = l
	}
	if share := max(1, (c.workers+len(c.lanes)-1)/len(c.lanes)); l.held >= share {
		now := time.Now()
		if l.again = l.again.Add(laneStep); l.again.Before(now.Add(laneRest)) {
			l.again = now.Add(laneRest)
		}
		return nil, l.again.Sub(now)
	}
	l.held++
	late, over := false, false
	timer := time.AfterFunc(c.slow, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if over {
			return
		}
		late = true
		if c.late++; c.total < c.most {
			c.hire()
		}
	})
	return func() {
		timer.Stop()
		c.mu.Lock()
		defer c.mu.Unlock()
		if over = true; late {
			c.late--
		}
		if l.held--; l.held == 0 {
			delete(c.lanes, site)
		}
	}, 0
}
