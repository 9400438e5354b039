package schedule

import "time"

// The paces of Auto. With the fast one, an edit is found within 95 seconds of it although the search index lags a minute.
const (
	fast   = 20 * time.Second
	medium = time.Minute
	slow   = 5 * time.Minute

	busyFor  = 3 * time.Hour  // after a change, people are taken to be at work
	awakeFor = 12 * time.Hour // after that, it is night or a weekend
)

// Pace is the interval of Auto when something changed so long ago; less than 0 is not known.
func Pace(changed time.Duration) time.Duration {
	switch {
	case changed >= 0 && changed < busyFor:
		return fast
	case changed >= 0 && changed < awakeFor:
		return medium
	}
	return slow
}

const (
	firstRest   = 30 * time.Second
	longestRest = time.Hour
)

// Rest is how long a source is left alone after so many failures in a row: half a minute, doubled each time, at most an
// hour.
func Rest(failures int) time.Duration {
	if failures <= 0 {
		return 0
	}
	return min(firstRest<<min(failures-1, 10), longestRest)
}

// MostBehind is how far back a question about several sources goes. A source that is further behind gets a run of its
// own, so that it does not widen the question for its neighbours.
const MostBehind = 2 * time.Hour

// Action is what is done with a source that is due.
type Action string

// The actions.
const (
	Ask     Action = "ask"  // ask the site what changed
	Run     Action = "run"  // request an incremental run
	FullRun Action = "full" // request a full run
	Busy    Action = "busy" // a run is requested or under way: do nothing
	Wait    Action = "wait" // recent runs have failed: do nothing yet
)

// Facts are what is known of a source that is due. Times that are not known are zero.
type Facts struct {
	Now      time.Time
	Busy     bool // a run of it is requested or under way
	Askable  bool // its system says in one answer what changed in several sources
	OnDemand bool // pages are removed only when a person asks for that

	Synced    time.Time // its watermark: everything up to here is stored
	Seen      time.Time // nothing has changed up to here since then
	Compared  time.Time // when all pages were last compared
	FullAfter time.Time // no full run by schedule before this time

	Failures   int       // of runs, in a row, since the last one that was well or somebody mended something
	FailedAt   time.Time // the last of them
	FullFailed bool      // the last full run by schedule has failed, and none was well since
}

// Decide says what is done with a source that is due, and with Wait, until when nothing is.
func (s Schedule) Decide(f Facts) (Action, time.Time) {
	if f.Busy {
		return Busy, time.Time{}
	}
	if until := f.FailedAt.Add(Rest(f.Failures)); f.Failures > 0 && f.Now.Before(until) {
		return Wait, until
	}
	switch {
	case f.Synced.IsZero():
		return Run, time.Time{} // the first run lists all pages anyway
	case s.fullIsDue(f):
		return FullRun, time.Time{}
	case !f.Askable, f.Now.Sub(f.Since()) > MostBehind:
		return Run, time.Time{}
	}
	return Ask, time.Time{}
}

// Since is the time up to which everything that changed is known.
func (f Facts) Since() time.Time {
	if f.Seen.After(f.Synced) {
		return f.Seen
	}
	return f.Synced
}

func (s Schedule) fullIsDue(f Facts) bool {
	every := s.FullInterval()
	if every == 0 || f.OnDemand { // a full run removes pages, which such a source does only when asked
		return false
	}
	if f.FullFailed {
		return true
	}
	return !f.Now.Before(f.FullAfter) && !f.Now.Before(f.Compared.Add(every))
}

// FullInterval is the interval of full runs, 0 for none.
func (s Schedule) FullInterval() time.Duration {
	r, err := s.read()
	if err != nil {
		return 0
	}
	return r.fullEvery
}
