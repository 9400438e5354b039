package cli

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/services/converter/markdown"
	"github.com/sluicehq/sluice/shared/page"
)

func (a *app) convert() *cobra.Command {
	facts := page.Facts{ID: "0", Version: 1, BaseURL: "https://example.atlassian.net/wiki"}
	cmd := &cobra.Command{
		Use:   "convert [FILE|-]",
		Short: "Convert storage format to Markdown, without any server",
		Long: `Convert one page body in Confluence's storage format to the Markdown that a sync would
store. With --output json also its metadata, headings and what conversion lost.`,
		Example: "  sluice convert page.xml\n  curl -s .../body.storage | sluice convert -",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, argv []string) error {
			var body []byte
			var err error
			if len(argv) == 0 || argv[0] == "-" {
				body, err = io.ReadAll(a.in)
			} else {
				body, err = os.ReadFile(argv[0])
			}
			if err != nil {
				return fmt.Errorf("read the body: %w", err)
			}
			result, err := markdown.Convert(string(body), facts)
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(map[string]any{
					"markdown": result.Markdown, "metadata": result.Metadata, "headings": orEmpty(result.Headings),
					"losses": orEmpty(result.Losses), "includes": orEmpty(result.Includes),
				})
			}
			a.verbatim(result.Markdown)
			return nil
		},
	}
	cmd.Flags().StringVar(&facts.ID, "page-id", facts.ID, "the page's `id`, for links to its attachments")
	cmd.Flags().StringVar(&facts.Title, "title", "", "the page's `title`")
	cmd.Flags().StringVar(&facts.SpaceKey, "space", "SPACE", "`key` of the page's space, for links")
	cmd.Flags().StringVar(&facts.BaseURL, "base-url", facts.BaseURL, "`address` of the site, for links")
	return cmd
}
