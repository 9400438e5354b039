// Package confluence is the client for Confluence Cloud: REST v2 for spaces and pages, v1
// for search and the current user.
//
// An error is never returned as an empty answer. Every list is an iterator that either ends complete or
// with an error. A *RowError does not end a list: it replaces one unusable row, and the rows after it
// follow. The code explains how the API fails and why each rule exists.
//
// Every method may return these errors, besides those in its own comment:
//
//   - *AuthError: the credential is rejected, lacks a scope, or is answered as if nothing existed;
//   - *RateLimitError: Confluence requests a longer wait than the client waits in place;
//   - *ServerError: 5xx after three retries, or the circuit is open after many of them;
//   - *TransportError: no complete answer arrived after three retries;
//   - *ProtocolError: an unusable answer: malformed, truncated, HTML, too large;
//   - *GoneError: Atlassian removed the endpoint;
//   - *StatusError: another 4xx;
//   - the context's error, when it ended.
//
// No error, log line or trace contains the token or an answer's body.
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

// Client calls one Confluence Cloud site with one credential. It is safe for concurrent use; all its
// callers share one budget, one circuit breaker and one limit of concurrent calls.
type Client struct {
	site      *site
	auth      secret.String // the value of the Authorization header
	hidden    []secret.String
	http      *http.Client
	media     *http.Client  // for files, which are on other hosts and get no credential
	downloads chan struct{} // one for each that is under way
	limiter   Limiter
	policies  policies
	opt       options
	log       zerolog.Logger
	stats     stats
	etags     *etags                 // nil without WithETags
	found     atomic.Pointer[site]   // the gateway that WithGateway found
	base      atomic.Pointer[string] // the site's address from answers, for a client of the gateway
}

// New makes a client. It makes no call.
//
// The base URL is the site's address (https://acme.atlassian.net, with or without /wiki) or the
// gateway's (https://api.atlassian.com/ex/confluence/{cloudId}, with or without /wiki). It must be
// https, unless WithInsecureHTTP is given, and contain no credential. Unless WithInsecureHTTP or a
// transport is given, the client does not connect to names that resolve to addresses that are not
// public.
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
	c.media, c.downloads = c.mediaClient(c.http.Transport), make(chan struct{}, mediaAtOnce)
	c.policies = newPolicies(c)
	return c, nil
}

// credential returns the Authorization header and every form of the token that must never be shown.
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

// BaseURL returns the site's address with /wiki and without a trailing slash, the base of page
// addresses. A client of the gateway learns it from the first answer that contains it (Probe's does) and
// returns the gateway's own address until then.
func (c *Client) BaseURL() string {
	if base := c.base.Load(); base != nil {
		return *base
	}
	return c.site.public
}

// Close closes idle connections. The client can still be used.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Probe is the result of a successful probe.
type Probe struct {
	Space      Space
	ServerTime time.Time // Confluence's own clock, whole seconds; zero when it did not say
	AccountID  string    // the owner of the credential; "" from ProbeSpace
}

// ProbeSpace proves that the space is visible and returns the site's clock, with one call. On a public
// site it does not prove that the credential is valid. That is enough before a search, which then finds
// less, but not before a removal.
func (c *Client) ProbeSpace(ctx context.Context, spaceKey string) (Probe, error) {
	space, now, err := c.spaceByKey(ctx, spaceKey, true)
	if err != nil {
		return Probe{}, fmt.Errorf("probe: %w", err)
	}
	return Probe{Space: space, ServerTime: now}, nil
}

// Probe proves that the credential is valid and that it can see the space. A dead token looks exactly
// like an empty site or like a space whose pages were all deleted, so a probe must precede every
// removal. It returns *AuthError also if the site answers anonymously, and *NotFoundError if the space
// is unknown or hidden.
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
	// A public site also answers a rejected credential, as an anonymous visitor.
	if user.AccountID == "" || user.Type == "anonymous" {
		return Probe{}, &AuthError{Exchange: c.exchange(r, a, "answered as an anonymous visitor: the credential is not valid")}
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
