package markdown

import (
	"bytes"
	"math"
	"net/url"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/shared/page"
)

// facts gathers the things that a page mentions, each once and in page order.
type facts struct {
	places *places
	meta   page.Metadata
	seen   map[string]bool
	words  int

	includes []page.Link

	// pending are the issues that links and macros in still unread text name, with their position
	// in that text. They are filed in page order.
	text    *collector
	pending []pendingIssue
}

type pendingIssue struct {
	at           int
	key, address string
}

func newFacts(p *places, text *collector) *facts {
	return &facts{places: p, text: text, seen: map[string]bool{}}
}

// once reports whether the thing of the kind is new.
func (f *facts) once(kind, id string) bool {
	key := kind + "\x00" + id
	if f.seen[key] {
		return false
	}
	f.seen[key] = true
	return true
}

func (f *facts) issue(key, address string) {
	f.pending = append(f.pending, pendingIssue{len(f.text.buf), key, address})
}

// settle files the pending issues before a position.
func (f *facts) settle(before int) {
	n := 0
	for n < len(f.pending) && f.pending[n].at <= before {
		f.fileIssue(f.pending[n].key, f.pending[n].address)
		n++
	}
	f.pending = append(f.pending[:0], f.pending[n:]...)
}

func (f *facts) fileIssue(key, address string) {
	if f.once("issue", key) {
		f.meta.JiraIssueLinks = append(f.meta.JiraIssueLinks, page.JiraIssue{IssueKey: key, IssueURL: address})
	}
}

func (f *facts) mention(account string) {
	if account != "" && f.once("user", account) {
		f.meta.UserMentions = append(f.meta.UserMentions, f.user(account))
	}
}

func (f *facts) user(account string) page.User {
	return page.User{
		AccountID:   account,
		DisplayName: f.places.facts.Users[account],
		ProfileURL:  f.places.profile(account),
	}
}

func (f *facts) internal(l page.Link) {
	if f.once("page", l.PageURL) {
		f.meta.InternalLinks = append(f.meta.InternalLinks, l)
	}
}

func (f *facts) include(l page.Link) {
	f.internal(l)
	if f.once("include", l.PageURL) {
		f.includes = append(f.includes, l)
	}
}

func (f *facts) asset(a page.Asset) {
	if f.once("asset", a.DownloadURL) {
		f.meta.AssetLinks = append(f.meta.AssetLinks, a)
	}
}

// href files an absolute address in the list for its target.
func (f *facts) href(address, title string) {
	u, err := url.Parse(address)
	if err != nil {
		return
	}
	if key := issueInURL(u); key != "" {
		f.issue(key, address)
		if u.Host == f.places.host {
			return
		}
	}
	if f.places.host != "" && strings.EqualFold(u.Host, f.places.host) {
		f.onSite(u, address, title)
		return
	}
	switch u.Scheme {
	case "http", "https", "ftp", "ftps", "sftp", "mailto":
		if f.once("external", address) {
			f.meta.ExternalLinks = append(f.meta.ExternalLinks, page.External{Title: title, URL: address})
		}
	}
}

// onSite files an address on the page's own site. The metadata has no list for addresses that are
// neither pages nor files (a search, a board).
func (f *facts) onSite(u *url.URL, address, title string) {
	if l, ok := f.pageInURL(u, title); ok {
		if l.PageID == "" || l.PageID != f.places.facts.ID {
			l.PageURL = address
			f.internal(l)
		}
		return
	}
	if _, rest, ok := strings.Cut(u.Path, "/download/attachments/"); ok {
		name := rest[strings.LastIndexByte(rest, '/')+1:]
		f.asset(page.Asset{Title: name, Type: assetType(name, "file"), DownloadURL: address})
	}
}

// pageInURL recognises the addresses of Confluence pages.
func (f *facts) pageInURL(u *url.URL, title string) (page.Link, bool) {
	parts := strings.Split(strings.Trim(u.EscapedPath(), "/"), "/")
	if parts[0] == "wiki" {
		parts = parts[1:]
	}
	l := page.Link{PageTitle: title}
	slug := ""
	switch {
	case len(parts) >= 4 && parts[0] == "spaces" && parts[2] == "pages" && digits(parts[3]):
		l.PageID = parts[3]
		if len(parts) > 4 {
			slug = parts[4]
		}
	case len(parts) >= 7 && parts[0] == "spaces" && parts[2] == "blog" && digits(parts[6]): // after the day, as 2026/04/30
		l.PageID = parts[6]
		if len(parts) > 7 {
			slug = parts[7]
		}
	case len(parts) >= 2 && parts[0] == "pages" && digits(u.Query().Get("pageId")):
		l.PageID = u.Query().Get("pageId")
	case len(parts) >= 3 && parts[0] == "display":
		slug = parts[len(parts)-1]
	case len(parts) == 2 && parts[0] == "x":
	default:
		return l, false
	}
	if named, err := url.QueryUnescape(slug); err == nil && named != "" {
		l.PageTitle = named
	}
	return l, true
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// read takes words and issue keys from collected text; keys in code are examples.
func (f *facts) read(c *collector) {
	for i := 0; i < len(c.pieces); {
		p := &c.pieces[i]
		j := i + 1
		switch p.kind {
		case codePiece:
			f.words += wordCount(c.bytes(p))
		case textPiece:
			for j < len(c.pieces) && c.pieces[j].kind == textPiece {
				j++
			}
			text := c.buf[p.start:c.pieces[j-1].end]
			f.words += wordCount(text)
			f.issues(text, p.start)
		}
		i = j
	}
	f.settle(len(c.buf))
}

// result puts everything together.
func (r *renderer) result() Result {
	f := r.facts
	f.settle(math.MaxInt)
	m := f.meta
	own := r.places.facts
	if own.AuthorID != "" {
		u := f.user(own.AuthorID)
		m.CreatedBy = &u
	}
	m.Ancestors, m.Children = []page.Ancestor{}, []string{}
	m.Labels = filled(slices.Clone(own.Labels))
	m.JiraIssueLinks = filled(m.JiraIssueLinks)
	m.UserMentions = filled(m.UserMentions)
	m.InternalLinks = filled(m.InternalLinks)
	m.ExternalLinks = filled(m.ExternalLinks)
	m.AssetLinks = filled(m.AssetLinks)
	m.WordCount = f.words
	m.ContentLength = len(r.w.out)
	m.Resolution = own.Resolution
	return Result{
		Markdown: string(r.w.out),
		Metadata: m,
		Headings: filled(r.headings),
		Losses:   r.lossList(),
		Includes: filled(f.includes),
	}
}

// filled returns s, or an empty slice for nil: JSON shows it as [].
func filled[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func (r *renderer) lossList() []page.Loss {
	r.fileHiddenCharacters()
	if r.w.flattened > 0 {
		r.losses[lossKey{"nesting", page.Rendered, "lists and quotes below the deepest level that is indented"}] = r.w.flattened
	}
	losses := sorted(r.losses)
	lines := linesOf(r.w.out, r.lostAt)
	for i := range losses {
		l := &losses[i]
		l.Lines = lines[lossKey{l.Element, l.Fate, l.Reason}]
	}
	return losses
}

// linesOf returns the lines of the Markdown in which the given offsets are, or, between blocks, before which they are.
func linesOf(out []byte, at map[lossKey][]int) map[lossKey][]int {
	var all []int
	for k, list := range at {
		for i, n := range list {
			n = min(n, len(out)) // a block that stayed empty was taken back
			for n < len(out) && out[n] == '\n' && (n == 0 || out[n-1] == '\n') {
				n++
			}
			list[i] = n
		}
		all = append(all, at[k]...)
	}
	slices.Sort(all)
	numbers, line, before := map[int]int{}, 1, 0
	for _, n := range all { // one pass: there may be many, in a long page
		line += bytes.Count(out[before:n], []byte{'\n'})
		numbers[n], before = line, n
	}
	lines := make(map[lossKey][]int, len(at))
	for k, list := range at {
		for _, n := range list {
			lines[k] = append(lines[k], numbers[n])
		}
		slices.Sort(lines[k])
		lines[k] = slices.Compact(lines[k])
	}
	return lines
}
