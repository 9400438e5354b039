package fidelity

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/sluicehq/sluice/shared/page"
)

// features is what a reader of a page sees. It comes from the oracle, which reads storage format, or from the
// browser, which reads the rendered Markdown.
type features struct {
	words    []string
	headings []string // "2 before the release"
	code     []string
	tables   []grid
	links    []string
	images   []string
	tasks    []string // "x order the cake"
	mentions []string
	text     string // all words and the text between them
	inline   []string
}

// grid is a table: the words of every cell by row and column. A merged cell is only in its first place.
type grid [][]string

// oracle reads what a page in storage format shows its reader.
type oracle struct {
	facts page.Facts
	f     features
	text  strings.Builder

	cell, inLink int // depth of enclosing tables and links

	noIncludes bool // content of other pages is not expected, neither as a link nor as words
}

func readSource(body string, facts page.Facts) (features, error) {
	return (&oracle{facts: facts}).read(body)
}

func (o *oracle) read(body string) (features, error) {
	root, err := parseStorage(body)
	if err != nil {
		return features{}, err
	}
	o.all(root)
	o.f.text = o.text.String()
	o.f.words = wordsOf(o.f.text)
	return o.f, nil
}

// textOf returns what o would read of e alone.
func (o *oracle) textOf(e *element) string {
	sub := &oracle{facts: o.facts, noIncludes: o.noIncludes}
	sub.all(e)
	return sub.text.String()
}

func (o *oracle) all(e *element) {
	for _, k := range e.kids {
		switch k := k.(type) {
		case string:
			o.text.WriteString(k)
		case *element:
			o.element(k)
		}
	}
}

func (o *oracle) block(e *element) {
	o.text.WriteByte('\n')
	o.all(e)
	o.text.WriteByte('\n')
}

func (o *oracle) line(s string) { o.text.WriteString("\n" + s + "\n") }

func (o *oracle) element(e *element) {
	switch e.name {
	case "ac:parameter", "ac:default-parameter", "ac:placeholder", "ac:task-id", "ac:task-uuid", "ac:task-status", "ac:adf-attribute",
		"ac:adf-parameter", "script", "style", "colgroup", "col", "at:var", "at:declarations", "ac:emoticon":
	case "br", "hr":
		o.text.WriteByte('\n')
	case "h1", "h2", "h3", "h4", "h5", "h6":
		// A heading in a cell is a line of the cell, because Markdown's tables cannot contain headings.
		if words := strings.Join(wordsOf(o.headingText(e)), " "); words != "" && o.cell == 0 {
			o.f.headings = append(o.f.headings, e.name[1:]+" "+words)
		}
		o.block(e)
	case "math", "mjx-container":
		o.formula(e)
	case "span":
		switch class := e.attrs["class"]; {
		case class == "MathJax_Preview":
		case strings.HasPrefix(class, "katex"), strings.HasPrefix(class, "MathJax"):
			o.formula(e)
		default:
			o.all(e)
		}
	case "strong", "b", "em", "i", "u", "s", "del", "sub", "sup", "code", "font", "small", "ac:inline-comment-marker", "ac:link-body", "ac:plain-text-link-body":
		o.all(e)
	case "a":
		o.anchor(e)
	case "img":
		if strings.Contains(" "+e.attrs["class"]+" ", " emoticon ") || strings.Contains(e.attrs["src"], "/emoticons/") {
			return // readers see an emoji
		}
		o.f.images = append(o.f.images, o.address(e.attrs["src"]))
	case "time":
		if strings.TrimSpace(e.rawText()) == "" {
			o.text.WriteString(e.attrs["datetime"])
		}
		o.all(e)
	case "pre":
		o.f.code = append(o.f.code, strings.TrimPrefix(e.rawText(), "\n"))
		o.block(e)
	case "table":
		o.table(e)
		o.cell++
		o.block(e)
		o.cell--
	case "ac:task":
		o.task(e)
		o.block(e)
	case "ac:link":
		o.link(e)
	case "ac:image":
		o.image(e)
	case "ri:user":
		o.user(e)
	case "ac:structured-macro", "ac:macro":
		o.macro(e)
	case "ac:adf-extension":
		node, fallback := e.child("ac:adf-node"), e.child("ac:adf-fallback")
		kind := ""
		if node != nil {
			kind = node.attrs["type"]
		}
		if fallback != nil && len(fallback.kids) > 0 && kind != "panel" && !strings.HasPrefix(kind, "decision") {
			node = fallback
		}
		if node != nil {
			o.block(node)
		}
	default:
		o.block(e)
	}
}

// formula reads a formula once, although it may be written in several forms.
func (o *oracle) formula(e *element) {
	for _, name := range []string{"annotation", "math"} {
		if f := e.find(name); f != nil {
			o.text.WriteString(f.rawText())
			return
		}
	}
	o.text.WriteString(e.rawText())
}

// headingText returns a heading's own line, without the blocks in it.
func (o *oracle) headingText(e *element) string {
	own := &element{}
	for _, k := range e.kids {
		if c, ok := k.(*element); ok && (c.name == "table" || c.name == "ul" || c.name == "ol" || c.child("ac:plain-text-body") != nil) {
			continue
		}
		own.kids = append(own.kids, k)
	}
	return o.textOf(own)
}

// issueAddress matches the addresses of an issue in Jira.
var issueAddress = regexp.MustCompile(`/(browse|issues|queues|portal|boards)/(.*/)?[A-Z][A-Z0-9]+-[0-9]+`)

// anchor reads <a>: a link without visible text is no link for the reader.
func (o *oracle) anchor(e *element) {
	target := o.address(e.attrs["href"])
	if target != "" && (strings.TrimSpace(o.textOf(e)) != "" || e.find("ac:image") != nil || e.find("img") != nil) {
		o.f.links = append(o.f.links, target)
	}
	if e.attrs["data-card-appearance"] != "" && strings.TrimSpace(e.rawText()) == e.attrs["href"] && (strings.HasPrefix(target, o.facts.BaseURL) || issueAddress.MatchString(target)) {
		return // the reader sees a card with a title, not the address
	}
	o.inLink++
	o.all(e)
	o.inLink--
}

// address resolves an address as the page's reader would; addresses that run code give "".
func (o *oracle) address(href string) string {
	href = strings.TrimSpace(href)
	site := strings.TrimSuffix(o.facts.BaseURL, "/wiki")
	lower := strings.ToLower(href)
	switch {
	case href == "", strings.HasPrefix(lower, "javascript:"), strings.HasPrefix(lower, "data:"), strings.HasPrefix(lower, "vbscript:"):
		return ""
	case strings.HasPrefix(href, "#"):
		return o.facts.URL + href
	case strings.HasPrefix(href, "//"):
		return "https:" + href
	case strings.HasPrefix(href, "/"):
		return site + href
	}
	return href
}

func (o *oracle) user(e *element) {
	name := e.attrs["ri:account-id"]
	if known := o.facts.Users[name]; known != "" {
		name = known
	}
	if name == "" {
		name = e.attrs["ri:username"]
	}
	if name == "" {
		name = e.attrs["ri:userkey"]
	}
	if name != "" {
		o.f.mentions = append(o.f.mentions, name)
		o.text.WriteString("@" + name)
	}
}

func (o *oracle) pageAddress(e *element) string {
	space, title := e.attrs["ri:space-key"], e.attrs["ri:content-title"]
	if space == "" || space == o.facts.SpaceKey {
		if l, ok := o.facts.Links[title]; ok {
			return l.PageURL
		}
		if title == o.facts.Title || title == "" && space == "" {
			return o.facts.URL
		}
		space = o.facts.SpaceKey
	}
	if day := e.attrs["ri:posting-day"]; day != "" {
		return o.facts.BaseURL + "/display/" + space + "/" + strings.Trim(day, "/") + "/" + url.QueryEscape(title)
	}
	return o.facts.BaseURL + "/display/" + space + "/" + url.QueryEscape(title)
}

func (o *oracle) fileAddress(e *element) string {
	owner := o.facts.ID
	for _, k := range e.kids {
		c, ok := k.(*element)
		if !ok {
			continue
		}
		switch c.name {
		case "ri:content-entity":
			owner = c.attrs["ri:content-id"]
		case "ri:page", "ri:blog-post":
			target := o.pageAddress(c)
			l, known := o.facts.Links[c.attrs["ri:content-title"]]
			if !known && target != o.facts.URL {
				return target
			}
			if known {
				owner = l.PageID
			}
		}
	}
	return o.facts.BaseURL + "/download/attachments/" + owner + "/" + url.PathEscape(e.attrs["ri:filename"])
}

// link reads <ac:link>.
func (o *oracle) link(e *element) {
	body := e.find("ac:link-body")
	if body == nil {
		body = e.find("ac:plain-text-link-body")
	}
	target, name := "", ""
	for _, k := range e.kids {
		c, ok := k.(*element)
		if !ok {
			continue
		}
		switch c.name {
		case "ri:user":
			if c.attrs["ri:account-id"] == "" && body != nil { // a Confluence server's page contains the user's name
				name := strings.TrimSpace(o.textOf(body))
				o.f.mentions = append(o.f.mentions, name)
				o.text.WriteString("@" + name)
				return
			}
			o.user(c)
			return
		case "ri:page", "ri:blog-post":
			target, name = o.pageAddress(c), c.attrs["ri:content-title"]
		case "ri:attachment":
			target, name = o.fileAddress(c), c.attrs["ri:filename"]
		case "ri:url":
			target, name = o.address(c.attrs["ri:value"]), c.attrs["ri:value"]
		case "ri:space":
			target, name = o.facts.BaseURL+"/spaces/"+c.attrs["ri:space-key"], c.attrs["ri:space-key"]
		case "ri:content-entity":
			target = o.facts.BaseURL + "/pages/viewpage.action?pageId=" + c.attrs["ri:content-id"]
		case "ri:shortcut":
			name = c.attrs["ri:parameter"]
		}
	}
	if anchor, _ := url.PathUnescape(e.attrs["ac:anchor"]); anchor != "" {
		if target == "" {
			target, name = o.facts.URL, anchor
		}
		target += "#" + anchor
	}
	if target != "" {
		o.f.links = append(o.f.links, target)
	}
	switch {
	case body != nil && (strings.TrimSpace(o.textOf(body)) != "" || body.find("ac:image") != nil):
		o.inLink++
		o.all(body)
		o.inLink--
	case e.child("ac:image") != nil:
		o.inLink++
		o.image(e.child("ac:image"))
		o.inLink--
	default:
		o.text.WriteString(name)
	}
}

func (o *oracle) image(e *element) {
	if a := e.child("ri:attachment"); a != nil {
		target := o.fileAddress(a)
		if strings.Contains(target, "/download/") {
			o.f.images = append(o.f.images, target)
		} else if o.inLink == 0 { // links cannot contain links
			o.f.links = append(o.f.links, target)
		}
	}
	if u := e.child("ri:url"); u != nil {
		o.f.images = append(o.f.images, o.address(u.attrs["ri:value"]))
	}
	if c := e.child("ac:caption"); c != nil {
		o.block(c)
	}
}

func (o *oracle) task(e *element) {
	body := e.child("ac:task-body")
	if body == nil {
		return
	}
	own := &element{}
	for _, k := range body.kids {
		if c, ok := k.(*element); !ok || c.name != "ac:task-list" {
			own.kids = append(own.kids, k)
		}
	}
	words := strings.Join(wordsOf(o.textOf(own)), " ")
	if words == "" {
		return
	}
	state := "-"
	if s := e.child("ac:task-status"); s != nil && strings.TrimSpace(s.rawText()) == "complete" {
		state = "x"
	}
	o.f.tasks = append(o.f.tasks, state+" "+words)
}

// table reads the grid of a table.
func (o *oracle) table(e *element) {
	var rows []*element
	var collect func(*element)
	collect = func(e *element) {
		for _, k := range e.kids {
			if c, ok := k.(*element); ok {
				switch c.name {
				case "tr":
					rows = append(rows, c)
				case "thead", "tbody", "tfoot":
					collect(c)
				}
			}
		}
	}
	collect(e)
	g := make(grid, len(rows))
	taken := map[[2]int]string{} // the text of each place; merged cells fill all of theirs
	for y, r := range rows {
		x := 0
		for _, k := range r.kids {
			c, ok := k.(*element)
			if !ok || c.name != "td" && c.name != "th" {
				continue
			}
			for _, over := taken[[2]int{y, x}]; over; _, over = taken[[2]int{y, x}] {
				x++
			}
			across, down := spanOf(c, "colspan"), spanOf(c, "rowspan")
			if down == 0 {
				down = len(rows) - y
			}
			text := strings.Join(wordsOf(o.textOf(c)), " ")
			for dy := range min(down, len(rows)-y) {
				for dx := range max(across, 1) {
					taken[[2]int{y + dy, x + dx}] = text
				}
			}
			for len(g[y]) <= x {
				g[y] = append(g[y], "")
			}
			g[y][x] = text
			x += max(across, 1)
		}
	}
	o.f.tables = append(o.f.tables, oneHead(g, rows, taken))
}

// oneHead merges header rows that share merged cells: Markdown's tables have one header row, so a column has all its
// headings in it.
func oneHead(g grid, rows []*element, taken map[[2]int]string) grid {
	heads := 0
	for heads < len(rows)-1 && onlyHeads(rows[heads]) && (heads == 0 || hasMerged(rows[heads-1])) {
		heads++
	}
	if heads < 2 {
		return g
	}
	var first []string
	for x := 0; ; x++ {
		var column []string
		any := false
		for y := range heads {
			text, there := taken[[2]int{y, x}]
			any = any || there
			if text != "" && (len(column) == 0 || column[len(column)-1] != text) {
				column = append(column, text)
			}
		}
		if !any {
			break
		}
		first = append(first, strings.Join(column, " "))
	}
	return append(grid{first}, g[heads:]...)
}

func onlyHeads(r *element) bool {
	for _, k := range r.kids {
		if c, ok := k.(*element); ok && c.name == "td" {
			return false
		}
	}
	return true
}

func hasMerged(r *element) bool {
	for _, k := range r.kids {
		if c, ok := k.(*element); ok && (spanOf(c, "colspan") > 1 || spanOf(c, "rowspan") > 1) {
			return true
		}
	}
	return false
}

func spanOf(e *element, name string) int {
	n, err := strconv.Atoi(e.attrs[name])
	if err != nil || n < 0 {
		return 1
	}
	return min(n, 1000)
}
