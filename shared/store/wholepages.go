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

// longestWhole is how much of a page Archon's assistants are shown, in code points. Of a longer one
// they get a note that it is too long.
const longestWhole = 20_000

// wholePage is a row of archon_page_metadata: a page, or one section of a page that is too long.
type wholePage struct {
	id      string
	url     string
	section string // its heading; "" for a page, and for what stands before the first heading
	level   int    // of the heading
	content string
	chunks  int
}

// archonID is the uuid by which Archon calls a page or a section of it. It follows from the source, the
// page's id and the part of the address behind the page's own, so that nothing has to be looked up and
// no two sites share one.
func archonID(sourceID, pageID, anchor string) string {
	sum := sha256.Sum256([]byte(sourceID + "\n" + pageID + "\n" + anchor))
	sum[6] = sum[6]&0x0f | 0x80 // version 8: of one's own making
	sum[8] = sum[8]&0x3f | 0x80
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// document is what is shown as a whole: a page, or a document that is no page.
type document struct {
	sourceID, id string // id tells it from others of its source
	title, url   string
	markdown     string
	headings     []page.Heading
}

// paged gives each chunk the whole page, or the section of it, that it is of, and returns those. A page
// is cut under its highest headings; a section that is still too long, under those below.
func paged(d document, chunks []Chunk) []wholePage {
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

// finder finds the section of a chunk by its headings, in that of the chunk before or behind it. Of two
// sections of one title that follow each other, it may find the first.
func finder(list []wholePage) func(at int, path []string) int {
	places := map[string][]int{}
	for i, p := range list {
		if p.section != "" {
			places[bare(p.section)] = append(places[bare(p.section)], i)
		}
	}
	return func(at int, path []string) int {
		titles := make([]string, len(path))
		for i, title := range path {
			titles[i] = bare(title)
		}
		for {
			within := list[at].section != "" && slices.Contains(titles, bare(list[at].section))
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

// part is a piece of a document, from a heading to the next one under which the document is cut.
type part struct {
	title, anchor string
	level         int
	text          string
}

// sections cuts a document that is too long. The pieces put together are the document.
func sections(text string, headings []page.Heading) []part {
	if utf8.RuneCountInString(text) <= longestWhole {
		return []part{{text: text}}
	}
	lines := headingLines(text)
	next := 0
	for i := range lines {
		for j := next; j < min(len(headings), next+maxAstray); j++ {
			if bare(headings[j].Text) == bare(lines[i].title) {
				lines[i].title, lines[i].anchor = headings[j].Text, headings[j].Anchor
				next = j + 1
				break
			}
		}
	}
	return cut(text, part{}, lines)
}

// maxAstray is how many of the converter's headings may be none of the Markdown's in a row.
const maxAstray = 20

// headingLine is a heading and where its line begins.
type headingLine struct {
	part
	at int
}

// cut cuts a text that stands under head beneath the highest headings inside of it. One that has none
// stays as it is, however long.
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
	from, inside := 0, 0 // of the piece at work, and of its headings
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
		if strings.TrimSpace(text[from:l.at]) != "" { // else nothing stands before the first heading
			flush(l.at, i)
			from = l.at
		}
		head, inside = l.part, i+1
	}
	flush(len(text), len(lines))
	return list
}

// headingLines are the headings of a Markdown document outside of fenced code. It is a rough reading,
// enough to cut where headings are: what it takes for one and is none still begins with a #.
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

// fenceOf is the row of signs that begins or ends fenced code, "" when the line does neither.
func fenceOf(line string) string {
	if !strings.HasPrefix(line, "```") && !strings.HasPrefix(line, "~~~") {
		return ""
	}
	return line[:len(line)-len(strings.TrimLeft(line, line[:1]))]
}

// bare keeps of a title what does not depend on how it is written down.
func bare(title string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, title)
}
