package assistant

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
)

const markdownType = "text/markdown"

type readInput struct {
	Window
	Page   string `json:"page"`
	Source string `json:"source"`
	Chunk  int64  `json:"chunk"`
}

type readOutput struct {
	Title      string      `json:"title"`
	Section    string      `json:"section,omitempty"`
	Breadcrumb string      `json:"breadcrumb,omitempty"`
	URL        string      `json:"url"`
	Page       string      `json:"page,omitempty"`
	Source     string      `json:"source"`
	Version    int         `json:"version,omitempty"`
	Modified   time.Time   `json:"modified,omitzero"`
	Size       int         `json:"size"` // of all that was asked for, in bytes of Markdown
	From       int         `json:"from"` // where in it this part begins
	Markdown   string      `json:"markdown"`
	Chunks     []int64     `json:"chunks,omitempty"`
	Losses     []page.Loss `json:"losses,omitempty"`
	HiddenText int         `json:"hidden_text,omitempty"`
	Next       string      `json:"next,omitempty"`
}

func (s *Server) read(ctx context.Context, c *call, in readInput) (readOutput, error) {
	if in.Chunk != 0 {
		if in.Page != "" {
			return readOutput{}, &trouble{"give page or chunk, not both"}
		}
		return s.readAround(ctx, c, in.Chunk)
	}
	p, r, err := s.page(ctx, c, in.Page, in.Source)
	if err != nil {
		return readOutput{}, err
	}
	out := aboutPage(p)
	markdown := p.Markdown
	if r.section != "" {
		one, err := s.section(ctx, c, p, r.section)
		if err != nil {
			return out, err
		}
		markdown, out.Section = markdown[one.begins:one.ends], oneLine(one.title)
		if one.anchor != "" {
			out.URL = address(p.URL + "#" + one.anchor)
		}
	}
	// A position is of one version: in another one it would be another place.
	version := strconv.Itoa(p.Version) + "." + strconv.FormatInt(p.LastModified.UnixMicro(), 36)
	if c.position != "" {
		at, of, _ := strings.Cut(c.position, "@")
		if out.From, err = number(at); err != nil {
			return out, err
		}
		if of != version || out.From >= len(markdown) || !utf8.RuneStart(markdown[out.From]) {
			return out, errChanged
		}
	}
	out.Size = len(markdown)
	part := c.takeMarkdown(&out, markdown[out.From:])
	if end := out.From + part; end < len(markdown) {
		out.Next = c.next(strconv.Itoa(end) + "@" + version)
		c.text.line("This is %d to %d of %d bytes. More: next = %s", out.From, end, out.Size, out.Next)
	}
	return out, nil
}

func aboutPage(p store.Page) readOutput {
	out := readOutput{
		Title: oneLine(p.Title), URL: address(p.URL), Page: uri(p.SourceID, p.ID, ""), Source: p.SourceID, Version: p.Version, Modified: p.LastModified.UTC(),
	}
	var above []string
	for _, a := range p.Metadata.Ancestors {
		above = append(above, a.Title)
	}
	out.Breadcrumb = trail(above)
	out.Losses, out.HiddenText = lossesOf(p.Losses)
	return out
}

const mostLosses = 20

// lossesOf is what of a page's losses concerns a reader, and how often it holds hidden text.
func lossesOf(all []page.Loss) (losses []page.Loss, hidden int) {
	for _, l := range all {
		if l.Element == page.HiddenText && l.Fate == page.Rendered {
			hidden += l.Count
		}
		if (l.Fate != page.Rendered || l.Element == page.HiddenText) && len(losses) < mostLosses {
			l.Element, l.Reason, l.Lines = oneLine(l.Element), oneLine(l.Reason), nil // an assistant reads parts of the text
			losses = append(losses, l)
		}
	}
	return losses, hidden
}

func (s *Server) section(ctx context.Context, c *call, p store.Page, named string) (section, error) {
	known, err := c.control.Reader.Headings(ctx, c.Viewer, p.SourceID, p.ID)
	if err != nil {
		return section{}, err
	}
	all := sections(p.Markdown, known)
	one, ok := find(all, named)
	if ok {
		return one, nil
	}
	var titles []string
	for _, one := range all[:min(len(all), 20)] {
		titles = append(titles, strconv.Quote(fit(oneLine(one.title), 200)))
	}
	if len(titles) == 0 {
		return one, &trouble{"the page has no headings: read it whole, without #section"}
	}
	return one, &trouble{fmt.Sprintf("the page has no section %q; outline lists them all, it has: %s", fit(oneLine(named), 200), strings.Join(titles, ", "))}
}

// takeMarkdown writes what is known of a page and as much of the Markdown as fits, and returns how much
// that is.
func (c *call) takeMarkdown(out *readOutput, markdown string) int {
	for len(out.Losses) > 0 && costs(out, out.lines(), out.lossLines()) > c.left/2 {
		out.Losses = out.Losses[:len(out.Losses)-1]
	}
	above := out.lines()
	below := out.lossLines()
	link := &mcp.ResourceLink{URI: out.Page, Name: out.Title, MIMEType: markdownType}
	c.left -= nextCosts + costs(out, above, below, data(""))
	if out.Page != "" {
		c.left -= costs(link)
		c.links = append(c.links, link)
	}
	part := fit(markdown, c.left)
	// What is made visible takes more room than it did.
	for out.Markdown = shown(part); 2*costs(out.Markdown) > c.left && part != ""; out.Markdown = shown(part) {
		part = fit(part, costs(part)) // half of it
	}
	if part == "" && markdown != "" { // never an answer that goes on where it began
		part = string([]rune(markdown[:min(len(markdown), 4)])[:1])
		out.Markdown = shown(part)
	}
	c.text.add(above + data(out.Markdown) + below)
	return len(part)
}

func (out *readOutput) lines() string {
	var t text
	name := out.Title
	if out.Section != "" {
		name += " – " + out.Section
	}
	t.line("%s", name)
	t.line("%s", out.URL)
	where := out.Source
	if out.Breadcrumb != "" {
		where += ": " + out.Breadcrumb
	}
	if out.Page != "" {
		where += fmt.Sprintf("; page %s; version %d of %s", out.Page, out.Version, out.Modified.Format(time.RFC3339))
	}
	t.line("%s", where)
	if out.HiddenText > 0 {
		t.line("%s", hiddenNote(out.HiddenText))
	}
	return t.String()
}

func (out *readOutput) lossLines() string {
	var t text
	for i, l := range out.Losses {
		if i == 0 {
			t.line("Lost in conversion, of the whole page:")
		}
		t.line("- %s: %s %d×", l.Element, l.Fate, l.Count)
	}
	return t.String()
}

// chunksAround is how many chunks before and after one are looked at.
const chunksAround = 20

// readAround reads a chunk, and of its neighbours as many as fit.
func (s *Server) readAround(ctx context.Context, c *call, id int64) (readOutput, error) {
	gone := &trouble{fmt.Sprintf("no chunk %d is stored, or it is not for this reader; chunks change with their page, so search again", id)}
	found, err := c.control.Reader.ChunksByID(ctx, c.Viewer, []int64{id})
	if err != nil || len(found) == 0 {
		return readOutput{}, cmpErr(err, gone)
	}
	me := found[0]
	out := readOutput{Title: oneLine(me.Metadata.Title), URL: address(me.Metadata.CitationURL), Source: me.SourceID}
	if out.URL == "" {
		out.URL = address(me.URL)
	}
	if me.Metadata.PageID != "" { // what a page may not show, its chunks do not
		p, err := c.control.Page(ctx, c.Viewer, me.SourceID, me.Metadata.PageID)
		if err != nil {
			return out, err
		}
		url := out.URL
		out = aboutPage(p)
		out.URL, out.Section = url, oneLine(me.Metadata.SectionTitle)
	}
	near, err := c.control.Reader.ChunksAround(ctx, c.Viewer, me.SourceID, me.URL, me.Number, chunksAround)
	if err != nil {
		return out, err
	}
	at := slices.IndexFunc(near, func(n store.PlacedChunk) bool { return n.ID == id })
	if at < 0 {
		return out, gone
	}
	room := c.left - nextCosts - costs(&out, out.lines(), out.lossLines(), data("")) - 600
	from, to := at, at+1
	room -= 2 * costs(shown(me.Content))
	for grew := true; grew; {
		grew = false
		for _, i := range []int{to, from - 1} {
			if i < 0 || i >= len(near) {
				continue
			}
			if cost := 2*costs(shown(near[i].Content)) + 30; cost <= room {
				room -= cost
				from, to, grew = min(from, i), max(to, i+1), true
			}
		}
	}
	var parts []string
	for _, n := range near[from:to] {
		parts, out.Chunks = append(parts, strings.TrimRight(n.Content, "\n")), append(out.Chunks, n.ID)
	}
	markdown := strings.Join(parts, "\n\n")
	out.Size = len(markdown)
	c.takeMarkdown(&out, markdown)
	return out, nil
}

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}
