package control

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sluicehq/sluice/shared/access"
	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/vault"
	"github.com/sluicehq/sluice/shared/viewer"
)

// Keys stores the API keys.
type Keys interface {
	PutAPIKey(ctx context.Context, k vault.APIKey, again time.Duration) (time.Time, error)
	APIKeys(ctx context.Context) ([]vault.APIKey, error)
	RevokeAPIKey(ctx context.Context, id string) (vault.APIKey, error)
}

var _ Keys = (*vault.Vault)(nil)

// maxKeyName is the longest name of an API key, in characters.
const maxKeyName = 200

// NewKey is an API key to create.
type NewKey struct {
	Name    string // who or what uses it
	Role    apikey.Role
	Sources []string // empty: every source
	Account string   // the account that it reads as; "" for nobody in particular
	ActAs   bool     // each request may name the account that it reads as
	// Request names the request and who sends it: the same one again makes no second key. "" is a request of its own.
	Request string
}

// keyAgain is how long a request for a key that is repeated gets the key with a new secret: its answer was lost. Later, the
// key may be in use.
const keyAgain = 10 * time.Minute

// Check returns an *InvalidError if the key can never be valid. Its fields are name, role, account and act_as.
func (n NewKey) Check() error {
	switch {
	case strings.TrimSpace(n.Name) == "":
		return &InvalidError{Field: "name", Reason: "is missing: say who or what the key is for, for example assistant"}
	case utf8.RuneCountInString(n.Name) > maxKeyName:
		return &InvalidError{Field: "name", Reason: "is longer than 200 characters"}
	case !n.Role.Valid():
		return &InvalidError{Field: "role", Reason: "must be read, operate or admin"}
	case n.Account != "" && n.ActAs:
		return &InvalidError{Field: "act_as", Reason: "and account exclude each other: a key reads as one account, or each request names one"}
	case n.Account != "" && !access.ValidAccount(n.Account):
		return &InvalidError{Field: "account", Reason: access.ErrAccount.Error()}
	}
	return nil
}

// CreateKey creates an API key and returns it with its text, which nobody can read again: only a hash is stored. Only
// who sees every source may; the error is ErrNotOperator, an *InvalidError, an *UnknownSourceError or, for a request that
// has made another key, or this one too long ago, a *KeyMadeError. A request that is repeated before gets the same key with
// a new secret, and the former secret is worth nothing.
func (c *Control) CreateKey(ctx context.Context, v viewer.Viewer, n NewKey) (apikey.Key, secret.String, error) {
	var none secret.String
	if !v.SeesAll() {
		return apikey.Key{}, none, ErrNotOperator
	}
	if err := n.Check(); err != nil {
		return apikey.Key{}, none, err
	}
	for _, id := range n.Sources {
		if _, err := c.visibleSource(ctx, v, id); err != nil {
			return apikey.Key{}, none, err
		}
	}
	id, err := c.keyID(ctx, n.Request)
	if err != nil {
		return apikey.Key{}, none, err
	}
	token, hash := apikey.WithID(id)
	sources := slices.Compact(slices.Sorted(slices.Values(n.Sources)))
	k := apikey.Key{ID: id, Name: n.Name, Role: n.Role, Sources: orEmpty(sources), Account: n.Account, ActAs: n.ActAs}
	k.CreatedAt, err = c.Keys.PutAPIKey(ctx, vault.APIKey{Key: k, Hash: hash}, keyAgain)
	if errors.Is(err, vault.ErrKeyThere) {
		err = &KeyMadeError{ID: id}
	}
	if err != nil {
		return apikey.Key{}, none, err
	}
	return k, token, nil
}

// keyID returns the id of a new key. That of a named request is the same each time, on every gateway, and nobody outside of
// the installation can tell the request from it.
func (c *Control) keyID(ctx context.Context, request string) (string, error) {
	if request == "" {
		id, _, _ := apikey.New()
		return id, nil
	}
	secret, err := c.Ledger.Installation(ctx, false)
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte("key\x00" + request))
	return apikey.IDOf(mac.Sum(nil)), nil
}

// APIKeys lists every API key, the revoked ones too, the oldest first. The error may be ErrNotOperator.
func (c *Control) APIKeys(ctx context.Context, v viewer.Viewer) ([]apikey.Key, error) {
	if !v.SeesAll() {
		return nil, ErrNotOperator
	}
	stored, err := c.Keys.APIKeys(ctx)
	list := make([]apikey.Key, len(stored))
	for i, k := range stored {
		list[i] = k.Key
	}
	return list, err
}

// RevokeKey revokes an API key by its id; people may give the whole key. The HTTP API refuses it within half a minute,
// and its sessions in the console end at once. Revoking it again changes nothing. The error is ErrNotOperator or an
// *UnknownKeyError.
func (c *Control) RevokeKey(ctx context.Context, v viewer.Viewer, id string) (apikey.Key, error) {
	if !v.SeesAll() {
		return apikey.Key{}, ErrNotOperator
	}
	if of, _, whole := apikey.Parse(id); whole {
		id = of
	}
	k, err := c.Keys.RevokeAPIKey(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return apikey.Key{}, &UnknownKeyError{}
	}
	return k.Key, err
}
