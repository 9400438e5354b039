// Package run decides how a run continues: which state its ledger proves, its percentage, whose turn it
// is, and whether its removals are held. The functions are pure; the store reads their input and writes
// their results.
package run

import (
	"cmp"
	"slices"
	"time"

	"github.com/sluicehq/sluice/shared/event"
)

// Standing is the state of a run according to its ledger.
type Standing struct {
	State           event.State
	Mode            event.Mode
	ListingDone     bool // the listing is proven complete
	Listed          int  // pages of the complete listing, without removal candidates
	RemovalsChecked bool // every removal candidate has been checked
	TooManyRemovals bool // the brake has stopped them
	Counts          event.Counts
	AwaitBody       int // pending pages that wait for a body
}

// Next returns the state that the ledger proves. The ledger only moves a run whose listing is complete
// and that has not ended.
func (s Standing) Next() event.State {
	if s.State != event.StateFetching && s.State != event.StateFinishing {
		return s.State
	}
	checked := s.Mode != event.Full || s.RemovalsChecked
	switch {
	case s.AwaitBody > 0:
		return event.StateFetching
	case !checked || s.Counts.Pending > 0:
		return event.StateFinishing
	case s.TooManyRemovals:
		return event.StateHeld
	case s.Counts.Failed > 0:
		return event.StateCompletedWithFailures
	default:
		return event.StateCompleted
	}
}

// Percent returns the progress of the run, from 0 to 100. It grows with the listed pages that no longer
// wait for a body. Removal candidates do not count: the ledger gets them later, so they would make it
// decrease. The last percent is reserved for the end of the run.
func (s Standing) Percent() int {
	switch {
	case s.State == event.StateCompleted, s.State == event.StateCompletedWithFailures, s.State == event.StateHeld:
		return 100
	case !s.ListingDone:
		return 0
	case s.Listed == 0:
		return 99
	default:
		return 99 * (s.Listed - s.AwaitBody) / s.Listed
	}
}

// Balances reports whether the ledger accounts for each page that was listed or found missing: it has as
// many rows as the lister and the deletion-detector counted, each with an outcome.
func Balances(counted int, c event.Counts) bool {
	ended := c.Created + c.Updated + c.Unchanged + c.Removed + c.Skipped + c.Failed
	return counted == c.Listed && ended == c.Listed
}

// Place is a run's place in the line of its source.
type Place struct {
	ID        string
	State     event.State
	Requested time.Time
}

// Line sorts the open runs of one source in the order of their turns: the active run, then the requests,
// the oldest first.
func Line(open []Place) []Place {
	line := slices.Clone(open)
	slices.SortFunc(line, func(a, b Place) int {
		return cmp.Or(cmp.Compare(waits(a), waits(b)), a.Requested.Compare(b.Requested), cmp.Compare(a.ID, b.ID))
	})
	return line
}

// waits is 1 for a run that waits for its turn and 0 for an active one.
func waits(p Place) int {
	if p.State == event.StateRequested {
		return 1
	}
	return 0
}

// WaitsFor returns the run that must end before the run with the id has its turn, "" for none.
func WaitsFor(open []Place, id string) string {
	before := ""
	for _, p := range Line(open) {
		if p.ID == id {
			return before
		}
		before = p.ID
	}
	return ""
}

// Brake limits the removals of a run without a person's approval: it holds a run that would remove more
// than a number of pages and more than a share of the source.
type Brake struct {
	Pages   int
	Percent int
}

// Holds reports whether that many removals from a source with that many live pages are held.
func (b Brake) Holds(removals, live int) bool {
	return removals > b.Pages && 100*removals > b.Percent*live
}

// Share is a number of removals among a number of live documents of a sort.
type Share struct{ Removals, Live int }

// HoldsAny reports whether the removals of any sort are held, or those of all sorts together: many comments must not hide
// that most pages leave.
func (b Brake) HoldsAny(sorts ...Share) bool {
	var all Share
	for _, s := range sorts {
		if b.Holds(s.Removals, s.Live) {
			return true
		}
		all.Removals, all.Live = all.Removals+s.Removals, all.Live+s.Live
	}
	return b.Holds(all.Removals, all.Live)
}

// NextSeq returns the sequence number of a snapshot made at a time, after one with the number before. It
// follows the clock, in microseconds, so that it grows even if the ledger starts again under the same
// run id, and it grows even if the clock is set back.
func NextSeq(before int64, at time.Time) int64 { return max(before+1, at.UnixMicro()) }
