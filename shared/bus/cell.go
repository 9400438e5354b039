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

// Cell is a small value that lies with the broker and that all processes share: each changes it by
// compare-and-set and hears what the others write. It is what a budget is kept in.
type Cell struct {
	b   *Bus
	key string
	sub *nats.Subscription
	kv  jetstream.KeyValue // of the goroutine that reads and writes
}

// ErrChanged is returned by Cell.Write when somebody else has written in between.
var ErrChanged = errors.New("another replica was faster")

// Cell opens the cell of that key. hear is called with what anybody writes into it, as a hint: it
// may have been refused, or be lost by now. The error is ErrClosed.
func (b *Bus) Cell(key string, hear func(value []byte)) (*Cell, error) {
	sub, err := b.nc.Subscribe("$KV."+b.p.name(budgetBucket)+"."+key, func(m *nats.Msg) { hear(m.Data) })
	if err != nil {
		return nil, ErrClosed
	}
	return &Cell{b: b, key: key, sub: sub}, nil
}

// Keep runs work beside the bus, whose end is that of work's context. Close waits for work, so that
// its last word may be in the log.
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

// Closed is closed when the bus is.
func (c *Cell) Closed() <-chan struct{} { return c.b.closed }

// Ending reports whether the bus is about to close, or err says so.
func (c *Cell) Ending(err error) bool {
	return errors.Is(err, ErrClosed) || c.b.nc.IsDraining() || c.b.nc.IsClosed()
}

// Line numbers the connections to the broker, and reports whether the newest one stands. After
// another one than before, the broker may have come back without its store.
func (c *Cell) Line() (line uint64, up bool) {
	return c.b.nc.Stats().Reconnects, c.b.nc.IsConnected()
}

// Connected returns when the connection is up, or ErrClosed or the context's error.
func (c *Cell) Connected(ctx context.Context) error { return c.b.awaitConnection(ctx) }

// Timeout is how long one exchange with the broker may take.
func (c *Cell) Timeout() time.Duration { return c.b.o.AckTimeout }

// Log is the bus's.
func (c *Cell) Log() *zerolog.Logger { return &c.b.log }

// Read returns the value and its revision, which is 0 where there is none. Only one goroutine reads
// and writes.
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

// Write writes the value in place of that of the revision, which Read has returned. The error is
// ErrChanged when it is there no more.
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

// Clock returns the broker's time, and that of the last change of any cell: when their bucket was
// made or emptied, or anything was written.
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

// Heal makes the bucket again where err says that it is gone, and reports whether it does.
func (c *Cell) Heal(ctx context.Context, err error) bool {
	if !missing(err) {
		return false
	}
	c.b.heal(ctx, err)
	return true
}

// Rest waits after the try-th failure in a row, each time longer.
func (c *Cell) Rest(ctx context.Context, try int) { pause(ctx, backoff(try)) }
