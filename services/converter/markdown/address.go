package markdown

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sluicehq/sluice/shared/page"
)

// places builds the addresses of one page and its site.
type places struct {
	facts page.Facts
	site  string // https://acme.atlassian.net, without /wiki
	host  string // acme.atlassian.net
}

func newPlaces(facts page.Facts) places {
	p := places{facts: facts}
	p.facts.BaseURL = strings.TrimRight(facts.BaseURL, "/")
	if u, err := url.Parse(p.facts.BaseURL); err == nil && u.Host != "" {
		p.site = u.Scheme + "://" + u.Host
		p.host = u.Host
	}
	return p
}

// page returns a link to the page with the title in the space; an empty space means this page's
// own.
func (p *places) page(space, title string) page.Link {
	own := space == "" || strings.EqualFold(space, p.facts.SpaceKey) || slices.Contains(p.facts.SpaceKeys, strings.ToLower(space))
	if own {
		if l, ok := p.facts.Links[title]; ok {
			if l.PageTitle == "" {
				l.PageTitle = title
			}
			return l
		}
		// A blog post may have the same title as a page; the link means the page.
		if title == p.facts.Title && p.facts.URL != "" && p.facts.Kind == "" {
			return page.Link{PageID: p.facts.ID, PageTitle: title, PageURL: p.facts.URL}
		}
		space = p.facts.SpaceKey
	}
	return page.Link{PageTitle: title, PageURL: p.display(space, title)}
}

func (p *places) display(space, title string) string {
	return p.facts.BaseURL + "/display/" + url.PathEscape(space) + "/" + url.QueryEscape(title)
}

// blogPost returns the address of a post; day is 2006/01/02 and may be empty.
func (p *places) blogPost(space, title, day string) string {
	if space == "" {
		space = p.facts.SpaceKey
	}
	if day = strings.Trim(day, "/"); day != "" {
		return p.facts.BaseURL + "/display/" + url.PathEscape(space) + "/" + day + "/" + url.QueryEscape(title)
	}
	return p.display(space, title)
}

func (p *places) space(key string) string {
	return p.facts.BaseURL + "/spaces/" + url.PathEscape(key)
}

func (p *places) content(id string) string {
	return p.facts.BaseURL + "/pages/viewpage.action?pageId=" + url.QueryEscape(id)
}

// attachment returns the address of a file on the page with the id; an empty id means this page.
func (p *places) attachment(pageID, file string) string {
	if pageID == "" {
		pageID = p.facts.ID
	}
	return p.facts.BaseURL + "/download/attachments/" + url.PathEscape(pageID) + "/" + url.PathEscape(file)
}

func (p *places) profile(account string) string {
	return p.facts.BaseURL + "/people/" + url.PathEscape(account)
}

func (p *places) issue(key string) string { return p.site + "/browse/" + url.PathEscape(key) }

// anchor returns the address of an anchor on this page.
func (p *places) anchor(name string) string { return p.facts.URL + "#" + encodeComponent(name) }

// safety classifies an address by its scheme.
type safety uint8

const (
	safeURL     safety = iota // may be linked
	plainScheme               // a scheme that browsers do not open: shown as code
	hostileURL                // could run code: not shown
)

// linkable holds the schemes that every renderer and reader may follow.
var linkable = map[string]bool{"http": true, "https": true, "mailto": true}

// resolve makes an href absolute and says whether it may be linked.
func (p *places) resolve(href string) (string, safety) {
	href = cleanURL(href)
	switch {
	case href == "":
		return "", safeURL
	case href[0] == '#':
		return p.facts.URL + href, safeURL
	case strings.HasPrefix(href, "//"):
		return "https:" + href, safeURL
	case href[0] == '/':
		return p.site + href, safeURL
	}
	scheme := schemeOf(href)
	switch {
	case scheme == "":
		// If the first segment of a path holds a character reference, a renderer that decodes twice
		// would see a scheme: javascript&colon;alert(1).
		if part, _, _ := strings.Cut(href, "/"); strings.ContainsAny(part, "&:") {
			href = "./" + href
		}
		return href, safeURL
	case linkable[scheme]:
		return href, safeURL
	case scheme == "javascript" || scheme == "vbscript" || scheme == "data" || scheme == "livescript" || scheme == "mocha":
		return "", hostileURL
	}
	return href, plainScheme
}

// schemeOf returns the lower-case scheme of an address, "" for a relative one. Everything before
// the first colon counts, so that a browser cannot see a scheme that schemeOf misses.
func schemeOf(href string) string {
	i := strings.IndexAny(href, ":/?#")
	if i <= 0 || href[i] != ':' {
		return ""
	}
	scheme := strings.ToLower(href[:i])
	for j := range len(scheme) {
		if c := scheme[j]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '+' && c != '-' && c != '.' {
			return "unknown"
		}
	}
	return scheme
}

// cleanURL drops what browsers drop: control characters and surrounding white space.
func cleanURL(s string) string {
	clean := true
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			clean = false
			break
		}
	}
	if !clean {
		s = strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f {
				return -1
			}
			return r
		}, s)
	}
	return strings.TrimFunc(s, func(r rune) bool { return r == ' ' || runeClass(r) != classVisible && r > ' ' })
}

// appendDestination writes a link's address and title in CommonMark's syntax for the parentheses.
func appendDestination(dst []byte, dest, title string) []byte {
	balanced := balancedParens(dest)
	for i, r := range dest {
		switch {
		case (r == '[' || r == ']') && !inHost(dest, i):
			dst = appendPercent(dst, byte(r)) //nolint:gosec // some renderers end a link's text at "](", even here
		case r <= ' ' || strings.ContainsRune("\x7f<>\\`\"|", r), (r == '(' || r == ')') && !balanced:
			dst = appendPercent(dst, byte(r)) //nolint:gosec // ASCII only, as the case says
		case r == '&' && referenceAt(dest[i:]):
			dst = append(dst, "&amp;"...) // some renderers read the reference behind a backslash too
		case r >= 0x80 && (runeClass(r) != classVisible || isTag(r) || isDirection(r)):
			dst = append(dst, url.PathEscape(string(r))...)
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	if title != "" {
		dst = append(dst, ' ', '"')
		dst = appendTitle(dst, title)
		dst = append(dst, '"')
	}
	return dst
}

// inHost reports whether dest[i] belongs to the host of an address, as in http://[::1]/.
func inHost(dest string, i int) bool {
	_, host, found := strings.Cut(dest[:i], "//")
	return found && strings.Trim(host, "[0123456789abcdefABCDEF:.") == ""
}

func appendTitle(dst []byte, title string) []byte {
	title = oneLine(title)
	for i := range len(title) {
		switch c := title[i]; {
		case c == '&' && referenceAt(title[i:]), c == '<':
			dst = appendEscaped(dst, title, i)
		case c == '"':
			dst = append(dst, "&quot;"...)
		case c == '>':
			dst = append(dst, "&gt;"...) // it would end the tag, to some
		case c == '\\' || c == '`' || c == '[' || c == ']':
			dst = appendReference(dst, rune(c))
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

func appendPercent(dst []byte, c byte) []byte {
	const hex = "0123456789ABCDEF"
	return append(dst, '%', hex[c>>4], hex[c&15])
}

// appendReference writes a character as a numeric character reference.
func appendReference(dst []byte, r rune) []byte {
	return append(strconv.AppendInt(append(dst, "&#"...), int64(r), 10), ';')
}

func balancedParens(s string) bool {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '(':
			depth++
			if depth > 30 { // renderers give up at 32
				return false
			}
		case ')':
			depth--
			if depth < 0 {
				return false
			}
		}
	}
	return depth == 0
}

// oneLine collapses white space and drops control characters.
func oneLine(s string) string {
	var c collector
	c.text(s, style{})
	return strings.TrimSuffix(string(c.buf), " ")
}

// encodeComponent is JavaScript's encodeURIComponent, which Confluence uses for anchors.
func encodeComponent(s string) string {
	out := make([]byte, 0, len(s))
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.!~*'()", c) >= 0 {
			out = append(out, c)
		} else {
			out = appendPercent(out, c)
		}
	}
	return string(out)
}
