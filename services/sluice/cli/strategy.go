package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/shared/store"
)

const strategyHelp = "when removals are looked for: weekly_reconciliation (by the first sync after 7 days), every_sync, or on_demand (by sync --mode full alone)"

// checkStrategy complains about a strategy that there is not.
func checkStrategy(name string) error {
	if slices.Contains(store.DeletionStrategies, store.DeletionStrategy(name)) {
		return nil
	}
	return fmt.Errorf("--deletion-strategy is weekly_reconciliation, every_sync or on_demand, not %q", name)
}

// sameStrategy complains when a source that was there already has another strategy than the
// one that it was to be added with.
func sameStrategy(ctx context.Context, s *store.Store, id, strategy string) error {
	src, err := s.Source(ctx, id)
	if err == nil && src.DeletionStrategy != store.DeletionStrategy(strategy) {
		err = fmt.Errorf("source %s is there already, with the deletion strategy %s; to change it: sluice source set %s --deletion-strategy %s",
			id, src.DeletionStrategy, id, strategy)
	}
	return err
}

// sameBlogPosts is sameStrategy for whether the source has blog posts.
func sameBlogPosts(ctx context.Context, s *store.Store, id string, want bool) error {
	src, err := s.Source(ctx, id)
	if err == nil && src.BlogPosts != want {
		err = fmt.Errorf("source %s is there already, with another setting; to change it: sluice source set %s --blog-posts=%t", id, id, want)
	}
	return err
}

func (a *app) sourceSet() *cobra.Command {
	var change store.SourceChange
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
			if !changed("deletion-strategy") && !changed("name") && !changed("tag") && !changed("blog-posts") && !changed("token-file") {
				return usageError{errors.New("what is to change? give --deletion-strategy, --name, --tag, --blog-posts or --token-file")}
			}
			cfg, err := a.settings()
			if err != nil {
				return err
			}
			if err := a.tokenOf(cmd, &t); err != nil {
				return err
			}
			if changed("name") && change.DisplayName == "" {
				return usageError{errors.New("--name is empty")}
			}
			if changed("deletion-strategy") {
				if err := checkStrategy(strategy); err != nil {
					return usageError{err}
				}
				change.DeletionStrategy = store.DeletionStrategy(strategy)
			}
			if changed("tag") {
				change.Tags = orEmpty(slices.DeleteFunc(change.Tags, func(t string) bool { return t == "" }))
			}
			if changed("blog-posts") {
				change.BlogPosts = &blogPosts
			}
			return a.withStore(cmd.Context(), func(s *store.Store) error {
				err := s.UpdateSource(cmd.Context(), argv[0], change)
				if err != nil {
					return a.noSource(cmd.Context(), s, argv[0], err)
				}
				src, err := s.Source(cmd.Context(), argv[0])
				if err != nil {
					return err
				}
				if !t.token.IsZero() {
					stored, err := a.setSecret(cmd.Context(), s, cfg, src.ID, src.BaseURL, t)
					if err != nil {
						return err
					}
					if !a.json() {
						a.printf("%s\n", tokenLine(stored))
					}
				}
				if a.json() {
					return a.printJSON(src)
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
