package retrieval

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/sluicehq/sluice/services/chunk-writer/chunk"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/viewer"
)

// Report is how well one way of searching answered a set.
type Report struct {
	Way    string
	All    Figures
	Styles map[string]Figures
	missed []outcome // questions without a right page among the first ten hits
}

// Measure builds a knowledge base from a set in an empty, migrated database and searches for its questions in each
// way.
func Measure(ctx context.Context, s *store.Store, set Set, o chunk.Options) ([]Report, error) {
	b, err := build(ctx, s, set.Pages, o)
	if err != nil {
		return nil, err
	}
	searcher := s.Searcher()
	var reports []Report
	for _, w := range []struct {
		name string
		*search.Searcher
	}{
		{"words", searcher},
		{"without titles", searcher.Without(search.Titles)},
		{"without typos", searcher.Without(search.Typos)},
		{"without exact", searcher.Without(search.Exact)},
	} {
		r, err := b.ask(ctx, w.name, w.Searcher, set)
		if err != nil {
			return nil, err
		}
		reports = append(reports, r)
	}
	return reports, nil
}

// ask searches for the questions of a set.
func (b *base) ask(ctx context.Context, way string, searcher *search.Searcher, set Set) (Report, error) {
	judge := newJudge(set)
	var all []outcome
	for _, q := range set.Questions {
		began := time.Now()
		found, err := searcher.Search(ctx, viewer.All(), q.Text, search.Filter{})
		if err != nil {
			return Report{}, fmt.Errorf("question %s: %w", q.ID, err)
		}
		took := time.Since(began)
		hits := make([]hit, len(found))
		for i, h := range found {
			hits[i] = hit{page: h.PageID, text: b.texts[h.ChunkID]}
		}
		o := judge.outcome(q, hits)
		o.took = took
		all = append(all, o)
	}
	r := Report{Way: way, All: figures(all), Styles: map[string]Figures{}}
	byStyle := map[string][]outcome{}
	for _, o := range all {
		byStyle[o.question.Style] = append(byStyle[o.question.Style], o)
		if o.page == 0 {
			r.missed = append(r.missed, o)
		}
	}
	for style, of := range byStyle {
		r.Styles[style] = figures(of)
	}
	return r, nil
}

// Write writes the reports as Markdown tables, and up to missed of the questions for which the first report has no
// right page.
func Write(w io.Writer, reports []Report, missed int) error {
	styles := []string{""}
	for _, r := range reports {
		for style := range r.Styles {
			if !slices.Contains(styles, style) {
				styles = append(styles, style)
			}
		}
	}
	slices.Sort(styles)
	p := printer{w: w}
	for _, style := range styles {
		of := func(r Report) Figures {
			if style == "" {
				return r.All
			}
			return r.Styles[style]
		}
		f := of(reports[0])
		p.printf("\n**%s** (%d questions, %d with a section)\n\n", cmp.Or(style, "all"), f.Questions, f.WithSection)
		p.printf("| way | page @1 | @5 | @10 | MRR | section @1 | @5 | @10 | MRR | nothing | p50 ms | p95 ms |\n")
		p.printf("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
		for _, r := range reports {
			f := of(r)
			p.printf("| %s | %.1f | %.1f | %.1f | %.3f | %.1f | %.1f | %.1f | %.3f | %.1f | %.1f | %.1f |\n", r.Way,
				100*f.Page.At1, 100*f.Page.At5, 100*f.Page.At10, f.Page.MRR,
				100*f.Section.At1, 100*f.Section.At5, 100*f.Section.At10, f.Section.MRR, 100*f.Nothing,
				float64(f.P50.Microseconds())/1000, float64(f.P95.Microseconds())/1000)
		}
	}
	for i, o := range reports[0].missed {
		if i == missed {
			break
		}
		p.printf("%s%s: %s\n", map[bool]string{true: "\nno right page among the first ten:\n\n"}[i == 0], o.question.ID, o.question.Text)
	}
	return p.err
}

// printer writes to w and keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}
