package store_test

import (
	"math"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// day returns a time at which a version was made.
func day(n int) time.Time { return time.Date(2026, 3, n, 12, 0, 0, 123_000_000, time.UTC) }

// listedAt returns a listed page with the title Page, whose version was made on a day.
func listedAt(id string, version, made int) store.Listed {
	l := listed(id, version, "Page")
	l.ModifiedAt = day(made)
	return l
}

// writeAt returns such a page with its text.
func writeAt(run, id string, version, made int, text string) store.PageWrite {
	w := write("docs", run, id, version, "Page", text)
	w.Page.ModifiedAt = day(made)
	return w
}

// waiting returns the pages of the run that wait for their bodies.
func waiting(t *testing.T, s *store.Store, run string) (ids []string) {
	t.Helper()
	refs, err := s.PendingPages(t.Context(), run, "", 10)
	require.NoError(t, err)
	for _, r := range refs {
		ids = append(ids, r.ID)
	}
	return ids
}

func version(t *testing.T, s *store.Store, id string) int {
	t.Helper()
	p, err := s.Reader().Page(t.Context(), viewer.All(), id)
	require.NoError(t, err)
	return p.Version
}

// tenth stores the page 1 in its tenth version, made on day 10.
func tenth(t *testing.T) (*store.Store, *pgx.Conn) {
	t.Helper()
	s, conn := open(t)
	addSource(t, s, "docs")
	run := fullRun(t, s, "docs", "r0", listedAt("1", 10, 10))
	store1(t, s, writeAt("r0", "1", 10, 10, "ten"))
	require.Equal(t, event.StateCompleted, finish(t, s, run).State)
	return s, conn
}

func TestAListedVersionIsKnownByNumberAndTime(t *testing.T) {
	t.Parallel()
	unknown := listed("1", 10, "Page")
	for name, c := range map[string]struct {
		listed  store.Listed
		changed bool
	}{
		"the same":                            {listedAt("1", 10, 10), false},
		"a lower number, made later":          {listedAt("1", 3, 11), true},
		"the same number, made later":         {listedAt("1", 10, 11), true},
		"a higher number, made earlier":       {listedAt("1", 11, 9), false},
		"the same time, another number":       {listedAt("1", 3, 10), false},
		"the same number, at an unknown time": {unknown, false},
		"an unknown version":                  {listedAt("1", 0, 0), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := tenth(t)
			fullRun(t, s, "docs", "r1", c.listed)
			require.Equal(t, c.changed, len(waiting(t, s, "r1")) > 0)
		})
	}
}

func TestAVersionWithAnotherNumberIsTheSame(t *testing.T) {
	t.Parallel()
	s, _ := tenth(t)
	finish(t, s, fullRun(t, s, "docs", "r1", listedAt("1", math.MaxInt32, 10)))
	require.Equal(t, math.MaxInt32, version(t, s, "1"))
	finish(t, s, fullRun(t, s, "docs", "r2", listedAt("1", 2, 10)))
	require.Equal(t, 2, version(t, s, "1"))
	require.Equal(t, []string{"ten"}, contents(t, s, "docs", "1"))
}

func TestWritesAreOrderedByTimeAndNumber(t *testing.T) {
	t.Parallel()
	s, _ := tenth(t)
	fullRun(t, s, "docs", "r1", listedAt("1", 3, 11))
	require.Equal(t, event.Updated, store1(t, s, writeAt("r1", "1", 3, 11, "three")))
	require.Equal(t, event.Updated, store1(t, s, writeAt("r1", "1", 3, 10, "ten")), "the outcome in the run stays")
	require.Equal(t, []string{"three"}, contents(t, s, "docs", "1"), "an older text never overwrites a newer one")
	store1(t, s, writeAt("r1", "1", 10, 10, "ten"))
	require.Equal(t, 3, version(t, s, "1"))
	store1(t, s, writeAt("r1", "1", 3, 12, "three anew"))
	store1(t, s, writeAt("r1", "1", 4, 12, "four"))
	store1(t, s, writeAt("r1", "1", 3, 12, "three anew"))
	require.Equal(t, []string{"four"}, contents(t, s, "docs", "1"), "at the same time, the number counts")
}

// The row with the newest version wins, in one batch or in two.
func TestAPageThatIsListedTwiceCountsWithWhatWasMadeLast(t *testing.T) {
	t.Parallel()
	s, _ := tenth(t)
	run, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: "r1", Mode: event.Full, SourceID: "docs"})
	require.NoError(t, err)
	attempt, err := s.StartListing(t.Context(), run.ID, time.Now())
	require.NoError(t, err)
	for _, batch := range [][]store.Listed{{listedAt("1", 10, 10), listedAt("1", 2, 10)}, {listedAt("1", 9, 9), listedAt("1", 3, 11)}, {listedAt("1", 10, 10)}} {
		require.NoError(t, s.AddListed(t.Context(), run.ID, attempt, batch))
	}
	refs, err := s.PendingPages(t.Context(), "r1", "", 10)
	require.NoError(t, err)
	require.Equal(t, []page.Ref{{ID: "1", Version: 3}}, refs)
}

// A failed page is listed again as the same version, whatever its number is.
func TestAFailedVersionIsListedAgainByItsTime(t *testing.T) {
	t.Parallel()
	s, _ := tenth(t)
	run := fullRun(t, s, "docs", "r1", listedAt("1", 3, 11))
	failPage(t, s, "r1", "1")
	require.Equal(t, event.StateCompletedWithFailures, finish(t, s, run).State)
	next, err := s.OpenRun(t.Context(), event.SyncRequested{RequestID: "r2", Mode: event.Incremental, SourceID: "docs"})
	require.NoError(t, err)
	require.Equal(t, event.Incremental, next.Mode)
	attempt, err := s.StartListing(t.Context(), "r2", time.Now())
	require.NoError(t, err)
	require.NoError(t, s.AddFailed(t.Context(), next, attempt))
	_, err = s.CompleteListing(t.Context(), next, attempt)
	require.NoError(t, err)
	require.Equal(t, []string{"1"}, waiting(t, s, "r2"))
}

func TestKeptMarkdownIsOfTheVeryVersion(t *testing.T) {
	t.Parallel()
	s, _ := tenth(t)
	gone := fullRun(t, s, "docs", "r1")
	_, _, err := s.FindRemovalCandidates(t.Context(), gone)
	require.NoError(t, err)
	require.NoError(t, s.RemovePages(t.Context(), gone, []store.Removal{{PageID: "1", Reason: store.ReasonTrashed}}))
	require.Equal(t, event.StateCompleted, finish(t, s, gone).State)
	for id, made := range map[string]int{"r2": 11, "r3": 10} {
		run := fullRun(t, s, "docs", id, listedAt("1", 10, made))
		kept, err := s.KeptPages(t.Context(), run, []string{"1"})
		require.NoError(t, err)
		require.Equal(t, made == 10, len(kept) == 1)
		_, err = s.CancelRun(t.Context(), id)
		require.NoError(t, err)
	}
}

func TestOnlyAnOpenRunsPagesAreWritten(t *testing.T) {
	t.Parallel()
	s, _ := tenth(t)
	run := fullRun(t, s, "docs", "r1", listedAt("1", 11, 11))
	_, err := s.WritePage(t.Context(), writeAt("r1", "2", 1, 11, "not listed"))
	require.ErrorContains(t, err, "does not list page 2")
	store1(t, s, writeAt("r1", "1", 11, 11, "eleven"))
	finish(t, s, run)
	require.Equal(t, event.Updated, store1(t, s, writeAt("r1", "1", math.MaxInt32, 12, "late")))
	require.Equal(t, []string{"eleven"}, contents(t, s, "docs", "1"))
}

// One wrong answer, or one forged event, may give a page a time that no later version reaches; so may a row from
// before times were compared.
func TestATimeFarAheadFreezesNoPage(t *testing.T) {
	t.Parallel()
	s, conn := tenth(t)
	fullRun(t, s, "docs", "r1", listedAt("1", 11, 11))
	forged := writeAt("r1", "1", 11, 11, "forged")
	forged.Page.ModifiedAt = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	forged.Page.CreatedAt = forged.Page.ModifiedAt
	store1(t, s, forged)
	finish(t, s, mustRun(t, s, "r1"))
	fullRun(t, s, "docs", "r2", listedAt("1", 12, 12))
	require.Equal(t, []string{"1"}, waiting(t, s, "r2"))
	store1(t, s, writeAt("r2", "1", 12, 12, "twelve"))
	require.Equal(t, []string{"twelve"}, contents(t, s, "docs", "1"))

	_, err := conn.Exec(t.Context(), `UPDATE confluence_pages SET last_modified = '9999-01-01' WHERE page_id = '1'`)
	require.NoError(t, err)
	finish(t, s, mustRun(t, s, "r2"))
	fullRun(t, s, "docs", "r3", listedAt("1", 13, 13))
	require.Equal(t, []string{"1"}, waiting(t, s, "r3"))
	store1(t, s, writeAt("r3", "1", 13, 13, "thirteen"))
	require.Equal(t, []string{"thirteen"}, contents(t, s, "docs", "1"))
}

func mustRun(t *testing.T, s *store.Store, id string) store.Run {
	t.Helper()
	run, err := s.Run(t.Context(), id)
	require.NoError(t, err)
	return run
}

// A time in the future blocks no version, however near it is.
func TestATimeToComeFreezesNoPage(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	fullRun(t, s, "docs", "r0", listed("1", 1, "Page"))
	ahead := write("docs", "r0", "1", 1, "Page", "one")
	ahead.Page.ModifiedAt = time.Now().Add(10 * time.Minute)
	store1(t, s, ahead)
	next := write("docs", "r0", "1", 2, "Page", "two")
	next.Page.ModifiedAt = time.Now()
	store1(t, s, next)
	require.Equal(t, 2, version(t, s, "1"))
}
