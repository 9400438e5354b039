package credential

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/shared/bus/budget"
	"github.com/sluicehq/sluice/shared/confluence"
)

// Pauses is the record of the pauses that sites asked for; see store.Store.
type Pauses interface {
	RecordPause(ctx context.Context, site string, wait time.Duration, why string) error
	PauseLifted(ctx context.Context, site string) (time.Time, error)
}

// recordWithin limits how long a call waits for the record of its pause.
const recordWithin = 5 * time.Second

// shortestTold is the shortest pause that people are told of: a shorter one is over before they would wonder.
const shortestTold = 4 * time.Second

// recordPause records a pause, so that people see why nothing goes on. If it cannot be recorded, it applies all the same.
func (s *Site) recordPause(site string, asks *confluence.RateLimitError) {
	wait := time.Until(asks.RetryAt)
	if s.pauses == nil || !asks.Requested() || wait < shortestTold {
		return
	}
	level := zerolog.InfoLevel
	if wait > longestPause { // it parks work
		level = zerolog.WarnLevel
	}
	s.log.WithLevel(level).Str("site", site).Time("until", asks.RetryAt).Err(asks).Msg("the site asks for a pause, all its sources wait")
	ctx, cancel := context.WithTimeout(context.Background(), recordWithin)
	defer cancel()
	if err := s.pauses.RecordPause(ctx, site, wait, reason(asks)); err != nil {
		s.log.Warn().Str("site", site).Err(err).Msg("the pause cannot be recorded, so nobody sees or lifts it")
	}
}

// reason says which call was answered with a pause, and what the site said.
func reason(e *confluence.RateLimitError) string {
	why := fmt.Sprintf("%s %s was answered with %d", e.Method, e.Route, e.Status)
	if e.Asked > 0 {
		why += fmt.Sprintf(" and a wait of %d seconds, which is cut to the limit", int64(e.Asked/time.Second))
	}
	if e.Reason != "" {
		why += ": " + e.Reason
	}
	return why
}

// liftable is a budget whose pauses people can lift. They do so in the database; whoever would have to wait looks
// there first, and tells the others through the budget.
type liftable struct {
	*budget.Budget
	site   string
	pauses Pauses
}

// Wait implements confluence.Limiter.
func (l liftable) Wait(ctx context.Context) error {
	err := l.Budget.Wait(ctx)
	var paused *budget.PausedError
	if !errors.As(err, &paused) {
		return err
	}
	at, failed := l.pauses.PauseLifted(ctx, l.site)
	if failed != nil {
		return failed
	}
	// Also if the lift is no news: another process may have told of it since the first wait.
	l.Lift(at)
	return l.Budget.Wait(ctx)
}
