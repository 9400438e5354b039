// Package newstage does to a copy of the tree what docs/adding-a-stage.md says, to prove that a new
// stage takes no more than the page claims.
package newstage

import (
	"fmt"
	"regexp"
	"strings"
)

// step is one thing that the page does to a file: a new one, or an edit.
type step struct {
	file    string
	content string // of a new file
	edit    bool
	before  string // the lines of an edit, which have to be in the file once,
	after   string // and what they become
}

var (
	named = regexp.MustCompile("^`([^`]+/[^`]+|[a-z.-]+\\.yml)`$")
	fence = regexp.MustCompile("^```([a-z]*)$")
)

// parse reads the steps from the page: each block of code belongs to the file that is named, on a
// line of its own, before it.
func parse(page string) ([]step, error) {
	var steps []step
	var file, kind string
	var block *strings.Builder
	for i, line := range strings.Split(page, "\n") {
		m := fence.FindStringSubmatch(line)
		switch {
		case m != nil && block == nil:
			kind, block = m[1], &strings.Builder{}
		case m != nil && m[1] == "":
			if kind != "" {
				s, err := newStep(file, kind, block.String())
				if err != nil {
					return nil, fmt.Errorf("line %d: %w", i+1, err)
				}
				steps = append(steps, s)
			}
			block = nil
		case block != nil:
			block.WriteString(line + "\n")
		default:
			if m := named.FindStringSubmatch(line); m != nil {
				file = m[1]
			}
		}
	}
	if block != nil {
		return nil, fmt.Errorf("the last block of code does not end")
	}
	return steps, nil
}

func newStep(file, kind, block string) (step, error) {
	if file == "" {
		return step{}, fmt.Errorf("no file is named for the block of code")
	}
	if kind != "diff" {
		return step{file: file, content: block}, nil
	}
	s := step{file: file, edit: true}
	for line := range strings.Lines(block) {
		switch sign, text := line[0], line[1:]; sign {
		case ' ':
			s.before, s.after = s.before+text, s.after+text
		case '-':
			s.before += text
		case '+':
			s.after += text
		default:
			return s, fmt.Errorf("a line of an edit begins with a space, - or +, not with %q", sign)
		}
	}
	return s, nil
}

// apply returns the text with the edit made.
func (s step) apply(text string) (string, error) {
	if n := strings.Count(text, s.before); n != 1 {
		return "", fmt.Errorf("%s has the lines of the edit %d times:\n%s", s.file, n, s.before)
	}
	return strings.Replace(text, s.before, s.after, 1), nil
}
