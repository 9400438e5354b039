package confluence

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/sluicehq/sluice/shared/confluence/outgoing"
)

// DefaultGateway is where scoped tokens and OAuth tokens are taken.
const DefaultGateway = "https://" + outgoing.GatewayHost

// WithGateway sends the calls of a client whose base URL is a site through the gateway, the only address
// that accepts a scoped API token or an OAuth token. The client looks up the site's cloud id once,
// without the credential, before the first call. An empty gateway means DefaultGateway. BaseURL and page
// addresses stay the site's.
func WithGateway(gateway string) Option {
	return func(o *options) {
		if o.gateway = gateway; gateway == "" {
			o.gateway = DefaultGateway
		}
	}
}

// api is the target of calls: the site, the configured gateway, or the gateway found.
func (c *Client) api() *site {
	if found := c.found.Load(); found != nil {
		return found
	}
	return c.site
}

// findGateway looks up the site's cloud id. Concurrent callers may look it up twice, which is harmless.
func (c *Client) findGateway(ctx context.Context) error {
	if c.opt.gateway == "" || c.site.gateway || c.found.Load() != nil {
		return nil
	}
	id, err := c.CloudID(ctx)
	if err != nil {
		return err
	}
	found, err := parseSite(strings.TrimRight(c.opt.gateway, "/")+"/ex/confluence/"+id, c.opt.insecureHTTP)
	if err != nil || !found.gateway {
		return c.malformed(tenantInfo, &objectError{"", "an invalid cloud id"})
	}
	c.found.CompareAndSwap(nil, found)
	return nil
}

var tenantInfo = request{method: http.MethodGet, route: "/_edge/tenant_info", path: "/_edge/tenant_info", edge: true}

// isCloudID is what may stand in a gateway's address.
var isCloudID = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

// CloudID asks the site for Atlassian's id of it, without the credential. The id stays when the site
// is renamed or gets a domain of its own.
func (c *Client) CloudID(ctx context.Context) (string, error) {
	var tenant struct {
		CloudID string `json:"cloudId"`
	}
	if err := c.get(ctx, tenantInfo, &tenant); err != nil {
		return "", fmt.Errorf("find the site's cloud id: %w", err)
	}
	if !isCloudID.MatchString(tenant.CloudID) {
		return "", fmt.Errorf("find the site's cloud id: %w", c.malformed(tenantInfo, &objectError{"", "an invalid cloud id"}))
	}
	return tenant.CloudID, nil
}

// address is the target of a request. Only calls of the API carry the credential.
func (c *Client) address(r request) (url string, credential bool) {
	if r.edge {
		return c.site.origin + r.path, false
	}
	return c.api().root() + r.path, true
}
