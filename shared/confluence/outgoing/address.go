package outgoing

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// GatewayHost is where Atlassian takes scoped tokens for every site.
const GatewayHost = "api.atlassian.com"

// ParseAddress reads the address of a site or a gateway, and gives it in the one way in which such
// addresses are kept and compared: scheme and host in small letters, without the dot of the root, without
// a port that is the scheme's own, and without slashes at the end. The errors do not repeat the address:
// a password may stand in it.
func ParseAddress(text string) (*url.URL, error) {
	text = strings.Trim(text, " ")
	if strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) {
		return nil, errors.New("holds white space or a control character, such as the line end of a Windows file")
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("is not a URL")
	}
	switch u.Scheme = strings.ToLower(u.Scheme); {
	case u.User != nil:
		return nil, errors.New("holds a credential; give e-mail and token apart from it")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("needs https:// in front, has %q", u.Scheme)
	case u.Opaque != "" || u.Hostname() == "":
		return nil, errors.New("has no host")
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery || strings.Contains(text, "#"):
		return nil, errors.New("has a query or a fragment")
	}
	if u.Host, err = parseAuthority(u.Scheme, u.Host); err != nil {
		return nil, err
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	return u, nil
}

// label is a part of a host name. Names in other alphabets have a form of these letters too, xn--…, and
// only that one looks like no other.
var label = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)

// parseAuthority checks a host with its port, if it has one, and gives it in its one form.
func parseAuthority(scheme, host string) (string, error) {
	u := url.URL{Host: strings.ToLower(host)}
	name, port := strings.TrimSuffix(u.Hostname(), "."), u.Port()
	if port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", errors.New("has a port that is none")
		} else if scheme == "https" && n == 443 || scheme == "http" && n == 80 {
			port = ""
		} else {
			port = strconv.FormatUint(n, 10)
		}
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		if ip.Zone() != "" {
			return "", errors.New("has a host with a zone")
		}
		name = ip.String()
		if ip.Is6() {
			name = "[" + name + "]"
		}
	} else {
		for part := range strings.SplitSeq(name, ".") {
			if !label.MatchString(part) {
				return "", errors.New("has a host that is none: its parts are letters, digits and hyphens of ASCII between single dots")
			}
		}
	}
	if port == "" {
		return name, nil
	}
	return net.JoinHostPort(strings.Trim(name, "[]"), port), nil
}
