package gateway

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// proxies are the addresses of proxies that may say for whom they ask.
type proxies []netip.Prefix

// peer returns the address of the client, as clients are counted: for IPv6 it is the /64 network, because whoever has
// one of its addresses can use all of them.
//
// A header counts only on a connection from a trusted proxy, and only as far as trusted proxies wrote it: from its end
// to the first address that is not one of theirs. If X-Forwarded-For and Forwarded differ, the client wrote one of
// them, so neither counts.
func (p proxies) peer(r *http.Request) string {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	direct := bare(ap.Addr())
	if !p.trust(direct) {
		return perNetwork(direct)
	}
	client := direct
	xff, forwarded := r.Header.Values("X-Forwarded-For"), r.Header.Values("Forwarded")
	if len(xff) > 0 {
		client = p.client(direct, elements(xff))
	}
	if len(forwarded) > 0 {
		other := p.client(direct, forwardedFor(elements(forwarded)))
		if len(xff) > 0 && other != client {
			return perNetwork(direct)
		}
		client = other
	}
	return perNetwork(client)
}

// client follows a header's addresses, the nearest last, to the first that is no trusted proxy's.
func (p proxies) client(direct netip.Addr, via []string) netip.Addr {
	at := direct
	for _, text := range slices.Backward(via) {
		addr, ok := address(text)
		if !ok {
			return at
		}
		if at = addr; !p.trust(at) {
			return at
		}
	}
	return at
}

func (p proxies) trust(a netip.Addr) bool {
	return slices.ContainsFunc(p, func(known netip.Prefix) bool { return known.Contains(a) })
}

// elements are the parts of a header that may be given in several lines.
func elements(lines []string) []string { return strings.Split(strings.Join(lines, ","), ",") }

// forwardedFor are the values of for in a Forwarded header (RFC 7239), "" where an element has none.
func forwardedFor(elements []string) []string {
	list := make([]string, len(elements))
	for i, e := range elements {
		for pair := range strings.SplitSeq(e, ";") {
			if name, value, _ := strings.Cut(strings.TrimSpace(pair), "="); strings.EqualFold(name, "for") {
				list[i] = strings.Trim(value, `"`)
			}
		}
	}
	return list
}

// address reads an address with or without a port or brackets.
func address(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return bare(ap.Addr()), true
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	return bare(a), err == nil
}

func bare(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// perNetwork is the form in which an address is counted.
func perNetwork(a netip.Addr) string {
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}
