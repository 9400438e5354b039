package watcher_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/services/fetcher/watcher"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/schedule"
	"github.com/sluicehq/sluice/shared/source"
	"github.com/sluicehq/sluice/shared/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a ledger, a broker and a site in which the watcher's decisions can be seen.
type world struct {
	claimed store.Look
	ended   []store.Looked
	calls   int
	known   map[string]bool
	sent    []event.Event
	changes map[string]source.Change
	refused error
	stop    context.CancelFunc
}

func (w *world) DueSources(context.Context, time.Duration) ([]string, error) {
	return []string{"docs", "other"}, nil
}

func (w *world) ClaimDue(context.Context, string) (store.Look, error) { return w.claimed, nil }

func (w *world) UnknownHits(_ context.Context, hits []store.Hit) (unknown []store.Hit, err error) {
	for _, h := range hits {
		if !w.known[h.Mark()] {
			unknown = append(unknown, h)
		}
	}
	return unknown, nil
}

func (w *world) EndLook(_ context.Context, _ string, list []store.Looked) (requests []event.SyncRequested, err error) {
	w.ended, w.calls = list, w.calls+1
	for _, l := range list {
		if l.Request != nil {
			requests = append(requests, *l.Request)
		}
	}
	return requests, nil
}

func (w *world) Publish(_ context.Context, e event.Event) error {
	w.sent = append(w.sent, e)
	return nil
}

func (*world) Ticks() bool { return true }

func (w *world) Open(_ context.Context, src store.Source) (source.System, error) {
	if src.ID == "refused" {
		return nil, w.refused
	}
	if src.System == "folder" {
		return struct{ source.System }{}, nil
	}
	return space{world: w, id: src.ID}, nil
}

type space struct {
	source.System
	world *world
	id    string
}

func (s space) Watch(_ context.Context, of []source.Watched) []source.Change {
	if s.world.stop != nil {
		s.world.stop()
	}
	out := make([]source.Change, len(of))
	for i, w := range of {
		out[i] = s.world.changes[w.System.(space).id] //nolint:forcetypeassert // a test's own
	}
	return out
}

func (w *world) handle(t *testing.T, ctx context.Context, e event.Event) error { //nolint:revive // the test goes first here
	t.Helper()
	data, err := json.Marshal(e)
	require.NoError(t, err)
	return watcher.New(w, w, w, zerolog.Nop()).Handle(ctx, bus.Delivery{Type: e.EventType(), Data: data, SourceID: "docs"})
}

func due(id string, change func(d *store.DueSource)) store.DueSource {
	now := time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC)
	d := store.DueSource{
		Source: store.Source{ID: id, System: store.Confluence, Schedule: &store.Scheduled{Schedule: schedule.Default()}},
		Key:    "https://acme.atlassian.net/wiki", Facts: schedule.Facts{Now: now, Synced: now.Add(-time.Minute), Compared: now.Add(-time.Hour), FullAfter: now},
	}
	if change != nil {
		change(&d)
	}
	return d
}

func TestATickNudgesEachSite(t *testing.T) {
	t.Parallel()
	w := &world{}
	require.NoError(t, w.handle(t, t.Context(), event.ScheduleTick{}))
	require.Len(t, w.sent, 2)
	require.Equal(t, "docs", w.sent[0].(event.SourceDue).SourceID) //nolint:forcetypeassert // else the test fails
}

func TestWhatComesOfALook(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 12, 1, 10, 0, 5, 0, time.UTC)
	hit := []page.Ref{{ID: "7", Version: 3}}
	for id, tc := range map[string]struct {
		change  source.Change
		due     func(d *store.DueSource)
		result  store.LookResult
		problem failure.Code
		mode    event.Mode // of the run that is requested
		least   time.Duration
	}{
		"quiet":     {source.Change{At: at}, nil, store.LookUnchanged, "", "", 0},
		"edited":    {source.Change{At: at, Hits: hit}, nil, store.LookRequested, "", event.Incremental, 0},
		"known":     {source.Change{At: at, Hits: []page.Ref{{ID: "8", Version: 1}}}, nil, store.LookUnchanged, "", "", 0},
		"hidden":    {source.Change{Unsure: "its space is missing"}, nil, store.LookRequested, "", event.Incremental, 0},
		"down":      {source.Change{Err: failure.New(failure.Unavailable, "down")}, nil, store.LookFailed, failure.Unavailable, "", 30 * time.Second},
		"down-long": {source.Change{Err: errors.New("down")}, func(d *store.DueSource) { d.Failures = 9 }, store.LookFailed, failure.Internal, "", time.Hour},
		"refused":   {source.Change{}, nil, store.LookFailed, failure.Unauthorized, "", 30 * time.Second},
		"busy":      {source.Change{}, func(d *store.DueSource) { d.Facts.Busy = true }, store.LookBusy, "", "", 0},
		"failing":   {source.Change{}, func(d *store.DueSource) { d.Facts.Failures, d.Facts.FailedAt = 8, d.Facts.Now }, store.LookWaits, "", "", 59 * time.Minute},
		"folder":    {source.Change{}, func(d *store.DueSource) { d.System = "folder" }, store.LookRequested, "", event.Incremental, 0},
		"full":      {source.Change{}, func(d *store.DueSource) { d.Facts.Compared = time.Time{} }, store.LookRequested, "", event.Full, 0},
		"on-demand": {source.Change{At: at}, func(d *store.DueSource) { d.Facts.Compared, d.Facts.OnDemand = time.Time{}, true }, store.LookUnchanged, "", "", 0},
		"behind":    {source.Change{}, func(d *store.DueSource) { d.Facts.Synced = d.Facts.Now.Add(-3 * time.Hour) }, store.LookRequested, "", event.Incremental, 0},
	} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			d := due(id, tc.due)
			w := &world{
				claimed: store.Look{Token: "t", Sources: []store.DueSource{d}}, known: map[string]bool{"8@1": true},
				changes: map[string]source.Change{id: tc.change}, refused: failure.New(failure.Unauthorized, "no token"),
			}
			require.NoError(t, w.handle(t, t.Context(), event.SourceDue{SourceID: id}))
			require.Len(t, w.ended, 1)
			got := w.ended[0]
			require.Equal(t, tc.result, got.Result)
			require.Equal(t, tc.problem, got.Problem)
			require.Truef(t, got.Next.After(d.Facts.Now.Add(tc.least)), "%s", got.Next)
			require.Equal(t, tc.result == store.LookUnchanged, !got.Seen.IsZero())
			require.Equal(t, tc.mode == event.Full, !got.FullAfter.IsZero())
			require.Equal(t, id == "edited", got.Changed)
			if tc.mode == "" {
				require.Nil(t, got.Request)
				require.Empty(t, w.sent)
				return
			}
			require.Equal(t, tc.mode, got.Request.Mode)
			require.Equal(t, []event.Event{*got.Request}, w.sent)
		})
	}
}

// A process that stops while it asks says nothing of the sources, which are due again at once.
func TestAProcessThatStopsGivesTheSourcesBack(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	w := &world{claimed: store.Look{Token: "t", Sources: []store.DueSource{due("docs", nil)}}, changes: map[string]source.Change{"docs": {Err: context.Canceled}}, stop: cancel}
	require.ErrorIs(t, w.handle(t, ctx, event.SourceDue{SourceID: "docs"}), context.Canceled)
	require.Equal(t, 1, w.calls)
	require.Empty(t, w.ended)
}
