package bus

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/shared/event"
)

// The first version of the NATS server that repeats messages by itself. Version 2.12 can only put one off.
const clockMajor, clockMinor = 2, 14

// Ticks reports whether the broker publishes event.ScheduleTick by itself. If it is too old for that, a process must look
// for sources that are due.
func (b *Bus) Ticks() bool { return repeats(b.nc.ConnectedServerVersion()) }

// ServerVersion is the version of the broker, "" before the first connection.
func (b *Bus) ServerVersion() string { return b.nc.ConnectedServerVersion() }

// repeats reports whether a server of the version repeats messages. An unknown version does not.
func repeats(version string) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 3 {
		return false
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	return err1 == nil && err2 == nil && (major > clockMajor || major == clockMajor && minor >= clockMinor)
}

// setClock has the broker publish a tick again and again, unless it does already. The message that says so is kept in the
// stream of the ticks, so that neither a restart of ours nor one of the broker ends it. Without it, processes look by
// themselves, only later: so it stops nobody from starting.
func (b *Bus) setClock(ctx context.Context) {
	if !b.Ticks() {
		b.log.Warn().Str("version", b.ServerVersion()).Msg("the NATS server is older than 2.14 and repeats no messages, so the fetcher looks for sources that are due by itself")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, b.o.AckTimeout)
	defer cancel()
	// The interval is in the subject, so that another release's does not count as set.
	msg := nats.NewMsg(b.p.Subject(event.Subject(event.TypeClock, "every-"+strings.ReplaceAll(b.o.Tick.String(), ".", "_"))))
	msg.Data = []byte("{}")
	_, err := b.js.PublishMsg(ctx, msg, jetstream.WithScheduleEvery(b.o.Tick), jetstream.WithScheduleTarget(b.p.Subject(event.ScheduleTick{}.Subject())),
		jetstream.WithExpectLastSequencePerSubject(0), jetstream.WithRetryAttempts(1))
	if err != nil && !is(err, jetstream.JSErrCodeStreamWrongLastSequence, jetstream.JSErrCodeStreamWrongLastSequenceConstant) {
		b.log.Warn().Err(err).Msg("the broker's clock is not set; the fetcher looks for sources that are due by itself, only later")
	}
}

// tickEvery is how often the broker says that it is time to look for sources that are due.
const tickEvery = 5 * time.Second
