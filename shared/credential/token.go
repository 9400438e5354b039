package credential

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/confluence/outgoing"
	"github.com/sluicehq/sluice/shared/seal"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/vault"
)

// Trust says where tokens may be sent, and which keys encrypt them.
type Trust struct {
	Hosts     outgoing.Hosts
	AllowHTTP bool       // for the stand-in
	Ring      *seal.Ring // nil where there is no master key: then no token can be stored
}

// Errors of what is said of a token.
var (
	ErrNotAToken = errors.New("is no API token: it is longer than one, or has a space in it")
	ErrWhose     = errors.New("whose token is it? its account's e-mail address is missing, or is none")
)

const maxToken = 16 << 10 // bytes

// ParseToken reads an API token. The error is ErrNotAToken, or one about a text copied from output that
// hides the token; neither quotes it.
func ParseToken(text string) (secret.String, error) {
	text = strings.TrimSpace(text)
	if text == "" || len(text) > maxToken || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return secret.String{}, ErrNotAToken
	}
	var token secret.String
	err := token.UnmarshalText([]byte(text))
	return token, err
}

// Site returns a site's address in the form that sources store, or the reason why a source may not have
// it. The error does not repeat the address, which may contain a password.
func (t Trust) Site(address string) (string, error) {
	return confluence.CheckSite(address, t.Hosts, t.AllowHTTP)
}

// GivenToken is a token with its properties.
type GivenToken struct {
	Token  secret.String
	Email  string // of its account; "": that of the token that it replaces, else Else
	Else   string
	Scoped *bool // nil: as the token that it replaces, else not
	// Expires says when it stops working; zero: unknown, or as said before of the same token.
	Expires time.Time
}

// StoredToken is the result of storing a token.
type StoredToken struct {
	Name  string `json:"name"`
	Site  string `json:"site"`
	Email string `json:"email"`
	KeyID string `json:"key_id"`
	Same  bool   `json:"same"` // as the one that was there
}

// Ready returns the credential that SetToken would store under the name, and changes nothing. Its errors are those of
// SetToken.
func (t Trust) Ready(ctx context.Context, s *store.Store, name, site string, given GivenToken) (vault.Credential, error) {
	c, err := t.credential(ctx, s, name, site, given)
	if err != nil {
		return vault.Credential{}, err
	}
	return c, s.Vault().CanSetSecret(ctx, t.Ring, name)
}

// SetToken stores a token, encrypted, under the name of a source or of a site's host. The error is
// seal.ErrNoKey or ErrWhose, or wraps a *vault.SealedError if the token to replace, or another name's
// token, cannot be opened; then nothing was changed.
func (t Trust) SetToken(ctx context.Context, s *store.Store, name, site string, given GivenToken) (StoredToken, error) {
	c, err := t.credential(ctx, s, name, site, given)
	if err != nil {
		return StoredToken{}, err
	}
	same, err := s.Vault().SetSecret(ctx, t.Ring, name, c)
	if err != nil {
		return StoredToken{}, err
	}
	return StoredToken{Name: name, Site: c.Site, Email: c.Email, KeyID: t.Ring.Current(), Same: same}, nil
}

func (t Trust) credential(ctx context.Context, s *store.Store, name, site string, given GivenToken) (vault.Credential, error) {
	site, err := t.Site(site)
	if err != nil {
		return vault.Credential{}, fmt.Errorf("the address of the site %w", err)
	}
	if t.Ring.Current() == "" {
		return vault.Credential{}, seal.ErrNoKey
	}
	c := vault.Credential{Site: site, Email: given.Email, Token: given.Token, Expires: given.Expires}
	there, err := s.Vault().Secret(ctx, t.Ring, name)
	switch {
	case err == nil:
		if c.Email == "" {
			c.Email = there.Email
		}
		c.Scoped = there.Scoped
	case !errors.Is(err, store.ErrNotFound) && !errors.Is(err, vault.ErrVanished):
		return c, fmt.Errorf("%w; nothing was changed (sluice secret remove %s forgets it)", err, name)
	case c.Email == "":
		c.Email = given.Else
	}
	if given.Scoped != nil {
		c.Scoped = *given.Scoped
	}
	if !config.IsEmail(c.Email) {
		return c, ErrWhose
	}
	return c, nil
}

// Kept describes a stored token without its content.
type Kept struct {
	vault.Secret
	Key string `json:"key"` // current, old, missing, unreadable, or vanished if it was deleted behind Sluice's back
}

// Tokens describes the stored tokens, ordered by name, and the master keys that encrypt them.
func (t Trust) Tokens(ctx context.Context, s *store.Store) ([]Kept, error) {
	list, err := s.Vault().Secrets(ctx)
	kept := make([]Kept, len(list))
	for i, info := range list {
		kept[i] = Kept{Secret: info, Key: "missing"}
		switch {
		case info.Vanished:
			kept[i].Key = "vanished"
		case info.KeyID == "":
			kept[i].Key = "unreadable"
		case info.KeyID == t.Ring.Current():
			kept[i].Key = "current"
		case t.Ring.Has(info.KeyID):
			kept[i].Key = "old"
		}
	}
	return kept, err
}
