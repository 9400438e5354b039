package fidelity

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Folder scores every body (*.xml) in a folder. It returns the names of bodies that the oracle cannot read.
func Folder(dir string) (pages []Page, unread []string, err error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.xml"))
	if err != nil {
		return nil, nil, fmt.Errorf("list %s: %w", dir, err)
	}
	if len(paths) == 0 {
		return nil, nil, fmt.Errorf("no *.xml in %s", dir)
	}
	for _, path := range paths {
		body, err := os.ReadFile(path) //nolint:gosec // the folder is a command-line argument
		if err != nil {
			return nil, nil, fmt.Errorf("read a body: %w", err)
		}
		p, err := Of(filepath.Base(path), string(body), Facts())
		if err != nil {
			unread = append(unread, err.Error())
			continue
		}
		pages = append(pages, p)
	}
	return pages, unread, nil
}

// Sum adds up the scores of pages.
func Sum(pages []Page) map[Feature]Score {
	sum := map[Feature]Score{}
	for _, p := range pages {
		for f, s := range p.Scores {
			t := sum[f]
			t.Found += s.Found
			t.Total += s.Total
			sum[f] = t
		}
	}
	return sum
}

// Write writes the table of features and the worst pages, at most worst of them, with what they lost.
func Write(w io.Writer, pages []Page, worst int) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d pages\n\n%-10s %9s %9s %9s\n", len(pages), "feature", "found", "of", "share")
	sum := Sum(pages)
	for _, f := range Features() {
		s := sum[f]
		fmt.Fprintf(&b, "%-10s %9d %9d %9s\n", f, s.Found, s.Total, share(s))
	}
	poor := slices.Clone(pages)
	poor = slices.DeleteFunc(poor, func(p Page) bool { return misses(p) == 0 })
	slices.SortStableFunc(poor, func(a, b Page) int { return misses(b) - misses(a) })
	if len(poor) > 0 {
		b.WriteString("\nworst pages\n")
	}
	for _, p := range poor[:min(worst, len(poor))] {
		fmt.Fprintf(&b, "%s\n", p.Name)
		for _, f := range Features() {
			if s := p.Scores[f]; s.Found < s.Total {
				fmt.Fprintf(&b, "  %-10s %s  lost %q\n", f, share(s), s.Lost)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func misses(p Page) int {
	n := 0
	for f, s := range p.Scores {
		if f == Code && s.Found < s.Total {
			n++ // its bytes would outweigh everything else
			continue
		}
		n += s.Total - s.Found
	}
	return n
}

func share(s Score) string {
	if s.Total == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f %%", 100*float64(s.Found)/float64(s.Total))
}
