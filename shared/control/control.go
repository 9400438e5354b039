// Package control is what people do with Sluice, written once: ask for syncs, try failed pages
// again, decide on removals, cancel runs, add, change and remove sources, and look at all of it.
// The command line, the HTTP API and every other face only show what it answers, each error in
// words of its own.
//
// Every method takes the viewer on whose behalf it acts. What the viewer does not see is answered
// as if it were not there.
package control

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/viewer"
)

// Reader reads the record for a viewer. What is missing or not seen is store.ErrNotFound.
type Reader interface {
	SourceIDs(ctx context.Context, v viewer.Viewer) ([]string, error)
	Sources(ctx context.Context, v viewer.Viewer) ([]store.Source, error)
	Source(ctx context.Context, v viewer.Viewer, id string) (store.Source, error)
	Losses(ctx context.Context, v viewer.Viewer, sourceID string) ([]store.LossTotal, error)

	Run(ctx context.Context, v viewer.Viewer, id string) (store.Run, error)
	Runs(ctx context.Context, v viewer.Viewer, sourceID string, limit int) ([]store.Run, error)
	RunsBefore(ctx context.Context, v viewer.Viewer, sourceID, before string, limit int) ([]store.Run, error)
	OpenRuns(ctx context.Context, v viewer.Viewer) ([]store.Run, error)
	Snapshot(ctx context.Context, v viewer.Viewer, runID string) (event.Progress, error)
	Counts(ctx context.Context, v viewer.Viewer, runID string) (event.Counts, error)
	Story(ctx context.Context, v viewer.Viewer, runID string) (store.Story, error)
	LedgerPages(ctx context.Context, v viewer.Viewer, runID string, outcome event.Outcome, limit int) ([]store.LedgerPage, error)
	Failures(ctx context.Context, v viewer.Viewer, sourceID, runID, pageID string, limit int) ([]store.Failure, error)
	HeldRuns(ctx context.Context, v viewer.Viewer, sourceID string) ([]store.Run, error)
	HeldRemovals(ctx context.Context, v viewer.Viewer, runID string) ([]store.Removal, error)
	RemovedPages(ctx context.Context, v viewer.Viewer, sourceID, runID string, limit int) ([]store.RemovedPage, error)

	Pages(ctx context.Context, v viewer.Viewer, sourceID string, f store.PageFilter) ([]store.PageInfo, error)
	Page(ctx context.Context, v viewer.Viewer, id string) (store.Page, error)
	LivePage(ctx context.Context, v viewer.Viewer, id string) (store.Page, error)
	Chunks(ctx context.Context, v viewer.Viewer, sourceID, pageID string) ([]store.StoredChunk, error)

	// What lies around a page, for assistants.
	Headings(ctx context.Context, v viewer.Viewer, sourceID, pageID string) ([]page.Heading, error)
	Tree(ctx context.Context, v viewer.Viewer, sourceID, under string, levels int, after string, limit int) ([]store.TreeNode, error)
	Related(ctx context.Context, v viewer.Viewer, p store.Page) ([]store.RelatedPage, error)
	PageAt(ctx context.Context, v viewer.Viewer, url string) (store.PageKey, error)
	ChunksByID(ctx context.Context, v viewer.Viewer, ids []int64) ([]store.PlacedChunk, error)
	ChunksAround(ctx context.Context, v viewer.Viewer, sourceID, url string, number, around int) ([]store.PlacedChunk, error)
	HiddenText(ctx context.Context, v viewer.Viewer, pages []store.PageKey) (map[store.PageKey]int, error)
	Freshness(ctx context.Context, v viewer.Viewer) ([]store.Freshness, error)
	Changed(ctx context.Context, v viewer.Viewer, sources []string, since time.Time, offset, limit int) ([]store.PageInfo, error)
}

// Searcher finds chunks.
type Searcher interface {
	Explain(ctx context.Context, v viewer.Viewer, query string, f search.Filter) (search.Answer, error)
}

// Ledger is where sources, runs and decisions are written down.
type Ledger interface {
	Source(ctx context.Context, id string) (store.Source, error)
	AddSource(ctx context.Context, src store.Source) error
	// UndoAddSource undoes AddSource unless somebody has found the source since.
	UndoAddSource(ctx context.Context, id string) error
	Relocate(ctx context.Context, sourceID, baseURL string) error
	UpdateSource(ctx context.Context, id string, c store.SourceChange) error
	RemoveSource(ctx context.Context, id string) error
	RequestRun(ctx context.Context, req event.SyncRequested) (store.Run, error)
	CancelRun(ctx context.Context, id string) (store.Run, error)
	Decide(ctx context.Context, runID string, d store.Decision) (store.Run, error)
}

// Publisher publishes requests. It may wait for the broker until ctx ends.
type Publisher interface {
	Publish(ctx context.Context, e event.Event) error
}

// Vault keeps the API tokens of sources and sites.
type Vault interface {
	// Site returns a site's address as sources keep it, or why no source may be there.
	Site(address string) (string, error)
	// Ready reports whether SetToken would take the token, and changes nothing.
	Ready(ctx context.Context, name, site string, given credential.GivenToken) error
	// SetToken stores a token under the name of a source or of a site's host. The error is
	// seal.ErrNoKey or credential.ErrWhose, or wraps a *vault.SealedError; nothing was changed then.
	SetToken(ctx context.Context, name, site string, given credential.GivenToken) (credential.StoredToken, error)
}

var (
	_ Reader   = (*store.Reader)(nil)
	_ Searcher = (*search.Searcher)(nil)
	_ Ledger   = (*store.Store)(nil)
)

// NewVault keeps tokens in the store, as far as trust permits.
func NewVault(trust credential.Trust, s *store.Store) Vault { return &trusted{trust, s} }

type trusted struct {
	credential.Trust
	store *store.Store
}

func (v *trusted) Ready(ctx context.Context, name, site string, given credential.GivenToken) error {
	return v.Trust.Ready(ctx, v.store, name, site, given)
}

func (v *trusted) SetToken(ctx context.Context, name, site string, given credential.GivenToken) (credential.StoredToken, error) {
	return v.Trust.SetToken(ctx, v.store, name, site, given)
}

// Control is what people do. Its methods may be called from many goroutines.
type Control struct {
	Reader   Reader
	Searcher Searcher
	Ledger   Ledger
	Bus      Publisher
	Vault    Vault

	// PublishWithin bounds the wait for the broker; 0 is five seconds. A request is in the ledger
	// by then, and the progress stage sends it once the broker is back.
	PublishWithin time.Duration
}

// New returns a Control that stands on the store.
func New(s *store.Store, b Publisher, v Vault) *Control {
	return &Control{Reader: s.Reader(), Searcher: s.Searcher(), Ledger: s, Bus: b, Vault: v}
}

// known returns an *UnknownSourceError unless the viewer sees a Confluence source of this id.
func (c *Control) known(ctx context.Context, v viewer.Viewer, id string) (store.Source, error) {
	var src store.Source
	err := store.ErrNotFound
	if v.Sees(id) {
		src, err = c.Ledger.Source(ctx, id)
	}
	return src, c.unknownSource(ctx, v, id, err)
}

// unknownSource gives what the record did not find its meaning.
func (c *Control) unknownSource(ctx context.Context, v viewer.Viewer, id string, err error) error {
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	ids, err := c.Reader.SourceIDs(ctx, v)
	if err != nil {
		return err
	}
	return &UnknownSourceError{ID: id, Known: ids}
}

// knownRun returns an *UnknownRunError unless the viewer sees the run.
func (c *Control) knownRun(ctx context.Context, v viewer.Viewer, id string) (store.Run, error) {
	if !event.ValidID(id) {
		return store.Run{}, &UnknownRunError{ID: id}
	}
	run, err := c.Reader.Run(ctx, v, id)
	return run, unknownRun(id, err)
}

func unknownRun(id string, err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return &UnknownRunError{ID: id}
	}
	return err
}

// narrow checks a source and a run that a list is to be about, "" being any, and narrows the
// viewer to the source.
func (c *Control) narrow(ctx context.Context, v viewer.Viewer, sourceID, runID string) (viewer.Viewer, error) {
	if sourceID != "" {
		if _, err := c.known(ctx, v, sourceID); err != nil {
			return v, err
		}
		v = v.Only(sourceID)
	}
	if runID != "" {
		if _, err := c.knownRun(ctx, v, runID); err != nil {
			return v, err
		}
	}
	return v, nil
}

// ReservedIDs are ids that no source may have: the API has paths of these names.
var ReservedIDs = []string{"sources"}

// CheckSourceID returns an *InvalidError unless a new source may have the id.
func CheckSourceID(id string) error {
	switch {
	case !event.ValidID(id):
		return &InvalidError{Field: "source_id", Reason: "is no source id: 1 to 64 letters, digits, '-' or '_', beginning with a letter or digit"}
	case slices.Contains(ReservedIDs, id):
		return &InvalidError{Field: "source_id", Reason: "is reserved: choose another id"}
	}
	return nil
}

// CheckStrategy returns an *InvalidError unless there is such a deletion strategy.
func CheckStrategy(s store.DeletionStrategy) error {
	if slices.Contains(store.DeletionStrategies, s) {
		return nil
	}
	return &InvalidError{Field: "deletion_strategy", Reason: "is weekly_reconciliation, every_sync or on_demand"}
}
