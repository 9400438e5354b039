package retrieval

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// hit is a chunk that a search found.
type hit struct{ page, text string }

// outcome is how a question was answered: the rank, from 1, of the first hit with the right page, and of the first
// hit with the right section; 0 for none.
type outcome struct {
	question      Question
	page, section int
	hits          int
	took          time.Duration
}

// judge compares hits with the expected answers. A hit matches a section if it contains half of the section's
// three-word sequences, or if half of its own sequences are in the section.
type judge struct {
	pages    map[string]Page
	sections map[SectionRef]map[string]bool
}

func newJudge(s Set) *judge {
	j := &judge{pages: map[string]Page{}, sections: map[SectionRef]map[string]bool{}}
	for _, p := range s.Pages {
		j.pages[p.ID] = p
	}
	return j
}

func (j *judge) outcome(q Question, hits []hit) outcome {
	o := outcome{question: q, hits: len(hits)}
	for i, h := range hits {
		if !slices.Contains(q.Pages, h.page) {
			continue
		}
		if o.page == 0 {
			o.page = i + 1
		}
		if o.section == 0 && j.covers(q, h) {
			o.section = i + 1
		}
	}
	return o
}

func (j *judge) covers(q Question, h hit) bool {
	mine := shingles(h.text)
	for _, ref := range q.Sections {
		if ref.Page != h.page {
			continue
		}
		want, ok := j.sections[ref]
		if !ok {
			s := j.pages[ref.Page].Sections[ref.Place]
			if want = shingles(s.Text); len(want) == 0 {
				want = shingles(s.Heading)
			}
			j.sections[ref] = want
		}
		shared := 0
		for s := range mine {
			if want[s] {
				shared++
			}
		}
		if shared > 0 && 2*shared >= min(len(mine), len(want)) {
			return true
		}
	}
	return false
}

var (
	notText = regexp.MustCompile(`\]\([^)\s]*\)|https?://\S+|<[^>\s]*>`)
	aWord   = regexp.MustCompile(`[\p{L}\p{N}]+`)
)

// shingles returns the sequences of three words in a text, without URLs and tags.
func shingles(text string) map[string]bool {
	words := aWord.FindAllString(strings.ToLower(notText.ReplaceAllString(text, " ")), -1)
	set := map[string]bool{}
	for i := range words {
		if i == 0 || i+3 <= len(words) {
			set[strings.Join(words[i:min(i+3, len(words))], " ")] = true
		}
	}
	return set
}

// Figures are shares of questions from 0 to 1, mean reciprocal ranks, and search times.
type Figures struct {
	Questions, WithSection int
	Page, Section          struct{ At1, At5, At10, MRR float64 }
	Nothing                float64 // the share of questions without any hit
	P50, P95               time.Duration
}

func figures(of []outcome) Figures {
	f := Figures{Questions: len(of)}
	var times []time.Duration
	for _, o := range of {
		times = append(times, o.took)
		if o.hits == 0 {
			f.Nothing++
		}
		count(&f.Page.At1, &f.Page.At5, &f.Page.At10, &f.Page.MRR, o.page)
		if len(o.question.Sections) > 0 {
			f.WithSection++
			count(&f.Section.At1, &f.Section.At5, &f.Section.At10, &f.Section.MRR, o.section)
		}
	}
	for _, v := range []*float64{&f.Page.At1, &f.Page.At5, &f.Page.At10, &f.Page.MRR, &f.Nothing} {
		*v /= float64(max(1, f.Questions))
	}
	for _, v := range []*float64{&f.Section.At1, &f.Section.At5, &f.Section.At10, &f.Section.MRR} {
		*v /= float64(max(1, f.WithSection))
	}
	slices.Sort(times)
	if len(times) > 0 {
		f.P50, f.P95 = times[len(times)/2], times[len(times)*95/100]
	}
	return f
}

func count(at1, at5, at10, mrr *float64, place int) {
	if place == 0 {
		return
	}
	*mrr += 1 / float64(place)
	for most, at := range map[int]*float64{1: at1, 5: at5, 10: at10} {
		if place <= most {
			*at++
		}
	}
}
