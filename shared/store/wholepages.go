package store

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sluicehq/sluice/shared/page"
)

// longestWhole is the longest page that Archon shows to its assistants, in code points. For a longer one they get a
// note that it is too long.
const longestWhole = 20_000

// wholePage is a row of archon_page_metadata: a page, or one section of a page that is too long.
type wholePage struct {
	id      string
	url     string
	section string // its heading; "" for a whole page and for the text before the first heading
	level   int    // of the heading
	content string
	chunks  int
}

// archonID returns the uuid of a page or section in Archon. It is derived from the source, the page's id and the
// anchor, so it needs no lookup, and no two sites share one.
func archonID(sourceID, pageID, anchor string) string {
	sum := sha256.Sum256([]byte(sourceID + "\n" + pageID + "\n" + anchor))
	sum[6] = sum[6]&0x0f | 0x80 // version 8: custom
	sum[8] = sum[8]&0x3f | 0x80
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// document is a page, or a document that is not a page, with its whole text.
type document struct {
	sourceID, id string // id is unique within its source
	title, url   string
	markdown     string
	headings     []page.Heading
}

// assignWholePages assigns each chunk to its whole page or section, and returns these. A page is cut at its highest headings; a
// section that is still too long is cut at the headings below.
func assignWholePages(d document, chunks []Chunk) []wholePage {
	text := d.markdown
	if strings.TrimSpace(text) == "" {
		text = d.title
	}
	parts := sections(text, d.headings)
	list := make([]wholePage, len(parts))
	taken := map[string]bool{}
	for i, p := range parts {
		base := p.anchor
		if base == "" && p.title != "" {
			base = "section"
		}
		anchor := base
		for n := 2; taken[anchor]; n++ {
			anchor = base + "-" + strconv.Itoa(n)
		}
		taken[anchor] = true
		list[i] = wholePage{id: archonID(d.sourceID, d.id, anchor), url: d.url, section: p.title, level: p.level, content: p.text}
		if anchor != "" {
			list[i].url += "#" + anchor
		}
	}
	find := finder(list)
	at := 0
	for i := range chunks {
		m := &chunks[i].Metadata
		at = find(at, m.HeadingPath)
		list[at].chunks++
		m.ArchonPage = list[at].id
	}
	return list
}

// finder returns a function that finds the section of a chunk by its headings. The search starts at the section of
// the previous chunk. If two consecutive sections have the same title, it may find the first one.
func finder(list []wholePage) func(at int, path []string) int {
	places := map[string][]int{}
	for i, p := range list {
		if p.section != "" {
			places[normalizeTitle(p.section)] = append(places[normalizeTitle(p.section)], i)
		}
	}
	return func(at int, path []string) int {
		titles := make([]string, len(path))
		for i, title := range path {
			titles[i] = normalizeTitle(title)
		}
		for {
			within := list[at].section != "" && slices.Contains(titles, normalizeTitle(list[at].section))
			next := len(list)
			for _, title := range titles {
				of := places[title]
				if n, _ := slices.BinarySearch(of, at+1); n < len(of) && of[n] < next && (!within || list[of[n]].level > list[at].level) {
					next = of[n]
				}
			}
			if next == len(list) {
				return at
			}
			at = next
		}
	}
}

// part is a piece of a document, from one heading at which the document is cut to the next.
type part struct {
	title, anchor string
	level         int
	text          string
}

// sections cuts a document that is too long. The concatenated pieces are the document.
func sections(text string, headings []page.Heading) []part {
	if utf8.RuneCountInString(text) <= longestWhole {
		return []part{{text: text}}
	}
	lines := headingLines(text)
	next := 0
	for i := range lines {
		for j := next; j < min(len(headings), next+maxMissingHeadings); j++ {
			if normalizeTitle(headings[j].Text) == normalizeTitle(lines[i].title) {
				lines[i].title, lines[i].anchor = headings[j].Text, headings[j].Anchor
				next = j + 1
				break
			}
		}
	}
	return cut(text, part{}, lines)
}

// maxMissingHeadings is the maximum number of consecutive headings from the converter that are missing in the Markdown.
const maxMissingHeadings = 20

// headingLine is a heading and the offset of its line.
type headingLine struct {
	part
	at int
}

// cut cuts the text below head at the highest headings in it. A text without headings is not cut, however long it is.
func cut(text string, head part, lines []headingLine) []part {
	if len(lines) == 0 || utf8.RuneCountInString(text) <= longestWhole {
		head.text = text
		return []part{head}
	}
	top := lines[0].level
	for _, l := range lines {
		top = min(top, l.level)
	}
	var list []part
	from, inside := 0, 0 // of the current piece, and of its headings
	flush := func(to, end int) {
		for i := inside; i < end; i++ {
			lines[i].at -= from
		}
		list = append(list, cut(text[from:to], head, lines[inside:end])...)
	}
	for i, l := range lines {
		if l.level != top {
			continue
		}
		if strings.TrimSpace(text[from:l.at]) != "" { // otherwise there is no text before the first heading
			flush(l.at, i)
			from = l.at
		}
		head, inside = l.part, i+1
	}
	flush(len(text), len(lines))
	return list
}

// headingLines returns the headings of a Markdown document outside fenced code. This is a rough parser that is good
// enough to cut at headings: any line that it takes for a heading by mistake still begins with a #.
func headingLines(text string) []headingLine {
	var list []headingLine
	fence := ""
	for at := 0; at < len(text); {
		line, _, _ := strings.Cut(text[at:], "\n")
		begins := at
		at += len(line) + 1
		trimmed := strings.TrimLeft(line, " ")
		if len(line)-len(trimmed) > 3 {
			continue
		}
		if mark := fenceOf(trimmed); mark != "" {
			switch {
			case fence == "":
				fence = mark
			case strings.HasPrefix(mark, fence) && strings.TrimSpace(trimmed) == mark:
				fence = ""
			}
			continue
		}
		level := len(trimmed) - len(strings.TrimLeft(trimmed, "#"))
		if fence != "" || level == 0 || level > 6 || len(trimmed) > level && trimmed[level] != ' ' && trimmed[level] != '\t' {
			continue
		}
		title := strings.TrimSpace(strings.TrimRight(strings.TrimSpace(trimmed[level:]), "#"))
		list = append(list, headingLine{part{title: title, level: level}, begins})
	}
	return list
}

// fenceOf returns the characters that begin or end fenced code, or "" if the line does neither.
func fenceOf(line string) string {
	if !strings.HasPrefix(line, "```") && !strings.HasPrefix(line, "~~~") {
		return ""
	}
	return line[:len(line)-len(strings.TrimLeft(line, line[:1]))]
}

// normalizeTitle reduces a title to its letters, digits and marks in lower case, which do not depend on formatting.
func normalizeTitle(title string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, title)
}
