package confluence

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limiter is a budget of calls. Several clients may share one, and a limiter for a whole fleet may
// replace Budget.
type Limiter interface {
	// Wait blocks until one call may be made. It returns the context's error. If a pause is longer than
	// the limiter's longest wait, it returns *RateLimitError or an error with the method PausedUntil()
	// time.Time, which the client returns as *RateLimitError.
	Wait(ctx context.Context) error
	// Pause blocks all calls until the given time. It never shortens a pause.
	Pause(until time.Time)
}

// Doner is a Limiter that also limits concurrent calls: the client calls Done once after every call that
// Wait let through.
type Doner interface{ Done() }

// pauseOf returns the time in a limiter's error.
func pauseOf(err error) (time.Time, bool) {
	var limited *RateLimitError
	if errors.As(err, &limited) {
		return limited.RetryAt, true
	}
	var paused interface {
		error
		PausedUntil() time.Time
	}
	if errors.As(err, &paused) {
		return paused.PausedUntil(), true
	}
	return time.Time{}, false
}

// Budget is the Limiter of one process: a token bucket that can be paused.
type Budget struct {
	bucket  *rate.Limiter
	maxWait time.Duration

	mu    sync.Mutex
	until time.Time
}

var _ Limiter = (*Budget)(nil)

// NewBudget permits perSecond calls per second, burst of them together. For a pause longer than maxWait,
// Wait returns *RateLimitError immediately.
func NewBudget(perSecond float64, burst int, maxWait time.Duration) *Budget {
	limit := rate.Limit(perSecond)
	if math.IsInf(perSecond, 1) {
		limit = rate.Inf
	}
	return &Budget{bucket: rate.NewLimiter(limit, burst), maxWait: maxWait}
}

// Wait implements Limiter.
func (b *Budget) Wait(ctx context.Context) error {
	for {
		if err := b.waitForPause(ctx); err != nil {
			return err
		}
		r := b.bucket.Reserve()
		if err := sleep(ctx, r.Delay()); err != nil {
			r.Cancel()
			return err
		}
		// A pause may have begun while this call waited in the queue.
		if !time.Now().Before(b.pausedUntil()) {
			return nil
		}
	}
}

func (b *Budget) waitForPause(ctx context.Context) error {
	until := b.pausedUntil()
	d := time.Until(until)
	if d > b.maxWait {
		return &RateLimitError{
			Exchange: Exchange{Reason: "an earlier answer asked for a pause"},
			RetryAt:  until, asked: true, wait: d,
		}
	}
	return sleep(ctx, d)
}

func (b *Budget) pausedUntil() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.until
}

// Pause implements Limiter.
func (b *Budget) Pause(until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if until.After(b.until) {
		b.until = until
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
