package bus

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

// Apply creates every stream, durable consumer and bucket of the topology, or updates existing ones to
// match the topology. Any number of replicas may apply concurrently. While the broker cannot answer,
// Apply waits until ctx ends; it fails if the broker rejects a part.
//
// With a credential whose role does not keep the topology, it creates nothing: it waits until its
// consumers and buckets exist.
func (b *Bus) Apply(ctx context.Context) error {
	for try := 0; ; try++ {
		err := b.awaitConnection(ctx)
		if err == nil {
			err = b.applyOnce(ctx)
		}
		if err == nil || ctx.Err() != nil || !passing(err) {
			return err
		}
		if denied := b.nc.LastError(); errors.Is(denied, nats.ErrPermissionViolation) && !errors.Is(err, errNotMade) {
			err = fmt.Errorf("%w: %w (%w)", err, errDenied, denied)
		}
		level := zerolog.DebugLevel
		if is(err, codeNoPeers) || errors.Is(err, errNotMade) || errors.Is(err, errDenied) { // a person may have to act
			level = zerolog.WarnLevel
		}
		b.log.WithLevel(level).Err(err).Msg("topology is not applied yet")
		if !pause(ctx, backoff(try)) {
			return err
		}
	}
}

// applyOnce compares before it changes anything: it leaves correct parts alone, however many replicas
// start together. Each part has its own timeout: a cluster without a leader drops requests.
func (b *Bus) applyOnce(ctx context.Context) error {
	if r, ok := roleOf(b.o.Login.Role); ok && b.o.Login.limited() && !r.Keeps {
		return b.lookOnce(ctx, r)
	}
	if err := b.foreign(ctx, b.owner()); err != nil {
		return err
	}
	for _, s := range Topology {
		if err := b.applyStream(ctx, b.mark(b.able(s.config(b.p, b.o.Replicas)))); err != nil {
			return refused("stream "+b.p.name(s.Name), err)
		}
		for _, c := range s.Consumers {
			if err := b.applyConsumer(ctx, b.p.name(s.Name), c.config(b.p, b.o.AckWait)); err != nil {
				return refused("consumer "+c.Durable, err)
			}
		}
	}
	b.setClock(ctx)
	if err := b.applyStream(ctx, advisories(b.p, b.o.Replicas)); err != nil {
		return refused("stream "+advisoryStream, err)
	}
	return b.applyBuckets(ctx)
}

// errNotMade says that a service that may not create the topology does not find its part of it.
var errNotMade = errors.New("it is not there yet; a service that keeps the topology makes it (progress or sluice)")

// errDenied says that the broker does not answer because it refuses: its permissions may be those of an earlier release, which did
// not know a stage or a stream.
var errDenied = errors.New("the NATS server's permissions do not allow it: write them again with sluice nats init, and reload the server")

// lookOnce looks for the consumers and buckets of a role.
func (b *Bus) lookOnce(ctx context.Context, r Stage) error {
	look := func(part string, ask func(context.Context) error) error {
		ctx, cancel := context.WithTimeout(ctx, b.o.AckTimeout)
		defer cancel()
		err := ask(ctx)
		if missing(err) {
			return fmt.Errorf("look for %s: %w (%w)", part, errNotMade, err)
		}
		if err != nil {
			return refused(part, err)
		}
		return nil
	}
	for _, c := range r.Consumes {
		err := look("consumer "+c.Durable, func(ctx context.Context) error {
			_, err := b.js.Consumer(ctx, b.p.name(c.Stream), c.Durable)
			return err
		})
		if err != nil {
			return err
		}
	}
	for _, bucket := range r.buckets(b.p) {
		err := look("bucket "+bucket, func(ctx context.Context) error {
			_, err := b.js.Stream(ctx, bucket)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *Bus) applyStream(ctx context.Context, want jetstream.StreamConfig) error {
	ctx, cancel := context.WithTimeout(ctx, b.o.AckTimeout)
	defer cancel()
	s, err := b.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if _, err = b.js.CreateStream(ctx, want); !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return err
		}
		// Another process has just created it, with another configuration: a program without a
		// database does not know the installation's id.
		s, err = b.js.Stream(ctx, want.Name)
	}
	if err != nil {
		return err
	}
	is := s.CachedInfo().Config
	if owner := is.Metadata[ownerKey]; owner != "" && want.Metadata[ownerKey] != "" && owner != want.Metadata[ownerKey] {
		return ErrForeign // another installation has just started as well
	}
	next := asWanted(is, want)
	if reflect.DeepEqual(next, is) {
		return nil
	}
	_, err = b.js.UpdateStream(ctx, next)
	return err
}

// able leaves out what the broker is too old for.
func (b *Bus) able(c jetstream.StreamConfig) jetstream.StreamConfig {
	if !b.Ticks() {
		c.AllowMsgSchedules, c.AllowRollup = false, false
	}
	return c
}

// asWanted is a stream's configuration as the topology requires it. Settings that the topology does not
// define, for example placement, stay as they are.
func asWanted(is, want jetstream.StreamConfig) jetstream.StreamConfig {
	is.Subjects, is.Retention, is.Discard, is.Storage = want.Subjects, want.Retention, want.Discard, want.Storage
	is.MaxBytes, is.MaxMsgs, is.MaxMsgsPerSubject, is.MaxAge = want.MaxBytes, want.MaxMsgs, want.MaxMsgsPerSubject, want.MaxAge
	is.Duplicates, is.Replicas, is.AllowDirect = want.Duplicates, want.Replicas, want.AllowDirect
	is.AllowMsgSchedules = is.AllowMsgSchedules || want.AllowMsgSchedules // it cannot be taken away
	is.AllowRollup = is.AllowRollup || want.AllowRollup
	is.Metadata = marked(is.Metadata, want.Metadata[ownerKey])
	return is
}

func consumerAsWanted(is, want jetstream.ConsumerConfig) jetstream.ConsumerConfig {
	is.FilterSubject, is.FilterSubjects, is.AckPolicy = "", want.FilterSubjects, want.AckPolicy
	is.AckWait, is.BackOff, is.MaxDeliver = want.AckWait, nil, want.MaxDeliver
	is.MaxAckPending, is.Replicas = want.MaxAckPending, want.Replicas
	return is
}

func (b *Bus) applyConsumer(ctx context.Context, stream string, want jetstream.ConsumerConfig) error {
	ctx, cancel := context.WithTimeout(ctx, b.o.AckTimeout)
	defer cancel()
	c, err := b.js.Consumer(ctx, stream, want.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		_, err = b.js.CreateOrUpdateConsumer(ctx, stream, want)
		return err
	}
	if err != nil {
		return err
	}
	is := c.CachedInfo().Config
	next := consumerAsWanted(is, want)
	if reflect.DeepEqual(next, is) {
		return nil
	}
	_, err = b.js.UpdateConsumer(ctx, stream, next)
	return err
}

func (b *Bus) applyBuckets(ctx context.Context) error {
	err := b.applyBucket(ctx, b.p.claims(), claimBytes, func(ctx context.Context) error {
		_, err := b.js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{
			Bucket: b.p.name(claimBucket), TTL: bucketAge, MaxBytes: claimBytes, Storage: jetstream.FileStorage, Replicas: b.o.Replicas,
		})
		return err
	})
	if err != nil {
		return refused("object store "+claimBucket, err)
	}
	for bucket, bytes := range map[string]int64{counterBucket: counterBytes, budgetBucket: budgetBytes} {
		err := b.applyBucket(ctx, b.p.kv(bucket), bytes, func(ctx context.Context) error {
			_, err := b.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
				Bucket: b.p.name(bucket), TTL: bucketAge, MaxBytes: bytes, History: 1, Storage: jetstream.FileStorage, Replicas: b.o.Replicas,
			})
			return err
		})
		if err != nil {
			return refused("key-value bucket "+bucket, err)
		}
	}
	return nil
}

// applyBucket applies the stream behind a bucket; create makes it as the client would.
func (b *Bus) applyBucket(ctx context.Context, stream string, bytes int64, create func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, b.o.AckTimeout)
	defer cancel()
	s, err := b.js.Stream(ctx, stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return create(ctx)
	}
	if err != nil {
		return err
	}
	is := s.CachedInfo().Config
	next := is
	next.MaxBytes, next.MaxAge, next.Replicas = bytes, bucketAge, b.o.Replicas
	if reflect.DeepEqual(next, is) {
		return nil
	}
	_, err = b.js.UpdateStream(ctx, next)
	return err
}

// refused names the part that the broker rejected, and the way out if there is one.
func refused(part string, err error) error {
	switch {
	case is(err, noRoom...):
		return fmt.Errorf("apply %s: JetStream's storage limit is too small; let the server use 4 GiB (max_file_store): %w", part, err)
	case is(err, jetstream.JSErrCodeJetStreamNotEnabled, jetstream.JSErrCodeJetStreamNotEnabledForAccount), errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("apply %s: the NATS server runs without JetStream (start it with -js): %w", part, err)
	case is(err, codeReplicasNotSupported):
		return fmt.Errorf("apply %s: the NATS server is not part of a cluster and keeps one copy only (NATS_REPLICAS=1): %w", part, err)
	case is(err, codeNoPeers):
		return fmt.Errorf("apply %s: too few servers of the NATS cluster are there, or have room, for so many copies (NATS_REPLICAS): %w", part, err)
	default:
		return fmt.Errorf("apply %s: %w", part, err)
	}
}

// heal applies the topology after a stream or consumer was missing: the broker's store may have been
// wiped, and only Apply restores it. If several callers miss something together, one of them applies.
// heal always takes a moment, so that callers may loop.
func (b *Bus) heal(ctx context.Context, cause error) {
	asked := time.Now()
	select {
	case b.healing <- struct{}{}:
		defer func() { <-b.healing }()
	case <-ctx.Done():
		return
	}
	if b.healedAt.After(asked) {
		return
	}
	if wait := b.o.Heartbeat - time.Since(b.healedAt); wait > 0 && !b.healedAt.IsZero() && !pause(ctx, wait) {
		return
	}
	if b.awaitConnection(ctx) != nil {
		return // the log already says that the connection is lost
	}
	b.log.Warn().Err(cause).Msg("a stream or consumer does not answer, applying the topology")
	callCtx, cancel := context.WithTimeout(ctx, b.o.AckTimeout)
	defer cancel()
	if err := b.applyOnce(callCtx); err != nil && ctx.Err() == nil {
		b.log.Warn().Err(err).Msg("topology is not applied")
		pause(ctx, reconnectWait)
		return
	}
	b.healedAt = time.Now()
}

// JetStream error codes that nats.go has no names for.
const (
	codeAccountExceeded       jetstream.ErrorCode = 10002
	codeNoPeers               jetstream.ErrorCode = 10005
	codeClusterNotAvailable   jetstream.ErrorCode = 10008
	codeClusterNotLeader      jetstream.ErrorCode = 10009
	codeInsufficientResources jetstream.ErrorCode = 10023
	codeStorageExceeded       jetstream.ErrorCode = 10047
	codeReplicasNotSupported  jetstream.ErrorCode = 10074
	codeStoreFailed           jetstream.ErrorCode = 10077 // a full stream, among others
)

// noRoom are the codes of a server that has reached its own limit.
var noRoom = []jetstream.ErrorCode{codeAccountExceeded, codeInsufficientResources, codeStorageExceeded}

// is reports whether the JetStream error in err's chain has one of the codes.
func is(err error, codes ...jetstream.ErrorCode) bool {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		var js jetstream.JetStreamError
		if !errors.As(err, &js) || js.APIError() == nil {
			return false
		}
		api = js.APIError()
	}
	return slices.Contains(codes, api.ErrorCode)
}

// full reports whether a stream rejected a message for lack of space.
func full(err error) bool { return is(err, codeStoreFailed) || is(err, noRoom...) }

// missing reports whether a stream, consumer or bucket does not exist.
func missing(err error) bool {
	return is(err, jetstream.JSErrCodeStreamNotFound, jetstream.JSErrCodeConsumerNotFound, jetstream.JSErrCodeConsumerDoesNotExist) ||
		errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, jetstream.ErrBucketNotFound)
}

// passing reports whether err comes from a broker that is down or busy, so that waiting helps.
func passing(err error) bool {
	if is(err, codeClusterNotAvailable, codeClusterNotLeader, codeNoPeers) || errors.Is(err, errNotMade) || // a server may be starting
		is(err, jetstream.JSErrCodeStreamWrongLastSequence, jetstream.JSErrCodeStreamWrongLastSequenceConstant) { // another publisher was quicker
		return true
	}
	for _, e := range []error{
		context.DeadlineExceeded, nats.ErrTimeout, nats.ErrDisconnected, nats.ErrConnectionReconnecting,
		nats.ErrReconnectBufExceeded, nats.ErrNoServers, nats.ErrStaleConnection, jetstream.ErrAsyncPublishTimeout,
		jetstream.ErrServerShutdown, jetstream.ErrConsumerLeadershipChanged,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// backoff is the pause after try number n, counted from 0: 50 ms, doubled each time, at most 2 s.
func backoff(n int) time.Duration { return min(50*time.Millisecond<<min(n, 6), 2*time.Second) }
