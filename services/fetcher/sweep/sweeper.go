package sweep

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/shared/source"
	"github.com/sluicehq/sluice/shared/store"
)

// leases is the part of the store by which replicas share the sweeps.
type leases interface {
	Ledger
	Source(ctx context.Context, id string) (store.Source, error)
	DueSweeps(ctx context.Context, every, retry time.Duration) ([]string, error)
	ClaimSweep(ctx context.Context, sourceID string, every, retry time.Duration) (string, error)
	RenewSweep(ctx context.Context, sourceID, token string) error
	EndSweep(ctx context.Context, sourceID, token string) error
}

var _ leases = (*store.Store)(nil)

// systems opens sources.
type systems interface {
	Open(ctx context.Context, src store.Source) (source.System, error)
}

const (
	// lookEvery is how often a process looks for sources that are due, and how soon a source is due again
	// after a reading that failed.
	lookEvery = time.Minute

	endTimeout = 3 * time.Second
)

// Sweeper reads the permissions of every source again and again. Several processes share the sources.
type Sweeper struct {
	ledger  leases
	systems systems
	every   time.Duration
	log     zerolog.Logger
}

// New returns a sweeper that reads each source once in the time.
func New(l leases, s systems, every time.Duration, log zerolog.Logger) *Sweeper {
	return &Sweeper{ledger: l, systems: s, every: every, log: log}
}

// Run sweeps until ctx ends.
func (s *Sweeper) Run(ctx context.Context) error {
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

// Look sweeps the sources that are due now. A source that fails does not keep the others from their turn.
func (s *Sweeper) Look(ctx context.Context) error {
	due, err := s.ledger.DueSweeps(ctx, s.every, lookEvery)
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
	token, err := s.ledger.ClaimSweep(ctx, id, s.every, lookEvery)
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
	if err := r.All(ctx, true); err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	calls := 0
	if m, ok := r.System.(source.Metered); ok {
		calls, _ = m.Usage()
	}
	s.log.Info().Str("source", id).Int("calls", calls).Dur("took", time.Since(began)).Msg("permissions read")
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
