package fidelity

import (
	"fmt"
	"strings"

	"github.com/sluicehq/sluice/services/extractor/extract"
	"github.com/sluicehq/sluice/services/extractor/extract/extracttest"
)

// Places scores the pages, slides and sheets of a file: each must be there under its own name and number.
const Places Feature = "places"

// Extracted scores the text that was extracted from a file whose content is known: words in the order of the file,
// headings by their text, cells as in Of, and places. A PDF has no tables, only their words.
func Extracted(name string, c extracttest.Content, d extract.Document) (Page, error) {
	want := wanted(d.Format, c)
	got, err := readMarkdown(d.Markdown())
	if err != nil {
		return Page{}, fmt.Errorf("%s: %w", name, err)
	}
	scores := map[Feature]Score{
		Words:    inOrder(want.words, got.words),
		Headings: inOrder(want.headings, each(got.headings, withoutLevel)),
		Cells:    scoreCells(want.tables, got),
	}
	places := Score{}
	for i, s := range c.Sections {
		place := ""
		switch d.Format {
		case "pdf", "drawio":
			place = fmt.Sprintf("page %d", i+1)
		case "pptx":
			place = fmt.Sprintf("slide %d", i+1)
		case "xlsx":
			place = s.Heading + "!"
		}
		if place == "" {
			continue
		}
		places.Total++
		if found(d.Parts, place, s) {
			places.Found++
		} else {
			places.miss(place)
		}
	}
	scores[Places] = places
	return Page{Name: name, Scores: scores}, nil
}

// found reports whether a part with this place has what the section says.
func found(parts []extract.Part, place string, s extracttest.Section) bool {
	said := " " + strings.Join(wordsOf(s.Paragraphs[0]), " ") + " "
	for _, p := range parts {
		at := strings.ReplaceAll(p.Place, "'", "")
		here := at == place || strings.HasSuffix(place, "!") && strings.HasPrefix(at, place)
		if here && strings.Contains(" "+strings.Join(wordsOf(p.Markdown), " ")+" ", said) {
			return true
		}
	}
	return false
}

// wanted is what a format holds of the content, in its order.
func wanted(format string, c extracttest.Content) features {
	var f features
	say := func(texts ...string) {
		for _, t := range texts {
			f.words = append(f.words, wordsOf(t)...)
		}
	}
	heading := func(text string) { f.headings = append(f.headings, strings.Join(wordsOf(text), " ")) }
	var notes []string
	if format != "pptx" && format != "xlsx" && format != "drawio" {
		say(c.Title)
		if format != "svg" {
			heading(c.Title)
		}
	}
	for _, s := range c.Sections {
		say(s.Heading)
		if format != "svg" && format != "xlsx" {
			heading(s.Heading)
		}
		say(s.Paragraphs...)
		if format == "svg" {
			continue
		}
		if format != "xlsx" {
			say(s.List...)
		}
		if format == "drawio" {
			continue
		}
		var g grid
		for _, row := range s.Table {
			say(row...)
			g = append(g, each(row, func(c string) string { return strings.Join(wordsOf(c), " ") }))
		}
		if format != "pdf" {
			f.tables = append(f.tables, g)
		}
		switch format {
		case "xlsx":
			say(s.List...)
		case "docx":
			notes = append(notes, s.Notes)
		default:
			say(s.Notes)
		}
	}
	say(notes...)
	return f
}
