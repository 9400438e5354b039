package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/schedule"
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
	only := v.Only(id)
	err := c.Reader.Together(ctx, v, func(ctx context.Context) (err error) {
		st.Source, err = c.Source(ctx, v, id)
		return err
	}, func(ctx context.Context) error {
		runs, err := c.Reader.Runs(ctx, only, id, store.First(1))
		if len(runs) > 0 {
			st.Latest = &runs[0]
		}
		return err
	}, func(ctx context.Context) (err error) {
		st.Active, err = c.Active(ctx, only, store.Whole())
		return err
	}, func(ctx context.Context) (err error) {
		st.Held, err = c.Reader.HeldRuns(ctx, only, id)
		return err
	}, func(ctx context.Context) error {
		failed, err := c.Reader.Failures(ctx, only, id, "", "", store.First(mostFailures))
		st.Failures = len(failed)
		return err
	})
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

	// Schedule is how the source's schedule differs from that of a new source.
	Schedule schedule.Change

	// OpenMeant says that permissions open is meant: every key of the source sees every page.
	OpenMeant bool

	// Insist names settings that must not differ if the same source exists already: deletion_strategy, blog_posts,
	// permissions.
	// Other settings of an existing source are kept.
	Insist []string

	// Unchecked adds the source without asking its site.
	Unchecked bool
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
	if err := checkKinds(n.Comments, n.Attachments); err != nil {
		return err
	}
	if err := checkPermissions(n.System, n.Permissions, n.OpenMeant); err != nil {
		return err
	}
	if n.DeletionStrategy == "" { // the default
		return nil
	}
	return CheckStrategy(n.DeletionStrategy)
}

// checkPermissions returns an *InvalidError if a source of the system cannot have the setting, or if it would be open
// to all without being meant to. An empty setting is valid.
func checkPermissions(system string, p store.Permissions, openMeant bool) error {
	switch reads := systems.ReadsPermissions(system); {
	case p == "":
		return nil
	case !p.Valid():
		return &InvalidError{Field: "permissions", Reason: fmt.Sprintf("%q is not one of enforce, unrestricted-only, open", string(p))}
	case !reads && p != store.OpenToAll:
		return &InvalidError{Field: "permissions", Reason: "cannot be " + string(p) + ": a " + system + " does not say who may see a page; it can only be open, so that every key of the source sees every page"}
	case reads && p == store.OpenToAll && !openMeant:
		return &InvalidError{Field: "permissions_confirmed", Reason: "must be true to make a source open: every key of it then sees every page, whatever Confluence restricts"}
	}
	return nil
}

// otherSystem reports whether the source belongs to a system other than Confluence.
func (n NewSource) otherSystem() bool { return n.System != "" && n.System != store.Confluence }

// Added is the result of adding or changing a source.
type Added struct {
	Source  store.Source
	Created bool                    // it did not exist before
	Token   *credential.StoredToken // nil if no token was given
	Asked   *Asked                  // the run that a change of permissions needs; nil for none, and for a viewer who does not oversee runs
	Looked
}

// AddSource registers a source and stores its token: both or nothing. Unless it is said otherwise, permissions are
// enforced if the source's system says who may see a page, and all comments are read if it has some. Adding the same source again changes nothing
// but its token. A viewer of only some sources must give a token with a new source. It returns an *InvalidError, an
// *OutOfScopeError, a *SourceExistsError, a *SourceDiffersError, a *SpaceTakenError, or an error of the vault. A new
// source, and one that gets a token, is looked at first: if its space cannot be read, the error is one of Spaces or a
// *ScopeError.
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
	added := Added{Created: created}
	set, err := n.schedule()
	if err != nil {
		return Added{}, err
	}
	if src.Schedule = nil; created {
		src.Schedule = &store.Scheduled{Schedule: set}
	} else if there.Same(src) && !n.Schedule.Empty() && (there.Schedule == nil || there.Schedule.Schedule != set) {
		return Added{}, &SourceDiffersError{Source: there, Asked: src, Field: "schedule"}
	}
	if created && src.Comments == "" && !n.otherSystem() {
		src.Comments = store.AllComments
	}
	if created || n.Token != nil { // check this before the source exists without its token
		added.Looked, err = c.look(ctx, src, n.Token, n.Unchecked)
		if lacks := new(ScopeError); n.Comments == "" && errors.As(err, &lacks) && lacks.Kind != "" {
			// Nobody has asked for them. They are read once the token may.
			less := src
			less.Comments = store.NoComments
			added.Looked, err = c.look(ctx, less, n.Token, n.Unchecked)
			added.Without = append(added.Without, lacks)
		}
		if err != nil {
			return Added{}, err
		}
	}
	if src.Permissions == "" && systems.ReadsPermissions(src.System) {
		src.Permissions = store.Enforce
	}
	switch err := c.Ledger.AddSource(ctx, src); {
	case errors.Is(err, store.ErrSourceExists):
		return Added{}, &SourceExistsError{ID: src.ID}
	case errors.Is(err, store.ErrSpaceTaken):
		return Added{}, &SpaceTakenError{What: cmp.Or(src.Location, "space "+src.SpaceKey), cause: err}
	case err != nil:
		return Added{}, err
	}
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

// schedule is the schedule that the source is to have. The error is an *InvalidError.
func (n NewSource) schedule() (schedule.Schedule, error) {
	usual := schedule.Default()
	set, err := n.Schedule.Apply(&usual, time.Now())
	return set, badSchedule(err)
}

// badSchedule turns the error of a schedule into an *InvalidError.
func badSchedule(err error) error {
	if wrong := new(schedule.FieldError); errors.As(err, &wrong) {
		return &InvalidError{Field: wrong.Field, Reason: wrong.Reason}
	}
	return err
}

// finishWithin limits work that finishes although nobody waits for it any more.
const finishWithin = 15 * time.Second

func (n NewSource) differs(there store.Source) error {
	for _, field := range n.Insist {
		if field == "deletion_strategy" && there.DeletionStrategy != n.DeletionStrategy || field == "blog_posts" && there.BlogPosts != n.BlogPosts ||
			field == "permissions" && there.Permissions != n.Permissions || field == "comments" && there.Comments != n.Comments ||
			field == "attachments" && there.Attachments != n.Attachments {
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
	BaseURL   string // the new address of the source's site, or the new prefix of a folder's addresses
	Token     *credential.GivenToken
	Schedule  schedule.Change
	OpenMeant bool // permissions open is meant: every key of the source sees every page
	Unchecked bool // the site is not asked whether the token and the address are right
}

// Check returns ErrNothingToChange or an *InvalidError.
func (s SourceChange) Check() error {
	if s.empty() && s.BaseURL == "" && s.Token == nil && s.Schedule.Empty() {
		return ErrNothingToChange
	}
	if s.DeletionStrategy != "" {
		if err := CheckStrategy(s.DeletionStrategy); err != nil {
			return err
		}
	}
	return checkKinds(s.Comments, s.Attachments)
}

// checkKinds returns an *InvalidError for what is no setting of comments or attachments; "" is none, and leaves it as it is.
func checkKinds(c store.Comments, a store.Attachments) error {
	switch {
	case c != "" && !c.Valid():
		return &InvalidError{Field: "comments", Reason: fmt.Sprintf("%q is not one of all, open, off", string(c))}
	case a != "" && !a.Valid():
		return &InvalidError{Field: "attachments", Reason: fmt.Sprintf("%q is not one of on, off", string(a))}
	}
	return nil
}

func (s SourceChange) empty() bool {
	return s.DisplayName == "" && s.DeletionStrategy == "" && s.Tags == nil && s.BlogPosts == nil && s.Permissions == "" && s.Comments == "" && s.Attachments == ""
}

// ChangeSource changes settings of a source, its site's address, and its token. If the token cannot be stored,
// nothing is changed. It returns the errors of Check, an *UnknownSourceError, an *InvalidError for permissions that the
// source's system cannot have, or an error of the vault. A change of permissions that makes pages come or go requests the
// full run that does it, as soon as that is known. For an
// address, it also returns an *OutOfScopeError if the viewer does not see all sources, a *SpaceTakenError, or an
// error with the code failure.OtherSite. With a token, an address or comments that it did not have, the source is looked at as by AddSource. The next run verifies that the same site answers at the new address before
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
	if err := checkPermissions(src.System, change.Permissions, change.OpenMeant); err != nil {
		return Added{}, err
	}
	if !change.Schedule.Empty() {
		var old *schedule.Schedule
		if src.Schedule != nil {
			old = &src.Schedule.Schedule
		}
		set, err := change.Schedule.Apply(old, time.Now())
		if err != nil {
			return Added{}, badSchedule(err)
		}
		change.SourceChange.Schedule = &set
	}
	var changed Added
	if change.BaseURL != "" {
		if src.BaseURL, err = c.newAddress(v, src, change.BaseURL); err != nil {
			return Added{}, err
		}
	}
	talks := change.Comments.Wanted() && change.Comments != src.Comments || change.Attachments == store.AttachmentsOn && src.Attachments != store.AttachmentsOn
	if change.Comments != "" {
		src.Comments = change.Comments // of the new address, too, only what is then read is asked for
	}
	if change.Attachments != "" {
		src.Attachments = change.Attachments
	}
	if change.BaseURL != "" || change.Token != nil || talks {
		if changed.Looked, err = c.look(ctx, src, change.Token, change.Unchecked); err != nil {
			return Added{}, err
		}
	}
	if change.BaseURL != "" {
		if err := c.relocate(ctx, src); err != nil {
			return Added{}, c.unknownSource(ctx, v, id, err)
		}
	}
	if changed.Token, err = c.setToken(ctx, id, src.BaseURL, change.Token); err != nil {
		return Added{}, err
	}
	if !change.empty() || change.SourceChange.Schedule != nil {
		if err := c.Ledger.UpdateSource(ctx, id, change.SourceChange); err != nil {
			return Added{}, c.unknownSource(ctx, v, id, err)
		}
	}
	if change.Permissions != "" { // also if it is the same: an earlier request may have failed after the change
		asked, err := c.settle(ctx, v, id)
		// With too many runs waiting, those that follow them are full: the source is unsettled until one has ended.
		if many := new(TooManyRunsError); err != nil && !errors.As(err, &many) {
			return Added{}, err
		}
		if v.Oversees() { // it depends on pages that others may not know of
			changed.Asked = asked
		}
	}
	changed.Source, err = c.Source(ctx, v, id)
	return changed, err
}

// newAddress returns a new address of the source's site in the form that sources store.
func (c *Control) newAddress(v viewer.Viewer, src store.Source, given string) (string, error) {
	if !v.SeesAll() { // the site's token can read every source of the site
		return "", &OutOfScopeError{ID: src.ID}
	}
	address := strings.TrimSuffix(given, "/")
	if src.System == store.Confluence {
		var err error
		if address, err = c.Vault.Site(given); err != nil {
			return "", &InvalidError{Field: "base_url", Reason: err.Error()}
		}
	} else if u, err := url.Parse(address); err != nil || !slices.Contains([]string{"https", "http", "file"}, u.Scheme) || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", &InvalidError{Field: "base_url", Reason: "of a folder must be an address with https://, http:// or file://, without user, query or fragment"}
	}
	return address, nil
}

// relocate stores the source's new address.
func (c *Control) relocate(ctx context.Context, src store.Source) error {
	err := c.Ledger.Relocate(ctx, src.ID, src.BaseURL)
	if errors.Is(err, store.ErrSpaceTaken) {
		err = &SpaceTakenError{What: "space " + src.SpaceKey, cause: err}
	}
	return err
}

// RemoveSource deletes a source with its pages, chunks, runs and token. It returns an *UnknownSourceError.
func (c *Control) RemoveSource(ctx context.Context, v viewer.Viewer, id string) error {
	if _, err := c.visibleSource(ctx, v, id); err != nil {
		return err
	}
	return c.unknownSource(ctx, v, id, c.Ledger.RemoveSource(ctx, id))
}

// SetToken stores a token for a source. It returns an *UnknownSourceError or an error of the vault. Unless unchecked,
// the source is looked at as by AddSource.
func (c *Control) SetToken(ctx context.Context, v viewer.Viewer, id string, given credential.GivenToken, unchecked bool) (credential.StoredToken, error) {
	src, err := c.visibleSource(ctx, v, id)
	if err != nil {
		return credential.StoredToken{}, err
	}
	if _, err := c.look(ctx, src, &given, unchecked); err != nil {
		return credential.StoredToken{}, err
	}
	return c.Vault.SetToken(ctx, id, src.BaseURL, given)
}
