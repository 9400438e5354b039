package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/netip"
	"runtime"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/vault"
)

// Limits on verifying keys. Guessing a key is hopeless anyway; these limits keep guessers from costing CPU time.
const (
	verifiedFor  = 30 * time.Second // a revoked key stops working within this time
	keyTries     = 10
	keyTryEvery  = 10 * time.Second // then one more attempt is allowed
	peerTries    = 30
	peerTryEvery = 2 * time.Second
	cacheSize    = 10_000 // entries in each cache: keys, key ids and peers
	unknownKeyID = "unknownkey00"
)

// keyStore is the part of the vault that the keyring needs.
type keyStore interface {
	APIKey(ctx context.Context, id string) (vault.APIKey, error)
	HasAPIKeys(ctx context.Context) (bool, error)
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
	// hashSlots limits how many hashes are computed at the same time.
	hashSlots chan struct{}
	// dummy is compared with if there is no such key, so that a wrong id takes as long as a wrong secret.
	dummy string
}

type verifiedKey struct {
	key   apikey.Key
	until time.Time
}

// newKeyring returns a keyring for keys whose hashes have the given cost.
func newKeyring(s keyStore, cost apikey.Cost) (*keyring, error) {
	k := &keyring{store: s, now: time.Now, hashSlots: make(chan struct{}, runtime.GOMAXPROCS(0))}
	var err error
	if k.dummy, err = cost.Hash(unknownKeyID, "nobody has this one"); err != nil {
		return nil, err
	}
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

// verify returns the key that the token belongs to. peer is the address of the connection; headers cannot change it.
func (k *keyring) verify(ctx context.Context, token, peer string) (apikey.Key, error) {
	digest := sha256.Sum256([]byte(token))
	if k.local != nil && subtle.ConstantTimeCompare(digest[:], k.local.digest[:]) == 1 {
		return apikey.Key{ID: LocalKeyID, Name: "this machine", Role: apikey.Admin}, nil
	}
	was, known := k.verified.Get(digest)
	if known && k.now().Before(was.until) {
		return was.key, nil
	}
	id, text, ok := apikey.Parse(token)
	if !known {
		if wait := k.wait(id, peer); wait > 0 {
			return apikey.Key{}, errTooManyTries(wait)
		}
	}
	if !ok {
		k.failed("", peer)
		return apikey.Key{}, errBadKey()
	}
	select {
	case k.hashSlots <- struct{}{}:
		defer func() { <-k.hashSlots }()
	case <-ctx.Done():
		return apikey.Key{}, ctx.Err()
	}
	if !known { // others may have failed while this request waited
		if wait := k.wait(id, peer); wait > 0 {
			return apikey.Key{}, errTooManyTries(wait)
		}
	}
	kept, err := k.store.APIKey(ctx, id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return apikey.Key{}, err
	}
	found := err == nil
	if !found {
		kept.Hash = k.dummy
	}
	right := apikey.Matches(kept.Hash, id, text)
	if !right || !found || !kept.RevokedAt.IsZero() || !kept.Role.Valid() {
		k.verified.Remove(digest)
		k.failed(id, peer)
		return apikey.Key{}, errBadKey()
	}
	k.verified.Add(digest, verifiedKey{key: kept.Key, until: k.now().Add(verifiedFor)})
	return kept.Key, nil
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

// peerOf returns the address that a connection comes from. For IPv6 it returns the /64 network: whoever has one of
// its addresses can use all of them.
func peerOf(remoteAddr string) string {
	ap, err := netip.ParseAddrPort(remoteAddr)
	if err != nil {
		return remoteAddr
	}
	addr := ap.Addr().Unmap().WithZone("")
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.String()
		}
	}
	return addr.String()
}
