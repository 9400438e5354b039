package markdown

import (
	"bytes"
	"math"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sluicehq/sluice/shared/page"
)

// facts gathers what a page mentions, each thing once and in the order of the page.
type facts struct {
	places *places
	meta   page.Metadata
	seen   map[string]bool
	words  int

	includes []page.Link

	// pending are the issues that links and macros in text still to be read name, with their
	// place in that text, so that they are filed in the order of the page.
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

// settle files the pending issues that stand before a place.
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

// href files an absolute address under what it leads to.
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
		if l, ok := f.pageInURL(u, title); ok {
			if l.PageID == "" || l.PageID != f.places.facts.ID {
				l.PageURL = address
				f.internal(l)
			}
			return
		}
	}
	switch u.Scheme {
	case "http", "https", "ftp", "ftps", "sftp", "mailto":
		if f.once("external", address) {
			f.meta.ExternalLinks = append(f.meta.ExternalLinks, page.External{Title: title, URL: address})
		}
	}
}

// pageInURL recognises the addresses of Confluence pages.
func (f *facts) pageInURL(u *url.URL, title string) (page.Link, bool) {
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(parts) > 0 && parts[0] == "wiki" {
		parts = parts[1:]
	}
	l := page.Link{PageTitle: title}
	switch {
	case len(parts) >= 4 && parts[0] == "spaces" && (parts[2] == "pages" || parts[2] == "blog") && digits(parts[3]):
		l.PageID = parts[3]
		if len(parts) > 4 && looksLikeURL(title) {
			l.PageTitle = strings.ReplaceAll(parts[4], "+", " ")
		}
		return l, true
	case len(parts) >= 2 && parts[0] == "pages" && digits(u.Query().Get("pageId")):
		l.PageID = u.Query().Get("pageId")
		return l, true
	case len(parts) >= 3 && parts[0] == "display":
		if looksLikeURL(title) {
			l.PageTitle = strings.ReplaceAll(parts[len(parts)-1], "+", " ")
		}
		return l, true
	case len(parts) == 2 && parts[0] == "x":
		return l, true
	}
	return l, false
}

func looksLikeURL(s string) bool { return s == "" || strings.Contains(s, "://") }

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// issueInURL returns the Jira issue that an address leads to.
func issueInURL(u *url.URL) string {
	if _, key, ok := strings.Cut(u.Path, "/browse/"); ok && wholeIssueKey(key) {
		return key
	}
	if key := u.Query().Get("selectedIssue"); wholeIssueKey(key) {
		return key
	}
	return ""
}

func wholeIssueKey(s string) bool {
	start, end := issueKeyAt([]byte(s), strings.IndexByte(s, '-'))
	return end > 0 && start == 0 && end == len(s)
}

// read takes words and issue keys from collected text; keys in code are examples.
func (f *facts) read(c *collector) {
	for i := 0; i < len(c.pieces); {
		p := &c.pieces[i]
		j := i + 1
		switch p.kind {
		case codePiece:
			f.countWords(string(c.bytes(p)))
		case textPiece:
			for j < len(c.pieces) && c.pieces[j].kind == textPiece {
				j++
			}
			text := c.buf[p.start:c.pieces[j-1].end]
			f.countWordBytes(text)
			f.issues(text, p.start)
		}
		i = j
	}
	f.settle(len(c.buf))
}

// issues finds issue keys in running text that begins at offset.
func (f *facts) issues(text []byte, offset int) {
	for at := 0; ; {
		i := bytes.IndexByte(text[at:], '-')
		if i < 0 {
			return
		}
		at += i
		if start, end := issueKeyAt(text, at); end > 0 {
			key := string(text[start:end])
			f.settle(offset + start)
			f.fileIssue(key, f.places.issue(key))
			at = end
			continue
		}
		at++
	}
}

// notProjects are words that look like the project of an issue key and name a standard, an
// algorithm, a period or a thing that is counted: UTF-8, SHA-256, ISO-8601, RFC-2119.
var notProjects = map[string]bool{
	"UTF": true, "UCS": true, "ISO": true, "IEC": true, "IEEE": true, "RFC": true, "ECMA": true,
	"ANSI": true, "ASCII": true, "DIN": true, "EN": true, "JIS": true, "KS": true, "GB": true,
	"BIG": true, "LATIN": true, "CP": true, "WINDOWS": true, "KOI8": true, "EUC": true, "BASE": true, "BASE64": true,
	"SHA": true, "MD": true, "AES": true, "DES": true, "RSA": true, "DSA": true, "ECDSA": true, "ED": true,
	"CRC": true, "HMAC": true, "HS": true, "RS": true, "ES": true, "PS": true, "PBKDF": true, "BLAKE": true,
	"SSL": true, "TLS": true, "HTTP": true, "HTTPS": true, "IP": true, "IPV": true, "TCP": true, "UDP": true,
	"USB": true, "PCI": true, "SATA": true, "DDR": true, "ARM": true, "AMD": true, "X86": true, "AS": true,
	"CVE": true, "CWE": true, "FIPS": true, "NIST": true, "SOC": true, "PKCS": true, "OWASP": true, "GDPR": true,
	"PEP": true, "JSR": true, "JEP": true, "KIP": true, "SQL": true, "GPT": true, "COVID": true, "SARS": true,
	"UTC": true, "GMT": true, "Q1": true, "Q2": true, "Q3": true, "Q4": true, "H1": true, "H2": true,
	"FY": true, "KW": true, "CW": true, "JAN": true, "FEB": true, "MAR": true, "APR": true, "MAY": true,
	"JUN": true, "JUL": true, "AUG": true, "SEP": true, "OCT": true, "NOV": true, "DEC": true,
	"TOP": true, "TOR": true, "VER": true, "RC": true, "V1": true, "V2": true, "V3": true, "NO": true,
}

// issueKeyAt returns the range of the issue key whose hyphen is text[hyphen]; end is 0 when
// there is none. A key is [A-Z][A-Z0-9]+-[1-9][0-9]* and no part of a longer word or number.
func issueKeyAt(text []byte, hyphen int) (start, end int) {
	if hyphen < 2 {
		return 0, 0
	}
	start = hyphen
	for start > 0 && (isUpper(text[start-1]) || isDigit(text[start-1])) {
		start--
	}
	if hyphen-start < 2 || hyphen-start > 20 || !isUpper(text[start]) || notProjects[string(text[start:hyphen])] {
		return 0, 0
	}
	if before, _ := utf8.DecodeLastRune(text[:start]); start > 0 && (isWordRune(before) && before < 0x2e80 || before == '_' || before == '-') {
		return 0, 0
	}
	end = hyphen + 1
	for end < len(text) && isDigit(text[end]) {
		end++
	}
	if end == hyphen+1 || end-hyphen > 10 || text[hyphen+1] == '0' {
		return 0, 0
	}
	after, size := utf8.DecodeRune(text[end:])
	switch {
	case size == 0:
	case after == '-' || after == '.' || after == ',':
		if end+1 < len(text) && isDigit(text[end+1]) {
			return 0, 0
		}
	case after == '_', isWordRune(after) && after < 0x2e80:
		return 0, 0
	}
	return start, end
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func (f *facts) countWords(s string) { f.words += wordCount(s) }

func (f *facts) countWordBytes(s []byte) { f.words += wordCount(s) }

// wordCount counts words: runs of letters, digits and marks, with the apostrophes, hyphens,
// dots and underscores inside them. Scripts that write no spaces between words (Han, kana)
// count a word a character; Hangul, which does write spaces, counts as written.
func wordCount[S string | []byte](s S) int {
	n := 0
	inWord, joined := false, false
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			i++
			switch {
			case isNameStart(c) && c != '_' || isDigit(c):
				if !inWord {
					n++
				}
				inWord, joined = true, false
			case inWord && !joined && (c == '\'' || c == '-' || c == '.' || c == '_'):
				joined = true
			default:
				inWord, joined = false, false
			}
			continue
		}
		r, size := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
		i += size
		switch {
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana):
			n++
			inWord, joined = false, false
		case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r):
			if !inWord && !unicode.IsMark(r) {
				n++
			}
			inWord, joined = true, false
		case inWord && !joined && r == '’':
			joined = true
		default:
			inWord, joined = false, false
		}
	}
	return n
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
	return Result{
		Markdown: string(r.w.out),
		Metadata: m,
		Headings: filled(r.headings),
		Losses:   r.lossList(),
		Includes: filled(f.includes),
	}
}

// filled is s, or an empty slice for nil, which JSON shows as [].
func filled[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func (r *renderer) lossList() []page.Loss {
	out := make([]page.Loss, 0, len(r.losses))
	for k, n := range r.losses {
		out = append(out, page.Loss{Element: k.element, Fate: k.fate, Count: n, Reason: k.reason})
	}
	slices.SortFunc(out, func(a, b page.Loss) int {
		return cmpOr(strings.Compare(a.Element, b.Element), strings.Compare(string(a.Fate), string(b.Fate)), strings.Compare(a.Reason, b.Reason))
	})
	return out
}

func cmpOr(values ...int) int {
	for _, v := range values {
		if v != 0 {
			return v
		}
	}
	return 0
}
