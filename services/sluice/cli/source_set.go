package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/store"
)

const strategyHelp = "when syncs look for removals: weekly_reconciliation (the first sync after 7 days), every_sync, or on_demand (only sync --mode full)"

func (a *app) sourceSet() *cobra.Command {
	var change control.SourceChange
	var strategy string
	var blogPosts bool
	var t tokenFlags
	cmd := &cobra.Command{
		Use:   "set SOURCE",
		Short: "Change a source's settings",
		Long: `Change a source's settings. Settings that are not given stay as they are. --tag replaces all
tags, --tag "" deletes them; chunks get new tags when their page is next written.

With --blog-posts the next sync is a full one, to find them all; with --blog-posts=false the
next full sync removes them.

Use --base-url when the address of the source's site has changed, for example to a custom domain. The
next sync checks that it is the same site and gives stored pages, links and citations the new address.
Nothing is fetched again, and embeddings stay.`,
		Example: "  sluice source set docs --deletion-strategy every_sync\n  sluice source set hr --name 'People handbook' --tag policy --tag people\n  sluice source set docs --base-url https://acme2.atlassian.net",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			changed := cmd.Flags().Changed
			cfg, err := a.settings()
			if err != nil {
				return err
			}
			if !changed("deletion-strategy") && !changed("name") && !changed("tag") && !changed("blog-posts") && !changed("token-file") && !changed("base-url") {
				return usageError{errors.New("nothing to change: give --deletion-strategy, --name, --tag, --blog-posts, --base-url or --token-file")}
			}
			if changed("name") && change.DisplayName == "" {
				return usageError{errors.New("--name is empty")}
			}
			if changed("base-url") && change.BaseURL == "" {
				return usageError{errors.New("--base-url is empty")}
			}
			if changed("tag") {
				change.Tags = orEmpty(change.Tags)
			}
			if changed("blog-posts") {
				change.BlogPosts = &blogPosts
			}
			if change.DeletionStrategy = store.DeletionStrategy(strategy); changed("deletion-strategy") {
				if err := control.CheckStrategy(change.DeletionStrategy); err != nil {
					return reword(err)
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
				if change.BaseURL != "" {
					a.printf("Its site is at %s. The next sync gives its pages the new address: sluice sync %s --wait\n", src.BaseURL, src.ID)
					return a.noticeToken(cmd.Context(), s, src, changed.Token == nil)
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&strategy, "deletion-strategy", "", strategyHelp)
	cmd.Flags().StringVar(&change.DisplayName, "name", "", "`name` shown to people")
	cmd.Flags().StringSliceVar(&change.Tags, "tag", nil, "`tag` for the source and its chunks; may be repeated")
	cmd.Flags().StringVar(&change.BaseURL, "base-url", "", "new `address` of the source's site, or the beginning of a folder's page addresses")
	cmd.Flags().BoolVar(&blogPosts, "blog-posts", false, "sync the space's blog posts too")
	t.sourceFlags(cmd)
	return cmd
}
