package markdown

import (
	"bytes"
	"cmp"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"

	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
)

// Adopt takes a body that is already Markdown. It keeps the text except for what other readers
// could not follow or what is unsafe: relative addresses become absolute, and of HTML only the text
// and some harmless tags stay.
//
// facts.Links names the pages of the destinations, as written. All errors carry
// failure.ConvertTooLarge or failure.ConvertTooDeep.
func Adopt(body string, facts page.Facts) (Result, error) {
	if len(body) > MaxBody {
		return Result{}, failure.New(failure.ConvertTooLarge, "the body has %d bytes, the bound is %d", len(body), MaxBody)
	}
	if tooDeep(body) {
		return Result{}, failure.New(failure.ConvertTooDeep, "lists and quotes nest deeper than %d", MaxDepth)
	}
	w := &written{facts: facts, losses: map[lossKey]int{}, ends: map[ast.Node]int{}, seen: map[string]bool{}, anchors: map[string]int{}}
	if !utf8.ValidString(body) {
		body = strings.ToValidUTF8(body, "\uFFFD")
		w.losses[lossKey{"markdown", page.Rendered, "bytes that are not UTF-8 were replaced"}]++
	}
	w.src = []byte(strings.ReplaceAll(body, "\r\n", "\n"))
	w.base, _ = url.Parse(facts.URL)
	tree := reader.Parse(text.NewReader(w.src))
	_ = ast.Walk(tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			w.enter(n)
		} else {
			w.leave(n)
		}
		return ast.WalkContinue, nil
	})
	w.definitions()
	return w.result(), nil
}

var reader = goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser()

// tooDeep reports whether a line opens more lists and quotes than the limit.
func tooDeep(body string) bool {
	for line := range strings.Lines(body) {
		depth := 0
		for _, c := range line {
			if strings.ContainsRune(">-+*", c) {
				depth++
			} else if c != ' ' && c != '\t' {
				break
			}
		}
		if depth > MaxDepth && strings.ContainsAny(line, "> ") { // else it is a rule, which nests nothing
			return true
		}
	}
	return false
}

// edit replaces a range of the text.
type edit struct {
	start, end int
	with       string
}

// written reads a body that is Markdown.
type written struct {
	facts    page.Facts
	src      []byte
	base     *url.URL // nil if the page has no valid address
	edits    []edit
	code     [][2]int // ranges of code, which hold no links
	ends     map[ast.Node]int
	seen     map[string]bool
	anchors  map[string]int
	words    int
	meta     page.Metadata
	headings []page.Heading
	losses   map[lossKey]int
}

func (w *written) enter(n ast.Node) {
	switch n := n.(type) {
	case *ast.Text:
		w.words += wordCount(n.Segment.Value(w.src))
	case *ast.Heading:
		if said := w.plain(n); said != "" {
			w.headings = append(w.headings, page.Heading{Level: n.Level, Text: said, Anchor: w.anchor(said)})
		}
	case *ast.FencedCodeBlock, *ast.CodeBlock:
		w.codeLines(n.Lines())
	case *ast.HTMLBlock:
		w.htmlBlock(n)
	case *ast.RawHTML:
		w.rawHTML(n)
	case *ast.AutoLink:
		if n.AutoLinkType == ast.AutoLinkURL {
			w.link(string(n.URL(w.src)), "")
		}
	}
}

// leave handles links after their content, because the content's end locates their destinations.
func (w *written) leave(n ast.Node) {
	switch n := n.(type) {
	case *ast.Link:
		w.place(n, n.Destination, w.link(string(n.Destination), w.plain(n)))
	case *ast.Image:
		w.place(n, n.Destination, w.image(string(n.Destination), w.plain(n)))
	}
}

func (w *written) codeLines(lines *text.Segments) {
	if lines.Len() == 0 {
		return
	}
	first, last := lines.At(0), lines.At(lines.Len()-1)
	w.code = append(w.code, [2]int{first.Start, last.Stop})
	w.words += wordCount(w.src[first.Start:last.Stop])
}

// plain is the text of a node without markup.
func (w *written) plain(n ast.Node) string {
	var b strings.Builder
	_ = ast.Walk(n, func(c ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			switch c := c.(type) {
			case *ast.Text:
				b.Write(c.Segment.Value(w.src))
				if c.SoftLineBreak() || c.HardLineBreak() {
					b.WriteByte(' ')
				}
			case *ast.String:
				b.Write(c.Value)
			case *ast.AutoLink:
				b.Write(c.Label(w.src))
			}
		}
		return ast.WalkContinue, nil
	})
	return strings.Join(strings.Fields(b.String()), " ")
}

// anchor is the id that Markdown hosts give to a heading: small letters, digits, hyphens and
// underscores, with spaces as hyphens; a duplicate gets a number.
func (w *written) anchor(said string) string {
	id := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || r == '-' || r == '_':
			return unicode.ToLower(r)
		case r == ' ':
			return '-'
		}
		return -1
	}, said)
	n, taken := w.anchors[id]
	w.anchors[id] = n + 1
	if taken {
		id += "-" + strconv.Itoa(n)
		w.anchors[id]++
	}
	return encodeComponent(id)
}

// once reports whether the address is new.
func (w *written) once(address string) bool {
	if w.seen[address] {
		return false
	}
	w.seen[address] = true
	return true
}

// link files a link's target and returns the link's new address.
func (w *written) link(dest, said string) string {
	if to, ok := w.facts.Links[dest]; ok {
		to.PageTitle = cmp.Or(to.PageTitle, said)
		if to.PageID != w.facts.ID && w.once(to.PageURL) {
			w.meta.InternalLinks = append(w.meta.InternalLinks, to)
		}
		return to.PageURL
	}
	address, own := w.absolute(dest)
	switch {
	case address == "" || address == "#" || strings.HasPrefix(dest, "#") || !w.once(address):
	case own:
		name := fileName(address)
		w.meta.AssetLinks = append(w.meta.AssetLinks, page.Asset{Title: name, Type: assetType(name, "file"), DownloadURL: address})
	default:
		w.meta.ExternalLinks = append(w.meta.ExternalLinks, page.External{Title: said, URL: address})
	}
	return address
}

// image files an image.
func (w *written) image(dest, alt string) string {
	address, _ := w.absolute(dest)
	if address != "" && w.once(address) {
		w.meta.AssetLinks = append(w.meta.AssetLinks, page.Asset{Title: cmp.Or(fileName(address), alt), Type: "image", DownloadURL: address})
	}
	return address
}

func fileName(address string) string {
	u, err := url.Parse(address)
	if err != nil || strings.HasSuffix(u.Path, "/") {
		return ""
	}
	return path.Base(u.Path)
}

// absolute returns the absolute address of a destination, "" if there is none, and whether it is
// below the source's own address.
func (w *written) absolute(dest string) (address string, own bool) {
	u, err := url.Parse(dest)
	if err != nil || dest == "" {
		return "", false
	}
	switch strings.ToLower(u.Scheme) {
	case "":
	case "http", "https", "mailto", "ftp", "ftps", "sftp", "tel":
		return dest, false
	default:
		w.losses[lossKey{"link", page.Dropped, "an address of a kind that is not known to be safe"}]++
		return "#", false
	}
	switch {
	case u.Host != "" || w.base == nil || w.base.Scheme == "":
		return dest, false
	case strings.HasPrefix(u.Path, "/"):
		return w.facts.BaseURL + u.String(), true
	default:
		return w.base.ResolveReference(u).String(), true
	}
}

// place writes a new address over a destination. A destination that is not found in its expected
// place, for example a reference's, stays unchanged.
func (w *written) place(n ast.Node, dest []byte, address string) {
	from := w.end(n)
	at := bytes.Index(w.src[from:min(len(w.src), from+maxMarks)], []byte("]("))
	if from == 0 || at < 0 {
		return
	}
	at += from + len("](")
	for at < len(w.src) && (w.src[at] == ' ' || w.src[at] == '\t' || w.src[at] == '<') {
		at++
	}
	if !bytes.HasPrefix(w.src[at:], dest) {
		return
	}
	w.ends[n] = at + len(dest)
	w.replace(at, at+len(dest), address)
}

// maxMarks is the distance in bytes between a link's text and the search for its destination: only
// marks are between them.
const maxMarks = 16

// end returns the position at which a node's content ends.
func (w *written) end(n ast.Node) int {
	end := w.ends[n]
	if t, ok := n.(*ast.Text); ok {
		end = t.Segment.Stop
	}
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		end = max(end, w.end(c))
	}
	return end
}

func (w *written) replace(start, end int, address string) {
	if address != "" && address != string(w.src[start:end]) {
		w.edits = append(w.edits, edit{start, end, strings.NewReplacer("(", "%28", ")", "%29", " ", "%20", "<", "%3C", ">", "%3E").Replace(address)})
	}
}

var definition = regexp.MustCompile(`(?m)^ {0,3}\[[^\]\n]+\]:[ \t]*<?([^\s<>]+)`)

// definitions makes the addresses of references absolute.
func (w *written) definitions() {
	for _, m := range definition.FindAllSubmatchIndex(w.src, -1) {
		inCode := slices.ContainsFunc(w.code, func(c [2]int) bool { return m[0] >= c[0] && m[0] < c[1] })
		if !inCode && !bytes.HasPrefix(bytes.TrimLeft(w.src[m[0]:], " "), []byte("[^")) {
			dest := string(w.src[m[2]:m[3]])
			if to, ok := w.facts.Links[dest]; ok {
				w.replace(m[2], m[3], to.PageURL)
			} else if address, _ := w.absolute(dest); address != "" {
				w.replace(m[2], m[3], address)
			}
		}
	}
}

func (w *written) result() Result {
	slices.SortStableFunc(w.edits, func(a, b edit) int { return cmp.Compare(a.start, b.start) })
	var out bytes.Buffer
	at := 0
	for _, e := range w.edits {
		if e.start < at {
			continue // inside a replaced range
		}
		out.Write(w.src[at:e.start])
		out.WriteString(e.with)
		at = e.end
	}
	out.Write(w.src[at:])
	done := strings.TrimRight(strings.TrimLeft(out.String(), "\n"), " \t\n")
	if done != "" {
		done += "\n"
	}
	m := w.meta
	m.Ancestors, m.Children = []page.Ancestor{}, []string{}
	m.Labels = filled(slices.Clone(w.facts.Labels))
	m.JiraIssueLinks, m.UserMentions = []page.JiraIssue{}, []page.User{}
	m.InternalLinks, m.ExternalLinks, m.AssetLinks = filled(m.InternalLinks), filled(m.ExternalLinks), filled(m.AssetLinks)
	m.WordCount, m.ContentLength = w.words, len(done)
	return Result{
		Markdown: done, Metadata: m, Headings: filled(w.headings), Losses: sorted(w.losses), Includes: []page.Link{},
	}
}

// sorted lists losses by element, fate and reason.
func sorted(losses map[lossKey]int) []page.Loss {
	out := make([]page.Loss, 0, len(losses))
	for k := range maps.Keys(losses) {
		out = append(out, page.Loss{Element: k.element, Fate: k.fate, Count: losses[k], Reason: k.reason})
	}
	slices.SortFunc(out, func(a, b page.Loss) int {
		return cmp.Or(strings.Compare(a.Element, b.Element), strings.Compare(string(a.Fate), string(b.Fate)), strings.Compare(a.Reason, b.Reason))
	})
	return out
}
