package chunk_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/chunk-writer/chunk"
)

// story writes plain sentences whose lengths vary as on a real page.
type story struct{ *rand.Rand }

func newStory(seed uint64) story { return story{rand.New(rand.NewPCG(seed, 3))} }

var plainWords = strings.Fields(`the a this service page request cluster deployment writes reads waits for until
	every message is acknowledged before storage answers and then restarts quickly with another token from its
	ledger because operators observed timeouts during maintenance windows last week`)

func (s story) words(least, most int) string {
	out := make([]string, least+s.IntN(most-least+1))
	for i := range out {
		out[i] = plainWords[s.IntN(len(plainWords))]
	}
	return strings.Join(out, " ")
}

func (s story) paragraph() string {
	var out []string
	for range 2 + s.IntN(5) {
		out = append(out, "It "+s.words(6, 18)+".")
	}
	return strings.Join(out, " ")
}

func (s story) paragraphs(n int) string {
	out := make([]string, n)
	for i := range out {
		out[i] = s.paragraph()
	}
	return strings.Join(out, "\n\n")
}

// long returns the parts of a document without headings that makes about 40 chunks.
func (s story) long(kind string) (head string, parts []string, sep, tail string) {
	switch kind {
	case "paragraphs":
		for range 160 {
			parts = append(parts, s.paragraph())
		}
		return "", parts, "\n\n", ""
	case "table":
		for i := range 560 {
			parts = append(parts, fmt.Sprintf("| %s-%d | %s |", s.words(1, 1), i, s.words(6, 14)))
		}
		return "| Name | What it does |\n| --- | --- |\n", parts, "\n", ""
	case "code":
		for range 1700 {
			parts = append(parts, strings.Repeat("\t", s.IntN(2))+strings.ReplaceAll(s.words(2, 6), " ", "."))
		}
		return "```go\n", parts, "\n", "\n```"
	default: // a list
		for range 600 {
			parts = append(parts, "- It "+s.words(6, 20)+".")
		}
		return "", parts, "\n", ""
	}
}

// changed counts the chunks of b that are not in a.
func changed(a, b []chunk.Chunk) int {
	have := map[string]int{}
	for _, c := range a {
		have[c.Hash]++
	}
	n := 0
	for _, c := range b {
		if have[c.Hash] == 0 {
			n++
		} else {
			have[c.Hash]--
		}
	}
	return n
}

// TestEditsStayLocal edits long sections, where boundary changes could cascade to the end, and
// counts the changed chunks.
func TestEditsStayLocal(t *testing.T) {
	edits := map[string]func(s story, parts []string) []string{
		"one word": func(s story, parts []string) []string {
			i := s.IntN(len(parts))
			w := strings.Split(parts[i], " ")
			w[s.IntN(len(w)-1)+1] = "changed"
			parts[i] = strings.Join(w, " ")
			return parts
		},
		"insert": func(s story, parts []string) []string {
			i := s.IntN(len(parts))
			return slices.Insert(parts, i, strings.Replace(parts[(i+7)%len(parts)], " ", " new ", 1))
		},
		"delete": func(s story, parts []string) []string {
			i := s.IntN(len(parts))
			return slices.Delete(parts, i, i+1)
		},
	}
	for _, kind := range []string{"paragraphs", "table", "code", "list"} {
		for name, edit := range edits {
			if kind == "code" && name == "one word" {
				continue // its lines are one word
			}
			t.Run(kind+"/"+name, func(t *testing.T) {
				sum, worst, runs, size := 0, 0, 100/share, 0
				for seed := range uint64(runs) {
					s := newStory(seed)
					head, parts, sep, tail := s.long(kind)
					cut := func() []chunk.Chunk {
						return chunk.Split(chunk.Document{Markdown: head + strings.Join(parts, sep) + tail}, chunk.Options{})
					}
					before := cut()
					parts = edit(s, parts)
					n := changed(before, cut())
					sum, worst, size = sum+n, max(worst, n), size+len(before)
				}
				mean := float64(sum) / float64(runs)
				t.Logf("%.2f of %d chunks anew, %d at most", mean, size/runs, worst)
				require.Greater(t, sum, 0)
				require.Greater(t, size/runs, 30)
				require.Less(t, mean, 3.0)
				require.Less(t, worst, 15)
			})
		}
	}
}

// TestSectionsAreIndependent: changes in one section of a page leave the chunks of the other
// sections unchanged.
func TestSectionsAreIndependent(t *testing.T) {
	s := newStory(5)
	sections := make([]string, 20)
	for i := range sections {
		sections[i] = fmt.Sprintf("## Section %d\n\n%s\n\n%s\n\n%s", i, s.paragraph(), s.paragraph(), s.paragraph())
	}
	cut := func() []chunk.Chunk {
		return chunk.Split(chunk.Document{Title: "T", URL: "u", Markdown: strings.Join(sections, "\n\n")}, chunk.Options{})
	}
	before := cut()
	for i, old := range sections {
		neighbour := i + 1
		if neighbour == len(sections) {
			neighbour = i - 1
		}
		for _, with := range []string{s.paragraph() + " " + s.paragraph() + " " + s.paragraph(), strings.Repeat(s.paragraph()+"\n\n", 20), "One word."} {
			sections[i] = fmt.Sprintf("## Section %d\n\n%s", i, with)
			other := func(c chunk.Chunk) bool {
				// The rest of the section may be merged with the next section, and the last with
				// the previous one.
				return c.SectionTitle == fmt.Sprintf("Section %d", i) || with == "One word." &&
					c.SectionTitle == fmt.Sprintf("Section %d", neighbour)
			}
			after := cut()
			for _, c := range before {
				if !other(c) {
					require.True(t, slices.ContainsFunc(after, func(d chunk.Chunk) bool {
						return d.Hash == c.Hash && d.Content == c.Content
					}), "chunk %d of %q has changed with section %d", c.Number, c.SectionTitle, i)
				}
			}
			sections[i] = old
		}
	}
}

// TestOneWordInAPageOf40Chunks is the most frequent edit.
func TestOneWordInAPageOf40Chunks(t *testing.T) {
	s := newStory(9)
	var md string
	for i := range 40 {
		md += fmt.Sprintf("## Section %d\n\n%s\n\n%s\n\n%s\n\n", i, s.paragraph(), s.paragraph(), s.paragraph())
	}
	before := chunk.Split(chunk.Document{Markdown: md}, chunk.Options{})
	require.Len(t, before, 40)
	for n := strings.Count(md, " service "); n > 0; n-- {
		after := chunk.Split(chunk.Document{Markdown: replaceNth(md, " service ", " program ", n)}, chunk.Options{})
		require.Len(t, after, 40)
		require.Equal(t, 1, changed(before, after))
	}
}

func replaceNth(s, old, with string, n int) string {
	at := 0
	for ; n > 1; n-- {
		at += strings.Index(s[at:], old) + len(old)
	}
	return s[:at] + strings.Replace(s[at:], old, with, 1)
}
