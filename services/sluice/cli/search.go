package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/terminal"
	"github.com/sluicehq/sluice/shared/viewer"
)

func (a *app) search() *cobra.Command {
	var f search.Filter
	var since string
	var explain bool
	var reads func() (viewer.Viewer, error)
	cmd := &cobra.Command{
		Use:   "search QUERY",
		Short: "Search the chunks",
		Long: "Search the chunks by words, and by meaning if a model is set (EMBEDDINGS_URL or EMBEDDINGS_PATH).\n" +
			"Any of the words may match, and rare words count more. Text in\n" +
			"\"quotes\" must occur as it is, a -word must not occur, and typos are tolerated. Each hit has the\n" +
			"URL of its heading. Hits must pass all filters; all but --source and --kind document find only\n" +
			"Confluence pages.",
		Example: `  sluice search rotate the signing keys
  sluice search '"on-call handover" -pager' --source docs
  sluice search getUserById --space ENG --under 7000000012
  sluice search timeout --jira PAY-1234 --since 30d
  sluice search budget --label finance --mentions 712020:8d0f --since 2026-01-31 -o json`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, words []string) error {
			var err error
			if f.ModifiedSince, err = sinceTime(since, time.Now()); err != nil {
				return usageError{err}
			}
			if f.Limit < 1 || f.Limit > search.MaxHits {
				return usageError{fmt.Errorf("--limit must be a number from 1 to %d, not %d", search.MaxHits, f.Limit)}
			}
			if f.PerPage < 1 {
				return usageError{fmt.Errorf("--per-page must be a number from 1, not %d", f.PerPage)}
			}
			if _, err := strconv.ParseUint(f.Under, 10, 64); f.Under != "" && err != nil {
				return usageError{fmt.Errorf("--under must be a page's id, for example 7000000012, not %q", f.Under)}
			}
			if f.Kind != "" && f.Kind != search.Document && !page.IsContent(f.Kind) {
				return usageError{fmt.Errorf("--kind must be page, blogpost, comment, attachment or document, not %q", f.Kind)}
			}
			if types := slices.Concat(page.FileTypes, page.OtherFileTypes); f.FileType != "" && !slices.Contains(types, strings.ToLower(f.FileType)) {
				return usageError{fmt.Errorf("--file-type must be one of %s, not %q", strings.Join(types, ", "), f.FileType)}
			}
			if f.Resolution != "" && f.Resolution != page.Open && f.Resolution != page.Resolved {
				return usageError{fmt.Errorf("--resolution must be open or resolved, not %q", f.Resolution)}
			}
			query := strings.Join(words, " ")
			return a.withControl(cmd.Context(), func(s *session) error {
				reader, err := reads()
				if err != nil {
					return err
				}
				answer, err := s.Explain(cmd.Context(), reader, query, f)
				if err != nil {
					return err
				}
				var from []string
				for _, h := range answer.Hits {
					from = append(from, h.SourceID)
				}
				if err := a.whoSees(cmd.Context(), s, reader, from...); err != nil {
					return err
				}
				if answer.WordsOnly != "" && !a.json() {
					a.printf("By words alone: %s.\n\n", answer.WordsOnly)
				}
				if answer.NotReranked != "" && !a.json() {
					a.printf("Not reranked: %s.\n\n", answer.NotReranked)
				}
				if explain {
					return a.showAnswer(query, answer)
				}
				return a.showHits(query, answer.Hits)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.SourceID, "source", "", "only chunks of this `source`")
	flags.StringVar(&f.SpaceKey, "space", "", "only pages of the space with this `key`")
	flags.StringVar(&f.Under, "under", "", "only the `page` with this id and those below it, or those below the folder with this id")
	flags.StringVar(&f.Label, "label", "", "only pages with this `label`")
	flags.StringVar(&f.JiraIssue, "jira", "", "only pages that show or link to this `issue`")
	flags.StringVar(&f.Mentions, "mentions", "", "only pages that mention the `account` with this id")
	flags.StringVar(&f.Kind, "kind", "", "only content of this `kind`: page, blogpost, comment, attachment or document")
	flags.StringVar(&f.FileType, "file-type", "", "only attachments, or with --kind document documents, of this `type`: pdf, docx, xlsx, pptx, csv, text, …")
	flags.StringVar(&f.Resolution, "resolution", "", "only inline comments in this `state`: open or resolved")
	flags.StringVar(&since, "since", "", "only pages changed since this `time`: 2026-01-31, or 7d or 24h ago")
	reads = readsAs(cmd)
	flags.IntVar(&f.PerPage, "per-page", 3, "maximum `number` of hits per page")
	flags.BoolVar(&explain, "explain", false, "show which words were searched, and the rank of each hit in each leg")
	flags.IntVar(&f.Limit, "limit", 5, "maximum `number` of hits")
	return cmd
}

// sinceTime parses a date, a time or an age such as 7d. "" gives the zero time.
func sinceTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return at, nil
		}
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.AddDate(0, 0, -int(n)), nil
		}
	}
	if ago, err := time.ParseDuration(text); err == nil && ago > 0 {
		return now.Add(-ago), nil
	}
	return time.Time{}, fmt.Errorf("--since must be a date such as 2026-01-31 or an age such as 7d or 24h, not %q", text)
}

func (a *app) showHits(query string, hits []search.Hit) error {
	if a.json() {
		return a.printJSON(orEmpty(hits))
	}
	if len(hits) == 0 {
		a.printf("Nothing found for %q.\n", query)
		return nil
	}
	for i, h := range hits {
		a.showHit(i+1, h)
	}
	return nil
}

// showAnswer shows the hits and how they were found.
func (a *app) showAnswer(query string, answer search.Answer) error {
	if a.json() {
		return a.printJSON(answer)
	}
	rows := [][]string{{"WORD", "FOR", "CHUNKS", "WEIGHT", "SEARCHED"}}
	for _, t := range answer.Terms {
		how := "in the index"
		if !t.Read {
			how = "in hits of other words"
		}
		rows = append(rows, []string{t.Word, t.For, fmt.Sprint(t.Chunks), fmt.Sprintf("%.2f", t.Worth), how})
	}
	a.table(rows)
	if answer.Softened {
		a.printf("No chunk contains the quoted text as it is, so its words were searched.\n")
	}
	a.printf("\n")
	if err := a.showHits(query, answer.Hits); err != nil {
		return err
	}
	rows = [][]string{{"HIT", "LEG", "RANK", "SCORE"}}
	for i, of := range answer.Legs {
		for _, p := range of {
			rows = append(rows, []string{fmt.Sprint(i + 1), p.Leg, fmt.Sprint(p.Rank), fmt.Sprintf("%.3f", p.Score)})
		}
	}
	a.table(rows)
	return nil
}

func (a *app) showHit(place int, h search.Hit) {
	where := h.Title
	switch {
	case h.Kind == page.Attachment || h.Kind == search.Document:
		for _, heading := range h.HeadingPath { // the first one may be the page, the slide or the range
			if heading != h.Title {
				where += " › " + heading
			}
		}
	case h.SectionTitle != "" && h.SectionTitle != h.Title:
		where += " › " + h.SectionTitle
	}
	where = terminal.Line(where)
	of := h.SourceID
	if h.PageID != "" {
		of += ", " + h.Kind + " " + h.PageID
	}
	a.printf("%d. %s  [%s]\n", place, a.strong(where), of)
	if len(h.Breadcrumb) > 0 {
		a.printf("   in %s\n", terminal.Line(strings.Join(h.Breadcrumb, " › ")))
	}
	a.printf("   %s\n%s\n\n", h.URL, indent(a.marked(snippet(h.Snippet)), "   "))
}

// snippet returns a hit's text for display: its lines in one.
func snippet(text string) string {
	return strings.Join(strings.Split(strings.TrimSpace(text), "\n"), " · ")
}

// strong returns text in bold on a terminal.
func (a *app) strong(text string) string {
	if terminal.Is(a.plain) {
		return "\x1b[1m" + text + "\x1b[0m"
	}
	return text
}

// marked shows matched words in bold on a terminal, else between the marks.
func (a *app) marked(text string) string {
	if terminal.Is(a.plain) {
		return strings.NewReplacer(search.MarkStart, "\x1b[1m", search.MarkEnd, "\x1b[0m").Replace(text)
	}
	return text
}

func (a *app) page() *cobra.Command {
	var chunks, losses bool
	var source string
	var reads func() (viewer.Viewer, error)
	cmd := &cobra.Command{
		Use:     "page ID",
		Short:   "Show a stored page: its Markdown, its chunks or what conversion lost",
		Example: "  sluice page 7000000012\n  sluice page 7000000012 --chunks",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			return a.withControl(cmd.Context(), func(s *session) error {
				reader, err := reads()
				if err != nil {
					return err
				}
				return a.showPage(cmd.Context(), s, reader, source, argv[0], chunks, losses)
			})
		},
	}
	cmd.Flags().BoolVar(&chunks, "chunks", false, "show the page's chunks with their citations")
	cmd.Flags().BoolVar(&losses, "losses", false, "show how macros and elements were converted")
	cmd.Flags().StringVar(&source, "source", "", "the page's `source`; needed if several sites have a page with this id")
	reads = readsAs(cmd)
	cmd.MarkFlagsMutuallyExclusive("chunks", "losses")
	return cmd
}

func (a *app) showPage(ctx context.Context, s *session, reader viewer.Viewer, source, id string, chunks, losses bool) error {
	read := s.Page
	if reader.Operator() {
		read = s.KeptPage
	}
	p, err := read(ctx, reader, source, id)
	if err != nil {
		return err
	}
	if err := a.whoSees(ctx, s, reader, p.SourceID); err != nil {
		return err
	}
	switch {
	case chunks:
		list, err := s.Chunks(ctx, reader, p, store.Whole())
		if err != nil {
			return err
		}
		return a.showChunks(p, list, len(list))
	case losses:
		if a.json() {
			return a.printJSON(orEmpty(p.Losses))
		}
		rows := [][]string{{"ELEMENT", "RESULT", "COUNT", "WHY"}}
		for _, l := range p.Losses {
			rows = append(rows, []string{l.Element, string(l.Fate), fmt.Sprint(l.Count), l.Reason})
		}
		a.table(rows)
		return nil
	case a.json():
		return a.printJSON(p)
	default:
		a.verbatim(p.Markdown)
		return nil
	}
}

// showChunks shows a page's first chunks, at most that many, and says how many the page has.
func (a *app) showChunks(p store.Page, list []store.StoredChunk, most int) error {
	if a.json() {
		return a.printJSON(orEmpty(list))
	}
	gone := ""
	if p.Deleted {
		gone = ", removed"
	}
	a.printf("%s (page %s, version %d%s): %s\n", a.strong(terminal.Line(p.Title)), p.ID, p.Version, gone, plural(len(list), "chunk", "chunks"))
	for _, c := range list[:min(most, len(list))] {
		under := strings.Join(c.Metadata.HeadingPath, " › ")
		if under == "" {
			under = c.Metadata.SectionTitle
		}
		a.printf("\n[%d] %s\n    %s\n%s\n", c.Number, terminal.Line(under), c.Metadata.CitationURL, indent(c.Content, "    | "))
	}
	return nil
}
