package service

import (
	"strings"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/failure"
)

// Site is the Confluence site that this process may read, with its credential.
type Site struct {
	client *confluence.Client
}

// NewSite makes the client of the configured site.
func NewSite(c config.Confluence, log zerolog.Logger) (*Site, error) {
	opts := []confluence.Option{
		confluence.WithRate(c.RequestsPerSecond, max(1, int(c.RequestsPerSecond))),
		confluence.WithConcurrency(c.Concurrency),
		confluence.WithLogger(log),
	}
	if c.AllowHTTP {
		opts = append(opts, confluence.WithInsecureHTTP())
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
