package control_test

import (
	"context"
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/confluence/outgoing"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/seal"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/store/storetest"
	"github.com/sluicehq/sluice/shared/viewer"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var everyone = viewer.All()

// world is a Control on a real database and a real broker, with the sources docs and hr.
type world struct {
	*control.Control
	t     *testing.T
	store *store.Store
	kit   *bustest.Kit
	trust credential.Trust
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s, _ := storetest.Open(t)
	w := &world{t: t, store: s, kit: bustest.New(t)}
	key, err := seal.ParseKey(secret.New(base64.StdEncoding.EncodeToString(make([]byte, 32))))
	require.NoError(t, err)
	w.trust = credential.Trust{Hosts: outgoing.Hosts{"*.atlassian.net"}, Ring: seal.NewRing(key)}
	w.Control = control.New(s, w.kit.Bus, control.NewVault(w.trust, s))
	for _, id := range []string{"docs", "hr"} {
		storetest.AddSource(t, s, id)
	}
	return w
}

// listed makes a run of the source that has listed the pages and fetched none.
func (w *world) listed(sourceID, id string, pages ...string) store.Run {
	w.t.Helper()
	ctx := w.t.Context()
	run, err := w.store.OpenRun(ctx, event.SyncRequested{RequestID: id, Mode: event.Full, SourceID: sourceID})
	require.NoError(w.t, err)
	attempt, err := w.store.StartListing(ctx, id, time.Now())
	require.NoError(w.t, err)
	var list []store.Listed
	for _, p := range pages {
		list = append(list, store.Listed{ID: p, Version: 1, Title: "Page " + p, Status: "current"})
	}
	require.NoError(w.t, w.store.AddListed(ctx, id, attempt, list))
	_, err = w.store.CompleteListing(ctx, run, attempt)
	require.NoError(w.t, err)
	return run
}

// failed makes a run that ends with failed pages.
func (w *world) failed(sourceID, id string, pages ...string) {
	w.t.Helper()
	w.listed(sourceID, id, pages...)
	for _, page := range pages {
		require.NoError(w.t, w.store.FailPage(w.t.Context(), event.PageFailed{
			SourceID: sourceID, RunID: id, PageID: page, Version: 1, Stage: "converter", Code: "convert_too_deep", Message: "too deep", Attempts: 1,
		}))
	}
	w.end(id, nil)
}

// held makes a held run.
func (w *world) held(sourceID, id string) {
	w.t.Helper()
	w.listed(sourceID, id)
	w.end(id, func() error { return w.store.HoldRun(w.t.Context(), id, nil, nil, "too many") })
}

// end ends a run whose removals are checked, with check if it is not nil.
func (w *world) end(id string, check func() error) {
	w.t.Helper()
	if check == nil {
		check = func() error { return w.store.MarkRemovalsChecked(w.t.Context(), id) }
	}
	require.NoError(w.t, check())
	p, _, err := w.store.Advance(w.t.Context(), id)
	require.NoError(w.t, err)
	require.True(w.t, p.State.Final(), p.State)
}

func (w *world) state(id string) event.State {
	w.t.Helper()
	run, err := w.store.Run(w.t.Context(), id)
	require.NoError(w.t, err)
	return run.State
}

func TestARequestIsWrittenDownWhileTheBrokerIsAway(t *testing.T) {
	w := newWorld(t)
	w.held("hr", "h1")
	w.failed("docs", "f1", "1")
	w.failed("hr", "f2", "2")
	w.kit.Stop()
	w.PublishWithin = 500 * time.Millisecond
	began := time.Now()
	asked, err := w.Sync(t.Context(), everyone, control.SyncRequest{SourceID: "docs"})
	require.NoError(t, err)
	require.Error(t, asked.Unsent)
	require.Equal(t, event.StateRequested, w.state(asked.Run.ID))
	again, err := w.Retry(t.Context(), everyone, control.RetryRequest{})
	require.NoError(t, err)
	require.Len(t, again, 2)
	for _, r := range again {
		require.Error(t, r.Unsent)
		require.Equal(t, 1, r.Failed)
		require.Equal(t, event.StateRequested, w.state(r.Run.ID))
	}
	asked, err = w.Approve(t.Context(), everyone, "h1", "")
	require.NoError(t, err)
	require.Error(t, asked.Unsent)
	require.Equal(t, event.StateRequested, w.state(asked.Run.ID))
	require.NoError(t, w.store.RecordPause(t.Context(), storetest.Site, time.Hour, "why"))
	done, err := w.Resume(t.Context(), everyone, "docs")
	require.NoError(t, err)
	require.Error(t, done.Unsent)
	src, err := w.Source(t.Context(), everyone, "docs")
	require.NoError(t, err)
	require.Nil(t, src.Pause, "it is lifted all the same")
	require.Less(t, time.Since(began), 20*time.Second, "the wait for the broker is short")

	w.kit.Start()
	w.PublishWithin = bustest.Patience
	asked, err = w.Sync(t.Context(), everyone, control.SyncRequest{SourceID: "docs", RunID: asked.Run.ID + "-2"})
	require.NoError(t, err)
	require.NoError(t, asked.Unsent)
}

func TestTheSameRequestIsTheSameRun(t *testing.T) {
	w := newWorld(t)
	ask := func(r control.SyncRequest) (control.Asked, error) { return w.Sync(t.Context(), everyone, r) }
	first, err := ask(control.SyncRequest{SourceID: "docs", Key: "k"})
	require.NoError(t, err)
	same, err := ask(control.SyncRequest{SourceID: "docs", Key: "k", Mode: event.Incremental})
	require.NoError(t, err)
	require.Equal(t, first.Run.ID, same.Run.ID)
	other, err := ask(control.SyncRequest{SourceID: "hr", Key: "k"})
	require.NoError(t, err)
	require.NotEqual(t, first.Run.ID, other.Run.ID)
	var reused *control.KeyReusedError
	_, err = ask(control.SyncRequest{SourceID: "docs", Key: "k", Mode: event.Full})
	require.ErrorAs(t, err, &reused)
	require.Equal(t, first.Run.ID, reused.ID)

	_, err = ask(control.SyncRequest{SourceID: "docs", RunID: "mine"})
	require.NoError(t, err)
	joined, err := ask(control.SyncRequest{SourceID: "docs", RunID: "mine", Mode: event.Full})
	require.NoError(t, err, "a request with a run's id joins it")
	require.Equal(t, event.Incremental, joined.Run.RequestedMode)
	var taken *control.RunIDTakenError
	_, err = ask(control.SyncRequest{SourceID: "hr", RunID: "mine"})
	require.ErrorAs(t, err, &taken)

	var invalid *control.InvalidError
	for field, r := range map[string]control.SyncRequest{"mode": {SourceID: "docs", Mode: "half"}, "request_id": {SourceID: "docs", RunID: "a b"}} {
		_, err = ask(r)
		require.ErrorAs(t, err, &invalid)
		require.Equal(t, field, invalid.Field)
	}
	var unknown *control.UnknownSourceError
	_, err = ask(control.SyncRequest{SourceID: "nowhere"})
	require.ErrorAs(t, err, &unknown)
	require.Equal(t, []string{"docs", "hr"}, unknown.Known)
}

func TestApprovingTwiceIsOneRun(t *testing.T) {
	w := newWorld(t)
	w.held("docs", "h1")
	first, err := w.Approve(t.Context(), everyone, "h1", "")
	require.NoError(t, err)
	require.NotContains(t, first.Run.ID, "approve", "readers who may not know that something was held see the id")
	require.NotContains(t, first.Run.ID, "h1")
	require.Equal(t, "h1", first.Run.ApprovesRun)
	again, err := w.Approve(t.Context(), everyone, "h1", "another key")
	require.NoError(t, err)
	require.Equal(t, first.Run.ID, again.Run.ID)
	_, err = w.Cancel(t.Context(), everyone, first.Run.ID)
	require.NoError(t, err)
	second, err := w.Approve(t.Context(), everyone, "h1", "k")
	require.NoError(t, err)
	require.NotEqual(t, first.Run.ID, second.Run.ID, "the first run did not complete")
	again, err = w.Approve(t.Context(), everyone, "h1", "k")
	require.NoError(t, err)
	require.Equal(t, second.Run.ID, again.Run.ID)

	var notHeld *control.NotHeldError
	_, err = w.Reject(t.Context(), everyone, "h1")
	require.ErrorAs(t, err, &notHeld)
	require.True(t, notHeld.Decided())
	_, err = w.Reject(t.Context(), everyone, first.Run.ID)
	require.ErrorAs(t, err, &notHeld)
	require.False(t, notHeld.Decided())
	var ended *control.EndedError
	_, err = w.Cancel(t.Context(), everyone, first.Run.ID)
	require.ErrorAs(t, err, &ended)
	require.Equal(t, event.StateCancelled, ended.Run.State)
}

// failingVault says that it would accept a token, and then fails.
type failingVault struct{ control.Vault }

var errVault = errors.New("torn")

func (failingVault) SetToken(context.Context, string, string, credential.GivenToken) (credential.StoredToken, error) {
	return credential.StoredToken{}, errVault
}

func TestASourceIsAddedWithItsTokenOrNotAtAll(t *testing.T) {
	w := newWorld(t)
	n := control.NewSource{
		Source: store.Source{ID: "new", BaseURL: "https://ACME.atlassian.net", SpaceKey: "NEW"},
		Token:  &credential.GivenToken{Token: secret.New("token")},
	}
	missing := func() {
		t.Helper()
		_, err := w.store.Source(t.Context(), "new")
		require.ErrorIs(t, err, store.ErrNotFound)
	}
	_, err := w.AddSource(t.Context(), everyone, n)
	require.ErrorIs(t, err, credential.ErrWhose)
	missing()
	n.Token.Email = "reader@acme.com"
	unsealed := w.trust
	unsealed.Ring = nil
	whole := w.Vault
	w.Vault = control.NewVault(unsealed, w.store)
	_, err = w.AddSource(t.Context(), everyone, n)
	require.ErrorIs(t, err, seal.ErrNoKey)
	missing()
	w.Vault = failingVault{whole}
	_, err = w.AddSource(t.Context(), everyone, n)
	require.ErrorIs(t, err, errVault)
	missing()

	w.Vault = whole
	added, err := w.AddSource(t.Context(), everyone, n)
	require.NoError(t, err)
	require.True(t, added.Created)
	require.Equal(t, storetest.Site, added.Source.BaseURL)
	require.Equal(t, "reader@acme.com", added.Token.Email)
	w.Vault = failingVault{whole}
	_, err = w.AddSource(t.Context(), everyone, n)
	require.ErrorIs(t, err, errVault)
	_, err = w.store.Source(t.Context(), "new")
	require.NoError(t, err, "the existing source stays")
	_, err = w.ChangeSource(t.Context(), everyone, "new", control.SourceChange{SourceChange: store.SourceChange{DisplayName: "N"}, Token: n.Token})
	require.ErrorIs(t, err, errVault)
	src, err := w.Source(t.Context(), everyone, "new")
	require.NoError(t, err)
	require.Equal(t, "NEW", src.DisplayName)
}

func TestWhatStandsInTheWayOfASource(t *testing.T) {
	w := newWorld(t)
	add := func(change func(*control.NewSource)) error {
		n := control.NewSource{Source: store.Source{ID: "new", BaseURL: storetest.Site, SpaceKey: "NEW"}}
		change(&n)
		_, err := w.AddSource(t.Context(), viewer.OfSources("new", "docs", "sources", "a b"), n)
		return err
	}
	var invalid *control.InvalidError
	for field, changes := range map[string][]func(*control.NewSource){
		"source_id":         {func(n *control.NewSource) { n.ID = "sources" }, func(n *control.NewSource) { n.ID = "a b" }},
		"space_key":         {func(n *control.NewSource) { n.SpaceKey = "" }, func(n *control.NewSource) { n.SpaceKey = `X" OR "` }},
		"base_url":          {func(n *control.NewSource) { n.BaseURL = "https://evil.example" }, func(n *control.NewSource) { n.BaseURL = "http://acme.atlassian.net" }},
		"deletion_strategy": {func(n *control.NewSource) { n.DeletionStrategy = "never" }},
	} {
		for _, change := range changes {
			require.ErrorAs(t, add(change), &invalid, field)
			require.Equal(t, field, invalid.Field)
		}
	}
	var scope *control.OutOfScopeError
	require.ErrorAs(t, add(func(n *control.NewSource) { n.ID = "other" }), &scope)
	var exists *control.SourceExistsError
	require.ErrorAs(t, add(func(n *control.NewSource) { n.ID = "docs" }), &exists)
	var taken *control.SpaceTakenError
	_, err := w.AddSource(t.Context(), everyone, control.NewSource{Source: store.Source{ID: "new", BaseURL: storetest.Site, SpaceKey: "hr"}})
	require.ErrorAs(t, err, &taken)
	require.NotContains(t, taken.Error(), "source hr")
	same := func(n *control.NewSource) { n.ID, n.SpaceKey, n.DeletionStrategy = "docs", "DOCS", store.EverySync }
	require.NoError(t, add(same), "a setting that is not in Insist is kept")
	var differs *control.SourceDiffersError
	require.ErrorAs(t, add(func(n *control.NewSource) { same(n); n.Insist = []string{"deletion_strategy"} }), &differs)
	require.Equal(t, store.WeeklyReconciliation, differs.Source.DeletionStrategy)
	require.ErrorAs(t, add(func(n *control.NewSource) { same(n); n.BlogPosts, n.Insist = true, []string{"blog_posts"} }), &differs)
	// A key for one source must not choose its space, unless it brings a token of its own.
	mine := viewer.OfSources("docs")
	elsewhere := control.NewSource{Source: store.Source{ID: "docs", BaseURL: storetest.Site, SpaceKey: "BOARD"}}
	_, err = w.AddSource(t.Context(), mine, control.NewSource{Source: store.Source{ID: "docs", BaseURL: storetest.Site, SpaceKey: "DOCS"}})
	require.NoError(t, err, "the source exists already")
	require.NoError(t, w.RemoveSource(t.Context(), mine, "docs"))
	_, err = w.AddSource(t.Context(), mine, elsewhere)
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, "token", invalid.Field)
	_, err = w.Source(t.Context(), mine, "docs")
	var unknown *control.UnknownSourceError
	require.ErrorAs(t, err, &unknown)
	_, err = w.AddSource(t.Context(), everyone, elsewhere)
	require.NoError(t, err)
	var outOfScope *control.OutOfScopeError
	_, err = w.ChangeSource(t.Context(), viewer.OfSources("docs"), "docs", control.SourceChange{BaseURL: "https://acme2.atlassian.net"})
	require.ErrorAs(t, err, &outOfScope, "the site's token can read the whole site")
	_, err = w.ChangeSource(t.Context(), everyone, "docs", control.SourceChange{})
	require.ErrorIs(t, err, control.ErrNothingToChange)
}

// Every command treats what a viewer may not see as if it did not exist.
func TestWhatIsNotSeenIsNotThere(t *testing.T) {
	w := newWorld(t)
	run := w.listed("hr", "r0", "21")
	storetest.Write(t, w.store, storetest.Page("hr", run.ID, "21", 1, "Keys", "Rotate the keys."))
	w.end("r0", nil)
	w.failed("hr", "f1", "22")
	w.held("hr", "h1")
	ctx := t.Context()
	for name, v := range map[string]viewer.Viewer{"another's": viewer.OfSources("docs"), "nobody": {}} {
		var noSource *control.UnknownSourceError
		for what, err := range map[string]error{
			"sync":    second(w.Sync(ctx, v, control.SyncRequest{SourceID: "hr"})),
			"retry":   second(w.Retry(ctx, v, control.RetryRequest{SourceID: "hr"})),
			"source":  second(w.Source(ctx, v, "hr")),
			"status":  second(w.SourceStatus(ctx, v, "hr")),
			"losses":  second(w.Losses(ctx, v, "hr", store.Whole())),
			"change":  second(w.ChangeSource(ctx, v, "hr", control.SourceChange{SourceChange: store.SourceChange{DisplayName: "X"}})),
			"remove":  w.RemoveSource(ctx, v, "hr"),
			"token":   second(w.SetToken(ctx, v, "hr", credential.GivenToken{}, false)),
			"runs":    second(w.Runs(ctx, v, "hr", store.First(10))),
			"removed": second(w.Removals(ctx, v, "hr", "", store.Whole(), store.First(10))),
			"failed":  second(w.Failures(ctx, v, "hr", "", "", store.First(10))),
			"pages":   second(w.Pages(ctx, v, "hr", store.PageFilter{})),
			"search":  second(w.Search(ctx, v, "keys", search.Filter{SourceID: "hr"})),
			"several": second(w.Search(ctx, v, "keys", search.Filter{Sources: []string{"docs", "hr"}})),
		} {
			require.ErrorAs(t, err, &noSource, "%s: %s", name, what)
			require.NotContains(t, noSource.Known, "hr")
		}
		var noRun *control.UnknownRunError
		for what, err := range map[string]error{
			"story":    second(w.Story(ctx, v, "h1", control.StoryPages(10))),
			"progress": second(w.Progress(ctx, v, "h1")),
			"cancel":   second(w.Cancel(ctx, v, "h1")),
			"approve":  second(w.Approve(ctx, v, "h1", "")),
			"reject":   second(w.Reject(ctx, v, "h1")),
			"removed":  second(w.Removals(ctx, v, "", "h1", store.Whole(), store.First(10))),
			"failed":   second(w.Failures(ctx, v, "", "f1", "", store.First(10))),
		} {
			require.ErrorAs(t, err, &noRun, "%s: %s", name, what)
		}
		var noPage *control.UnknownPageError
		require.ErrorAs(t, second(w.Page(ctx, v, "", "21")), &noPage)
		require.ErrorAs(t, second(w.KeptPage(ctx, v, "", "21")), &noPage)
		var nothing *control.NothingFailedError
		require.ErrorAs(t, second(w.Retry(ctx, v, control.RetryRequest{About: "f1"})), &nothing)
		require.False(t, nothing.IsRun)
		hits, err := w.Search(ctx, v, "keys", search.Filter{})
		require.NoError(t, err)
		require.Empty(t, hits)
		for _, list := range []func() (int, error){
			func() (int, error) { l, err := w.Sources(ctx, v.Only("hr"), store.Whole()); return len(l), err },
			func() (int, error) { l, err := w.Runs(ctx, v, "", store.First(10)); return len(l), err },
			func() (int, error) { l, err := w.Active(ctx, v, store.Whole()); return len(l), err },
			func() (int, error) { l, err := w.Failures(ctx, v, "", "", "", store.First(10)); return len(l), err },
			func() (int, error) {
				l, err := w.Removals(ctx, v, "", "", store.Whole(), store.First(10))
				return len(l.Held) + len(l.Removed), err
			},
			func() (int, error) {
				l, err := w.Chunks(ctx, v, store.Page{ID: "21", SourceID: "hr"}, store.Whole())
				return len(l), err
			},
		} {
			n, err := list()
			require.NoError(t, err)
			require.Zero(t, n)
		}
	}
	p, err := w.Page(ctx, viewer.OfSources("hr"), "", "21")
	require.NoError(t, err)
	chunks, err := w.Chunks(ctx, viewer.OfSources("hr"), p, store.Whole())
	require.NoError(t, err)
	require.Len(t, chunks, 1)
	held, err := w.Removals(ctx, viewer.OfSources("hr"), "hr", "h1", store.Whole(), store.First(10))
	require.NoError(t, err)
	require.Equal(t, "h1", held.Held[0].ID)
	src, err := w.Source(ctx, everyone, "hr")
	require.NoError(t, err)
	require.Equal(t, "HR", src.DisplayName)
	require.Empty(t, w.decision("h1"))
}

func second[T any](_ T, err error) error { return err }

func (w *world) decision(id string) store.Decision {
	w.t.Helper()
	run, err := w.store.Run(w.t.Context(), id)
	require.NoError(w.t, err)
	return run.Decision
}

func TestStoriesSayWhatARunWaitsFor(t *testing.T) {
	w := newWorld(t)
	w.listed("docs", "r1", "1")
	for _, id := range []string{"r2", "r3"} {
		_, err := w.Sync(t.Context(), everyone, control.SyncRequest{SourceID: "docs", RunID: id})
		require.NoError(t, err)
	}
	for id, before := range map[string]string{"r1": "", "r2": "r1", "r3": "r2"} {
		st, err := w.Story(t.Context(), everyone, id, control.StoryPages(10))
		require.NoError(t, err)
		require.Equal(t, before, st.WaitsFor, id)
	}
	st, err := w.SourceStatus(t.Context(), everyone, "docs")
	require.NoError(t, err)
	require.Len(t, st.Active, 3)
	require.Equal(t, "r3", st.Latest.ID)
	cancelled, err := w.Cancel(t.Context(), everyone, "r1")
	require.NoError(t, err)
	require.Equal(t, 1, cancelled.Counts.Skipped)
}

// If adding a source fails with its token, the source is kept if somebody else has added it in the meantime.
func TestASourceThatSomebodyElseFoundStays(t *testing.T) {
	w := newWorld(t)
	n := control.NewSource{
		Source: store.Source{ID: "new", BaseURL: storetest.Site, SpaceKey: "NEW"},
		Token:  &credential.GivenToken{Token: secret.New("token"), Email: "reader@acme.com"},
	}
	whole := w.Vault
	other := *w.Control
	w.Vault = lateVault{failingVault{whole}, func() {
		added, err := other.AddSource(t.Context(), everyone, control.NewSource{Source: n.Source})
		require.NoError(t, err)
		require.False(t, added.Created)
	}}
	_, err := w.AddSource(t.Context(), everyone, n)
	require.ErrorIs(t, err, errVault)
	_, err = w.store.Source(t.Context(), "new")
	require.NoError(t, err)
}

// lateVault fails after something else has happened.
type lateVault struct {
	control.Vault
	first func()
}

func (v lateVault) SetToken(ctx context.Context, name, site string, given credential.GivenToken) (credential.StoredToken, error) {
	v.first()
	return v.Vault.SetToken(ctx, name, site, given)
}

// The system's own package checks a source.
func TestASourceIsCheckedByItsSystem(t *testing.T) {
	for field, src := range map[string]store.Source{
		"space_key": {SpaceKey: "a b"}, "location": {System: "folder", Location: "docs"}, "system": {System: "wiki"}, "": {System: "folder", Location: "/docs"},
	} {
		src.ID = "new"
		err := control.NewSource{Source: src}.Check()
		if field == "" {
			require.NoError(t, err)
			continue
		}
		var invalid *control.InvalidError
		require.ErrorAs(t, err, &invalid)
		require.Equal(t, field, invalid.Field)
	}
}
