// Package deletiondetector is the stage that proves which pages left a source and why, and removes them
// from the knowledge base.
//
// It acts only on complete full listings, behind four guards: the listing is proven complete, each
// candidate is looked up by its id, the reason is recorded, and a run that would remove too large a
// share of its source is held and removes nothing.
package deletiondetector

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	brake "github.com/sluicehq/sluice/shared/run"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/source"
	"github.com/sluicehq/sluice/shared/source/systems"
	"github.com/sluicehq/sluice/shared/store"
)

// verifyBatch is the number of candidates per bulk call.
const verifyBatch = 250

// ledger is the part of the store that the detector uses.
type ledger interface {
	Run(ctx context.Context, id string) (store.Run, error)
	Source(ctx context.Context, id string) (store.Source, error)
	FindRemovalCandidates(ctx context.Context, run store.Run) (pages []string, live store.Live, err error)
	ResolvedThreads(ctx context.Context, run store.Run) ([]string, error)
	RestrictedPages(ctx context.Context, run store.Run) ([]store.Removal, error)
	RemovePages(ctx context.Context, run store.Run, removals []store.Removal) error
	KeepPages(ctx context.Context, run store.Run, ids []string, reason string) error
	MarkRemovalsChecked(ctx context.Context, runID string) error
	HoldRun(ctx context.Context, runID string, gone []store.Removal, kept []string, message string) error
	HeldRemovals(ctx context.Context, runID string) ([]store.Removal, error)
	KindsOf(ctx context.Context, sourceID string, ids []string) (map[string]string, error)
	PartsOf(ctx context.Context, sourceID string, ids []string) (map[string]string, error)
	UnreadablePages(ctx context.Context, run store.Run) ([]string, error)
	PurgePages(ctx context.Context, run store.Run, ids []string) error
	AddUsage(ctx context.Context, runID string, calls int, bytes int64) error
	Removals(ctx context.Context, runID string) ([]store.Removal, error)
	FailRun(ctx context.Context, id string, code failure.Code, message string) error
}

// publisher is the part of the bus that the detector uses.
type publisher interface {
	PublishAll(ctx context.Context, events []event.Event) error
}

// opener opens sources; the error says that this process may not read the source.
type opener interface {
	Open(ctx context.Context, src store.Source) (source.System, error)
}

var (
	_ ledger    = (*store.Store)(nil)
	_ publisher = (*bus.Bus)(nil)
	_ opener    = (*systems.Systems)(nil)
)

// Detector handles completed listings.
type Detector struct {
	ledger  ledger
	bus     publisher
	systems opener
	brake   brake.Brake
	log     zerolog.Logger
}

// New returns a detector that holds runs that would remove more than the brake permits.
func New(l ledger, b publisher, s opener, limits config.Brake, log zerolog.Logger) *Detector {
	return &Detector{ledger: l, bus: b, systems: s, brake: brake.Brake{Pages: limits.Pages, Percent: limits.Percent}, log: log}
}

// Handle checks the stored pages that a full run's listing lacks. On redelivery it checks the remaining
// pages and announces every removal of the run again.
func (d *Detector) Handle(ctx context.Context, m bus.Delivery) error {
	done, err := bus.Decode[event.ListingCompleted](m)
	if err != nil {
		return err
	}
	run, err := d.ledger.Run(ctx, done.RunID)
	if errors.Is(err, store.ErrNotFound) {
		return nil // the source and its runs were removed
	}
	if err != nil {
		return err
	}
	// The event is only a nudge: the ledger's state of the listing counts.
	if run.Mode != event.Full || run.ListingDone.IsZero() {
		return nil
	}
	// A run may have ended between the removal and its announcement; then only the announcement remains.
	if run.RemovalsChecked.IsZero() && !run.State.Final() {
		if err := d.judge(ctx, run); err != nil {
			return err
		}
	}
	return d.announce(ctx, run)
}

// Failed ends a run whose removals cannot be checked; nothing was removed.
func (d *Detector) Failed(ctx context.Context, m bus.Delivery, cause error) error {
	done, err := bus.Decode[event.ListingCompleted](m)
	if err != nil {
		d.log.Error().Err(err).Msg("unreadable listing.completed dropped")
		return nil
	}
	return d.ledger.FailRun(ctx, done.RunID, failure.CodeOf(cause), "removals could not be checked: "+cause.Error())
}

func (d *Detector) judge(ctx context.Context, run store.Run) error {
	// The source's settings exclude these, which nobody need prove or approve.
	restricted, err := d.ledger.RestrictedPages(ctx, run)
	if err != nil {
		return err
	}
	if err := d.ledger.RemovePages(ctx, run, restricted); err != nil {
		return err
	}
	candidates, live, err := d.ledger.FindRemovalCandidates(ctx, run)
	if err != nil {
		return err
	}
	hidden, err := d.ledger.UnreadablePages(ctx, run)
	if err != nil {
		return err
	}
	if len(candidates)+len(hidden) == 0 {
		return d.ledger.MarkRemovalsChecked(ctx, run.ID)
	}
	src, err := d.ledger.Source(ctx, run.SourceID)
	if err != nil {
		return failure.Wrap(failure.SourceGone, err)
	}
	if run.Reason == store.BySchedule && src.DeletionStrategy == store.OnDemand {
		// Nobody has asked for this run. It is full for another reason, and such a source loses pages only on demand.
		if err := d.ledger.KeepPages(ctx, run, candidates, string(store.OnDemand)); err != nil {
			return err
		}
		return d.ledger.MarkRemovalsChecked(ctx, run.ID)
	}
	system, err := d.systems.Open(ctx, src)
	if err != nil {
		return err
	}
	if metered, ok := system.(source.Metered); ok {
		defer func() {
			calls, bytes := metered.Usage()
			_ = d.ledger.AddUsage(ctx, run.ID, calls, bytes)
		}()
	}
	// With a dead token every page looks deleted.
	if err := system.Probe(ctx); err != nil {
		return err
	}
	v, candidates, hidden, err := d.sort(ctx, run, src, system, candidates, hidden)
	if err != nil {
		return err
	}
	if err := v.lookUp(ctx, candidates); err != nil {
		return err
	}
	held, err := d.hold(ctx, run, src, v, live)
	if err != nil || held {
		return err
	}
	// The brake comes first: it also limits these calls, one per page.
	if err := v.confirm(ctx); err != nil {
		return err
	}
	if err := d.ledger.KeepPages(ctx, run, v.kept, "still_there"); err != nil {
		return err
	}
	if err := d.ledger.RemovePages(ctx, run, v.gone); err != nil {
		return err
	}
	// A page that was hidden before and still cannot be read is removed: if two runs neither list it nor
	// find it by id, no stronger proof is possible.
	before := verdict{system: system, kinds: v.kinds}
	if err := before.lookUp(ctx, hidden); err != nil {
		return err
	}
	if err := d.ledger.PurgePages(ctx, run, before.absent); err != nil {
		return err
	}
	return d.ledger.MarkRemovalsChecked(ctx, run.ID)
}

// sort finds what the candidates and the hidden pages are, and returns those that must be looked up: about what the
// source's settings exclude, the verdict is known.
func (d *Detector) sort(ctx context.Context, run store.Run, src store.Source, system source.System, candidates, hidden []string) (v verdict, look, lookHidden []string, err error) {
	v.system = system
	if v.kinds, err = d.ledger.KindsOf(ctx, run.SourceID, slices.Concat(candidates, hidden)); err != nil {
		return v, nil, nil, err
	}
	if v.on, err = d.ledger.PartsOf(ctx, run.SourceID, candidates); err != nil {
		return v, nil, nil, err
	}
	resolved, err := d.ledger.ResolvedThreads(ctx, run)
	if err != nil {
		return v, nil, nil, err
	}
	look = v.leaveOut(v.exclude(candidates, run.Kinds, src.Kinds()), resolved, src.Comments == store.AllComments)
	return v, look, v.included(hidden, run.Kinds), nil
}

// hold ends the check when too many pages would be removed without approval. Pages that the source's
// settings exclude are meant to be removed; they only wait until a person has decided on the others.
func (d *Detector) hold(ctx context.Context, run store.Run, src store.Source, v verdict, live store.Live) (bool, error) {
	approved := map[string]bool{}
	if run.ApprovesRun != "" {
		seen, err := d.ledger.HeldRemovals(ctx, run.ApprovesRun)
		if err != nil {
			return false, err
		}
		for _, r := range seen {
			approved[r.PageID] = true
		}
	}
	gone := slices.Clone(v.gone)
	for _, id := range v.absent {
		gone = append(gone, store.Removal{PageID: id, Reason: store.ReasonUnreadable})
	}
	pages, parts := brake.Share{Live: live.Pages}, brake.Share{Live: live.Parts}
	leaves := make(map[string]bool, len(gone))
	for _, r := range gone {
		leaves[r.PageID] = true
	}
	for _, r := range gone {
		on, sort := v.on[r.PageID], &pages
		if on != "" {
			sort = &parts
		}
		switch {
		case r.Reason == store.ReasonExcluded, leaves[on]: // a part leaves with its page, which counts
			sort.Live--
		case !approved[r.PageID]:
			sort.Removals++
		}
	}
	if run.ApproveRemovals || !d.brake.HoldsAny(pages, parts) {
		return false, nil
	}
	message := fmt.Sprintf("%s left source %s; nothing was removed. See them: sluice removals list --run %s; if that is right: sluice removals approve %s",
		counted(pages, parts), src.ID, run.ID, run.ID)
	return true, d.ledger.HoldRun(ctx, run.ID, gone, v.kept, message)
}

// counted says how many pages and threads would leave, for a message.
func counted(pages, parts brake.Share) string {
	text := fmt.Sprintf("%d of %d pages", pages.Removals, pages.Live)
	if parts.Removals > 0 {
		text += fmt.Sprintf(" and %d of %d threads of comments", parts.Removals, parts.Live)
	}
	return text + " have"
}

func (d *Detector) announce(ctx context.Context, run store.Run) error {
	removed, err := d.ledger.Removals(ctx, run.ID)
	if err != nil || len(removed) == 0 {
		return err
	}
	events := make([]event.Event, len(removed))
	for i, r := range removed {
		events[i] = event.PageRemoved{
			SourceID: run.SourceID, RunID: run.ID, PageID: r.PageID, Title: r.Title, Reason: r.Reason, At: time.Now().UTC(),
		}
	}
	d.log.Info().Str("source", run.SourceID).Str("run", run.ID).Int("removed", len(removed)).Msg("pages removed")
	return d.bus.PublishAll(ctx, events)
}

// Stage describes the detector as a stage of a process.
func Stage() service.Stage {
	return service.Stage{Name: "deletion-detector", Settings: config.TypeOf[config.DeletionDetector](), Open: open}
}

func open(ctx context.Context, h *service.Host) (service.Runner, error) {
	cfg, s, b, err := service.Open[config.DeletionDetector](ctx, h)
	if err != nil {
		return nil, err
	}
	opened, err := h.Systems(ctx)
	if err != nil {
		return nil, err
	}
	d := New(s, b, opened, cfg.Brake, h.Log)
	return service.Consume(b, bus.Removals, d.Handle, bus.OnPermanent(d.Failed), service.BySite(s)), nil
}
