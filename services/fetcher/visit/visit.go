// Package visit is the common part of listing and fetching: a run's access to its source's system, with
// its costs, its rejections and the tree.
package visit

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/source"
	"github.com/sluicehq/sluice/shared/source/systems"
	"github.com/sluicehq/sluice/shared/store"
)

// Ledger is the part of the store that a visit uses.
type Ledger interface {
	AddUsage(ctx context.Context, runID string, calls int, bytes int64) error
	UncheckedContainers(ctx context.Context, run store.Run, limit int) ([]store.Node, error)
	PutNodes(ctx context.Context, run store.Run, nodes []store.Node) error
	FailNodes(ctx context.Context, run store.Run, nodes []store.Node) error
	Note(ctx context.Context, runID, note string) error
	BuildPaths(ctx context.Context, sourceID string) error
	Repath(ctx context.Context, run store.Run) error
}

// Systems opens sources; the error says that this process may not read the source.
type Systems interface {
	Open(ctx context.Context, src store.Source) (source.System, error)
}

var (
	_ Ledger  = (*store.Store)(nil)
	_ Systems = (*systems.Systems)(nil)
)

// Visit is one piece of a run's work with its source's system.
type Visit struct {
	Run    store.Run
	Source store.Source
	System source.System

	ledger Ledger
	log    zerolog.Logger
}

// Open opens the source's system. The caller must call End.
func Open(ctx context.Context, s Systems, l Ledger, run store.Run, src store.Source, log zerolog.Logger) (*Visit, error) {
	system, err := s.Open(ctx, src)
	if err != nil {
		return nil, err
	}
	return &Visit{Run: run, Source: src, System: system, ledger: l, log: log}, nil
}

// endTimeout limits the calls to the ledger while the process stops.
const endTimeout = 3 * time.Second

// End releases the system's resources, and records the cost of the work, even if it failed. The figure
// is for people: a failure to record it fails nothing.
func (v *Visit) End(ctx context.Context) {
	if held, ok := v.System.(source.Holder); ok {
		defer held.Release()
	}
	metered, ok := v.System.(source.Metered)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	calls, bytes := metered.Usage()
	if err := v.ledger.AddUsage(ctx, v.Run.ID, calls, bytes); err != nil {
		v.log.Warn().Str("run", v.Run.ID).Err(err).Msg("usage is not recorded")
	}
}

// Doubt makes a rejection retryable if the credential proves valid right after it: a proxy may have
// rejected that one call, and a whole task must not fail because of it.
func (v *Visit) Doubt(ctx context.Context, err error) error {
	if failure.CodeOf(err) != failure.Unauthorized || v.System.Probe(ctx) != nil {
		return err
	}
	return failure.Doubt(err)
}

// OnlyHere reports whether the system fails for this call while it answers others.
func (v *Visit) OnlyHere(ctx context.Context, err error) bool {
	return errors.Is(err, source.ErrBroken) && v.System.Probe(ctx) == nil
}

// DoWithout lets the work continue without the part that err concerns, which is not the listing itself,
// and adds a note to the run. The note says what is missing and when it comes back. DoWithout returns
// nil, or err if the whole system is down or requests a pause: then the work waits with it.
func (v *Visit) DoWithout(ctx context.Context, err error, note string) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	if _, pause := failure.RetryAt(err); pause && !errors.Is(err, source.ErrBroken) {
		return err
	}
	if v.System.Probe(ctx) != nil {
		return err
	}
	v.log.Warn().Str("source", v.Source.ID).Str("run", v.Run.ID).Err(err).Msg(note)
	return v.ledger.Note(ctx, v.Run.ID, note+": "+err.Error())
}

// containersAtOnce is the number of containers that are looked up before they are written.
const containersAtOnce = 250

// MendTree is GrowTree if there is anything to look up; otherwise it does nothing.
func (v *Visit) MendTree(ctx context.Context) error {
	unknown, err := v.ledger.UncheckedContainers(ctx, v.Run, 1)
	if err != nil || len(unknown) == 0 {
		return err
	}
	return v.GrowTree(ctx)
}

// GrowTree looks up the folders and other containers between pages, which listings of pages omit, up to
// the top, and then writes every node's path. A container without a title stays in the tree, so that
// paths still include it.
func (v *Visit) GrowTree(ctx context.Context) error {
	for {
		unknown, err := v.ledger.UncheckedContainers(ctx, v.Run, containersAtOnce)
		if err != nil {
			return err
		}
		if len(unknown) == 0 {
			if err := v.ledger.BuildPaths(ctx, v.Source.ID); err != nil {
				return err
			}
			return v.ledger.Repath(ctx, v.Run)
		}
		if known, ok := v.System.(source.Containers); ok {
			refs := make([]source.ContainerRef, len(unknown))
			for i, n := range unknown {
				refs[i] = source.ContainerRef{ID: n.ID, Kind: n.Kind}
			}
			found, err := known.Containers(ctx, refs)
			if err != nil {
				return err
			}
			unknown = unknown[:0]
			var failed []store.Node
			for _, c := range found {
				if c.Err != nil {
					failed = append(failed, store.Node{ID: c.ID, Kind: c.Kind})
					err = c.Err
					continue
				}
				unknown = append(unknown, store.Node{ID: c.ID, Kind: c.Kind, Title: c.Title, ParentID: c.ParentID, ParentKind: c.ParentKind})
			}
			if len(failed) > 0 {
				if err := v.DoWithout(ctx, err, "some folders are without their titles until the next run"); err != nil {
					return err
				}
				if err := v.ledger.FailNodes(ctx, v.Run, failed); err != nil {
					return err
				}
			}
		}
		if err := v.ledger.PutNodes(ctx, v.Run, unknown); err != nil {
			return err
		}
	}
}
