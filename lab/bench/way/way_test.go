package way_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/lab/bench/way"
	"github.com/sluicehq/sluice/shared/event"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }

func handled(t event.Type, page string, began, ended int) way.Handled {
	return way.Handled{Event: t, Page: page, Ended: at(ended), Took: time.Duration(ended-began) * time.Millisecond}
}

// Two tasks: the first holds the pages 10 and 11, the second 20.
func TestTheWayOfPages(t *testing.T) {
	fetched := map[string]time.Time{"10": at(30), "11": at(30), "20": at(50)}
	list := []way.Handled{
		handled(event.TypePagesListed, "20", 20, 60),
		handled(event.TypePagesListed, "10", 10, 40),
		handled(event.TypePageFetched, "10", 32, 35),
		handled(event.TypePageFetched, "11", 34, 36),
		handled(event.TypePageFetched, "20", 50, 51),
		handled(event.TypePageConverted, "10", 36, 46),
		handled(event.TypePageConverted, "11", 46, 56),
		handled(event.TypePageConverted, "20", 50, 60), // its line came late: written before it was converted
		handled(event.TypePageStored, "10", 60, 61),    // of no step
	}
	s, err := way.Of(start, fetched, list)
	require.NoError(t, err)
	require.Equal(t, 3, s.Pages)
	var p50 []float64
	var share float64
	for _, step := range s.Steps {
		p50 = append(p50, step.P50)
		share += step.Share
	}
	require.Equal(t, []float64{10, 20, 2, 2, 1, 10}, p50)
	require.InDelta(t, 1, share, 1e-9)
	require.InDelta(t, 40.0/163, s.Steps[0].Share, 1e-9, "10, 10 and 20 of 46, 56 and 61: what came late counts as nothing")

	for i := range list[:8] {
		rest := append(append([]way.Handled{}, list[:i]...), list[i+1:]...)
		_, err := way.Of(start, fetched, rest)
		if i == 0 {
			require.NoError(t, err, "without its start the task of 20 is taken for a part of the one before")
			continue
		}
		require.ErrorContains(t, err, "is missing", "without message %d", i)
	}
}
