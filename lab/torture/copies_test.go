package torture

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/shared/event"
)

const (
	copyHeader  = "Torture-Copy"
	claimHeader = "Sluice-Claim"
	copiesKept  = 300
)

// copyMessages publishes messages of the stages again, under ids that the broker does not know: some immediately,
// most of them late and in random order.
func (w *world) copyMessages(ctx context.Context) {
	rng := w.plan.random(2)
	var mu sync.Mutex // the subscription has its own goroutine
	var over bool
	var kept []*nats.Msg
	again := func(m *nats.Msg) {
		w.result.copies++
		c := nats.NewMsg(m.Subject)
		for name, values := range m.Header {
			c.Header[name] = values
		}
		c.Header.Set(nats.MsgIdHdr, fmt.Sprint("copy-", w.result.copies))
		c.Header.Set(copyHeader, "yes")
		c.Data = m.Data
		_ = w.nc.PublishMsg(c)
	}
	sub, err := w.nc.Subscribe(event.Prefix+">", func(m *nats.Msg) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case over,
			m.Header.Get(copyHeader) != "",
			// A body in the object store is deleted with its message.
			m.Header.Get(claimHeader) != "",
			// Snapshots are published in order by the holder of the run's lock, and no stage acts on them.
			strings.HasPrefix(m.Subject, event.Subject(event.TypeProgress, source)):
			return
		case rng.IntN(20) == 0:
			again(m)
		}
		if len(kept) < copiesKept {
			kept = append(kept, m)
		} else if rng.IntN(4) == 0 {
			kept[rng.IntN(copiesKept)] = m
		}
	})
	if err != nil {
		w.wrong("cannot subscribe to the messages: %v", err)
		return
	}
	wait := time.Duration(0)
	for pause(ctx, wait) {
		mu.Lock()
		if len(kept) > 0 {
			again(kept[rng.IntN(len(kept))])
		}
		wait = between(rng, 20*time.Millisecond, 300*time.Millisecond)
		mu.Unlock()
	}
	_ = sub.Unsubscribe()
	mu.Lock()
	defer mu.Unlock()
	over = true
}
