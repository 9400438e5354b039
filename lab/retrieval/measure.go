package retrieval

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/services/chunk-writer/chunk"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/embedding"
	"github.com/sluicehq/sluice/shared/embedding/asking"
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

// Options say what Measure measures.
type Options struct {
	Chunks chunk.Options
	// Embeddings name the model. Without one, the search goes by words alone.
	Embeddings config.Embeddings
	// Vectors is the folder in which the vectors of passages are kept for the next time.
	Vectors string
	// Ways are the ways of searching to measure, by their names in the reports; none for all.
	Ways []string
	// Bare has the text of a chunk embedded alone, without the page's title and the headings above it.
	Bare bool
	// Weights are further shares of meaning in the ranking, from 0 to 1.
	Weights []float64
	// Notice is told how far the work is; nil for silence.
	Notice func(string)
}

// way is a way of searching.
type way struct {
	name string
	*search.Searcher
}

// Measure builds a knowledge base from a set in an empty, migrated database and searches for its questions in each
// way, words alone first.
func Measure(ctx context.Context, s *store.Store, set Set, o Options) (reports []Report, err error) {
	b, err := build(ctx, s, set.Pages, o.Chunks)
	if err != nil {
		return nil, err
	}
	searcher := s.Searcher()
	ways := ablation(way{"words", searcher.Without(search.Meaning)})
	if o.Embeddings.Configured() {
		m, failed := o.embed(ctx, s)
		if failed != nil {
			return nil, failed
		}
		defer func() { err = errors.Join(err, m.Close()) }() // kept open, so that no question waits for it to load
		ways = append(ways, way{"vectors", searcher.Without(search.Wording)})
		ways = append(ways, ablation(way{"both", searcher})...)
		for _, weight := range o.Weights {
			ways = append(ways, way{fmt.Sprintf("both, vectors at %v", weight), searcher.Weighing(weight)})
		}
	}
	for _, w := range ways {
		if len(o.Ways) > 0 && !slices.Contains(o.Ways, w.name) {
			continue
		}
		r, err := b.measure(ctx, w, set, o.Embeddings)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.name, err)
		}
		reports = append(reports, r)
	}
	return reports, nil
}

// ablation is a way of searching, and the same without each part.
func ablation(w way) []way {
	ways := []way{w}
	for _, part := range []string{search.Titles, search.Typos, search.Exact} {
		ways = append(ways, way{w.name + ", without " + part, w.Without(part)})
	}
	return ways
}

// embed gives the chunks their vectors, and returns the model.
func (o Options) embed(ctx context.Context, s *store.Store) (embedding.Model, error) {
	opened, err := embedding.Open(o.Embeddings)
	if err != nil {
		return nil, err
	}
	m, err := remember(ctx, opened, o.Vectors)
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	notice := o.Notice
	if notice == nil {
		notice = func(string) {}
	}
	if err := embed(ctx, s, m, o.Bare, notice); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// measure asks the questions in one way. An asker remembers questions, so each way has its own: making their
// vectors is part of the time.
func (b *base) measure(ctx context.Context, w way, set Set, c config.Embeddings) (r Report, err error) {
	if a := asking.New(c, zerolog.Nop()); a != nil {
		defer func() { err = errors.Join(err, a.Close()) }()
		w.Ask(a)
	}
	return b.ask(ctx, w.name, w.Searcher, set)
}

// ask searches for the questions of a set.
func (b *base) ask(ctx context.Context, way string, searcher *search.Searcher, set Set) (Report, error) {
	judge := newJudge(set)
	var all []outcome
	for _, q := range set.Questions {
		began := time.Now()
		answer, err := searcher.Explain(ctx, viewer.All(), q.Text, search.Filter{})
		if err == nil && answer.WordsOnly != "" {
			err = errors.New(answer.WordsOnly)
		}
		if err != nil {
			return Report{}, fmt.Errorf("question %s: %w", q.ID, err)
		}
		took := time.Since(began)
		hits := make([]hit, len(answer.Hits))
		for i, h := range answer.Hits {
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
