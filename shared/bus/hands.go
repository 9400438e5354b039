package bus

import (
	"context"
	"strconv"

	"github.com/klauspost/compress/zstd"
	"github.com/rs/zerolog"
)

// inHand is the total size in bytes of the JSON that the handlers of one consumer process concurrently.
// A handler needs several times the size of its document, so the number of workers alone limits nothing.
// A larger document is handled alone.
const inHand = 16 << 20

// take waits until the current messages leave room for this message, and returns a function that
// releases the room. If ctx ends meanwhile, the message has no room.
//
// A message that was delivered before, and may have crashed a process, is handled alone if its consumer
// requires it: a crash counts as an attempt for every current message. While such a message waits, its
// delivery does not count, so that only handled deliveries count.
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

// count records how many of the message's deliveries do not count. If that fails, it costs at most one
// attempt.
func (u *unit) count(ctx context.Context, n int) {
	ctx, cancel := after(ctx, settleTimeout)
	defer cancel()
	u.waited = true
	if err := u.writeCounter(ctx, n); err != nil {
		u.line(zerolog.WarnLevel).Err(err).Msg("delivery will count as an attempt")
	}
}

// size is the size of the message's document, as far as it is known before reading.
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
			return int64(min(h.FrameContentSize, inHand))
		}
		return inHand
	}
	return int64(len(u.msg.Data()))
}
