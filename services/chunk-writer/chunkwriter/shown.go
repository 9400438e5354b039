package chunkwriter

import (
	"html"
	"strings"

	"github.com/sluicehq/sluice/shared/page"
)

// shown finds out which of a page's facts one of its chunks shows. It reads each chunk once, however
// many facts there are.
type shown struct {
	issues map[string]page.JiraIssue // by key, in capitals
	links  map[string]page.Link      // by address
	users  map[string][]mention      // by the first byte of what stands behind the @
}

// mention is a user and what stands for them behind an @.
type mention struct {
	name string
	user page.User
}

func newShown(m page.Metadata) shown {
	s := shown{issues: map[string]page.JiraIssue{}, links: map[string]page.Link{}, users: map[string][]mention{}}
	for _, i := range m.JiraIssueLinks {
		s.issues[strings.ToUpper(i.IssueKey)] = i
	}
	for _, l := range m.InternalLinks {
		s.links[l.PageURL] = l
	}
	for _, u := range m.UserMentions {
		for _, name := range []string{u.DisplayName, u.AccountID} {
			if name != "" {
				s.users[name[:1]] = append(s.users[name[:1]], mention{name, u})
				break
			}
		}
	}
	return s
}

// in returns what Markdown shows of the facts, each once and in its order, and nil for what it shows nothing of.
func (s shown) in(markdown string) (issues []page.JiraIssue, users []page.User, links []page.Link) {
	if len(s.issues)+len(s.users)+len(s.links) == 0 {
		return nil, nil, nil
	}
	if len(s.links) > 0 {
		links = s.linksIn(markdown)
	}
	text := plain(markdown)
	if len(s.issues) > 0 {
		issues = s.issuesIn(text)
	}
	if len(s.users) > 0 {
		users = s.usersIn(text)
	}
	return issues, users, links
}

// once remembers what has been seen.
type once[K comparable] map[K]bool

func (o once[K]) first(k K) bool {
	if o[k] {
		return false
	}
	o[k] = true
	return true
}

func (s shown) issuesIn(text string) (list []page.JiraIssue) {
	seen := once[string]{}
	for _, word := range strings.FieldsFunc(text, notInKey) {
		key := strings.ToUpper(strings.Trim(word, "-_"))
		if i, ok := s.issues[key]; ok && seen.first(key) {
			list = append(list, i)
		}
	}
	return list
}

func notInKey(r rune) bool {
	return !(r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z')
}

// mostOfOneLetter bounds what is compared at one @.
const mostOfOneLetter = 1000

func (s shown) usersIn(text string) (list []page.User) {
	seen := once[string]{}
	for {
		_, rest, ok := strings.Cut(text, "@")
		if !ok {
			return list
		}
		text = rest
		if text == "" {
			return list
		}
		of := s.users[text[:1]]
		longest := mention{}
		for _, m := range of[:min(len(of), mostOfOneLetter)] {
			if len(m.name) > len(longest.name) && strings.HasPrefix(text, m.name) {
				longest = m
			}
		}
		if longest.name != "" && seen.first(longest.user.AccountID) {
			list = append(list, longest.user)
		}
	}
}

func (s shown) linksIn(markdown string) (list []page.Link) {
	seen := once[string]{}
	add := func(address string) bool {
		l, ok := s.links[address]
		if ok && seen.first(address) {
			list = append(list, l)
		}
		return ok
	}
	for i := range len(markdown) {
		rest, ok := "", false
		for _, before := range []string{"](", `href="`} {
			if !ok && strings.HasPrefix(markdown[i:], before) {
				rest, ok = markdown[i+len(before):], true
			}
		}
		if !ok {
			continue
		}
		address := html.UnescapeString(destination(rest))
		if !add(address) {
			address, _, _ = strings.Cut(address, "#")
			add(address)
		}
	}
	return list
}

// longestAddress is the longest that is looked at, in bytes.
const longestAddress = 4096

// destination is the address at the beginning of a text, as it is written.
func destination(text string) string {
	text = text[:min(len(text), longestAddress)]
	if inside, ok := strings.CutPrefix(text, "<"); ok {
		address, _, _ := strings.Cut(inside, ">")
		return address
	}
	depth := 0
	for i := range len(text) {
		switch text[i] {
		case ' ', '\n', '"':
			return text[:i]
		case '(':
			depth++
		case ')':
			if depth == 0 {
				return text[:i]
			}
			depth--
		}
	}
	return text
}

// plain takes the signs from Markdown that stand before others so that these are no marks.
func plain(markdown string) string {
	if !strings.ContainsAny(markdown, `\&`) {
		return markdown
	}
	var b strings.Builder
	for i := 0; i < len(markdown); i++ {
		if markdown[i] == '\\' && i+1 < len(markdown) && strings.IndexByte("\\`*_{}[]<>()#+-.!|~\"'$%&,/:;=?@^", markdown[i+1]) >= 0 {
			i++
		}
		b.WriteByte(markdown[i])
	}
	return html.UnescapeString(b.String())
}

// titleOnly is a page's title as Markdown that shows it, for a page that has nothing else.
func titleOnly(title string) string {
	title = strings.Join(strings.Fields(title), " ")
	title = strings.NewReplacer(`\`, `\\`, "`", "\\`", `*`, `\*`, `_`, `\_`, `[`, `\[`, `]`, `\]`, `~`, `\~`, `#`, `\#`).Replace(title)
	return html.EscapeString(title)
}
