package source

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/shared/page"
)

// Watching is implemented by a system that says in one go what changed in several of its sources.
type Watching interface {
	// Watch says of each of the sources what changed. They are of the same site, opened, and of this system. It asks as
	// little as it can: where nothing changed, twice for each credential and fifty sources.
	Watch(ctx context.Context, of []Watched) []Change
}

// Watched is a source of which is asked what changed.
type Watched struct {
	System System
	Since  time.Time // by the system's clock
	Kinds  Kinds
}

// Change is what changed in a source.
type Change struct {
	// At is when it was asked, by the system's clock.
	At time.Time
	// Hits are what may have changed, as far as the system's index knows by now. An unknown version is 0. The id of a part
	// of a page may be that of something in it.
	Hits []page.Ref
	// Unsure is why only a run can tell what changed; "" if the hits are all.
	Unsure string
	// Err is why it could not be asked.
	Err error
}
