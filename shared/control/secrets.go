package control

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// Secrets describes the stored API tokens, ordered by name, without their content. The error may be ErrNotOperator.
func (c *Control) Secrets(ctx context.Context, v viewer.Viewer) ([]credential.Kept, error) {
	if !v.SeesAll() {
		return nil, ErrNotOperator
	}
	list, err := c.Vault.Tokens(ctx)
	return orEmpty(list), err
}

// SetSecret stores an API token: for a source by its id, or for all sources of a site by the site's address, with or
// without its scheme. For a site, only who sees every source may. The error is ErrNotOperator, an *InvalidError of the
// field name, an *UnknownSourceError, or an error of the vault. Unless unchecked, the token must be able to read the
// source, or some space of the site: the errors are those of Spaces, and a *ScopeError.
func (c *Control) SetSecret(ctx context.Context, v viewer.Viewer, name string, given credential.GivenToken, unchecked bool) (credential.StoredToken, error) {
	var none credential.StoredToken
	if !strings.ContainsAny(name, ".:") {
		if !event.ValidID(name) {
			return none, &InvalidError{Field: "name", Reason: "is neither a source's id nor the host of a site"}
		}
		return c.SetToken(ctx, v, name, given, unchecked)
	}
	if !v.SeesAll() {
		return none, ErrNotOperator
	}
	if !strings.Contains(name, "://") {
		name = "https://" + name
	}
	site, err := c.Vault.Site(name)
	if err != nil {
		return none, &InvalidError{Field: "name", Reason: err.Error()}
	}
	u, err := url.Parse(site)
	if err != nil {
		return none, err
	}
	host := strings.ToLower(u.Host)
	with, err := c.Vault.Ready(ctx, host, site, given)
	if err != nil {
		return none, err
	}
	if !unchecked {
		if err := c.lookAround(ctx, site, with); err != nil {
			return none, err
		}
	}
	return c.Vault.SetToken(ctx, host, site, given)
}

// RemoveSecret deletes a stored API token, which needs no master key. It returns the name in the form that it had. The
// error is ErrNotOperator or an *UnknownSecretError.
func (c *Control) RemoveSecret(ctx context.Context, v viewer.Viewer, name string) (string, error) {
	if !v.SeesAll() {
		return "", ErrNotOperator
	}
	if strings.ContainsAny(name, ".:") { // a host; source ids are case-sensitive
		name = strings.ToLower(name)
	}
	err := c.Vault.Forget(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return "", &UnknownSecretError{Name: name}
	}
	return name, err
}
