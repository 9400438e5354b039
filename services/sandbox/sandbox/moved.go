package sandbox

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// MoveTo gives the site another address, scheme and host, as a rename or a custom domain does:
// links have the new address, and requests to another host are redirected with 301. Ids stay. The
// gateway and the control routes answer at every host. An empty address ends the redirect.
func (s *Site) MoveTo(address string) error {
	address = origin(address)
	if u, err := url.Parse(address); address != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Path != "") {
		return fmt.Errorf("move the site to %q: %w: an address is scheme and host", address, ErrInvalid)
	}
	s.moved.Store(&address)
	return nil
}

// origin is an address without /wiki.
func origin(address string) string {
	return strings.TrimSuffix(strings.TrimSuffix(address, "/"), "/wiki")
}

// movedTo is the site's present address, "" if it has not moved.
func (s *Site) movedTo() string {
	if to := s.moved.Load(); to != nil {
		return *to
	}
	return ""
}

// forward redirects calls from a former address to the present one.
func (s *Site) forward(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to := s.movedTo()
		_, host, _ := strings.Cut(to, "://")
		if to == "" || strings.EqualFold(host, r.Host) || viaGateway(r) || strings.HasPrefix(r.URL.Path, "/_sandbox") {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Location", to+r.URL.RequestURI())
		proxyPage(w, http.StatusMovedPermanently, 0)
	})
}

func (s *Site) controlSite(w http.ResponseWriter, r *http.Request) {
	var in struct {
		MovedTo string `json:"moved_to"`
	}
	if !readBody(w, r, &in) {
		return
	}
	if err := s.MoveTo(in.MovedTo); err != nil {
		controlError(w, err)
		return
	}
	s.overview(w, r)
}
