// Package way computes the time of a page in each step of its path through the stages.
package way

import (
	"fmt"
	"slices"
	"time"

	"github.com/sluicehq/sluice/lab/bench/figure"
	"github.com/sluicehq/sluice/lab/bench/report"
	"github.com/sluicehq/sluice/shared/event"
)

// Handled is a message that a stage has handled.
type Handled struct {
	Event event.Type
	Page  string // the first of the message's pages
	Ended time.Time
	Took  time.Duration
}

func (h Handled) began() time.Time { return h.Ended.Add(-h.Took) }

// The steps of a page's path.
var steps = []string{
	"waits to be fetched",
	"is fetched, with up to 99 others",
	"waits for the converter",
	"is converted",
	"waits for the chunk-writer",
	"is split and written",
}

// Of computes the paths of the pages of a run. fetched is the time at which each body was there; a fetch
// task holds the pages from its first one up to the first one of the next task, by id. A missing message
// of a page is an error.
func Of(began time.Time, fetched map[string]time.Time, handled []Handled) (report.Stages, error) {
	var tasks []Handled
	converted, written := map[string]Handled{}, map[string]Handled{}
	for _, h := range handled {
		switch h.Event {
		case event.TypePagesListed:
			tasks = append(tasks, h)
		case event.TypePageFetched:
			converted[h.Page] = h
		case event.TypePageConverted:
			written[h.Page] = h
		}
	}
	slices.SortFunc(tasks, func(a, b Handled) int { return compareIDs(a.Page, b.Page) })
	spent := make([][]time.Duration, len(steps))
	for id, at := range fetched {
		c, okC := converted[id]
		w, okW := written[id]
		i, found := slices.BinarySearchFunc(tasks, id, func(t Handled, id string) int { return compareIDs(t.Page, id) })
		if !found {
			i--
		}
		if !okC || !okW || i < 0 {
			return report.Stages{}, fmt.Errorf("a message of page %s is missing: fetched %v, converted %v, written %v", id, i >= 0, okC, okW)
		}
		moments := []time.Time{began, tasks[i].began(), at, c.began(), c.Ended, w.began(), w.Ended}
		for s := range steps {
			// The clocks of two processes differ, and a line may arrive late, so a step can seem
			// slightly negative.
			spent[s] = append(spent[s], max(0, moments[s+1].Sub(moments[s])))
		}
	}
	return sum(spent), nil
}

func sum(spent [][]time.Duration) report.Stages {
	r := report.Stages{Pages: len(spent[0])}
	var all time.Duration
	totals := make([]time.Duration, len(spent))
	for s, list := range spent {
		for _, d := range list {
			totals[s] += d
		}
		all += totals[s]
	}
	for s, list := range spent {
		t := figure.TailOf(list)
		r.Steps = append(r.Steps, report.StepTime{Name: steps[s], P50: t.P50, P95: t.P95, Share: figure.Ratio(float64(totals[s]), float64(all))})
	}
	return r
}

// compareIDs compares ids in the database's order: they are digits.
func compareIDs(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
