package bus

import (
	"context"
	"strconv"

	"github.com/klauspost/compress/zstd"
	"github.com/rs/zerolog"
)

// inHand is how many bytes of JSON the handlers of one consumer have in hand at a time. A handler
// holds some times as much as its document, so that the number of workers alone bounds nothing. A
// document that is larger is handled alone.
const inHand = 16 << 20

// take waits until there is room for the message among those in hand, and returns how to give the room
// back. When ctx ends meanwhile the message has none.
//
// A message that was delivered before, and may have ended a process, is handled alone where its
// consumer says so: what else a process has in hand when it dies is counted as its fault. While such
// a message waits for that, its delivery does not count, so that only what is really handled does.
func (u *unit) take(ctx context.Context) (put func()) {
	alone := u.c.Alone && u.d.Attempt > 1
	weight := min(u.size(), inHand)
	if alone {
		weight = inHand
	}
	if u.hands.TryAcquire(weight) {
		return func() { u.hands.Release(weight) }
	}
	if alone {
		u.count(ctx, u.uncounted+1)
	}
	if u.hands.Acquire(ctx, weight) != nil {
		return func() {}
	}
	if alone {
		u.count(ctx, u.uncounted)
	}
	return func() { u.hands.Release(weight) }
}

// count says how many of the message's deliveries do not count. That it cannot be said costs an
// attempt at most.
func (u *unit) count(ctx context.Context, n int) {
	ctx, cancel := after(ctx, settleTimeout)
	defer cancel()
	u.waited = true
	if err := u.writeCounter(ctx, n); err != nil {
		u.line(zerolog.WarnLevel).Err(err).Msg("delivery will count as an attempt")
	}
}

// size is that of the message's document, as far as it is known before it was read.
func (u *unit) size() int64 {
	if n, err := strconv.ParseInt(u.msg.Headers().Get(headerSize), 10, 64); err == nil && n > 0 {
		return n
	}
	if u.claim != "" {
		return inHand
	}
	if u.msg.Headers().Get(headerEncoding) == encodingZstd {
		var h zstd.Header
		if h.Decode(u.msg.Data()) == nil && h.HasFCS {
			return int64(min(h.FrameContentSize, inHand)) //nolint:gosec // at most inHand
		}
		return inHand
	}
	return int64(len(u.msg.Data()))
}
