package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

// Cell is a small value in the broker that all processes share: each changes it by compare-and-set and
// hears the others' writes. A budget is stored in one.
type Cell struct {
	b   *Bus
	key string
	sub *nats.Subscription
	kv  jetstream.KeyValue // of the goroutine that reads and writes
}

// ErrChanged is returned by Cell.Write if another process has written in between.
var ErrChanged = errors.New("another replica was faster")

// Cell opens the cell with that key. It calls hear with every write of any process, as a hint: the write
// may have been rejected, or be lost by now. The error is ErrClosed.
func (b *Bus) Cell(key string, hear func(value []byte)) (*Cell, error) {
	sub, err := b.nc.Subscribe("$KV."+b.p.name(budgetBucket)+"."+key, func(m *nats.Msg) { hear(m.Data) })
	if err != nil {
		return nil, ErrClosed
	}
	return &Cell{b: b, key: key, sub: sub}, nil
}

// Glance returns the value of the cell with that key, or nil if there is none, for those who only look at it.
func (b *Bus) Glance(ctx context.Context, key string) ([]byte, error) {
	value, _, err := (&Cell{b: b, key: key}).Read(ctx)
	if missing(err) {
		return nil, nil
	}
	return value, err
}

// Keep runs work until the bus closes, which ends work's context. Close waits for work, so that its last
// log line is written.
func (c *Cell) Keep(work func(ctx context.Context)) {
	c.b.beside.Go(func() {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			work(ctx)
		}()
		<-c.b.closed
		cancel()
		<-ended
		_ = c.sub.Unsubscribe()
	})
}

// Closed is closed when the bus is closed.
func (c *Cell) Closed() <-chan struct{} { return c.b.closed }

// Ending reports whether the bus is closing, or err says so.
func (c *Cell) Ending(err error) bool {
	return errors.Is(err, ErrClosed) || c.b.nc.IsDraining() || c.b.nc.IsClosed()
}

// Line returns the number of the connection to the broker, and whether it is up. After a change of the
// number, the broker may have lost its store.
func (c *Cell) Line() (line uint64, up bool) {
	return c.b.nc.Stats().Reconnects, c.b.nc.IsConnected()
}

// Connected returns when the connection is up, or ErrClosed or the context's error.
func (c *Cell) Connected(ctx context.Context) error { return c.b.awaitConnection(ctx) }

// Timeout is the timeout of one exchange with the broker.
func (c *Cell) Timeout() time.Duration { return c.b.o.AckTimeout }

// Log is the bus's log.
func (c *Cell) Log() *zerolog.Logger { return &c.b.log }

// Read returns the value and its revision, which is 0 if there is none. Only one goroutine may read and
// write.
func (c *Cell) Read(ctx context.Context) (value []byte, revision uint64, err error) {
	if c.kv == nil {
		kv, err := c.b.js.KeyValue(ctx, c.b.p.name(budgetBucket))
		if err != nil {
			return nil, 0, err
		}
		c.kv = kv
	}
	entry, err := c.kv.Get(ctx, c.key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	return entry.Value(), entry.Revision(), nil
}

// Write replaces the value of the revision that Read has returned. The error is ErrChanged if that
// revision is no longer the newest.
func (c *Cell) Write(ctx context.Context, value []byte, revision uint64) error {
	var err error
	if revision == 0 {
		_, err = c.kv.Create(ctx, c.key, value)
	} else {
		_, err = c.kv.Update(ctx, c.key, value, revision)
	}
	if errors.Is(err, jetstream.ErrKeyExists) || is(err, jetstream.JSErrCodeStreamWrongLastSequence) {
		return ErrChanged
	}
	return err
}

// Clock returns the broker's time, and the time of the last change of any cell: when their bucket was
// created or emptied, or any cell was written.
func (c *Cell) Clock(ctx context.Context) (now, touched time.Time, err error) {
	stream, err := c.b.js.Stream(ctx, c.b.p.kv(budgetBucket))
	if err != nil {
		return now, touched, fmt.Errorf("look at the broker's clock: %w", err)
	}
	info := stream.CachedInfo()
	touched = info.Created
	if info.State.LastTime.After(touched) {
		touched = info.State.LastTime
	}
	return info.TimeStamp, touched, nil
}

// Heal recreates the bucket if err says that it is missing, and reports whether it does.
func (c *Cell) Heal(ctx context.Context, err error) bool {
	if !missing(err) {
		return false
	}
	c.b.heal(ctx, err)
	return true
}

// Rest waits after the given number of consecutive failures, longer each time.
func (c *Cell) Rest(ctx context.Context, try int) { pause(ctx, backoff(try)) }
