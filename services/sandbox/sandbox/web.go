package sandbox

import (
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
)

//go:embed web.html
var webFiles embed.FS

var webPage = template.Must(template.ParseFS(webFiles, "web.html"))

// webRoutes are the browsable pages, at the addresses that the API returns for them. They need no
// credential and show what the API user may see.
func (s *Site) webRoutes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /{$}":                                             s.webSite,
		"GET /wiki/{$}":                                        s.webSite,
		"GET /wiki/spaces/{key}":                               s.webSpace,
		"GET /wiki/spaces/{key}/overview":                      s.webSpace,
		"GET /wiki/spaces/{key}/{kind}/{id}":                   s.webContent,
		"GET /wiki/spaces/{key}/pages/{id}/{title}":            s.webContent,
		"GET /wiki/spaces/{key}/{kind}/{id}/{title}":           s.webContent,
		"GET /wiki/spaces/{key}/blog/{y}/{m}/{d}/{id}/{title}": s.webContent,
		"GET /wiki/spaces/{key}/pages/edit-v2/{id}":            s.webContent,
		"GET /wiki/download/attachments/{id}/{name}":           s.deadDownload,
	}
}

type webLink struct{ Path, Title string }

// webView is the template's input.
type webView struct {
	Site, Title, Note string
	Crumbs            []webLink
	Facts             []string
	Labels            []string
	Body              template.HTML
	Below             []webLink
}

func (s *Site) show(w http.ResponseWriter, status int, v webView) {
	v.Site = s.opt.SiteTitle
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	w.WriteHeader(status)
	_ = webPage.Execute(w, v) // the reader is gone when this fails
}

func (s *Site) webMissing(w http.ResponseWriter) {
	s.show(w, http.StatusNotFound, webView{
		Title: "Not here", Note: "There is no such page, or the sandbox's user may not see it.",
		Crumbs: []webLink{{"/wiki/", "All spaces"}},
	})
}

func (s *Site) webSite(w http.ResponseWriter, _ *http.Request) {
	v := webView{Title: s.opt.SiteTitle, Note: "A stand-in for Confluence Cloud. GET /_sandbox/ tells how to change it."}
	s.mu.RLock()
	for _, sp := range s.spaces {
		if !sp.hidden {
			v.Below = append(v.Below, webLink{"/wiki/spaces/" + url.PathEscape(sp.alias) + "/overview", sp.name + " (" + sp.key + ")"})
		}
	}
	s.mu.RUnlock()
	s.show(w, http.StatusOK, v)
}

// webSpace shows a space's homepage, or the list of its top pages if it has no homepage.
func (s *Site) webSpace(w http.ResponseWriter, r *http.Request) {
	s.mu.RLock()
	var home *node
	sp := s.space(r.PathValue("key"))
	if sp != nil && sp.home != nil && s.sees(sp.home) {
		home = sp.home
	}
	listed := sp != nil && sp.home == nil && !sp.hidden
	s.mu.RUnlock()
	if !listed {
		s.webNode(w, home)
		return
	}
	v := webView{Title: sp.name}
	for _, p := range s.Pages(sp.key) {
		if p.ParentID == "" && p.Status == "current" && !p.Hidden {
			v.Below = append(v.Below, webLink{"/wiki/spaces/" + url.PathEscape(sp.alias) + "/pages/" + p.ID, p.Title})
		}
	}
	s.show(w, http.StatusOK, v)
}

func (s *Site) webContent(w http.ResponseWriter, r *http.Request) {
	s.mu.RLock()
	n := s.visible(r.PathValue("id"))
	s.mu.RUnlock()
	s.webNode(w, n)
}

// webNode shows the content; nil means missing content.
func (s *Site) webNode(w http.ResponseWriter, n *node) {
	if n == nil {
		s.webMissing(w)
		return
	}
	s.mu.RLock()
	v := webView{
		Title: n.rev.title, Labels: n.labels,
		Facts: []string{
			"by " + cmpOr(s.users[n.rev.author].DisplayName, "somebody"), n.rev.at.Format("2 January 2006, 15:04 MST"),
			fmt.Sprintf("version %d", n.rev.number), string(n.kind) + " " + formatID(n.id),
		},
	}
	if n.status != current {
		v.Note = "This page is " + n.status + "."
	}
	for p := range n.above {
		v.Crumbs = append([]webLink{{"/wiki" + webPath(p), p.rev.title}}, v.Crumbs...)
	}
	v.Crumbs = append([]webLink{{"/wiki/", "All spaces"}}, v.Crumbs...)
	for _, c := range n.children {
		if c.status == current && s.sees(c) {
			v.Below = append(v.Below, webLink{"/wiki" + webPath(c), c.rev.title})
		}
	}
	body := n.rev.body
	s.mu.RUnlock()
	v.Body = template.HTML(s.render(n.id, body.text())) //nolint:gosec // render emits only plain elements and its own
	s.show(w, http.StatusOK, v)
}
