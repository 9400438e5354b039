package sandbox

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// mediaRoute is where the media host serves files, at another address than the site's.
const mediaRoute = "/_media/file/{file}/binary"

// downloads are the routes to the bytes of attachments.
func (s *Site) downloads() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /wiki/rest/api/content/{id}/child/attachment/{attachment}/download": s.redirectToMedia,
	}
}

// redirectToMedia sends the caller to the media host, with a credential of that host in the query.
func (s *Site) redirectToMedia(w http.ResponseWriter, r *http.Request) {
	id, version := r.PathValue("attachment"), r.URL.Query().Get("version")
	s.mu.RLock()
	a := s.attachmentOf(id)
	found := a != nil && !a.trashed && formatID(a.on.id) == r.PathValue("id")
	var f file
	if found {
		f = a.now()
	}
	bad := false
	if n, err := strconv.Atoi(version); found && version != "" {
		// A rename is a version too; those before have the first file.
		bad = err != nil || n < 1 || n > a.version
		if !bad && n != a.version {
			f = a.files[min(n, len(a.files))-1]
		}
	}
	s.mu.RUnlock()
	switch {
	case !found:
		v1Error(w, http.StatusNotFound, "com.atlassian.confluence.api.service.exceptions.NotFoundException: No attachment with id "+id)
	case bad:
		v1Error(w, http.StatusBadRequest, "com.atlassian.confluence.api.service.exceptions.BadRequestException: Invalid version: "+version)
	default:
		w.Header().Set("Location", s.mediaAddress(r, f.id))
		w.WriteHeader(http.StatusFound)
	}
}

// mediaAddress is the address of a file on the media host.
func (s *Site) mediaAddress(r *http.Request, file string) string {
	host := strings.Replace(s.origin(r), "127.0.0.1", "localhost", 1)
	if port := s.media.Load(); port != nil {
		name, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			name = strings.Trim(r.Host, "[]")
		}
		host = "http://" + net.JoinHostPort(name, *port)
	}
	return host + strings.Replace(mediaRoute, "{file}", file, 1) + "?token=" + url.QueryEscape(s.mediaToken(file)) + "&client=sandbox&dl=true"
}

// mediaToken is the media host's credential for one file: it opens no other.
func (s *Site) mediaToken(file string) string {
	return "media-" + strconv.FormatUint(hash(s.opt.Token+" "+strconv.FormatInt(s.mediaKey.Load(), 10)+" "+file), 36)
}

// ExpireMedia ends all addresses on the media host that were given out, as an hour does on the real site.
func (s *Site) ExpireMedia() { s.mediaKey.Add(1) }

// serveMedia serves a file's bytes, or a range of them. It refuses a credential of the site, as storage with signed
// addresses does.
func (s *Site) serveMedia(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("file")
	switch {
	case r.Header.Get("Authorization") != "":
		http.Error(w, "only one way of authorization is allowed", http.StatusBadRequest)
		return
	case r.URL.Query().Get("token") != s.mediaToken(id):
		http.Error(w, "the token is invalid or has expired", http.StatusForbidden)
		return
	}
	s.mu.RLock()
	var content []byte
	kind, found := "", false
	for _, a := range s.files {
		for _, f := range a.files {
			if f.id == id {
				content, kind, found = f.bytes(a.Name), a.MediaType, true
			}
		}
	}
	s.mu.RUnlock()
	if !found {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("ETag", fmt.Sprintf(`"%s"`, id))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// deadDownload is the address that lists give for a file: it takes the session of a browser and no token.
func (s *Site) deadDownload(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "" {
		proxyPage(w, http.StatusUnauthorized, 0)
		return
	}
	s.mu.RLock()
	file := ""
	if n := s.visible(r.PathValue("id")); n != nil {
		for _, a := range n.uploads() {
			if a.Name == r.PathValue("name") {
				file = a.now().id
			}
		}
	}
	s.mu.RUnlock()
	if file == "" {
		v1Error(w, http.StatusNotFound, "The requested attachment is not available.")
		return
	}
	w.Header().Set("Location", s.mediaAddress(r, file))
	w.WriteHeader(http.StatusFound)
}
