// Package retrieval measures how well search answers questions. It builds a knowledge base from a set of pages with
// the real converter, chunker and store, searches for the questions of the set, and counts how often a right page,
// and its right section, is among the first hits.
package retrieval

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/services/converter/markdown"
	"github.com/sluicehq/sluice/shared/page"
)

// Set contains pages, and questions with known answers.
type Set struct {
	Pages     []Page
	Questions []Question
}

// Page is a page in storage format, one line of pages.jsonl.
type Page struct {
	ID       string    `json:"id"`
	Space    string    `json:"space"`
	Title    string    `json:"title"`
	Body     string    `json:"body"`
	Sections []Section `json:"sections"`
}

// Section is a heading of a page with the plain text below it, with which hits are compared.
type Section struct {
	Heading string `json:"heading"`
	Text    string `json:"text"`
}

// Question is one line of questions.jsonl. Pages are the ids of the pages that answer it. Sections are the sections
// that answer it, each as a page's id and the index in its list of sections. A question without sections counts only
// for pages.
type Question struct {
	ID       string       `json:"id"`
	Style    string       `json:"style"`
	Text     string       `json:"q"`
	Pages    []string     `json:"pages"`
	Sections []SectionRef `json:"sections"`
	Heading  string       `json:"heading"` // alternative to Sections: a heading of the first page; "" for none
}

// SectionRef identifies a section; in JSON, it is a list of the page's id and an index.
type SectionRef struct {
	Page  string
	Place int
}

// UnmarshalJSON reads a list of the page's id and an index.
func (r *SectionRef) UnmarshalJSON(raw []byte) error {
	return json.Unmarshal(raw, &[]any{&r.Page, &r.Place})
}

// Read reads a set from pages.jsonl and questions.jsonl in a folder.
func Read(dir string) (Set, error) {
	var s Set
	var err error
	if s.Pages, err = lines[Page](filepath.Join(dir, "pages.jsonl")); err != nil {
		return s, err
	}
	s.Questions, err = lines[Question](filepath.Join(dir, "questions.jsonl"))
	return s, err
}

// ReadBuiltin reads the pages of the stand-in's built-in space, which has one file per page, and our own questions
// about them.
func ReadBuiltin(pages, questions string) (Set, error) {
	files, err := filepath.Glob(filepath.Join(pages, "*.xml"))
	if err != nil || len(files) == 0 {
		return Set{}, fmt.Errorf("no pages in %s: %w", pages, err)
	}
	var s Set
	for _, file := range files {
		raw, err := os.ReadFile(file) //nolint:gosec // the user names the folder
		if err != nil {
			return s, fmt.Errorf("read a page: %w", err)
		}
		head, body, _ := strings.Cut(string(raw), "\n---\n")
		meta := map[string]string{}
		for line := range strings.SplitSeq(head, "\n") {
			key, value, _ := strings.Cut(line, ":")
			meta[key] = strings.TrimSpace(value)
		}
		if meta["status"] != "" || meta["kind"] != "" && meta["kind"] != page.BlogPost {
			continue // archived, trashed, a folder
		}
		p := Page{ID: meta["id"], Space: "DEMO", Title: meta["title"], Body: strings.TrimSpace(body)}
		if p.Sections, err = sectionsOf(p); err != nil {
			return s, err
		}
		s.Pages = append(s.Pages, p)
	}
	if s.Questions, err = lines[Question](questions); err != nil {
		return s, err
	}
	for i := range s.Questions {
		if err := s.locate(&s.Questions[i]); err != nil {
			return s, err
		}
	}
	return s, nil
}

// locate finds the section whose heading a question names.
func (s Set) locate(q *Question) error {
	if q.Heading == "" {
		return nil
	}
	for _, p := range s.Pages {
		place := slices.IndexFunc(p.Sections, func(s Section) bool { return s.Heading == q.Heading })
		if p.ID == q.Pages[0] && place >= 0 {
			q.Sections = []SectionRef{{p.ID, place}}
			return nil
		}
	}
	return fmt.Errorf("question %s: page %s has no heading %q", q.ID, q.Pages[0], q.Heading)
}

// sectionsOf cuts a page at its headings.
func sectionsOf(p Page) ([]Section, error) {
	r, err := markdown.Convert(p.Body, page.Facts{ID: p.ID, Title: p.Title})
	if err != nil {
		return nil, fmt.Errorf("page %s: %w", p.ID, err)
	}
	list := []Section{{}}
	next := 0
	for line := range strings.Lines(r.Markdown) {
		if strings.HasPrefix(line, "#") && next < len(r.Headings) {
			list = append(list, Section{Heading: r.Headings[next].Text})
			next++
			continue
		}
		list[len(list)-1].Text += line
	}
	return list, nil
}

func lines[T any](path string) (list []T, err error) {
	f, err := os.Open(path) //nolint:gosec // the user names the folder
	if err != nil {
		return nil, fmt.Errorf("read a set: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for d := json.NewDecoder(bufio.NewReader(f)); ; {
		var one T
		switch err := d.Decode(&one); {
		case errors.Is(err, io.EOF):
			return list, nil
		case err != nil:
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		list = append(list, one)
	}
}
