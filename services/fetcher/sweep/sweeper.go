package sweep

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/source"
	"github.com/sluicehq/sluice/shared/source/systems"
	"github.com/sluicehq/sluice/shared/store"
)

// leases is the part of the store by which replicas share the sweeps.
type leases interface {
	Ledger
	Source(ctx context.Context, id string) (store.Source, error)
	OpenUnchosen(ctx context.Context) ([]store.Source, error)
	Unsettled(ctx context.Context, sourceID string) (bool, error)
	JoinRun(ctx context.Context, req event.SyncRequested) (run store.Run, joined bool, err error)
	BoundAccess(ctx context.Context, maxAge time.Duration) error
	DueSweeps(ctx context.Context, every, retry time.Duration) ([]string, error)
	ClaimSweep(ctx context.Context, sourceID string, every, retry time.Duration) (string, error)
	RenewSweep(ctx context.Context, sourceID, token string) error
	EndSweep(ctx context.Context, sourceID, token string) error
}

var _ leases = (*store.Store)(nil)

// publisher publishes the requests of runs.
type publisher interface {
	Publish(ctx context.Context, e event.Event) error
}

// opener opens sources.
type opener interface {
	Open(ctx context.Context, src store.Source) (source.System, error)
}

const (
	// lookEvery is how often a process looks for sources that are due. Somebody who lets permissions decide waits for
	// it: until they have been read, the source shows nothing.
	lookEvery = 5 * time.Second

	// retryAfter is how soon a source is due again after a reading that failed.
	retryAfter = time.Minute

	endTimeout = 3 * time.Second // for what a sweep does at its end
)

// Sweeper reads the permissions of every source again and again. Several processes share the sources.
type Sweeper struct {
	ledger  leases
	bus     publisher
	systems opener
	every   time.Duration
	maxAge  time.Duration
	log     zerolog.Logger
}

// New returns a sweeper that reads each source once in the time every. What was read longer than maxAge ago counts as
// unknown, in all sources.
func New(l leases, b publisher, s opener, every, maxAge time.Duration, log zerolog.Logger) *Sweeper {
	return &Sweeper{ledger: l, bus: b, systems: s, every: every, maxAge: maxAge, log: log}
}

// Run sweeps until ctx ends.
func (s *Sweeper) Run(ctx context.Context) error {
	s.tellLeftOpen(ctx)
	tick := time.NewTicker(min(lookEvery, s.every))
	defer tick.Stop()
	for {
		if err := s.Look(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn().Err(err).Msg("permissions are not read")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// tellLeftOpen logs which sources show every page to every key because nobody has chosen.
func (s *Sweeper) tellLeftOpen(ctx context.Context) {
	list, err := s.ledger.OpenUnchosen(ctx)
	if err != nil {
		return // what follows meets the same database, and says so
	}
	if ids := systems.LeftOpen(list); len(ids) > 0 {
		s.log.Warn().Strs("sources", ids).Str("change", "sluice source set "+ids[0]+" --permissions enforce").Str("keep", "sluice source set "+ids[0]+" --permissions open").
			Msg("every key sees every page of these sources, whatever their site restricts, because nobody has chosen yet")
	}
}

// Look sweeps the sources that are due now. A source that fails does not keep the others from their turn.
func (s *Sweeper) Look(ctx context.Context) error {
	// Everybody who reads asks the database how old is too old, so that all of them agree. A new source has it with the next look.
	if err := s.ledger.BoundAccess(ctx, s.maxAge); err != nil {
		return err
	}
	due, err := s.ledger.DueSweeps(ctx, s.every, retryAfter)
	if err != nil {
		return err
	}
	for _, id := range due {
		err := s.sweep(ctx, id)
		if err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrNotCurrent) && !errors.Is(err, store.ErrNotFound) {
			s.log.Warn().Str("source", id).Err(err).Msg("its permissions could not all be read; what was known stays until it is too old")
		}
	}
	return nil
}

func (s *Sweeper) sweep(ctx context.Context, id string) error {
	token, err := s.ledger.ClaimSweep(ctx, id, s.every, retryAfter)
	if err != nil {
		return err
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
		defer cancel()
		if err := s.ledger.EndSweep(end, id, token); err != nil {
			s.log.Warn().Str("source", id).Err(err).Msg("its permissions are read again only when the lease ends")
		}
	}()
	src, err := s.ledger.Source(ctx, id)
	if err != nil {
		return err
	}
	r := Reader{Ledger: s.ledger, Source: id, Log: s.log}
	if r.System, err = s.systems.Open(ctx, src); err != nil {
		return r.failed(ctx, err)
	}
	if held, ok := r.System.(source.Holder); ok {
		defer held.Release()
	}
	ctx, stop := s.hold(ctx, id, token)
	defer stop()
	began := time.Now()
	err = r.All(ctx, true)
	if src.Attachments == store.AttachmentsOn && ctx.Err() == nil {
		kinds := slices.DeleteFunc(src.Kinds(), func(kind string) bool { return kind == page.Comment })
		err = errors.Join(err, r.Files(ctx, kinds))
	}
	if err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	calls := 0
	if m, ok := r.System.(source.Metered); ok {
		calls, _ = m.Usage()
	}
	s.log.Info().Str("source", id).Int("calls", calls).Dur("took", time.Since(began)).Msg("permissions read")
	return s.settle(ctx, id)
}

// settle requests a full run of a source that stores pages that it must not, or leaves out pages that it need not leave
// out any more.
func (s *Sweeper) settle(ctx context.Context, id string) error {
	unsettled, err := s.ledger.Unsettled(ctx, id)
	if err != nil || !unsettled {
		return err
	}
	req := event.SyncRequested{SourceID: id, RequestID: event.NewID(), Mode: event.Full}
	_, joined, err := s.ledger.JoinRun(ctx, req)
	if err != nil || joined {
		return err
	}
	s.log.Info().Str("source", id).Str("run", req.RequestID).Msg("restrictions have changed which pages are stored: a full run is requested")
	// The request is in the ledger: without the broker it is sent again from there.
	soon, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	if err := s.bus.Publish(soon, req); err != nil {
		s.log.Warn().Str("run", req.RequestID).Err(err).Msg("the request waits for the broker")
	}
	return nil
}

// hold renews the lease until stop is called. Its context ends when another process has the lease.
func (s *Sweeper) hold(ctx context.Context, id, token string) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(store.SweepLease / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if err := s.ledger.RenewSweep(ctx, id, token); errors.Is(err, store.ErrNotCurrent) {
					cancel(err)
				}
			}
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-done
	}
}

// Missing is a run's note when permissions could not be read.
const Missing = "not all of who may see what could be read: what was known stays until it is too old, and pages of which nothing is known stay hidden"
