// Package run decides how a run goes on: which state its ledger proves, how far it is, whose
// turn it is, and whether its removals are held. The functions are pure; the store reads what
// they are asked about and writes what they answer.
package run

import (
	"cmp"
	"slices"
	"time"

	"github.com/sluicehq/sluice/shared/event"
)

// Standing is what the ledger says of a run.
type Standing struct {
	State           event.State
	Mode            event.Mode
	ListingDone     bool // the listing is proven complete
	Listed          int  // pages of the complete listing, without removal candidates
	RemovalsChecked bool // every removal candidate has been dealt with
	TooManyRemovals bool // the brake has stopped them
	Counts          event.Counts
	AwaitBody       int // of the pending pages, those that wait for a body
}

// Next returns the state that the ledger proves. Only a run whose listing is complete and that
// has not ended moves by its ledger.
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

// Percent returns how far the run is, from 0 to 100. It grows with the listed pages that no
// longer wait for a body. Removal candidates, which the ledger gets later, do not count: they
// would make it go back. The last point is kept for the end of the run.
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

// Balances reports whether the ledger accounts for each page that was listed or found missing:
// as many rows as the lister and the deletion-detector counted, each with its end.
func Balances(counted int, c event.Counts) bool {
	ended := c.Created + c.Updated + c.Unchanged + c.Removed + c.Skipped + c.Failed
	return counted == c.Listed && ended == c.Listed
}

// Place is where a run stands in the line of its source.
type Place struct {
	ID        string
	State     event.State
	Requested time.Time
}

// Line puts the open runs of one source in the order of their turns: the one under way, then
// the requests, the oldest first.
func Line(open []Place) []Place {
	line := slices.Clone(open)
	slices.SortFunc(line, func(a, b Place) int {
		return cmp.Or(cmp.Compare(waits(a), waits(b)), a.Requested.Compare(b.Requested), cmp.Compare(a.ID, b.ID))
	})
	return line
}

// waits is 1 for a run that waits for its turn and 0 for one under way.
func waits(p Place) int {
	if p.State == event.StateRequested {
		return 1
	}
	return 0
}

// WaitsFor returns the run after which it is the turn of the run with the id, "" for none.
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

// Brake says how much a run may remove without a person: more than so many pages, and more
// than that share of the source, is too much.
type Brake struct {
	Pages   int
	Percent int
}

// Holds reports whether so many removals from a source of so many live pages are held.
func (b Brake) Holds(removals, live int) bool {
	return removals > b.Pages && 100*removals > b.Percent*live
}

// NextSeq returns the sequence number of a snapshot that is made at a time, after one with the
// number before. It follows the clock, in microseconds, so that it grows also where the ledger
// begins anew under the same run id, and it grows where the clock goes back.
func NextSeq(before int64, at time.Time) int64 { return max(before+1, at.UnixMicro()) }
