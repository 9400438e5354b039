// Package warm lets newly started processes run for a while before they are measured.
package warm

import (
	"context"
	"time"
)

// upFor is the time that everything has been running before the first request. If a broker was started
// less than three seconds ago, the first call to the site waits for a second.
const upFor = 4 * time.Second

// Up returns after upFor, or with the error of ctx.
func Up(ctx context.Context) error {
	select {
	case <-time.After(upFor):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
