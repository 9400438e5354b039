package fidelity

import (
	"fmt"
	"strings"

	"github.com/sluicehq/sluice/shared/page"
)

// Written scores text that any converter wrote of a body, by rules that know no dialect:
//
//   - words in the page's order, in the text as it is or as a Markdown reader shows it,
//     whichever holds more of them;
//   - headings in order by their text, whatever their level and however they are marked;
//   - a block of code by its bytes, in a block of any kind or anywhere in the text;
//   - cells as Of does: in their row and column, or where no table is written, their words together;
//   - links by their target, whatever way of writing an address plain leads there;
//   - tasks by state and text, as lines with a box.
//
// Images and mentions are left out: what a converter is given of them differs too much. So is what
// is included from other pages, which one links to and another is given in full. plain is what two
// addresses of one page have in common; it may be nil. Errors are those of a body that the
// oracle cannot read.
func Written(name, body string, facts page.Facts, text string, plain func(string) string) (Page, error) {
	want, err := (&oracle{facts: facts, noIncludes: true}).read(body)
	if err != nil {
		return Page{}, fmt.Errorf("%s: %w", name, err)
	}
	got, err := readMarkdown(text)
	if err != nil {
		return Page{}, fmt.Errorf("%s: %w", name, err)
	}
	if plain != nil {
		want.links, got.links = each(want.links, plain), each(got.links, plain)
	}
	words := inOrder(want.words, got.words)
	if asIs := inOrder(want.words, wordsOf(text)); asIs.Found > words.Found {
		words = asIs
	}
	return Page{Name: name, Scores: map[Feature]Score{
		Words:    words,
		Headings: inOrder(each(want.headings, withoutLevel), each(got.headings, withoutLevel)),
		Code:     codeAnywhere(want.code, got, text),
		Cells:    scoreCells(want.tables, got),
		Links:    scoreAddresses(want.links, got.links, nil),
		Tasks:    inOrder(want.tasks, got.tasks),
	}}, nil
}

func each(all []string, f func(string) string) []string {
	out := make([]string, 0, len(all))
	for _, s := range all {
		out = append(out, f(s))
	}
	return out
}

func withoutLevel(heading string) string {
	_, words, _ := strings.Cut(heading, " ")
	return words
}

// codeAnywhere scores code by bytes, without those empty lines at its ends that a block cannot
// always keep.
func codeAnywhere(want []string, got features, text string) Score {
	var s Score
	blocks := counted(each(append(got.code, got.inline...), strings.TrimSpace))
	for _, code := range want {
		s.Total += len(code)
		plain := strings.TrimSpace(code)
		if blocks[plain] > 0 || strings.Contains(text, plain) {
			s.Found += len(code)
		} else {
			s.miss(code)
		}
	}
	return s
}
