package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/shared/store"
)

func (a *app) search() *cobra.Command {
	var f store.Filter
	cmd := &cobra.Command{
		Use:     "search QUERY",
		Short:   "Search the chunks",
		Long:    "Search the chunks by words, \"phrases\" and -exclusions. Each hit has the address of its heading.",
		Example: "  sluice search rotate the signing keys\n  sluice search '\"on-call handover\" -pager' --source docs",
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, words []string) error {
			return a.withStore(cmd.Context(), func(s *store.Store) error {
				return a.showHits(cmd.Context(), s, strings.Join(words, " "), f)
			})
		},
	}
	cmd.Flags().StringVar(&f.SourceID, "source", "", "only chunks of this `source`")
	cmd.Flags().IntVar(&f.Limit, "limit", 5, "the `number` of hits at most")
	return cmd
}

func (a *app) showHits(ctx context.Context, s *store.Store, query string, f store.Filter) error {
	if f.SourceID != "" {
		if _, err := s.Source(ctx, f.SourceID); err != nil {
			return a.noSource(ctx, s, f.SourceID, err)
		}
	}
	hits, err := s.Search(ctx, query, f)
	if err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(orEmpty(hits))
	}
	if len(hits) == 0 {
		a.printf("Nothing found for %q.\n", query)
		return nil
	}
	for i, h := range hits {
		where := h.Title
		if h.SectionTitle != "" && h.SectionTitle != h.Title {
			where += " › " + h.SectionTitle
		}
		a.printf("%d. %s  [%s, page %s]\n   %s\n%s\n\n", i+1, a.strong(where), h.SourceID, h.PageID, h.URL, indent(a.marked(snippet(h.Snippet)), "   "))
	}
	return nil
}

// snippet is a hit's text on few lines: line breaks matter in a page, not in a list of hits.
func snippet(text string) string { return strings.Join(strings.Fields(text), " ") }

// strong shows text in bold to a person.
func (a *app) strong(text string) string {
	if terminal(a.out) {
		return "\x1b[1m" + text + "\x1b[0m"
	}
	return text
}

// marked shows the words that matched in bold to a person, else between the marks.
func (a *app) marked(text string) string {
	if terminal(a.out) {
		return strings.NewReplacer(store.MarkStart, "\x1b[1m", store.MarkEnd, "\x1b[0m").Replace(text)
	}
	return text
}

func (a *app) page() *cobra.Command {
	var chunks, losses bool
	cmd := &cobra.Command{
		Use:     "page ID",
		Short:   "Show a stored page: its Markdown, its chunks or what conversion lost",
		Example: "  sluice page 7000000012\n  sluice page 7000000012 --chunks",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			return a.withStore(cmd.Context(), func(s *store.Store) error {
				return a.showPage(cmd.Context(), s, argv[0], chunks, losses)
			})
		},
	}
	cmd.Flags().BoolVar(&chunks, "chunks", false, "show the page's chunks with their citations")
	cmd.Flags().BoolVar(&losses, "losses", false, "show what became of macros and elements")
	cmd.MarkFlagsMutuallyExclusive("chunks", "losses")
	return cmd
}

func (a *app) showPage(ctx context.Context, s *store.Store, id string, chunks, losses bool) error {
	p, err := s.Page(ctx, id)
	if err != nil {
		if isNotFound(err) {
			return fmt.Errorf("page %q is not stored; find pages with: sluice search WORDS", id)
		}
		return err
	}
	switch {
	case chunks:
		list, err := s.Chunks(ctx, p.SourceID, p.ID)
		if err != nil {
			return err
		}
		return a.showChunks(p, list)
	case losses:
		if a.json() {
			return a.printJSON(orEmpty(p.Losses))
		}
		rows := [][]string{{"ELEMENT", "BECAME", "COUNT", "WHY"}}
		for _, l := range p.Losses {
			rows = append(rows, []string{l.Element, string(l.Fate), fmt.Sprint(l.Count), l.Reason})
		}
		a.table(rows)
		return nil
	case a.json():
		return a.printJSON(p)
	default:
		a.printf("%s", p.Markdown)
		return nil
	}
}

func (a *app) showChunks(p store.Page, list []store.StoredChunk) error {
	if a.json() {
		return a.printJSON(orEmpty(list))
	}
	gone := ""
	if p.Deleted {
		gone = ", removed"
	}
	a.printf("%s (page %s, version %d%s): %s\n", a.strong(p.Title), p.ID, p.Version, gone, plural(len(list), "chunk", "chunks"))
	for _, c := range list {
		under := strings.Join(c.Metadata.HeadingPath, " › ")
		if under == "" {
			under = c.Metadata.SectionTitle
		}
		a.printf("\n[%d] %s\n    %s\n%s\n", c.Number, under, c.Metadata.CitationURL, indent(c.Content, "    | "))
	}
	return nil
}
