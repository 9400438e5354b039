package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/store"
)

const strategyHelp = "when removals are looked for: weekly_reconciliation (by the first sync after 7 days), every_sync, or on_demand (by sync --mode full alone)"

func (a *app) sourceSet() *cobra.Command {
	var change control.SourceChange
	var strategy string
	var blogPosts bool
	var t tokenFlags
	cmd := &cobra.Command{
		Use:   "set SOURCE",
		Short: "Change settings of a source",
		Long: `Change settings of a source. What is not named stays as it is. Tags replace all that were
there, --tag "" takes them away; chunks get them when their page is next written.

With --blog-posts the next sync is a full one, to find them all; with --blog-posts=false the
next full one takes out those that are there.`,
		Example: "  sluice source set docs --deletion-strategy every_sync\n  sluice source set hr --name 'People handbook' --tag policy --tag people",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			changed := cmd.Flags().Changed
			cfg, err := a.settings()
			if err != nil {
				return err
			}
			if !changed("deletion-strategy") && !changed("name") && !changed("tag") && !changed("blog-posts") && !changed("token-file") {
				return usageError{errors.New("what is to change? give --deletion-strategy, --name, --tag, --blog-posts or --token-file")}
			}
			if changed("name") && change.DisplayName == "" {
				return usageError{errors.New("--name is empty")}
			}
			if changed("tag") {
				change.Tags = orEmpty(change.Tags)
			}
			if changed("blog-posts") {
				change.BlogPosts = &blogPosts
			}
			if change.DeletionStrategy = store.DeletionStrategy(strategy); changed("deletion-strategy") {
				if err := control.CheckStrategy(change.DeletionStrategy); err != nil {
					return inWords(err)
				}
			}
			if change.Token, err = a.tokenOf(cmd, &t, cfg); err != nil {
				return err
			}
			return a.withControl(cmd.Context(), func(s *session) error {
				changed, err := s.ChangeSource(cmd.Context(), operator, argv[0], change)
				if err != nil {
					return err
				}
				src := changed.Source
				if a.json() {
					return a.printJSON(src)
				}
				if changed.Token != nil {
					a.printf("%s\n", tokenLine(*changed.Token))
				}
				posts := ""
				if src.BlogPosts {
					posts = ", with blog posts"
				}
				a.printf("Source %s is %q, tags %v, deletion strategy %s%s.\n", src.ID, src.DisplayName, src.Tags, src.DeletionStrategy, posts)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&strategy, "deletion-strategy", "", strategyHelp)
	cmd.Flags().StringVar(&change.DisplayName, "name", "", "`name` shown to people")
	cmd.Flags().StringSliceVar(&change.Tags, "tag", nil, "`tag` on the source and its chunks; may be repeated")
	cmd.Flags().BoolVar(&blogPosts, "blog-posts", false, "sync the space's blog posts too")
	t.sourceFlags(cmd)
	return cmd
}
