package fidelity

import (
	"fmt"
	"strings"

	"github.com/sluicehq/sluice/shared/page"
)

// Written scores text that any converter wrote for a body, by rules for no particular dialect:
//
//   - words in the page's order, in the text as it is or as a Markdown reader shows it,
//     whichever has more of them;
//   - headings in order by their text, whatever their level and markup;
//   - a block of code by its bytes, in a block of any kind or anywhere in the text;
//   - cells as in Of: in their row and column, or, if no table is written, their words together;
//   - links by their target, in any form that plain maps to the same address;
//   - tasks by state and text, as lines with a box.
//
// Images and mentions are not scored, because converters get too different input for them. Content
// included from other pages is not scored either: some converters link to it, others include it in
// full. plain returns what all addresses of a page have in common; it may be nil. The error is that
// of a body that the oracle cannot parse.
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

// codeAnywhere scores code by bytes, ignoring empty lines at its start and end, which a block cannot
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
