package cli

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
)

// A pause that the site asked for must not look like a stand-still.
func TestTheProgressShowsAPause(t *testing.T) {
	t.Parallel()
	var lines []string
	v := &progressView{line: func(s string) { lines = append(lines, s) }}
	p := event.Progress{SourceID: "docs", State: event.StateFetching, Percent: 40, Counts: event.Counts{Listed: 10, Pending: 6, Failed: 1}}
	until := time.Now().Add(90 * time.Second)
	v.update(p)
	v.paused(nil)
	v.paused(&store.Pause{Until: until})
	v.paused(&store.Pause{Until: until})
	longer := until.Add(time.Minute)
	v.paused(&store.Pause{Until: longer})
	v.paused(nil)
	v.paused(nil)
	require.Len(t, lines, 4, "one line for each change")
	require.Equal(t, " 40%  docs fetching: 4 of 10 pages, 1 failed", lines[0])
	require.Regexp(t, `1 failed, paused by the site until `+clock(until)+`, (90|89) s$`, lines[1])
	require.Contains(t, lines[2], "until "+clock(longer))
	require.Equal(t, lines[0], lines[3], "the run goes on")

	require.Contains(t, progressText(p, &store.Pause{Until: until}, until.Add(time.Second)), ", 0 s")
	for _, width := range []int{40, 80, 200} {
		require.LessOrEqual(t, barWidth(width), 30)
		require.Positive(t, barWidth(width))
	}
}
