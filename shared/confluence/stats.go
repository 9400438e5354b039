package confluence

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// Call is one finished exchange, for WithTrace.
type Call struct {
	Method   string
	Route    string // the template
	Attempt  int    // 1 for the first
	Status   int    // 0 when no answer came
	Bytes    int64  // of the body as read, after decompression
	Start    time.Time
	Duration time.Duration
	TraceID  string
	Err      error // an error of this package, or the context's
}

// Stats are the exchanges of a Client since it was made.
type Stats struct {
	Calls   map[string]int64 // by "GET /wiki/api/v2/pages/{id}"; every attempt counts
	Failed  map[string]int64 // those of Calls that ended with an error
	Bytes   int64            // of bodies as read, after decompression
	Retries int64            // attempts after the first
}

type stats struct {
	mu  sync.Mutex
	sum Stats
}

func (s *stats) add(c Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sum.Calls == nil {
		s.sum.Calls, s.sum.Failed = map[string]int64{}, map[string]int64{}
	}
	name := c.Method + " " + c.Route
	s.sum.Calls[name]++
	if c.Err != nil {
		s.sum.Failed[name]++
	}
	s.sum.Bytes += c.Bytes
	if c.Attempt > 1 {
		s.sum.Retries++
	}
}

// Usage adds up the exchanges of one piece of work, for any number of clients.
type Usage struct{ calls, bytes atomic.Int64 }

// Calls is the number of exchanges; every attempt counts.
func (u *Usage) Calls() int { return int(u.calls.Load()) }

// Bytes is the size of their answers, after decompression.
func (u *Usage) Bytes() int64 { return u.bytes.Load() }

type usageKey struct{}

// CountedBy returns a context whose calls are added to u.
func CountedBy(ctx context.Context, u *Usage) context.Context {
	return context.WithValue(ctx, usageKey{}, u)
}

func addUsage(ctx context.Context, c Call) {
	if u, ok := ctx.Value(usageKey{}).(*Usage); ok {
		u.calls.Add(1)
		u.bytes.Add(c.Bytes)
	}
}

// Stats returns a copy of the counts so far.
func (c *Client) Stats() Stats {
	c.stats.mu.Lock()
	defer c.stats.mu.Unlock()
	out := c.stats.sum
	out.Calls, out.Failed = maps.Clone(out.Calls), maps.Clone(out.Failed)
	return out
}
