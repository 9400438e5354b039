package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/vault"
	"github.com/sluicehq/sluice/shared/viewer"
)

const (
	// spacesRead is the most spaces of a site that are read for a person to choose from.
	spacesRead = 5000
	// spacesNamed is the most spaces of which an error may name some.
	spacesNamed = 1000
	// tryWithin limits how long a person waits for a site.
	tryWithin = 20 * time.Second
)

// ErrNoSpace says that the account may read no space of the site.
var ErrNoSpace = errors.New("the account may read no space there: give it access to one in Confluence, or use the token of another account")

// ErrNoAnswer says that a site did not answer in time.
var ErrNoAnswer = errors.New("the site does not answer in time: check its address, and that this machine can reach it")

// SiteError is why a site could not be read.
type SiteError struct {
	Advice string // what helps
	// Readable are the spaces that the account may read, if the space that was asked for is not among them.
	Readable []confluence.Space
	cause    error
}

func (e *SiteError) Error() string { return e.cause.Error() + ": " + e.Advice }

// Unwrap returns the cause.
func (e *SiteError) Unwrap() error { return e.cause }

// ScopeError says that a token may not make a call that syncs make.
type ScopeError struct {
	What  string // that cannot be read, for example "its pages"
	Scope string // that the token probably lacks
	Kind  string // of page.Kinds, if only content of one kind cannot be read
	cause error
}

func (e *ScopeError) Error() string {
	return fmt.Sprintf("the credential may not read %s: if the token is scoped, add the scope %s: %v", e.What, e.Scope, e.cause)
}

// Unwrap returns the cause.
func (e *ScopeError) Unwrap() error { return e.cause }

// SiteSpaces are the spaces of a site that a credential may read.
type SiteSpaces struct {
	Address string             // of the site, as sources store it
	Spaces  []confluence.Space // by name, without archived ones
	More    bool               // there are more than were read
}

// Spaces lists the spaces that a credential may read: the one that is given, else the one that a new source of the
// site would be read with, which only who sees every source may use. The error is ErrNotOperator, an *InvalidError of
// the address, ErrWhose, ErrNoSpace, ErrNoAnswer or a *SiteError.
func (c *Control) Spaces(ctx context.Context, v viewer.Viewer, address string, given *credential.GivenToken) (SiteSpaces, error) {
	var found SiteSpaces
	ctx, cancel := context.WithTimeoutCause(ctx, tryWithin, ErrNoAnswer)
	defer cancel()
	src := store.Source{BaseURL: address}
	client, err := c.siteClient(ctx, v, &src, given)
	if err != nil {
		return found, err
	}
	found.Address = src.BaseURL
	for space, err := range client.Spaces(ctx) {
		if err != nil {
			return found, siteError(ctx, err, src)
		}
		if found.More = len(found.Spaces) == spacesRead; found.More {
			break
		}
		if space.Status != "archived" {
			found.Spaces = append(found.Spaces, space)
		}
	}
	if len(found.Spaces) == 0 {
		return found, ErrNoSpace
	}
	slices.SortStableFunc(found.Spaces, func(a, b confluence.Space) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.Key, b.Key))
	})
	// A public site lists some spaces to a rejected credential, too.
	if _, err := client.Probe(ctx, found.Spaces[0].Key); err != nil {
		return found, siteError(ctx, err, src)
	}
	return found, nil
}

// Tried is what a credential may do with a space.
type Tried struct {
	Space  confluence.Space
	Hidden []string // what it may not read of the permissions, as Hidden says it
}

// TrySpace makes the calls that a sync makes of a space, with the credential that is given, else with the one that the
// source would be read with; and unless the source is open, those by which permissions are read. The errors are those
// of Spaces, and a *ScopeError.
func (c *Control) TrySpace(ctx context.Context, v viewer.Viewer, src store.Source, given *credential.GivenToken) (Tried, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, tryWithin, ErrNoAnswer)
	defer cancel()
	if err := confluence.CheckSpaceKey(src.SpaceKey); err != nil {
		return Tried{}, &InvalidError{Field: "space_key", Reason: "is not the key of a space"}
	}
	client, err := c.siteClient(ctx, v, &src, given)
	if err != nil {
		return Tried{}, err
	}
	return try(ctx, client, src)
}

// try is TrySpace with a client.
func try(ctx context.Context, client *confluence.Client, src store.Source) (Tried, error) {
	probe, err := spaceOf(ctx, client, src)
	if err != nil {
		return Tried{}, missing(ctx, client, err, siteError(ctx, err, src))
	}
	for _, call := range callsOfSync(ctx, client, probe.Space, src) {
		var refused *confluence.AuthError
		switch {
		case errors.As(call.err, &refused):
			return Tried{Space: probe.Space}, &ScopeError{What: call.what, Scope: call.scope, Kind: kindsByScope[call.scope], cause: call.err}
		case call.err != nil:
			return Tried{Space: probe.Space}, siteError(ctx, call.err, src)
		}
	}
	return Tried{Space: probe.Space, Hidden: Hidden(ctx, client, src, probe.Space)}, nil
}

// missing adds the spaces that the account may read to the error of one that it may not, or that does not exist.
func missing(ctx context.Context, client *confluence.Client, cause, err error) error {
	var gone *confluence.NotFoundError
	var at *SiteError
	if !errors.As(cause, &gone) || !errors.As(err, &at) {
		return err
	}
	at.cause = errors.New("no space with this key exists there, or the account may not read it")
	for space, err := range client.Spaces(ctx) {
		if err != nil || len(at.Readable) == spacesNamed {
			break
		}
		at.Readable = append(at.Readable, space)
	}
	return at
}

// Looked is what was found when the site of a source was asked before the source was added or changed.
type Looked struct {
	Unasked bool     // the site was not asked, because no token for its address is known here; a service may have one
	Hidden  []string // what the credential may not read of the permissions, as Hidden says it

	// Without says what a new source has by default and the credential may not read. Runs leave it out until it may.
	Without []*ScopeError
}

// look asks a source's site whether its space can be read with the given token, else with the one that the source would
// be read with.
func (c *Control) look(ctx context.Context, src store.Source, given *credential.GivenToken, unchecked bool) (Looked, error) {
	var with vault.Credential
	if given != nil {
		var err error
		if with, err = c.Vault.Ready(ctx, src.ID, src.BaseURL, *given); err != nil {
			return Looked{}, err
		}
	}
	if unchecked || c.Servers.Site == nil || src.System != "" && src.System != store.Confluence {
		return Looked{}, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, tryWithin, ErrNoAnswer)
	defer cancel()
	client, err := c.Servers.Site.Try(ctx, src, with)
	if errors.Is(err, credential.ErrNone) {
		return Looked{Unasked: true}, nil
	}
	if err != nil {
		return Looked{}, err
	}
	tried, err := try(ctx, client, src)
	return Looked{Hidden: tried.Hidden}, err
}

// lookAround asks a site whether a credential can read some space.
func (c *Control) lookAround(ctx context.Context, site string, with vault.Credential) error {
	if c.Servers.Site == nil {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, tryWithin, ErrNoAnswer)
	defer cancel()
	src := store.Source{BaseURL: site, Permissions: store.OpenToAll}
	client, err := c.Servers.Site.Try(ctx, src, with)
	if err != nil {
		return err
	}
	for space, err := range client.Spaces(ctx) {
		if err != nil {
			return siteError(ctx, err, src)
		}
		src.SpaceKey = space.Key
		_, err = try(ctx, client, src)
		return err
	}
	return ErrNoSpace
}

// siteClient returns a client for the site of a source, and sets the source's address to the form that sources store.
func (c *Control) siteClient(ctx context.Context, v viewer.Viewer, src *store.Source, given *credential.GivenToken) (*confluence.Client, error) {
	if !v.SeesAll() && given == nil {
		return nil, ErrNotOperator
	}
	var err error
	if src.BaseURL, err = c.Vault.Site(src.BaseURL); err != nil {
		return nil, &InvalidError{Field: "base_url", Reason: err.Error()}
	}
	var with vault.Credential
	if given != nil {
		with = vault.Credential{Email: given.Email, Token: given.Token, Scoped: given.Scoped != nil && *given.Scoped}
		if !config.IsEmail(with.Email) {
			return nil, credential.ErrWhose
		}
	}
	client, err := c.Servers.Site.Try(ctx, *src, with)
	if errors.Is(err, credential.ErrNone) {
		return nil, &SiteError{Advice: "give a token for it", cause: errors.New("there is no token for this site here")}
	}
	return client, err
}

// siteError says what to do about an error of a site.
func siteError(ctx context.Context, err error, src store.Source) error {
	if cause := context.Cause(ctx); errors.Is(cause, ErrNoAnswer) {
		return ErrNoAnswer
	}
	advice := SpaceAdvice(err, src)
	if advice == tokenAdvice {
		advice = "check the account's address and the token; a scoped token must be marked as one"
	}
	return &SiteError{Advice: advice, cause: err}
}
