package versus_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/lab/bench/versus"
)

func run(pages, seconds, calls int) versus.Run {
	return versus.Run{Pages: pages, Wall: time.Duration(seconds) * time.Second, Calls: int64(calls)}
}

func row(name string, rounds ...versus.Run) versus.Row {
	return versus.Row{Name: name, Ours: name == "ours", Rounds: rounds}
}

func TestTheMedianCountsAndAnErrorStays(t *testing.T) {
	r := row("a", run(10, 9, 1), run(10, 2, 2), run(10, 4, 3))
	require.Equal(t, run(10, 4, 3), r.Median())
	require.Equal(t, run(10, 9, 1), r.Rounds[0], "the order of the rounds is kept")
	least, most := r.Between()
	require.Equal(t, []time.Duration{2 * time.Second, 9 * time.Second}, []time.Duration{least, most})
	require.Equal(t, "no", row("a", run(10, 1, 1), versus.Run{Err: "no"}, run(10, 2, 2)).Median().Err)
	require.Zero(t, row("a").Median())
}

func TestTheBestOfThoseThatBroughtPages(t *testing.T) {
	tab := versus.Table{Rows: []versus.Row{
		row("ours", run(100, 1, 1)), row("broken", versus.Run{Err: "no"}), row("empty", versus.Run{Stopped: true, Wall: time.Second, Calls: 1}),
		row("quick", run(100, 2, 50)), row("frugal", run(100, 4, 10)), row("stopped", versus.Run{Pages: 10, Wall: 60 * time.Second, Calls: 20, Stopped: true}),
	}}
	fastest, ok := tab.Fastest()
	require.True(t, ok)
	require.Equal(t, "quick", fastest.Name)
	frugal, ok := tab.Frugal()
	require.True(t, ok)
	require.Equal(t, "frugal", frugal.Name)
	require.Equal(t, []versus.Standing{{Name: "ours", Peer: "quick", Speed: 2, Calls: 0.02}}, tab.Standings(fastest))
	require.Equal(t, "2.00 × the pages a second, 0.02 × the calls a page", tab.Standings(fastest)[0].String())

	_, ok = versus.Table{Rows: tab.Rows[:3]}.Fastest()
	require.False(t, ok, "nobody else has brought a page")
	require.Empty(t, versus.Table{Rows: tab.Rows[1:]}.Standings(fastest))
}

func TestBothAimsHaveToBeMet(t *testing.T) {
	for _, tc := range []struct {
		speed, calls float64
		met          bool
	}{{10, 0.1, true}, {9.99, 0.1, false}, {10, 0.11, false}} {
		require.Equal(t, tc.met, versus.Standing{Speed: tc.speed, Calls: tc.calls}.Met(), tc)
	}
}

func TestATenthOfTheCallsMayBeOutOfReach(t *testing.T) {
	require.False(t, versus.WithinReach(row("by the fifty", run(1000, 1, 20))), "500 pages a call")
	require.True(t, versus.WithinReach(row("by the twenty-five", run(1000, 1, 40))), "250 pages a call")
	require.True(t, versus.WithinReach(row("one by one", run(1000, 1, 2000))))
}

func TestTheSizeThatIsAskedForOrTheLargest(t *testing.T) {
	r := versus.Results{Tables: []versus.Table{{Pages: 1000}, {Pages: 4000}, {Pages: 10_000}, {Pages: 20_000, Site: "slow"}}}
	for asked, want := range map[int]int{4000: 4000, 1000: 1000, 7: 10_000} {
		got, ok := r.Whole(asked)
		require.True(t, ok)
		require.Equal(t, want, got.Pages)
	}
	_, ok := versus.Results{Tables: r.Tables[3:]}.Whole(20_000)
	require.False(t, ok, "a slow site is another matter")
}

func TestWhatWasMeasuredIsReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "peers.json")
	none, err := versus.Read(file)
	require.NoError(t, err)
	require.Nil(t, none)
	r := versus.Results{Began: time.Unix(1, 0).UTC(), Command: "make", Tables: []versus.Table{{Pages: 7, Rows: []versus.Row{
		row("ours", versus.Run{Pages: 7, Wall: 1, Statuses: map[int]int64{429: 1}, Stopped: true, Err: "x"}),
	}}}}
	require.NoError(t, r.Save(file))
	got, err := versus.Read(file)
	require.NoError(t, err)
	require.Equal(t, &r, got)
	require.NoError(t, os.WriteFile(file, []byte("{"), 0o600))
	_, err = versus.Read(file)
	require.ErrorContains(t, err, "peers.json")
}
