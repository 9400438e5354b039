package bench

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/sluicehq/sluice/lab/bench/report"
	"github.com/sluicehq/sluice/lab/bench/site"
)

// siteRate is how many calls a second the site allows.
const siteRate = 10

// underRate measures a full sync of a site with a limit of calls per second.
func (b *bench) underRate(ctx context.Context) error {
	for range b.rounds {
		r, err := b.rateRound(ctx)
		if err != nil {
			return err
		}
		b.say("%d pages at %d calls a second fetched in %s, done in %s, at least %s", r.Pages, siteRate, r.Fetched.Round(time.Millisecond), r.Took.Round(time.Millisecond), r.Least().Round(time.Millisecond))
		b.r.Rate = append(b.r.Rate, r)
	}
	return nil
}

func (b *bench) rateRound(ctx context.Context) (r report.Rate, err error) {
	w, err := b.newWorld(ctx, layout{pages: b.ratePages, env: map[string][]string{
		"": {fmt.Sprint("CONFLUENCE_REQUESTS_PER_SECOND=", siteRate)},
	}})
	defer w.close(&err)
	if err != nil {
		return r, err
	}
	// A rejected call is not slow as well, so this fault is first.
	if err := w.site.Behave(ctx, site.AtMost(siteRate), site.Slow); err != nil {
		return r, err
	}
	full, err := w.firstSync(ctx)
	if err != nil {
		return r, err
	}
	st, err := w.site.Stats(ctx)
	if err != nil {
		return r, err
	}
	calls, err := w.site.calls(ctx)
	if err != nil {
		return r, err
	}
	last := slices.MaxFunc(calls, func(a, b call) int { return a.At.Compare(b.At) })
	return report.Rate{
		Pages: b.ratePages, PerSecond: siteRate, Answer: site.Answer, Took: full.Took,
		Fetched: last.At.Sub(full.Began) + site.Answer,
		Calls:   full.Calls - st.Statuses[http.StatusTooManyRequests], Refused: st.Statuses[http.StatusTooManyRequests],
	}, nil
}
