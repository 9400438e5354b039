package bus

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

// ErrClosed is returned by every call after Close, or after the server has permanently rejected the
// credentials.
var ErrClosed = errors.New("the bus is closed")

// Options are the broker's address and the bus's settings. The durations exist for tests; their defaults
// are right for everything else.
type Options struct {
	URL  string // nats://host:port, or several, comma-separated
	Name string // shown in the broker's list of connections
	Log  zerolog.Logger

	// Prefix is that of everything which the installation has on its account.
	Prefix Prefix

	Login Login // empty where the broker asks nobody who he is

	MaxAttempts int // deliveries that may fail before a message is given up; default 5
	Replicas    int // replicas of each stream in a cluster; default 1

	AckWait      time.Duration // silence after which the broker gives a message to another worker; default 60 s
	Slow         time.Duration // a handler that takes longer, waiting for a server, leaves its place to other sites; default 1 s
	RetryBase    time.Duration // delay after the first failure, doubled by each further one; default 1 s
	RetryCap     time.Duration // the longest such delay; default 30 s
	Heartbeat    time.Duration // a consumer without a message for twice this checks its stream; 0.5 to 15 s, default 5 s
	Tick         time.Duration // how often the broker says that it is time to look for sources that are due, at least 1 s; default 5 s
	AckTimeout   time.Duration // timeout of one try to publish; default 5 s
	ProgressPoll time.Duration // interval of FollowProgress's own reads; default 5 s
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.AckWait, time.Minute},
		{&o.Slow, time.Second},
		{&o.RetryBase, time.Second},
		{&o.RetryCap, 30 * time.Second},
		{&o.Heartbeat, 5 * time.Second},
		{&o.Tick, tickEvery},
		{&o.AckTimeout, 5 * time.Second},
		{&o.ProgressPoll, 5 * time.Second},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if o.MaxAttempts <= 0 {
		o.MaxAttempts = 5
	}
	o.Replicas = max(o.Replicas, 1)
	o.Heartbeat = min(max(o.Heartbeat, 500*time.Millisecond), 15*time.Second) // the range that broker and client accept
	return o
}

const (
	reconnectWait = 250 * time.Millisecond
	pingEvery     = 20 * time.Second // a dead connection is detected after two
	drainTimeout  = 5 * time.Second
)

// Bus is a connection to the broker. Its methods are safe for concurrent use.
type Bus struct {
	o      Options
	log    zerolog.Logger
	nc     *nats.Conn
	js     jetstream.JetStream
	enc    *zstd.Encoder
	dec    *zstd.Decoder
	closed chan struct{}

	beside sync.WaitGroup // goroutines that end when closed is closed

	connected announcement  // made at every connect and reconnect
	refused   chan error    // the first complaint about a certificate
	healing   chan struct{} // holds one token: its holder may apply the topology
	healedAt  time.Time     // guarded by healing

	p Prefix

	mu           sync.Mutex
	counters     jetstream.KeyValue
	installation string
}

// Connect waits for the broker until ctx ends, so that services may start in any order. It fails
// immediately if the URL is invalid, a file of the login cannot be read, the broker rejects the
// credentials, or one side rejects the other's certificate.
func Connect(ctx context.Context, o Options) (*Bus, error) {
	for try := 1; ; try++ {
		b, err := connect(ctx, o)
		if !errors.Is(err, errHungUp) || try == hangUps {
			return b, err
		}
		pause(ctx, reconnectWait)
	}
}

// errHungUp says that the broker ended the connection right after the TLS handshake. A broker that
// rejects a client's certificate does so, and the client may find the connection closed before it has
// read the reason; but a broker that is stopping does so too.
var errHungUp = errors.New("the broker ends every connection after the TLS handshake; does it believe the certificate of NATS_CERT_FILE?")

// hangUps is the number of such ends that count as a rejection.
const hangUps = 4

func connect(ctx context.Context, o Options) (*Bus, error) {
	b := &Bus{o: o.withDefaults(), p: o.Prefix, log: o.Log, closed: make(chan struct{}), healing: make(chan struct{}, 1), refused: make(chan error, 1)}
	if !o.Prefix.Valid() {
		return nil, fmt.Errorf("connect to NATS: %q is no prefix", o.Prefix)
	}
	where, err := redacted(o.URL)
	if err != nil {
		return nil, err
	}
	if b.enc, err = newEncoder(); err != nil {
		return nil, err
	}
	if b.dec, err = newDecoder(maxDocument); err != nil {
		return nil, err
	}
	if _, ok := roleOf(o.Login.Role); o.Login.limited() && !ok {
		return nil, fmt.Errorf("connect to NATS as %q: there is no such role", o.Login.Role)
	}
	login, err := o.Login.options(o.Prefix)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS at %s: %w", where, err)
	}
	up := b.connected.next()
	if b.nc, err = nats.Connect(o.URL, append(b.natsOptions(), login...)...); err != nil {
		return nil, fmt.Errorf("connect to NATS at %s: %w", where, err)
	}
	if b.js, err = jetstream.New(b.nc, jetstream.WithDefaultTimeout(b.o.AckTimeout)); err != nil {
		b.nc.Close()
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	if b.nc.IsConnected() {
		return b, nil
	}
	b.log.Warn().Str("nats", where).Msg("waiting for NATS")
	select {
	case <-up:
		return b, nil
	case <-b.closed:
		return nil, fmt.Errorf("connect to NATS at %s: %w", where, b.nc.LastError())
	case err := <-b.refused:
		b.nc.Close()
		if errors.Is(err, errHungUp) {
			return nil, fmt.Errorf("connect to NATS at %s: %w", where, err)
		}
		return nil, fmt.Errorf("connect to NATS at %s: the certificates do not fit (NATS_CA_FILE, NATS_CERT_FILE): %w", where, err)
	case <-ctx.Done():
		b.nc.Close()
		return nil, fmt.Errorf("connect to NATS at %s: nobody answers: %w", where, context.Cause(ctx))
	}
}

func (b *Bus) natsOptions() []nats.Option {
	return []nats.Option{
		nats.Name(b.o.Name),
		nats.MaxReconnects(-1),
		nats.RetryOnFailedConnect(true),
		nats.ReconnectWait(reconnectWait),
		nats.PingInterval(pingEvery),
		nats.DrainTimeout(drainTimeout),
		nats.ConnectHandler(func(*nats.Conn) { b.connected.make() }),
		nats.ReconnectHandler(func(*nats.Conn) {
			b.log.Info().Msg("connected to NATS again")
			b.connected.make()
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { // called for the first connection as well
			b.log.Debug().Err(err).Msg("no connection to NATS yet")
			if err = complaint(err); err != nil {
				select {
				case b.refused <- err:
				default:
				}
			}
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				b.log.Warn().Err(err).Msg("connection to NATS lost, trying again")
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			e := b.log.Warn().Err(err)
			if sub != nil {
				e = e.Str("subject", sub.Subject)
			}
			e.Msg("NATS reports an error")
		}),
		nats.ClosedHandler(func(*nats.Conn) { close(b.closed) }),
	}
}

// Close sends what is still buffered and closes the connection. Consume calls should have
// returned before.
func (b *Bus) Close() {
	if err := b.nc.Drain(); err != nil {
		b.nc.Close() // not connected: the rest cannot be sent
	}
	<-b.closed
	b.beside.Wait() // so that their last log lines are written
}

// Healthy returns nil when the broker answers, for a readiness check.
func (b *Bus) Healthy() error {
	if !b.nc.IsConnected() {
		return errors.New("not connected to NATS")
	}
	if err := b.nc.FlushTimeout(time.Second); err != nil {
		return fmt.Errorf("NATS does not answer: %w", err)
	}
	return nil
}

// awaitConnection returns when the connection is up.
func (b *Bus) awaitConnection(ctx context.Context) error {
	for {
		up := b.connected.next()
		if b.nc.IsConnected() {
			return nil
		}
		select {
		case <-up:
		case <-b.closed:
			return ErrClosed
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// announcement lets many goroutines wait for the next time that something happens.
type announcement struct {
	mu sync.Mutex
	ch chan struct{}
}

// next returns a channel that is closed by the next make.
func (a *announcement) next() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ch == nil {
		a.ch = make(chan struct{})
	}
	return a.ch
}

func (a *announcement) make() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ch != nil {
		close(a.ch)
		a.ch = nil
	}
}

// redacted returns the servers without credentials, for logs and errors. Errors of the URL parser would
// repeat their input.
func redacted(servers string) (string, error) {
	var out []string
	for s := range strings.SplitSeq(servers, ",") {
		s = strings.TrimSpace(s)
		if s != "" && !strings.Contains(s, "://") {
			s = "nats://" + s
		}
		u, err := url.Parse(s)
		if err != nil || u.Host == "" {
			return "", errors.New("the NATS URL is not of the form nats://host:port")
		}
		out = append(out, u.Scheme+"://"+u.Host)
	}
	return strings.Join(out, ","), nil
}

// pause waits for d and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
