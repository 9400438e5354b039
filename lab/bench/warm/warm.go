// Package warm lets what was just started run for a while before it is measured.
package warm

import (
	"context"
	"time"
)

// upFor is how long everything has been up when it is asked for something. A broker that was started
// less than three seconds ago has the first call to the site wait for a second.
const upFor = 4 * time.Second

// Up returns when what was just started has been up for some seconds, or with the error of ctx.
func Up(ctx context.Context) error {
	select {
	case <-time.After(upFor):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
