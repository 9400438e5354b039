package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
)

func parseURL(s string) (*url.URL, error) { return url.Parse(s) }

func (a *app) source() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "source",
		Short: "Add, change, list and remove the spaces that are synced",
		Args:  args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.sourceAdd(), a.sourceSet(), a.sourceList(), a.sourceLosses(), a.sourceRemove())
	return cmd
}

func (a *app) sourceAdd() *cobra.Command {
	var space, baseURL, name, strategy string
	var tags []string
	var blogPosts bool
	cmd := &cobra.Command{
		Use:     "add SOURCE --space KEY",
		Short:   "Register a Confluence space as a source",
		Example: "  sluice source add docs --space DOCS\n  sluice source add hr --space HR --name 'People handbook' --tag policy",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			if !event.ValidID(argv[0]) {
				return usageError{fmt.Errorf("%q is not a source id: 1 to 64 letters, digits, '-' or '_', beginning with a letter or digit", argv[0])}
			}
			if space == "" {
				return usageError{errors.New("which space? give its key with --space, for example --space DOCS")}
			}
			if baseURL == "" {
				cfg, err := a.settings()
				if err != nil {
					return err
				}
				if baseURL = cfg.BaseURL; baseURL == "" {
					return sourceWithoutSite()
				}
			}
			site, err := siteURL(baseURL)
			if err == nil {
				err = checkStrategy(strategy)
			}
			if err != nil {
				return usageError{err}
			}
			return a.withStore(cmd.Context(), func(s *store.Store) error {
				err := s.AddSource(cmd.Context(), store.Source{
					ID: argv[0], BaseURL: site, SpaceKey: space, DisplayName: name, Tags: tags, DeletionStrategy: store.DeletionStrategy(strategy),
					BlogPosts: blogPosts,
				})
				if errors.Is(err, store.ErrSourceExists) {
					return fmt.Errorf("source %s is there already and is something else; choose another id, or: sluice source remove %s", argv[0], argv[0])
				}
				if err != nil {
					return err
				}
				if err := sameStrategy(cmd.Context(), s, argv[0], strategy); err != nil {
					return err
				}
				if cmd.Flags().Changed("blog-posts") {
					if err := sameBlogPosts(cmd.Context(), s, argv[0], blogPosts); err != nil {
						return err
					}
				}
				a.printf("Source %s is space %s of %s. Sync it: sluice sync %s --wait\n", argv[0], space, site, argv[0])
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&space, "space", "", "`key` of the space")
	cmd.Flags().StringVar(&baseURL, "base-url", "", "`address` of the site (default $CONFLUENCE_BASE_URL)")
	cmd.Flags().StringVar(&name, "name", "", "`name` shown to people (default the space's key)")
	cmd.Flags().StringSliceVar(&tags, "tag", nil, "`tag` on the source and its chunks; may be repeated")
	cmd.Flags().StringVar(&strategy, "deletion-strategy", string(store.WeeklyReconciliation), strategyHelp)
	cmd.Flags().BoolVar(&blogPosts, "blog-posts", false, "sync the space's blog posts too")
	return cmd
}

// siteURL gives the address of the site as sources keep it: with /wiki, without a slash.
func siteURL(s string) (string, error) {
	u, err := parseURL(strings.TrimRight(s, "/"))
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "https" && u.Scheme != "http") {
		return "", fmt.Errorf("%q is not the address of a site; it looks like https://acme.atlassian.net/wiki", s)
	}
	if !strings.HasSuffix(u.Path, "/wiki") {
		u.Path += "/wiki"
	}
	return u.String(), nil
}

func (a *app) sourceList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the sources with what is stored of them",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withStore(cmd.Context(), func(s *store.Store) error { return a.listSources(cmd.Context(), s) })
		},
	}
}

func (a *app) listSources(ctx context.Context, s *store.Store) error {
	list, err := s.Sources(ctx)
	if err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(orEmpty(list))
	}
	if len(list) == 0 {
		a.printf("No source yet. Add one: sluice source add docs --space DOCS\n")
		return nil
	}
	rows := [][]string{{"SOURCE", "SPACE", "PAGES", "CHUNKS", "LAST SYNC", "REMOVALS", "CHECKED", "SITE"}}
	for _, src := range list {
		rows = append(rows, []string{
			src.ID, src.SpaceKey, fmt.Sprint(src.Pages), fmt.Sprint(src.Chunks), orNever(src.LastSync),
			string(src.DeletionStrategy), orNever(src.LastCheck), src.BaseURL,
		})
	}
	a.table(rows)
	return nil
}

func orNever(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return ago(t)
}

func (a *app) sourceLosses() *cobra.Command {
	return &cobra.Command{
		Use:   "losses SOURCE",
		Short: "Add up what became of macros and elements on a source's pages",
		Long: `Add up, over a source's pages, which macros and elements were rendered, which are kept
as a placeholder and which were dropped, and why. sluice page ID --losses shows one page.`,
		Example: "  sluice source losses docs\n  sluice source losses docs -o json | jq '.[] | select(.fate != \"rendered\")'",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			return a.withStore(cmd.Context(), func(s *store.Store) error {
				if _, err := s.Source(cmd.Context(), argv[0]); err != nil {
					return a.noSource(cmd.Context(), s, argv[0], err)
				}
				list, err := s.Losses(cmd.Context(), argv[0])
				if err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(orEmpty(list))
				}
				rows := [][]string{{"ELEMENT", "BECAME", "PAGES", "COUNT", "WHY"}}
				for _, l := range list {
					rows = append(rows, []string{l.Element, string(l.Fate), fmt.Sprint(l.Pages), fmt.Sprint(l.Count), l.Reason})
				}
				a.table(rows)
				return nil
			})
		},
	}
}

func (a *app) sourceRemove() *cobra.Command {
	return &cobra.Command{
		Use:   "remove SOURCE",
		Short: "Delete a source with its pages, chunks and runs",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			return a.withStore(cmd.Context(), func(s *store.Store) error {
				if err := s.RemoveSource(cmd.Context(), argv[0]); err != nil {
					return a.noSource(cmd.Context(), s, argv[0], err)
				}
				a.printf("Source %s is removed with all that was stored of it.\n", argv[0])
				return nil
			})
		},
	}
}

// noSource turns a missing source into an error that names those that are there.
func (a *app) noSource(ctx context.Context, s *store.Store, id string, err error) error {
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	list, listErr := s.Sources(ctx)
	if listErr != nil || len(list) == 0 {
		return fmt.Errorf("there is no source %q; add it: sluice source add %s --space KEY", id, id)
	}
	var ids []string
	for _, src := range list {
		ids = append(ids, src.ID)
	}
	return fmt.Errorf("there is no source %q; there are: %s", id, strings.Join(ids, ", "))
}
