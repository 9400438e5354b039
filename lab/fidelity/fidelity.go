// Package fidelity measures how much of the content of Confluence pages survives their conversion to Markdown. It
// compares two readings that share no code with the converter: an oracle that reads the storage format with
// encoding/xml, and what a browser shows of the Markdown after a standard renderer.
package fidelity

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"

	"github.com/sluicehq/sluice/services/converter/markdown"
	"github.com/sluicehq/sluice/shared/page"
)

// Feature is one kind of content of a page.
type Feature string

// The features, in the order of a report.
const (
	Words    Feature = "words"    // visible words, in the order of the page
	Headings Feature = "headings" // by level and text, in order
	Code     Feature = "code"     // bytes of code blocks
	Cells    Feature = "cells"    // table cells, in their row and column
	Links    Feature = "links"    // by target
	Images   Feature = "images"   // by address
	Tasks    Feature = "tasks"    // by state and text
	Mentions Feature = "mentions" // by name
)

// Features lists all features in the order of a report.
func Features() []Feature {
	return []Feature{Words, Headings, Code, Cells, Links, Images, Tasks, Mentions}
}

// Score contains how many items of a feature exist and how many were found in the result.
type Score struct {
	Found, Total int
	Lost         []string // the first few that were not found
}

// maxLost is the maximum number of lost items in a score.
const maxLost = 8

func (s *Score) miss(what string) {
	if len(s.Lost) < maxLost {
		s.Lost = append(s.Lost, what)
	}
}

// Page is the score of one page.
type Page struct {
	Name   string
	Scores map[Feature]Score
}

// Facts returns the facts for pages that come without any.
func Facts() page.Facts {
	return page.Facts{
		ID: "1", Title: "Scored page", SpaceKey: "SPACE",
		BaseURL: "https://example.atlassian.net/wiki",
		URL:     "https://example.atlassian.net/wiki/spaces/SPACE/pages/1/Scored+page",
	}
}

// Of converts a body and scores the result. Its errors are those of markdown.Convert, and an error for a body that
// the oracle cannot parse.
func Of(name, body string, facts page.Facts) (Page, error) {
	want, err := readSource(body, facts)
	if err != nil {
		return Page{}, fmt.Errorf("%s: %w", name, err)
	}
	result, err := markdown.Convert(body, facts)
	if err != nil {
		return Page{}, fmt.Errorf("%s: convert: %w", name, err)
	}
	got, err := readMarkdown(result.Markdown)
	if err != nil {
		return Page{}, fmt.Errorf("%s: %w", name, err)
	}
	return Page{Name: name, Scores: compare(want, got)}, nil
}

func compare(want, got features) map[Feature]Score {
	return map[Feature]Score{
		Words:    inOrder(want.words, got.words),
		Headings: inOrder(want.headings, got.headings),
		Code:     scoreCode(want.code, got),
		Cells:    scoreCells(want.tables, got),
		Links:    scoreAddresses(want.links, got.links, got.inline),
		Images:   scoreAddresses(want.images, got.images, nil),
		Tasks:    inOrder(want.tasks, got.tasks),
		Mentions: scoreMentions(want.mentions, got.text),
	}
}

// wordsOf splits text into words: runs of letters, marks and digits, in lower case.
func wordsOf(text string) []string {
	return strings.FieldsFunc(strings.Map(func(r rune) rune {
		switch r {
		case 0xad, 0x200b, 0x2060, 0xfeff: // invisible characters
			return -1
		}
		return unicode.ToLower(r)
	}, text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
	})
}

// inOrder scores the longest common subsequence of both.
func inOrder(want, got []string) Score {
	kept := commonSubsequence(want, got)
	s := Score{Total: len(want)}
	for i, k := range kept {
		if k {
			s.Found++
		} else {
			s.miss(want[i])
		}
	}
	return s
}

// scoreCode scores code blocks by bytes: a block counts if it occurs unchanged, as a block or, if it is one line, as
// inline code.
func scoreCode(want []string, got features) Score {
	var s Score
	blocks := counted(got.code)
	for _, code := range want {
		s.Total += len(code)
		switch line := strings.Trim(code, "\n"); {
		case blocks[code] > 0:
			blocks[code]--
			s.Found += len(code)
		case !strings.Contains(line, "\n") && contains(got.inline, strings.TrimSpace(line)):
			s.Found += len(code)
		default:
			s.miss(code)
		}
	}
	return s
}

func contains(all []string, s string) bool {
	for _, a := range all {
		if strings.TrimSpace(a) == s {
			return true
		}
	}
	return false
}

func counted(all []string) map[string]int {
	n := make(map[string]int, len(all))
	for _, a := range all {
		n[a]++
	}
	return n
}

// scoreAddresses scores addresses, ignoring their order and percent-encoding. An address that browsers cannot open
// may be shown as code instead.
func scoreAddresses(want, got, shown []string) Score {
	s := Score{}
	left := map[string]int{}
	for _, g := range got {
		left[plainAddress(g)]++
	}
	for _, g := range shown {
		left[plainAddress(g)]++
	}
	for _, w := range want {
		if w == "" {
			continue
		}
		s.Total++
		if key := plainAddress(w); left[key] > 0 {
			left[key]--
			s.Found++
		} else {
			s.miss(w)
		}
	}
	return s
}

func plainAddress(address string) string {
	address = strings.TrimSpace(address)
	if plain, err := url.PathUnescape(address); err == nil {
		address = plain
	}
	return strings.Join(strings.Fields(address), " ")
}

func scoreMentions(want []string, text string) Score {
	s := Score{Total: len(want)}
	for _, name := range want {
		if _, rest, ok := strings.Cut(text, "@"+name); ok {
			s.Found++
			text = rest
		} else {
			s.miss(name)
		}
	}
	return s
}

// scoreCells scores the cells of every table. A table that is written as a table must have each cell in its row and
// column; one that is written otherwise must have the words of each cell together.
func scoreCells(want []grid, got features) Score {
	var s Score
	tables := got.tables
	all := " " + strings.Join(got.words, " ") + " "
	for _, w := range want {
		cells, best, at := 0, 0, -1
		for _, row := range w {
			for _, c := range row {
				if c != "" {
					cells++
				}
			}
		}
		for i, g := range tables {
			if n := matching(w, g); n > best {
				best, at = n, i
			}
			if best == cells {
				break
			}
		}
		s.Total += cells
		if at >= 0 && best*2 > cells {
			s.Found += best
			if best < cells {
				s.miss(fmt.Sprintf("%d of %d cells of the table that begins %q", cells-best, cells, w[0]))
			}
			tables = append(append([]grid{}, tables[:at]...), tables[at+1:]...)
			continue
		}
		for _, row := range w {
			for _, c := range row {
				switch {
				case c == "":
				case strings.Contains(all, " "+c+" "):
					s.Found++
				default:
					s.miss(c)
				}
			}
		}
	}
	return s
}

// matching counts the cells of w that are in their place in g. A table without a header has an empty one in Markdown.
func matching(w, g grid) int {
	best := 0
	for _, shift := range []int{0, 1} {
		n := 0
		for y, row := range w {
			for x, c := range row {
				if c != "" && y+shift < len(g) && x < len(g[y+shift]) && sameCell(c, g[y+shift][x]) {
					n++
				}
			}
		}
		best = max(best, n)
	}
	return best
}

// sameCell reports whether a cell has the expected words and at most two more, such as a panel's "Note:" or the x of
// a task's box.
func sameCell(want, got string) bool {
	if want == got {
		return true
	}
	w, g := strings.Fields(want), strings.Fields(got)
	return len(g) <= len(w)+2 && inOrder(w, g).Found == len(w)
}
