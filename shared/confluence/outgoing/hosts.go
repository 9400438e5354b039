// Package outgoing says to which hosts, and to which addresses of those hosts, this program may send
// requests with a credential.
package outgoing

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// Hosts are the allowed hosts: "api.atlassian.com", "*.atlassian.net" for every host below it,
// "stand-in:8090" for a port other than the scheme's own. An empty list allows nothing.
type Hosts []string

// ErrHost says that a text is not a host.
var ErrHost = errors.New(`not a host, a "*." with a host, or one of them with a port`)

// ParseHosts reads comma-separated hosts. The error wraps ErrHost.
func ParseHosts(list string) (Hosts, error) {
	var hosts Hosts
	for part := range strings.SplitSeq(list, ",") {
		part = strings.ToLower(strings.TrimSpace(part))
		if part == "" {
			continue
		}
		name, wild := strings.CutPrefix(part, "*.")
		u, err := ParseAddress("https://" + name)
		// Below a single label lies half of the world.
		if err != nil || u.Path != "" || strings.ContainsAny(name, "/") || wild && !strings.Contains(u.Hostname(), ".") {
			return nil, fmt.Errorf("%q: %w", part, ErrHost)
		}
		hosts = append(hosts, strings.TrimSuffix(part, "."))
	}
	return hosts, nil
}

// With returns the hosts and the host of an address; an invalid address adds nothing.
func (h Hosts) With(address string) Hosts {
	u, err := ParseAddress(address)
	if err != nil {
		return h
	}
	return append(h[:len(h):len(h)], u.Host)
}

// Allow reports whether a URL's host and port are among the hosts.
func (h Hosts) Allow(u *url.URL) bool {
	host := authority(u.Scheme, u.Host)
	for _, allowed := range h {
		name, wild := strings.CutPrefix(allowed, "*.")
		name = authority(u.Scheme, name)
		if host == name && !wild || wild && len(host) > len(name)+1 && strings.HasSuffix(host, "."+name) {
			return true
		}
	}
	return false
}

// authority is a host in small letters, without the root's dot, and with its port only if it is not the
// scheme's own.
func authority(scheme, host string) string {
	u := url.URL{Host: strings.ToLower(host)}
	name, port := strings.TrimSuffix(u.Hostname(), "."), u.Port()
	if port == "" || scheme == "https" && port == "443" || scheme == "http" && port == "80" {
		if strings.Contains(name, ":") {
			return "[" + name + "]"
		}
		return name
	}
	return net.JoinHostPort(name, port)
}

// Literal reports whether a host name identifies the machine itself: an IP address, or localhost. DNS
// cannot redirect it.
func Literal(hostname string) bool {
	if strings.EqualFold(strings.TrimSuffix(hostname, "."), "localhost") {
		return true
	}
	_, err := netip.ParseAddr(hostname)
	return err == nil
}
