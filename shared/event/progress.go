package event

import (
	"time"

	"github.com/sluicehq/sluice/shared/failure"
)

// State is the state of a run.
type State string

// The states of a run. The last five are final.
const (
	StateRequested             State = "requested" // waits for the source's open run to end
	StateListing               State = "listing"
	StateFetching              State = "fetching"  // the listing is complete, pages are under way
	StateFinishing             State = "finishing" // every page has an outcome, removals are being checked
	StateCompleted             State = "completed"
	StateCompletedWithFailures State = "completed_with_failures"
	StateHeld                  State = "held" // the removal brake stopped it; nothing was removed
	StateFailed                State = "failed"
	StateCancelled             State = "cancelled"
)

// Final reports whether a run in this state has ended.
func (s State) Final() bool {
	switch s {
	case StateCompleted, StateCompletedWithFailures, StateHeld, StateFailed, StateCancelled:
		return true
	default:
		return false
	}
}

// Counts are the pages of a run by outcome. Listed equals the sum of all others.
type Counts struct {
	Listed    int `json:"listed"`
	Pending   int `json:"pending"` // listed, without an outcome yet
	Created   int `json:"created"`
	Updated   int `json:"updated"`
	Unchanged int `json:"unchanged"`
	Removed   int `json:"removed"`
	Skipped   int `json:"skipped"`
	Failed    int `json:"failed"`
}

// Progress is a snapshot of a run. A run's subject keeps the newest one, so a late subscriber gets it
// immediately.
type Progress struct {
	SourceID   string       `json:"source_id"`
	RunID      string       `json:"run_id"`
	Mode       Mode         `json:"mode"`
	State      State        `json:"state"`
	Percent    int          `json:"percent"` // 0 to 100, never decreases
	Counts     Counts       `json:"counts"`
	Code       failure.Code `json:"code,omitempty"` // why it failed or was held
	Message    string       `json:"message,omitempty"`
	StartedAt  time.Time    `json:"started_at,omitzero"`
	FinishedAt time.Time    `json:"finished_at,omitzero"`
	At         time.Time    `json:"at"`
	// Seq grows with each snapshot of a run. Snapshots may arrive late, and readers drop those that are
	// older than one they have seen. Older programs do not set it; for 0, At says which snapshot is
	// newer.
	Seq int64 `json:"seq,omitempty"`
}

// After reports whether e is newer than another snapshot of the same run.
func (e Progress) After(other Progress) bool {
	if e.Seq != 0 && other.Seq != 0 {
		return e.Seq > other.Seq
	}
	return e.At.After(other.At)
}

// clocksDiffer is the largest expected difference between the clocks of machines.
const clocksDiffer = time.Minute

// Absurd reports whether the snapshot's number or time is so far ahead that no ledger can have made it:
// numbers follow the clock. Readers must not drop other snapshots because of it.
func (e Progress) Absurd(now time.Time) bool {
	latest := now.Add(clocksDiffer)
	return e.Seq > latest.UnixMicro() || e.At.After(latest)
}

// EventType returns TypeProgress.
func (Progress) EventType() Type { return TypeProgress }

// Subject returns the run's own progress subject.
func (e Progress) Subject() string { return ProgressSubject(e.SourceID, e.RunID) }

// MsgID differs for every snapshot, by its time.
func (e Progress) MsgID() string {
	return msgID(e.EventType(), e.RunID, e.At.UTC().Format(time.RFC3339Nano))
}
