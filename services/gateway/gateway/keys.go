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

// How long a key that was proved is believed, and how many failed tries there may be. A
// guess is hopeless anyway; the bounds keep guessers from costing anything.
const (
	believeFor   = 30 * time.Second // a revoked key ends within this
	triesOfKey   = 10
	keyRegains   = 10 * time.Second // one more try after this
	triesOfPeer  = 30
	peerRegains  = 2 * time.Second
	remembered   = 10_000 // keys, key ids and peers, each
	unknownKeyID = "unknownkey00"
)

// keyStore is what the keyring needs of the vault.
type keyStore interface {
	APIKey(ctx context.Context, id string) (vault.APIKey, error)
	HasAPIKeys(ctx context.Context) (bool, error)
}

var _ keyStore = (*vault.Vault)(nil)

// keyring tells whose key a request shows.
type keyring struct {
	store keyStore
	now   func() time.Time
	local *localKey // nil for none

	// proved holds the digests of keys that were right, with until when that is believed.
	// One that has run out is looked up anew, and is no guess: it was right before.
	proved *lru.Cache[[sha256.Size]byte, proof]
	ids    *lru.Cache[string, *rate.Limiter]
	peers  *lru.Cache[string, *rate.Limiter]
	// turns bounds how many hashes are worked out at a time.
	turns chan struct{}
	// dummy is compared with where there is no such key, so that a wrong id takes as long
	// as a wrong secret.
	dummy string
}

type proof struct {
	key   apikey.Key
	until time.Time
}

// newKeyring makes a keyring for keys whose hashes are of the given cost.
func newKeyring(s keyStore, cost apikey.Cost) (*keyring, error) {
	k := &keyring{store: s, now: time.Now, turns: make(chan struct{}, runtime.GOMAXPROCS(0))}
	var err error
	if k.dummy, err = cost.Hash(unknownKeyID, "nobody has this one"); err != nil {
		return nil, err
	}
	if k.proved, err = lru.New[[sha256.Size]byte, proof](remembered); err != nil {
		return nil, err
	}
	if k.ids, err = lru.New[string, *rate.Limiter](remembered); err != nil {
		return nil, err
	}
	k.peers, err = lru.New[string, *rate.Limiter](remembered)
	return k, err
}

func errBadKey() *Problem {
	return fail(http.StatusUnauthorized, "unauthenticated", "the API key is missing, wrong or revoked; send it as: Authorization: Bearer sluice_…; make one with: sluice key create")
}

func errTries(wait time.Duration) *Problem {
	p := fail(http.StatusTooManyRequests, "too_many_tries", "too many wrong API keys; wait before the next try")
	p.retryAfter = max(time.Second, wait)
	return p
}

// prove returns whose key the token is. peer is the address that the connection comes from;
// what headers say of it counts for nothing.
func (k *keyring) prove(ctx context.Context, token, peer string) (apikey.Key, error) {
	digest := sha256.Sum256([]byte(token))
	if k.local != nil && subtle.ConstantTimeCompare(digest[:], k.local.digest[:]) == 1 {
		return apikey.Key{ID: LocalKeyID, Name: "this machine", Role: apikey.Admin}, nil
	}
	was, known := k.proved.Get(digest)
	if known && k.now().Before(was.until) {
		return was.key, nil
	}
	id, text, ok := apikey.Parse(token)
	if !known {
		if wait := k.wait(id, peer); wait > 0 {
			return apikey.Key{}, errTries(wait)
		}
	}
	if !ok {
		k.failed("", peer)
		return apikey.Key{}, errBadKey()
	}
	select {
	case k.turns <- struct{}{}:
		defer func() { <-k.turns }()
	case <-ctx.Done():
		return apikey.Key{}, ctx.Err()
	}
	if !known { // others may have failed while this one waited for its turn
		if wait := k.wait(id, peer); wait > 0 {
			return apikey.Key{}, errTries(wait)
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
		k.proved.Remove(digest)
		k.failed(id, peer)
		return apikey.Key{}, errBadKey()
	}
	k.proved.Add(digest, proof{key: kept.Key, until: k.now().Add(believeFor)})
	return kept.Key, nil
}

// wait is how long no further try is taken with the key id or from the peer.
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

// failed counts a failed try; id is empty where the token names none.
func (k *keyring) failed(id, peer string) {
	if id != "" {
		k.ids.ContainsOrAdd(id, rate.NewLimiter(rate.Every(keyRegains), triesOfKey))
		if l, ok := k.ids.Get(id); ok {
			l.AllowN(k.now(), 1)
		}
	}
	k.peers.ContainsOrAdd(peer, rate.NewLimiter(rate.Every(peerRegains), triesOfPeer))
	if l, ok := k.peers.Get(peer); ok {
		l.AllowN(k.now(), 1)
	}
}

// peerOf is where a connection comes from: its address, or of an IPv6 address the network,
// since whoever has one address there has them all.
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
