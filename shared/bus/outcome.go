package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
)

const (
	// settleTimeout limits the messages to the broker after a handler has returned, also while the
	// process stops.
	settleTimeout = 5 * time.Second
	// maxMessage limits an error's text in an event, in bytes.
	maxMessage = 1000
	// maxReason limits it in the broker's advisory.
	maxReason = 200
)

// steering is an error that determines the message's fate.
type steering struct {
	err       error
	permanent bool
	after     time.Duration
}

func (s *steering) Error() string { return s.err.Error() }

func (s *steering) Unwrap() error { return s.err }

// Permanent marks err as permanent: a retry cannot help, so the message is given up with err's code.
// Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &steering{err: err, permanent: true}
}

// RetryAfter requests redelivery of the message after d, however long that is; it does not count as a
// failed attempt. RetryAfter(nil, d) is nil.
func RetryAfter(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &steering{err: err, after: d}
}

// permanent reports whether the outermost mark of err is Permanent.
func permanent(err error) bool {
	s, ok := errors.AsType[*steering](err)
	return ok && s.permanent
}

// settle answers the message. Every path through it ends in one answer to the broker.
func (u *unit) settle(ctx context.Context, err error) {
	if err == nil {
		u.done(ctx)
		return
	}
	s, steered := errors.AsType[*steering](err)
	switch {
	case ctx.Err() != nil && u.stack == nil:
		u.handBack(ctx)
	case steered && s.permanent:
		u.giveUp(ctx, err)
	case steered:
		after := s.after
		if after <= 0 {
			after = u.b.o.RetryBase
		}
		u.line(zerolog.DebugLevel).Err(err).Dur("after", after).Msg("parked")
		u.park(ctx, after)
	case u.d.Attempt >= u.b.o.MaxAttempts:
		u.giveUp(ctx, exhausted(err))
	default:
		delay := u.delay()
		u.line(zerolog.WarnLevel).Err(err).Dur("after", delay).Msg("failed, comes again")
		u.nak(delay)
	}
}

// exhausted gives an error without a code the code for too many attempts.
func exhausted(err error) error {
	var coded interface{ FailureCode() failure.Code }
	if errors.As(err, &coded) {
		return err
	}
	return failure.Wrap(failure.Exhausted, err)
}

// delay is the pause before the next attempt: RetryBase, doubled by each failure.
func (u *unit) delay() time.Duration {
	d := u.b.o.RetryBase
	for range u.d.Attempt - 1 {
		if d *= 2; d >= u.b.o.RetryCap {
			break
		}
	}
	return min(d, u.b.o.RetryCap)
}

// after returns a context for messages that must be sent even while the process stops.
func after(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), d)
}

func (u *unit) done(ctx context.Context) {
	ctx, cancel := after(ctx, settleTimeout)
	defer cancel()
	u.release()
	var err error
	if u.claim == "" {
		err = u.msg.Ack()
	} else {
		// The body may be deleted only after the broker knows: a redelivered message needs it.
		err = u.msg.DoubleAck(ctx)
	}
	if err != nil {
		u.line(zerolog.WarnLevel).Err(err).Msg("handled, but the ack is not sent; message comes again")
		return
	}
	u.forget(ctx)
	u.line(zerolog.DebugLevel).Dur("took", time.Since(u.started)).Msg("handled")
}

// handBack returns a message that a stopping process cannot handle.
func (u *unit) handBack(ctx context.Context) {
	u.line(zerolog.DebugLevel).Msg("handed back")
	u.park(ctx, 0)
}

// park hands the message back without counting the delivery.
func (u *unit) park(ctx context.Context, delay time.Duration) {
	ctx, cancel := after(ctx, settleTimeout)
	defer cancel()
	if err := u.writeCounter(ctx, u.uncounted+1); err != nil {
		u.line(zerolog.WarnLevel).Err(err).Msg("delivery will count as an attempt")
	}
	u.nak(delay)
}

func (u *unit) nak(delay time.Duration) {
	u.release()
	// Without a connection the answer is lost, and the message is redelivered anyway.
	_ = u.msg.NakWithDelay(delay)
}

// giveUp records the failure and only then removes the message from the stream.
func (u *unit) giveUp(ctx context.Context, cause error) {
	recordCtx, cancel := after(ctx, u.b.o.AckWait)
	err := u.recordSafely(recordCtx, cause)
	cancel()
	if err != nil && !permanent(err) {
		u.line(zerolog.ErrorLevel).Err(err).AnErr("cause", cause).Msg("a failure cannot be recorded, message comes again")
		u.park(ctx, u.delay())
		return
	}
	level := zerolog.ErrorLevel
	if failure.CodeOf(cause) == failure.SourceGone {
		level = zerolog.InfoLevel // somebody removed the source, so its messages have no purpose
	}
	line := u.line(level).Err(cause).Str("code", string(failure.CodeOf(cause)))
	if err != nil {
		line = line.AnErr("not_recorded", err)
	}
	if u.stack != nil {
		line = line.Bytes("stack", u.stack)
	}
	line.Msg("given up")
	u.release()
	if err := u.msg.TermWithReason(reason(cause)); err != nil {
		return // it is redelivered, and given up again
	}
	ctx, cancel = after(ctx, settleTimeout)
	defer cancel()
	u.forget(ctx)
}

func (u *unit) recordSafely(ctx context.Context, cause error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return u.record(ctx, u.d, cause)
}

// failPages publishes page.failed for each page in the message. A page.failed that cannot be handled
// does not produce another one: that would never end.
func (k *consuming) failPages(ctx context.Context, d Delivery, cause error) error {
	about := pagesIn(d.Data)
	if d.Type == event.TypePageFailed || d.SourceID == "" || about.RunID == "" {
		return nil
	}
	events := make([]event.Event, len(about.Pages))
	for i, p := range about.Pages {
		events[i] = event.PageFailed{
			SourceID: d.SourceID, RunID: about.RunID, PageID: p.ID, Version: p.Version, Stage: k.c.Stage,
			Code: failure.CodeOf(cause), Message: cut(cause.Error(), maxMessage), Attempts: d.Attempt, At: time.Now().UTC(),
		}
	}
	return k.b.PublishAll(ctx, events)
}

// reason is the error as one line, for the broker's advisory.
func reason(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	return cut(string(failure.CodeOf(err))+": "+text, maxReason)
}

// cut shortens s to at most n bytes, without cutting a character.
func cut(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n-len("…")], "") + "…"
}

// line begins the one log line about the message's result.
func (u *unit) line(level zerolog.Level) *zerolog.Event {
	e := u.log.WithLevel(level)
	if !e.Enabled() {
		return e
	}
	e = e.Str("event", string(u.d.Type)).Str("source", u.d.SourceID).Int("attempt", u.d.Attempt)
	about := pagesIn(u.d.Data)
	if about.RunID != "" {
		e = e.Str("run", about.RunID)
	}
	if len(about.Pages) > 0 {
		e = e.Str("page", about.Pages[0].ID)
	}
	if len(about.Pages) > 1 {
		e = e.Int("pages", len(about.Pages))
	}
	return e
}

// forget deletes the data stored for the message.
func (u *unit) forget(ctx context.Context) {
	if u.claim != "" {
		u.b.dropClaim(ctx, u.claim)
	}
	if u.uncounted > 0 || u.waited {
		u.dropCounter(ctx)
	}
}

// The counter of a message's uncounted deliveries exists only after it was parked or handed back. The
// broker counts every delivery; the counter is subtracted.

func (b *Bus) counterBucket(ctx context.Context) (jetstream.KeyValue, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.counters == nil {
		kv, err := b.js.KeyValue(ctx, b.p.name(counterBucket))
		if err != nil {
			return nil, err
		}
		b.counters = kv
	}
	return b.counters, nil
}

func (u *unit) readCounter(ctx context.Context) (int, error) {
	readCtx, cancel := after(ctx, settleTimeout)
	defer cancel()
	kv, err := u.b.counterBucket(readCtx)
	if err == nil {
		var entry jetstream.KeyValueEntry
		if entry, err = kv.Get(readCtx, u.key); err == nil {
			return strconv.Atoi(string(entry.Value()))
		}
	}
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return 0, nil
	case missing(err):
		u.b.heal(ctx, err)
		return 0, nil
	}
	return 0, fmt.Errorf("read the counter of uncounted deliveries: %w", err)
}

func (u *unit) writeCounter(ctx context.Context, n int) error {
	write := func() error {
		kv, err := u.b.counterBucket(ctx)
		if err == nil {
			_, err = kv.PutString(ctx, u.key, strconv.Itoa(n))
		}
		return err
	}
	err := write()
	if missing(err) {
		u.b.heal(ctx, err)
		err = write()
	}
	if err != nil {
		return fmt.Errorf("write the counter of uncounted deliveries: %w", err)
	}
	return nil
}

// dropCounter purges the key instead of deleting it, because deleting would leave a marker.
func (u *unit) dropCounter(ctx context.Context) {
	stream, err := u.b.js.Stream(ctx, u.b.p.kv(counterBucket))
	if err == nil {
		err = stream.Purge(ctx, jetstream.WithPurgeSubject("$KV."+u.b.p.name(counterBucket)+"."+u.key))
	}
	if err != nil {
		u.b.log.Debug().Err(err).Msg("a counter stays until it expires")
	}
}
