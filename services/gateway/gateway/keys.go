package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"runtime"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/vault"
)

// Limits on wrong keys. Guessing a key is hopeless anyway; these limits keep guessers from costing CPU time. A right
// key always passes, whoever else guesses from its address or with its id: comparing it costs next to nothing. Only
// one that still has the slow hash of an earlier release waits with the guessers, until its next use renews the hash.
const (
	verifiedFor  = 30 * time.Second // a revoked key stops working within this time
	keyTries     = 10
	keyTryEvery  = 10 * time.Second // then one more attempt is allowed
	peerTries    = 30
	peerTryEvery = 2 * time.Second
	cacheSize    = 10_000 // entries in each cache: keys, key ids and peers
)

// keyStore is the part of the vault that the keyring needs.
type keyStore interface {
	APIKey(ctx context.Context, id string) (vault.APIKey, error)
	HasAPIKeys(ctx context.Context) (bool, error)
	RenewAPIKey(ctx context.Context, id, was, hash string) error
}

var _ keyStore = (*vault.Vault)(nil)

// keyring verifies API keys.
type keyring struct {
	store keyStore
	now   func() time.Time
	local *localKey // nil for none

	// verified contains the digests of verified keys and when each verification expires. An expired one is verified
	// again, but does not count as a guess: the key was valid before.
	verified *lru.Cache[[sha256.Size]byte, verifiedKey]
	ids      *lru.Cache[string, *rate.Limiter]
	peers    *lru.Cache[string, *rate.Limiter]
	// slots limits how many keys are looked up and compared at the same time.
	slots chan struct{}
	log   zerolog.Logger
}

type verifiedKey struct {
	key   apikey.Key
	until time.Time
}

func newKeyring(s keyStore, log zerolog.Logger) (*keyring, error) {
	k := &keyring{store: s, now: time.Now, slots: make(chan struct{}, runtime.GOMAXPROCS(0)), log: log}
	var err error
	if k.verified, err = lru.New[[sha256.Size]byte, verifiedKey](cacheSize); err != nil {
		return nil, err
	}
	if k.ids, err = lru.New[string, *rate.Limiter](cacheSize); err != nil {
		return nil, err
	}
	k.peers, err = lru.New[string, *rate.Limiter](cacheSize)
	return k, err
}

func errBadKey() *Problem {
	return fail(http.StatusUnauthorized, "unauthenticated", "the API key is missing, wrong or revoked; send it as: Authorization: Bearer sluice_…; make one with: sluice key create")
}

func errTooManyTries(wait time.Duration) *Problem {
	p := fail(http.StatusTooManyRequests, "too_many_tries", "too many wrong API keys; wait before the next try")
	p.retryAfter = max(time.Second, wait)
	return p
}

// verify returns the key that the token belongs to. peer is the address of the client.
func (k *keyring) verify(ctx context.Context, token, peer string) (apikey.Key, error) {
	digest := sha256.Sum256([]byte(token))
	if k.local != nil && subtle.ConstantTimeCompare(digest[:], k.local.digest[:]) == 1 {
		return theLocalKey, nil
	}
	was, known := k.verified.Get(digest)
	if known && k.now().Before(was.until) {
		return was.key, nil
	}
	id, text, ok := apikey.Parse(token)
	if !ok {
		return apikey.Key{}, k.refuse("", peer)
	}
	select {
	case k.slots <- struct{}{}:
		defer func() { <-k.slots }()
	case <-ctx.Done():
		return apikey.Key{}, ctx.Err()
	}
	kept, err := k.store.APIKey(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return apikey.Key{}, k.refuse(id, peer)
	}
	if err != nil {
		return apikey.Key{}, err
	}
	slow := apikey.Slow(kept.Hash)
	if wait := k.wait(id, peer); slow && !known && wait > 0 {
		return apikey.Key{}, errTooManyTries(wait)
	}
	if !apikey.Matches(kept.Hash, id, text) || !kept.RevokedAt.IsZero() || !kept.Role.Valid() {
		k.verified.Remove(digest)
		return apikey.Key{}, k.refuse(id, peer)
	}
	if slow {
		if err := k.store.RenewAPIKey(ctx, id, kept.Hash, apikey.Hash(id, text)); err != nil {
			k.log.Warn().Err(err).Str("key", id).Msg("the key's hash stays a slow one until its next use")
		}
	}
	k.verified.Add(digest, verifiedKey{key: kept.Key, until: k.now().Add(verifiedFor)})
	return kept.Key, nil
}

// refuse counts a failed attempt and returns its error; id is empty if the token contains none.
func (k *keyring) refuse(id, peer string) error {
	if wait := k.wait(id, peer); wait > 0 {
		return errTooManyTries(wait)
	}
	k.failed(id, peer)
	return errBadKey()
}

// wait returns for how long no attempt with the key id or from the peer is allowed.
func (k *keyring) wait(id, peer string) time.Duration {
	var longest time.Duration
	for _, of := range []struct {
		all  *lru.Cache[string, *rate.Limiter]
		name string
	}{{k.ids, id}, {k.peers, peer}} {
		l, ok := of.all.Get(of.name)
		if !ok {
			continue
		}
		if short := 1 - l.TokensAt(k.now()); short > 0 {
			longest = max(longest, time.Duration(short/float64(l.Limit())*float64(time.Second)))
		}
	}
	return longest
}

// failed counts a failed attempt; id is empty if the token contains none.
func (k *keyring) failed(id, peer string) {
	if id != "" {
		k.ids.ContainsOrAdd(id, rate.NewLimiter(rate.Every(keyTryEvery), keyTries))
		if l, ok := k.ids.Get(id); ok {
			l.AllowN(k.now(), 1)
		}
	}
	k.peers.ContainsOrAdd(peer, rate.NewLimiter(rate.Every(peerTryEvery), peerTries))
	if l, ok := k.peers.Get(peer); ok {
		l.AllowN(k.now(), 1)
	}
}
