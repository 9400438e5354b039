package control

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/source/systems"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// Sources lists the sources with their counts.
func (c *Control) Sources(ctx context.Context, v viewer.Viewer, p store.Part) ([]store.Source, error) {
	list, err := c.Reader.Sources(ctx, v, p)
	return orEmpty(list), err
}

// Source returns a source with its counts, or an *UnknownSourceError.
func (c *Control) Source(ctx context.Context, v viewer.Viewer, id string) (store.Source, error) {
	src, err := c.Reader.Source(ctx, v, id)
	return src, c.unknownSource(ctx, v, id, err)
}

// SourceStatus is the state of a source.
type SourceStatus struct {
	Source   store.Source
	Latest   *store.Run  // the newest run, whatever its state; nil if there is none
	Active   []Operation // the open runs
	Held     []store.Run // runs whose removals wait for a decision
	Failures int         // pages that are failed now, up to 10,000
}

// SourceStatus returns the state of a source. It returns an *UnknownSourceError.
func (c *Control) SourceStatus(ctx context.Context, v viewer.Viewer, id string) (SourceStatus, error) {
	var st SourceStatus
	var err error
	if st.Source, err = c.Source(ctx, v, id); err != nil {
		return st, err
	}
	v = v.Only(id)
	runs, err := c.Reader.Runs(ctx, v, id, store.First(1))
	if err != nil {
		return st, err
	}
	if len(runs) > 0 {
		st.Latest = &runs[0]
	}
	if st.Active, err = c.Active(ctx, v, store.Whole()); err != nil {
		return st, err
	}
	if st.Held, err = c.Reader.HeldRuns(ctx, v, id); err != nil {
		return st, err
	}
	failed, err := c.Reader.Failures(ctx, v, id, "", "", store.First(mostFailures))
	st.Failures = len(failed)
	return st, err
}

// Losses adds up what happened to macros and elements on a source's pages. It returns an *UnknownSourceError.
func (c *Control) Losses(ctx context.Context, v viewer.Viewer, id string, p store.Part) ([]store.LossTotal, error) {
	if _, err := c.visibleSource(ctx, v, id); err != nil {
		return nil, err
	}
	list, err := c.Reader.Losses(ctx, v, id, p)
	return orEmpty(list), err
}

// NewSource is a source to add.
type NewSource struct {
	store.Source
	Token *credential.GivenToken // the source's own token; nil for none

	// Insist names settings that must not differ if the same source exists already: deletion_strategy, blog_posts.
	// Other settings of an existing source are kept.
	Insist []string
}

// Check returns an *InvalidError if the source can never be valid. It does not check the address.
func (n NewSource) Check() error {
	if err := CheckSourceID(n.ID); err != nil {
		return err
	}
	if n.otherSystem() && n.Token != nil {
		return &InvalidError{Field: "token", Reason: "cannot be used: a " + n.System + " is read without a token"}
	}
	if field, reason := systems.Check(n.Source); field != "" {
		return &InvalidError{Field: field, Reason: reason}
	}
	if n.DeletionStrategy == "" { // the default
		return nil
	}
	return CheckStrategy(n.DeletionStrategy)
}

// otherSystem reports whether the source belongs to a system other than Confluence.
func (n NewSource) otherSystem() bool { return n.System != "" && n.System != store.Confluence }

// Added is the result of adding or changing a source.
type Added struct {
	Source  store.Source
	Created bool                    // it did not exist before
	Token   *credential.StoredToken // nil if no token was given
}

// AddSource registers a source and stores its token: both or nothing. Adding the same source again changes nothing
// but its token. A viewer of only some sources must give a token with a new source. It returns an *InvalidError, an
// *OutOfScopeError, a *SourceExistsError, a *SourceDiffersError, a *SpaceTakenError, or an error of the vault.
func (c *Control) AddSource(ctx context.Context, v viewer.Viewer, n NewSource) (Added, error) {
	src := n.Source
	if !v.Sees(src.ID) {
		return Added{}, &OutOfScopeError{ID: src.ID}
	}
	if err := n.Check(); err != nil {
		return Added{}, err
	}
	if !n.otherSystem() {
		var err error
		if src.BaseURL, err = c.Vault.Site(src.BaseURL); err != nil {
			return Added{}, &InvalidError{Field: "base_url", Reason: err.Error()}
		}
	}
	there, err := c.Ledger.Source(ctx, src.ID)
	created := errors.Is(err, store.ErrNotFound)
	if err != nil && !created {
		return Added{}, err
	}
	if !created && there.Same(src) {
		if err := n.differs(there); err != nil {
			return Added{}, err
		}
	}
	// Otherwise a caller that is limited to some sources could choose any space for one of them, which would then be
	// read with the token of the site or of the environment.
	if created && !v.SeesAll() && n.Token == nil {
		return Added{}, &InvalidError{Field: "token", Reason: "is required: a key that is limited to some sources cannot add a source that is read with the site's token"}
	}
	if n.Token != nil { // check this before the source exists without its token
		if err := c.Vault.Ready(ctx, src.ID, src.BaseURL, *n.Token); err != nil {
			return Added{}, err
		}
	}
	switch err := c.Ledger.AddSource(ctx, src); {
	case errors.Is(err, store.ErrSourceExists):
		return Added{}, &SourceExistsError{ID: src.ID}
	case errors.Is(err, store.ErrSpaceTaken):
		return Added{}, &SpaceTakenError{What: cmp.Or(src.Location, "space "+src.SpaceKey), cause: err}
	case err != nil:
		return Added{}, err
	}
	added := Added{Created: created}
	// The caller may have disconnected. That alone must not undo the addition, because a second request may already
	// have found the source.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishWithin)
	defer cancel()
	if added.Token, err = c.setToken(ctx, src.ID, src.BaseURL, n.Token); err != nil {
		if created { // the database was unavailable for a moment, or the master key was changed
			err = errors.Join(err, c.Ledger.UndoAddSource(ctx, src.ID))
		}
		return Added{}, err
	}
	added.Source, err = c.Source(ctx, v, src.ID)
	return added, err
}

// finishWithin limits work that finishes although nobody waits for it any more.
const finishWithin = 15 * time.Second

func (n NewSource) differs(there store.Source) error {
	for _, field := range n.Insist {
		if field == "deletion_strategy" && there.DeletionStrategy != n.DeletionStrategy || field == "blog_posts" && there.BlogPosts != n.BlogPosts {
			return &SourceDiffersError{Source: there, Asked: n.Source, Field: field}
		}
	}
	return nil
}

func (c *Control) setToken(ctx context.Context, name, site string, given *credential.GivenToken) (*credential.StoredToken, error) {
	if given == nil {
		return nil, nil
	}
	stored, err := c.Vault.SetToken(ctx, name, site, *given)
	return &stored, err
}

// SourceChange contains the changes of a source. An empty field changes nothing.
type SourceChange struct {
	store.SourceChange
	BaseURL string // the new address of the source's site, or the new prefix of a folder's addresses
	Token   *credential.GivenToken
}

// Check returns ErrNothingToChange or an *InvalidError.
func (s SourceChange) Check() error {
	if s.empty() && s.BaseURL == "" && s.Token == nil {
		return ErrNothingToChange
	}
	if s.DeletionStrategy == "" {
		return nil
	}
	return CheckStrategy(s.DeletionStrategy)
}

func (s SourceChange) empty() bool {
	return s.DisplayName == "" && s.DeletionStrategy == "" && s.Tags == nil && s.BlogPosts == nil
}

// ChangeSource changes settings of a source, its site's address, and its token. If the token cannot be stored,
// nothing is changed. It returns the errors of Check, an *UnknownSourceError, or an error of the vault. For an
// address, it also returns an *OutOfScopeError if the viewer does not see all sources, a *SpaceTakenError, or an
// error with the code failure.OtherSite. The next run verifies that the same site answers at the new address before
// it uses anything from there.
func (c *Control) ChangeSource(ctx context.Context, v viewer.Viewer, id string, change SourceChange) (Added, error) {
	if err := change.Check(); err != nil {
		return Added{}, err
	}
	if change.Tags != nil {
		change.Tags = slices.DeleteFunc(orEmpty(slices.Clone(change.Tags)), func(t string) bool { return t == "" })
	}
	src, err := c.visibleSource(ctx, v, id)
	if err != nil {
		return Added{}, err
	}
	if change.BaseURL != "" {
		if src.BaseURL, err = c.relocate(ctx, v, src, change); err != nil {
			return Added{}, c.unknownSource(ctx, v, id, err)
		}
	}
	var changed Added
	if changed.Token, err = c.setToken(ctx, id, src.BaseURL, change.Token); err != nil {
		return Added{}, err
	}
	if !change.empty() {
		if err := c.Ledger.UpdateSource(ctx, id, change.SourceChange); err != nil {
			return Added{}, c.unknownSource(ctx, v, id, err)
		}
	}
	changed.Source, err = c.Source(ctx, v, id)
	return changed, err
}

// relocate sets the new address of the source's site, and returns it.
func (c *Control) relocate(ctx context.Context, v viewer.Viewer, src store.Source, change SourceChange) (string, error) {
	if !v.SeesAll() { // the site's token can read every source of the site
		return "", &OutOfScopeError{ID: src.ID}
	}
	address := strings.TrimSuffix(change.BaseURL, "/")
	if src.System == store.Confluence {
		var err error
		if address, err = c.Vault.Site(change.BaseURL); err != nil {
			return "", &InvalidError{Field: "base_url", Reason: err.Error()}
		}
	} else if u, err := url.Parse(address); err != nil || !slices.Contains([]string{"https", "http", "file"}, u.Scheme) || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", &InvalidError{Field: "base_url", Reason: "of a folder must be an address with https://, http:// or file://, without user, query or fragment"}
	}
	if change.Token != nil {
		if err := c.Vault.Ready(ctx, src.ID, address, *change.Token); err != nil {
			return "", err
		}
	}
	err := c.Ledger.Relocate(ctx, src.ID, address)
	if errors.Is(err, store.ErrSpaceTaken) {
		err = &SpaceTakenError{What: "space " + src.SpaceKey, cause: err}
	}
	return address, err
}

// RemoveSource deletes a source with its pages, chunks, runs and token. It returns an *UnknownSourceError.
func (c *Control) RemoveSource(ctx context.Context, v viewer.Viewer, id string) error {
	if _, err := c.visibleSource(ctx, v, id); err != nil {
		return err
	}
	return c.unknownSource(ctx, v, id, c.Ledger.RemoveSource(ctx, id))
}

// SetToken stores a token for a source. It returns an *UnknownSourceError or an error of the vault.
func (c *Control) SetToken(ctx context.Context, v viewer.Viewer, id string, given credential.GivenToken) (credential.StoredToken, error) {
	src, err := c.visibleSource(ctx, v, id)
	if err != nil {
		return credential.StoredToken{}, err
	}
	return c.Vault.SetToken(ctx, id, src.BaseURL, given)
}
