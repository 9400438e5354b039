package assistant

import (
	"regexp"
	"strings"
	"unicode"

	"github.com/sluicehq/sluice/shared/page"
)

// section is a heading and all below it, up to the next heading of its level or above.
type section struct {
	level        int
	title        string
	anchor       string
	begins, ends int // in the Markdown, in bytes
}

var (
	heading = regexp.MustCompile(`^ {0,3}(#{1,6})(?:[ \t]+(.*?))?[ \t]*(?:#+[ \t]*)?$`)
	fenced  = regexp.MustCompile("^ {0,3}(```+|~~~+)")
)

// sections finds the headings of Markdown. known are those that the page's conversion found, which have
// anchors; both are in document order.
func sections(markdown string, known []page.Heading) []section {
	var all []section
	fence := ""
	at := 0
	for line := range strings.Lines(markdown) {
		bare := strings.TrimRight(line, "\r\n")
		switch f := fenced.FindStringSubmatch(bare); {
		case fence != "":
			if f != nil && strings.HasPrefix(f[1], fence) && strings.TrimSpace(bare) == f[1] {
				fence = ""
			}
		case f != nil:
			fence = f[1]
		default:
			if h := heading.FindStringSubmatch(bare); h != nil {
				all = append(all, section{level: len(h[1]), title: h[2], begins: at, ends: len(markdown)})
			}
		}
		at += len(line)
	}
	for i := range all {
		for _, later := range all[i+1:] {
			if later.level <= all[i].level {
				all[i].ends = later.begins
				break
			}
		}
	}
	from := 0
	for i := range all {
		for j := from; j < len(known); j++ {
			if bareTitle(known[j].Text) == bareTitle(all[i].title) {
				all[i].title, all[i].anchor, from = known[j].Text, known[j].Anchor, j+1
				break
			}
		}
	}
	return all
}

// bareTitle is what of a title does not depend on how it is written.
func bareTitle(s string) string {
	bare := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
	if bare == "" {
		return strings.TrimSpace(s)
	}
	return bare
}

// find returns the section with an anchor or else a title.
func find(all []section, named string) (section, bool) {
	for _, s := range all {
		if s.anchor != "" && s.anchor == named {
			return s, true
		}
	}
	for _, s := range all {
		if bareTitle(s.title) == bareTitle(named) || s.anchor != "" && bareTitle(s.anchor) == bareTitle(named) {
			return s, true
		}
	}
	return section{}, false
}
