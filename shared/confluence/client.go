// Package confluence is the client for Confluence Cloud: REST v2 for spaces and pages, v1
// for search and the current user.
//
// It never takes a failure for an empty answer. Every list is an iterator that ends complete
// or with an error; there is no third way. A *RowError ends nothing: it stands in the place of
// one row that is no use, and the rows after it follow. What the API does on failures, and the
// reason for each rule, stands beside the code that heeds it.
//
// Every method may return, apart from what its own comment adds:
//
//   - *AuthError: the credential is refused, lacks a scope, or is answered as if nothing existed;
//   - *RateLimitError: told to wait, longer than this client waits in place;
//   - *ServerError: 5xx after three retries, or the circuit is open after many of them;
//   - *TransportError: no whole answer arrived after three retries;
//   - *ProtocolError: an answer that is no answer: malformed, truncated, HTML, too large;
//   - *GoneError: Atlassian removed the endpoint;
//   - *StatusError: another 4xx;
//   - the context's error, when it ended.
//
// No error, log line or trace holds the token or an answer's body.
package confluence

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/shared/secret"
)

// Client speaks to one Confluence Cloud site with one credential. It is safe for concurrent
// use and shares one budget, one circuit breaker and one bound of concurrent calls among all
// its callers.
type Client struct {
	site     *site
	auth     secret.String // the value of the Authorization header
	hidden   []secret.String
	http     *http.Client
	limiter  Limiter
	policies policies
	opt      options
	log      zerolog.Logger
	stats    stats
	etags    *etags                 // nil unless asked for
	found    atomic.Pointer[site]   // the gateway, when WithGateway found it
	base     atomic.Pointer[string] // the site's address as answers give it, for the gateway
}

// New makes a client; it calls nobody.
//
// The base URL is that of the site (https://acme.atlassian.net, with or without /wiki) or of
// the gateway (https://api.atlassian.com/ex/confluence/{cloudId}, with or without /wiki). It
// must be https, unless WithInsecureHTTP is given, and hold no credential. Unless WithInsecureHTTP
// or a transport is given, names that lead to addresses which are not public are not dialed.
func New(baseURL, email string, apiToken secret.String, opts ...Option) (*Client, error) {
	opt := defaults()
	for _, o := range opts {
		o(&opt)
	}
	if err := opt.check(); err != nil {
		return nil, fmt.Errorf("confluence client: %w", err)
	}
	s, err := opt.site(baseURL)
	if err != nil {
		return nil, fmt.Errorf("confluence client: base URL: %w", err)
	}
	if opt.gateway != "" {
		if _, err := opt.site(opt.gateway); err != nil {
			return nil, fmt.Errorf("confluence client: gateway: %w", err)
		}
	}
	auth, hidden, err := credential(email, apiToken, opt.bearer)
	if err != nil {
		return nil, fmt.Errorf("confluence client: %w", err)
	}
	c := &Client{site: s, auth: auth, hidden: hidden, limiter: opt.limiter, opt: opt, log: opt.log}
	if c.limiter == nil {
		c.limiter = NewBudget(opt.perSecond, opt.burst, opt.maxWait)
	}
	if opt.etagBytes > 0 {
		c.etags = newETags(opt.etagBytes)
	}
	c.http = opt.httpClient()
	c.policies = newPolicies(c)
	return c, nil
}

// credential returns the Authorization header and every form of the token that must never
// be shown.
func credential(email string, token secret.String, bearer bool) (auth secret.String, hidden []secret.String, err error) {
	text := token.Reveal()
	switch {
	case text == "":
		return auth, nil, errors.New("the API token is empty")
	case !printable(text):
		return auth, nil, errors.New("the API token holds white space or control characters")
	case bearer:
		return secret.New("Bearer " + text), []secret.String{token}, nil
	case email == "":
		return auth, nil, errors.New("the e-mail address is empty")
	case !printable(email):
		return auth, nil, errors.New("the e-mail address holds white space or control characters")
	}
	for _, r := range email {
		if r == ':' {
			return auth, nil, errors.New("the e-mail address holds a colon")
		}
	}
	basic := base64.StdEncoding.EncodeToString([]byte(email + ":" + text))
	return secret.New("Basic " + basic), []secret.String{secret.New(basic), token}, nil
}

func printable(s string) bool {
	for _, r := range s {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			return false
		}
	}
	return true
}

// BaseURL returns the site's address with /wiki and without a trailing slash, from which
// page addresses are built. A client of the gateway learns it from the first answer that
// names it (Probe's does) and gives the gateway's own address until then.
func (c *Client) BaseURL() string {
	if base := c.base.Load(); base != nil {
		return *base
	}
	return c.site.public
}

// Close closes idle connections. The client can still be used.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Probe is what is known once a credential has proved alive.
type Probe struct {
	Space      Space
	ServerTime time.Time // Confluence's own clock, whole seconds; zero when it did not say
	AccountID  string    // whom the credential belongs to; "" from ProbeSpace
}

// ProbeSpace proves that the space is visible and says what the site's clock is, with one call.
// It does not prove that the credential counts where a site is open to everybody: that is
// enough before a search, which finds less then, and not before a removal.
func (c *Client) ProbeSpace(ctx context.Context, spaceKey string) (Probe, error) {
	space, now, err := c.spaceByKey(ctx, spaceKey, true)
	if err != nil {
		return Probe{}, fmt.Errorf("probe: %w", err)
	}
	return Probe{Space: space, ServerTime: now}, nil
}

// Probe proves that the credential is alive and that the space is visible to it. A dead
// token looks exactly like an empty site or like every page deleted, so no removal is
// believed without a probe before it. It returns *AuthError also where the site answers
// anonymously, and *NotFoundError when the space is unknown or hidden.
func (c *Client) Probe(ctx context.Context, spaceKey string) (Probe, error) {
	if err := CheckSpaceKey(spaceKey); err != nil {
		return Probe{}, fmt.Errorf("probe: %w", err)
	}
	r := request{method: http.MethodGet, route: "/wiki/rest/api/user/current", path: "/rest/api/user/current", live: true}
	a, err := c.do(ctx, r)
	if err != nil {
		return Probe{}, err
	}
	var user struct {
		Type      string `json:"type"`
		AccountID string `json:"accountId"`
	}
	if err := c.decode(r, a, &user); err != nil {
		return Probe{}, err
	}
	// A site open to everybody answers a refused credential too, as nobody in particular.
	if user.AccountID == "" || user.Type == "anonymous" {
		return Probe{}, &AuthError{Exchange: c.exchange(r, a, "answered as an anonymous visitor: the credential does not count")}
	}
	space, err := c.SpaceByKey(ctx, spaceKey)
	if err != nil {
		return Probe{}, err
	}
	p := Probe{Space: space, AccountID: user.AccountID}
	if t, err := http.ParseTime(a.header.Get("Date")); err == nil {
		p.ServerTime = t.UTC()
	}
	return p, nil
}
