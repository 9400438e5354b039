package confluence

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/sluicehq/sluice/shared/confluence/outgoing"
)

// site is the target of a client's calls.
type site struct {
	origin  string // scheme and host, no slash at the end
	prefix  string // "" on the site itself, /ex/confluence/{cloudId} on the gateway
	public  string // the address with /wiki that people use, if known
	gateway bool
}

var gatewayPath = regexp.MustCompile(`^/ex/confluence/([A-Za-z0-9-]{1,64})$`)

func parseSite(raw string, insecure bool) (*site, error) {
	u, err := outgoing.ParseAddress(raw)
	switch {
	case err != nil:
		return nil, err
	case u.Scheme == "http" && !insecure:
		return nil, errors.New("is http, which would show the token to the network; use https")
	}
	path := strings.TrimSuffix(u.Path, "/wiki")
	s := &site{origin: u.Scheme + "://" + u.Host, prefix: path}
	s.public = s.root() // of a gateway too, until an answer names the site
	switch {
	case path == "":
	case gatewayPath.MatchString(path):
		s.gateway = true
	default:
		return nil, fmt.Errorf("has the path %q; give the site's address, with or without /wiki", u.Path)
	}
	return s, nil
}

// CheckSite returns the address of a site in the form that sources store, with /wiki and without a
// trailing slash, or the reason why no credential may be sent to it: it is not https, contains a
// credential or a query, or is not one of the hosts.
func CheckSite(address string, hosts outgoing.Hosts, insecureHTTP bool) (string, error) {
	o := options{insecureHTTP: insecureHTTP, hosts: append(outgoing.Hosts{}, hosts...)}
	s, err := o.site(address)
	switch {
	case err != nil:
		return "", err
	case s.gateway || s.origin == DefaultGateway:
		return "", errors.New("is the gateway's address, which every site shares; give the site's")
	}
	return s.public, nil
}

// site reads an address and checks that calls may go there.
func (o *options) site(raw string) (*site, error) {
	s, err := parseSite(raw, o.insecureHTTP)
	if err != nil || o.hosts == nil {
		return s, err
	}
	u, err := url.Parse(s.origin)
	if err != nil || !o.hosts.Allow(u) {
		return nil, fmt.Errorf("%s is not an allowed host; CONFLUENCE_ALLOWED_HOSTS names them", strings.TrimPrefix(s.origin, "https://"))
	}
	return s, nil
}

// root is the base of /api/v2 and /rest/api.
func (s *site) root() string { return s.origin + s.prefix + "/wiki" }

// within turns a link from an answer into a path below root. It rejects links to another host or out of
// the API: the next call carries the credential.
func (s *site) within(u *url.URL) (string, error) {
	if u.User != nil || u.Opaque != "" || u.Host != "" && u.Scheme+"://"+strings.ToLower(u.Host) != s.origin {
		return "", errors.New("it leads to another host")
	}
	path := u.EscapedPath()
	// v2 gives paths with /wiki, v1 without it; neither includes the gateway's prefix.
	path = strings.TrimPrefix(path, s.prefix)
	path = strings.TrimPrefix(path, "/wiki")
	if !strings.HasPrefix(path, "/api/v2/") && !strings.HasPrefix(path, "/rest/api/") {
		return "", errors.New("it leads out of the API")
	}
	if plain := "/" + u.Path + "/"; strings.Contains(plain, "/../") || strings.Contains(plain, "/./") {
		return "", errors.New("its path goes upwards")
	}
	return path, nil
}
