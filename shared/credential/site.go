// Package credential finds the token for a source: its own, its site's, or the environment's. It also
// knows where tokens may be sent, and which master keys encrypt them.
package credential

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/budget"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/confluence/outgoing"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/seal"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/vault"
)

// Site returns the client for each source: with the source's own credential, else its site's, else the
// environment's if it is for that site. All clients of a site share one budget. Site is safe for
// concurrent use.
type Site struct {
	cfg     config.Confluence
	hosts   outgoing.Hosts
	log     zerolog.Logger
	bus     *bus.Bus
	secrets Secrets
	pauses  Pauses // nil without a database
	ring    *seal.Ring
	env     vault.Credential // of the environment; its site is "" when it names none

	mu      sync.Mutex
	budgets map[string]confluence.Limiter // by site
	clients map[vault.Credential]*confluence.Client
	found   map[string]*finding // by source
}

// finding is the credential found for a source.
type finding struct {
	credential vault.Credential
	site       string // of the source, when it was looked for
	at, next   time.Time
}

// Secrets opens stored credentials; see store.Store.
type Secrets interface {
	Secret(ctx context.Context, ring *seal.Ring, names ...string) (vault.Credential, error)
}

// SiteOption changes how a site is called.
type SiteOption func(*Site)

// Sharing makes calls use the site's budget for all processes on b's broker. Without it, the configured
// limits apply to this process alone.
func Sharing(b *bus.Bus) SiteOption { return func(s *Site) { s.bus = b } }

// Stored reads the credentials of sources and sites from secrets. A nil ring opens none: a source with a
// stored credential is then rejected rather than read with another one.
func Stored(secrets Secrets, ring *seal.Ring) SiteOption {
	return func(s *Site) { s.secrets, s.ring = secrets, ring }
}

// Telling records in p the pauses that sites ask for, and heeds those that people lifted there.
func Telling(p Pauses) SiteOption { return func(s *Site) { s.pauses = p } }

// The client tells a budget when a call has ended, which releases its place.
var (
	_ confluence.Limiter = (*budget.Budget)(nil)
	_ confluence.Doner   = (*budget.Budget)(nil)
	_ confluence.Limiter = liftable{}
	_ confluence.Doner   = liftable{}
	_ Secrets            = (*vault.Vault)(nil)
	_ Pauses             = (*store.Store)(nil)
)

const (
	// longestPause is the longest pause that a call waits in place. Longer pauses park the work.
	longestPause = store.WaitedInPlace
	// etagBytes limits the cached answers with an ETag; Confluence is not known to send one.
	etagBytes = 8 << 20
	// lookEvery is how long a stored credential is used before it is read again, and lookAgain is that
	// time after Confluence has rejected it.
	lookEvery = 30 * time.Second
	lookAgain = time.Second
)

// NewSite makes only the client of the configured site, if there is one.
func NewSite(c config.Confluence, log zerolog.Logger, with ...SiteOption) (*Site, error) {
	s := &Site{
		cfg: c, hosts: c.Hosts(), log: log,
		budgets: map[string]confluence.Limiter{}, clients: map[vault.Credential]*confluence.Client{}, found: map[string]*finding{},
	}
	for _, f := range with {
		f(s)
	}
	if c.BaseURL == "" {
		return s, nil
	}
	site, err := confluence.CheckSite(c.BaseURL, s.hosts, c.AllowHTTP)
	if err != nil {
		return nil, failure.New(failure.Unauthorized, "CONFLUENCE_BASE_URL %w", err)
	}
	s.env = vault.Credential{Site: site, Email: c.Email, Token: c.APIToken, Scoped: c.Gateway != ""}
	_, err = s.client(s.env)
	return s, err
}

// Client returns the client for a source. The error has the code failure.Unauthorized if there is no
// credential for it, if its credential cannot be opened or is for another site, or if its address is not
// allowed for credentials. A nil Site has none for any source.
func (s *Site) Client(ctx context.Context, src store.Source) (*confluence.Client, error) {
	if s == nil {
		return nil, errNoSite(src)
	}
	// An address in the database may have bypassed the checks on input.
	site, err := confluence.CheckSite(src.BaseURL, s.hosts, s.cfg.AllowHTTP)
	if err != nil {
		return nil, failure.New(failure.Unauthorized, "the site of source %s is refused: %w", src.ID, err)
	}
	s.mu.Lock()
	f, now := s.found[src.ID], time.Now()
	if f != nil && f.site == site && now.Before(f.next) {
		defer s.mu.Unlock()
		return s.client(f.credential)
	}
	if f != nil {
		f.next = now.Add(lookAgain) // while this call reads it again, others use the present one
	}
	s.mu.Unlock()

	c, err := s.credential(ctx, src, site)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		delete(s.found, src.ID) // nobody goes on with a credential that is no longer stored
		return nil, err
	}
	s.found[src.ID] = &finding{credential: c, site: site, at: now, next: now.Add(lookEvery)}
	client, err := s.client(c)
	s.retire()
	return client, err
}

// ErrNone is in the chain of an error of Client if this process has no credential for the source, or
// only one that was given for another address.
var ErrNone = errors.New("there is no credential")

func errNoSite(src store.Source) error {
	return failure.New(failure.Unauthorized, "%w for source %s: set CONFLUENCE_BASE_URL, CONFLUENCE_EMAIL and "+
		"CONFLUENCE_API_TOKEN, or give it its own: sluice secret set %s", ErrNone, src.ID, src.ID)
}

// credential finds the credential for a source.
func (s *Site) credential(ctx context.Context, src store.Source, site string) (vault.Credential, error) {
	if s.secrets != nil {
		c, err := s.secrets.Secret(ctx, s.ring, vault.SecretNames(site, src.ID)...)
		if canonical, bad := confluence.CheckSite(c.Site, s.hosts, s.cfg.AllowHTTP); err == nil && bad == nil {
			c.Site = canonical // it may have been stored in another spelling
		}
		var locked *vault.SealedError
		switch {
		case errors.As(err, &locked):
			return c, failure.Wrap(failure.Unauthorized, err)
		case err == nil && !strings.EqualFold(c.Site, site):
			return c, failure.New(failure.Unauthorized, "%w for source %s, which is on %s: its token was given for %s and is not sent elsewhere; set it anew: sluice secret set %s",
				ErrNone, src.ID, site, c.Site, src.ID)
		case err == nil || !errors.Is(err, store.ErrNotFound):
			return c, err
		}
	}
	switch {
	case s.env.Site == "":
		return s.env, errNoSite(src)
	case !strings.EqualFold(s.env.Site, site):
		return s.env, failure.New(failure.Unauthorized, "%w for source %s, which is on %s: CONFLUENCE_BASE_URL is %s, and its token is not sent elsewhere; give the source its own: sluice secret set %s",
			ErrNone, src.ID, site, s.env.Site, src.ID)
	}
	return s.env, nil
}

// client returns the client of a credential. All callers except NewSite hold mu.
func (s *Site) client(c vault.Credential) (*confluence.Client, error) {
	if client := s.clients[c]; client != nil {
		return client, nil
	}
	limiter, err := s.budget(c.Site)
	if err != nil {
		return nil, err
	}
	opts := []confluence.Option{
		confluence.WithLimiter(limiter),
		confluence.WithConcurrency(s.cfg.Concurrency),
		confluence.WithMaxWait(longestPause),
		confluence.WithLogger(s.log),
		confluence.WithETags(etagBytes),
		confluence.WithAllowedHosts(s.hosts),
		confluence.WithTrace(func(call confluence.Call) { s.heed(c, call) }),
	}
	if c.Scoped {
		opts = append(opts, confluence.WithGateway(s.cfg.Gateway))
	}
	if s.cfg.AllowHTTP {
		opts = append(opts, confluence.WithInsecureHTTP())
	}
	client, err := confluence.New(c.Site, c.Email, c.Token, opts...)
	if err != nil {
		return nil, failure.Wrap(failure.Unauthorized, err)
	}
	s.clients[c] = client
	return client, nil
}

// budget returns the budget of a site, which lasts as long as the bus.
func (s *Site) budget(site string) (confluence.Limiter, error) {
	if b := s.budgets[site]; b != nil {
		return b, nil
	}
	var b confluence.Limiter = confluence.NewBudget(s.cfg.RequestsPerSecond, max(1, int(s.cfg.RequestsPerSecond)), longestPause)
	if s.bus != nil {
		shared, err := budget.Join(s.bus, site, budget.Limits{
			PerSecond: s.cfg.RequestsPerSecond, Concurrency: s.cfg.Concurrency, MaxWait: longestPause,
		})
		if err != nil {
			return nil, err
		}
		b = shared
		if s.pauses != nil {
			b = liftable{shared, site, s.pauses}
		}
	}
	s.budgets[site] = b
	return b, nil
}

// heed makes a credential that Confluence rejected be read again soon, because it may have been replaced,
// and records a pause that Confluence requested.
func (s *Site) heed(c vault.Credential, call confluence.Call) {
	var limited *confluence.RateLimitError
	if errors.As(call.Err, &limited) {
		s.recordPause(c.Site, limited)
		return
	}
	var refused *confluence.AuthError
	if !errors.As(call.Err, &refused) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.found {
		if again := f.at.Add(lookAgain); f.credential == c && again.Before(f.next) {
			f.next = again
		}
	}
}

// retire closes the connections of clients whose credential no source has any more. Calls in progress
// end normally.
func (s *Site) retire() {
	used := map[vault.Credential]bool{s.env: true}
	for _, f := range s.found {
		used[f.credential] = true
	}
	for c, client := range s.clients {
		if !used[c] {
			client.Close()
			delete(s.clients, c)
		}
	}
}

// Try returns a client for a source that may not exist yet: with the given credential if it has a token, which is not
// kept, else with the one that the source would be read with now. The errors are those of Client.
func (s *Site) Try(ctx context.Context, src store.Source, given vault.Credential) (*confluence.Client, error) {
	if s == nil {
		return nil, errNoSite(src)
	}
	site, err := confluence.CheckSite(src.BaseURL, s.hosts, s.cfg.AllowHTTP)
	if err != nil {
		return nil, failure.New(failure.Unauthorized, "the address %w", err)
	}
	given.Site = site
	if given.Token.IsZero() {
		if given, err = s.credential(ctx, src, site); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	client, err := s.client(given)
	if client != nil {
		defer s.retire() // whoever has the client goes on with it; the next one who asks gets a new one
	}
	return client, err
}
