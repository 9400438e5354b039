package budget

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/shared/bus"
)

// Use is how a site's budget is used at the moment, by all processes together.
type Use struct {
	Processes int       `json:"processes"`      // that call the site, or wait to
	Calls     int       `json:"calls"`          // under way or about to begin
	Waiting   int       `json:"waiting"`        // calls that wait for a place
	Pause     time.Time `json:"pause,omitzero"` // no call before it, by the broker's clock; zero for none
}

// Look reads the use of a site's budget and takes no part in it. Nobody may have called the site yet: then all is
// zero.
func Look(ctx context.Context, b *bus.Bus, site string) (Use, error) {
	value, err := b.Glance(ctx, key(site))
	if err != nil || value == nil {
		return Use{}, err
	}
	var s schedule
	if err := json.Unmarshal(value, &s); err != nil {
		return Use{}, fmt.Errorf("read the budget of a site: %w", err)
	}
	now := time.Now()
	s.forget(now)
	u := Use{Processes: len(s.Replicas), Calls: s.places()}
	if s.Pause.After(now) {
		u.Pause = s.Pause
	}
	for _, r := range s.Replicas {
		if r.waits(now) {
			u.Waiting += r.Waiting
		}
	}
	return u, nil
}
