// Package control implements the operator commands once: request syncs, retry failed pages, decide on removals,
// cancel runs, add, change and remove sources, and read all of this. The command line, the HTTP API and all other
// interfaces only present the results, and word the errors.
//
// Every method takes the viewer on whose behalf it acts. What the viewer may not see is treated as if it did not
// exist.
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
	"github.com/sluicehq/sluice/shared/store/vault"
	"github.com/sluicehq/sluice/shared/viewer"
)

// Reader reads the store for a viewer. What is missing or invisible to the viewer is store.ErrNotFound.
type Reader interface {
	// Together runs reads that see the database as it is at one moment, and whose questions share round trips.
	Together(ctx context.Context, v viewer.Viewer, reads ...func(context.Context) error) error

	SourceIDs(ctx context.Context, v viewer.Viewer) ([]string, error)
	Sources(ctx context.Context, v viewer.Viewer, p store.Part) ([]store.Source, error)
	Source(ctx context.Context, v viewer.Viewer, id string) (store.Source, error)
	SeesEveryPage(ctx context.Context, v viewer.Viewer, sourceID string) (bool, error)
	Losses(ctx context.Context, v viewer.Viewer, sourceID string, p store.Part) ([]store.LossTotal, error)

	Run(ctx context.Context, v viewer.Viewer, id string) (store.Run, error)
	Runs(ctx context.Context, v viewer.Viewer, sourceID string, p store.Part) ([]store.Run, error)
	OpenRuns(ctx context.Context, v viewer.Viewer, p store.Part) ([]store.Run, error)
	OpenOperations(ctx context.Context, v viewer.Viewer, p store.Part) ([]store.Operation, error)
	Operation(ctx context.Context, v viewer.Viewer, runID string) (store.Operation, error)
	Counts(ctx context.Context, v viewer.Viewer, runID string) (event.Counts, error)
	Story(ctx context.Context, v viewer.Viewer, runID string) (store.Story, error)
	LedgerPages(ctx context.Context, v viewer.Viewer, runID string, outcome event.Outcome, p store.Part) ([]store.LedgerPage, error)
	Failures(ctx context.Context, v viewer.Viewer, sourceID, runID, pageID string, p store.Part) ([]store.Failure, error)
	HeldRuns(ctx context.Context, v viewer.Viewer, sourceID string) ([]store.Run, error)
	HeldRemovals(ctx context.Context, v viewer.Viewer, runID string) ([]store.Removal, error)
	HeldPages(ctx context.Context, v viewer.Viewer, sourceID, runID string, p store.Part) (map[string]store.HeldPages, error)
	RemovedPages(ctx context.Context, v viewer.Viewer, sourceID, runID string, p store.Part) ([]store.RemovedPage, error)

	Pages(ctx context.Context, v viewer.Viewer, sourceID string, f store.PageFilter) ([]store.PageInfo, error)
	Page(ctx context.Context, v viewer.Viewer, id string) (store.Page, error)
	LivePage(ctx context.Context, v viewer.Viewer, id string) (store.Page, error)
	Why(ctx context.Context, v viewer.Viewer, account string, key store.PageKey) (store.AccessWhy, error)
	Chunks(ctx context.Context, v viewer.Viewer, sourceID, pageID string, p store.Part) ([]store.StoredChunk, error)

	Journey(ctx context.Context, v viewer.Viewer, sourceID, pageID string, limit int) ([]store.Passage, error)

	// The context of a page, for assistants.
	Headings(ctx context.Context, v viewer.Viewer, sourceID, pageID string) ([]page.Heading, error)
	Tree(ctx context.Context, v viewer.Viewer, sourceID, under string, levels int, after string, limit int) ([]store.TreeNode, error)
	Holds(ctx context.Context, v viewer.Viewer, id string) (bool, error)
	Related(ctx context.Context, v viewer.Viewer, p store.PageKey) ([]store.RelatedPage, error)
	PageAt(ctx context.Context, v viewer.Viewer, url string) (store.PageKey, error)
	ChunksByID(ctx context.Context, v viewer.Viewer, ids []int64) ([]store.PlacedChunk, error)
	ChunksAround(ctx context.Context, v viewer.Viewer, sourceID, url string, number, around int) ([]store.PlacedChunk, error)
	HiddenText(ctx context.Context, v viewer.Viewer, pages []store.PageKey) (map[store.PageKey]int, error)
	Freshness(ctx context.Context, v viewer.Viewer) ([]store.Freshness, error)
	Changed(ctx context.Context, v viewer.Viewer, sources []string, since time.Time, offset, limit int) ([]store.PageInfo, error)
}

// Searcher searches chunks.
type Searcher interface {
	Explain(ctx context.Context, v viewer.Viewer, query string, f search.Filter) (search.Answer, error)
}

// Ledger stores sources, runs and decisions. None of its methods returns a run as it is stored: what is told of a run
// depends on who asks, so every run in an answer comes from Reader.
type Ledger interface {
	// Installation returns the id of the installation, which no answer contains. Who may read the broker knows it.
	Installation(ctx context.Context, look bool) (string, error)
	Source(ctx context.Context, id string) (store.Source, error)
	AddSource(ctx context.Context, src store.Source) error
	// UndoAddSource undoes AddSource unless somebody has found the source since.
	UndoAddSource(ctx context.Context, id string) error
	Relocate(ctx context.Context, sourceID, baseURL string) error
	UpdateSource(ctx context.Context, id string, c store.SourceChange) error
	Unsettled(ctx context.Context, sourceID string) (bool, error)
	RemoveSource(ctx context.Context, id string) error
	RequestRun(ctx context.Context, req event.SyncRequested) (Recorded, error)
	JoinRun(ctx context.Context, req event.SyncRequested) (run Recorded, joined bool, err error)
	CancelRun(ctx context.Context, id string) error
	// LiftPause also returns the requests of the site's open runs, which must be sent again.
	LiftPause(ctx context.Context, sourceID string) (store.Pause, []event.SyncRequested, error)
	Decide(ctx context.Context, runID string, d store.Decision) error
}

// Publisher publishes requests. It may wait for the broker until ctx ends.
type Publisher interface {
	Publish(ctx context.Context, e event.Event) error
}

// Vault stores the API tokens of sources and sites.
type Vault interface {
	// Site returns the normalized address of a site, or an error if sources must not use it.
	Site(address string) (string, error)
	// Ready returns the credential that SetToken would store, or its error, and changes nothing.
	Ready(ctx context.Context, name, site string, given credential.GivenToken) (vault.Credential, error)
	// SetToken stores a token under the name of a source or of a site's host. The error is seal.ErrNoKey or
	// credential.ErrWhose, or wraps a *vault.SealedError; then nothing was changed.
	SetToken(ctx context.Context, name, site string, given credential.GivenToken) (credential.StoredToken, error)
	// Tokens describes the stored tokens, ordered by name.
	Tokens(ctx context.Context) ([]credential.Kept, error)
	// Forget deletes a token. It needs no master key. The error is store.ErrNotFound if there is none.
	Forget(ctx context.Context, name string) error
}

var (
	_ Reader   = (*store.Reader)(nil)
	_ Searcher = (*search.Searcher)(nil)
	_ Ledger   = ledger{}
)

// NewVault returns a Vault that stores tokens in s, within the limits of trust.
func NewVault(trust credential.Trust, s *store.Store) Vault { return &trusted{trust, s} }

type trusted struct {
	credential.Trust
	store *store.Store
}

func (v *trusted) Ready(ctx context.Context, name, site string, given credential.GivenToken) (vault.Credential, error) {
	return v.Trust.Ready(ctx, v.store, name, site, given)
}

func (v *trusted) SetToken(ctx context.Context, name, site string, given credential.GivenToken) (credential.StoredToken, error) {
	return v.Trust.SetToken(ctx, v.store, name, site, given)
}

func (v *trusted) Tokens(ctx context.Context) ([]credential.Kept, error) {
	return v.Trust.Tokens(ctx, v.store)
}

func (v *trusted) Forget(ctx context.Context, name string) error {
	return v.store.Vault().DeleteSecret(ctx, name)
}

// Control implements the operator commands. It is safe for concurrent use.
type Control struct {
	Reader   Reader
	Searcher Searcher
	Ledger   Ledger
	Bus      Publisher
	Vault    Vault
	Vectors  Vectors
	Keys     Keys
	Servers  Servers

	// PublishWithin limits the wait for the broker; 0 means five seconds. The request is in the ledger by then, so
	// the progress stage sends it once the broker is available.
	PublishWithin time.Duration
}

// New returns a Control on the store.
func New(s *store.Store, b Publisher, v Vault) *Control {
	return &Control{Reader: s.Reader(), Searcher: s.Searcher(), Ledger: ledger{s}, Bus: b, Vault: v, Vectors: s.Vectors(), Keys: s.Vault(), Servers: Servers{Store: s}}
}

// visibleSource returns a source, or an *UnknownSourceError unless the viewer may see it.
func (c *Control) visibleSource(ctx context.Context, v viewer.Viewer, id string) (store.Source, error) {
	var src store.Source
	err := store.ErrNotFound
	if v.Sees(id) {
		src, err = c.Ledger.Source(ctx, id)
	}
	return src, c.unknownSource(ctx, v, id, err)
}

// unknownSource turns store.ErrNotFound into an *UnknownSourceError, and returns other errors unchanged.
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

// visibleRun returns a run, or an *UnknownRunError unless the viewer may see it.
func (c *Control) visibleRun(ctx context.Context, v viewer.Viewer, id string) (store.Run, error) {
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

// narrow checks the source and the run by which a list is filtered, "" meaning all, and limits the viewer to the
// source.
func (c *Control) narrow(ctx context.Context, v viewer.Viewer, sourceID, runID string) (viewer.Viewer, error) {
	if sourceID != "" {
		if _, err := c.visibleSource(ctx, v, sourceID); err != nil {
			return v, err
		}
		v = v.Only(sourceID)
	}
	if runID != "" {
		if _, err := c.visibleRun(ctx, v, runID); err != nil {
			return v, err
		}
	}
	return v, nil
}

// ReservedIDs are ids that no source may have, because the API has paths with these names.
var ReservedIDs = []string{"sources", "cancel"}

// CheckSourceID returns an *InvalidError if a new source must not have the id.
func CheckSourceID(id string) error {
	switch {
	case !event.ValidID(id):
		return &InvalidError{Field: "source_id", Reason: "is not a valid source id: use 1 to 64 letters, digits, '-' or '_', and begin with a letter or digit"}
	case slices.Contains(ReservedIDs, id):
		return &InvalidError{Field: "source_id", Reason: "is reserved: choose another id"}
	}
	return nil
}

// CheckStrategy returns an *InvalidError if there is no such deletion strategy.
func CheckStrategy(s store.DeletionStrategy) error {
	if slices.Contains(store.DeletionStrategies, s) {
		return nil
	}
	return &InvalidError{Field: "deletion_strategy", Reason: "must be weekly_reconciliation, every_sync or on_demand"}
}
