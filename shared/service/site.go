package service

import (
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/failure"
)

// Site is the Confluence site that this process may read, with its credential.
type Site struct {
	client *confluence.Client
}

// SiteOption changes how a site is called.
type SiteOption func(*siteOptions)

type siteOptions struct{ bus *bus.Bus }

// Sharing calls the site within the budget of all processes on b's broker. Without it the
// configured limits are this process's own, which suits a process that is alone.
func Sharing(b *bus.Bus) SiteOption { return func(o *siteOptions) { o.bus = b } }

// The client tells a budget when a call has ended, by which its place comes free again.
var (
	_ confluence.Limiter = (*bus.Budget)(nil)
	_ confluence.Doner   = (*bus.Budget)(nil)
)

// longestPause is the longest pause that is waited for in place. Work that meets a longer
// one is parked.
const longestPause = 30 * time.Second

// etagBytes bounds the answers that are kept because they carried an ETag; Confluence is not
// known to send one.
const etagBytes = 8 << 20

// NewSite makes the client of the configured site.
func NewSite(c config.Confluence, log zerolog.Logger, with ...SiteOption) (*Site, error) {
	var o siteOptions
	for _, f := range with {
		f(&o)
	}
	opts := []confluence.Option{
		confluence.WithRate(c.RequestsPerSecond, max(1, int(c.RequestsPerSecond))),
		confluence.WithConcurrency(c.Concurrency),
		confluence.WithMaxWait(longestPause),
		confluence.WithLogger(log),
		confluence.WithETags(etagBytes),
	}
	if c.Gateway != "" {
		opts = append(opts, confluence.WithGateway(c.Gateway))
	}
	if c.AllowHTTP {
		opts = append(opts, confluence.WithInsecureHTTP())
	}
	if o.bus != nil {
		budget, err := o.bus.Budget(c.BaseURL, bus.BudgetLimits{
			PerSecond: c.RequestsPerSecond, Concurrency: c.Concurrency, MaxWait: longestPause,
		})
		if err != nil {
			return nil, err
		}
		opts = append(opts, confluence.WithLimiter(budget))
	}
	client, err := confluence.New(c.BaseURL, c.Email, c.APIToken, opts...)
	if err != nil {
		return nil, err
	}
	return &Site{client: client}, nil
}

// Client returns the client for a source's site. A source on another site than the
// configured one is refused with failure.Unauthorized: the token must not go there. So is
// every source when no site is configured, which a nil Site stands for.
func (s *Site) Client(baseURL string) (*confluence.Client, error) {
	if s == nil {
		return nil, failure.New(failure.Unauthorized,
			"no Confluence site is configured: set CONFLUENCE_BASE_URL, CONFLUENCE_EMAIL and CONFLUENCE_API_TOKEN")
	}
	if !strings.EqualFold(strings.TrimSuffix(baseURL, "/"), s.client.BaseURL()) {
		return nil, failure.New(failure.Unauthorized,
			"the source is on %s, but CONFLUENCE_BASE_URL is %s: its token is not sent elsewhere", baseURL, s.client.BaseURL())
	}
	return s.client, nil
}
