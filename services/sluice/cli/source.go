package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
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
	var src store.Source
	var strategy string
	var t tokenFlags
	cmd := &cobra.Command{
		Use:   "add SOURCE --space KEY",
		Short: "Register a Confluence space as a source",
		Long: `Register a Confluence space as a source. It is read with the token of --token-file, which is
stored encrypted, else with one of sluice secret, else with CONFLUENCE_API_TOKEN.`,
		Example: "  sluice source add docs --space DOCS\n  sluice source add hr --space HR --name 'People handbook' --tag policy\n" +
			"  sluice source add legal --space LAW --base-url https://acme-legal.atlassian.net --email reader@acme.com --token-file /run/secrets/legal",
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			if src.ID = argv[0]; !event.ValidID(src.ID) {
				return usageError{fmt.Errorf("%q is not a source id: 1 to 64 letters, digits, '-' or '_', beginning with a letter or digit", src.ID)}
			}
			if src.SpaceKey == "" {
				return usageError{errors.New("which space? give its key with --space, for example --space DOCS")}
			}
			cfg, err := a.settings()
			if err != nil {
				return err
			}
			if src.BaseURL == "" {
				if src.BaseURL = cfg.BaseURL; src.BaseURL == "" {
					return sourceWithoutSite()
				}
			}
			if src.BaseURL, err = siteURL(src.BaseURL, cfg.Confluence); err != nil {
				return usageError{err}
			}
			if err := confluence.CheckSpaceKey(src.SpaceKey); err != nil {
				return usageError{err}
			}
			if err := checkStrategy(strategy); err != nil {
				return usageError{err}
			}
			src.DeletionStrategy = store.DeletionStrategy(strategy)
			if err := a.tokenOf(cmd, &t); err != nil {
				return err
			}
			return a.withStore(cmd.Context(), func(s *store.Store) error {
				return a.addSource(cmd.Context(), s, cfg, src, t)
			})
		},
	}
	cmd.Flags().StringVar(&src.SpaceKey, "space", "", "`key` of the space")
	cmd.Flags().StringVar(&src.BaseURL, "base-url", "", "`address` of the site (default $CONFLUENCE_BASE_URL)")
	cmd.Flags().StringVar(&src.DisplayName, "name", "", "`name` shown to people (default the space's key)")
	cmd.Flags().StringSliceVar(&src.Tags, "tag", nil, "`tag` on the source and its chunks; may be repeated")
	cmd.Flags().StringVar(&strategy, "deletion-strategy", string(store.WeeklyReconciliation), strategyHelp)
	cmd.Flags().BoolVar(&src.BlogPosts, "blog-posts", false, "sync the space's blog posts too")
	t.sourceFlags(cmd)
	return cmd
}

// sourceFlags are those of a command that is about a source before it is about its token.
func (t *tokenFlags) sourceFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.file, "token-file", "", "`file` with an API token of the source's own, which is stored encrypted")
	t.flags(cmd)
}

// tokenOf reads the token that a command about a source was given, if it was given one.
func (a *app) tokenOf(cmd *cobra.Command, t *tokenFlags) (err error) {
	t.changed = cmd.Flags().Changed
	switch {
	case t.changed("token-file"):
		if t.file == "" {
			return usageError{errors.New("--token-file is empty")}
		}
		if t.token, err = a.readToken(t.file); err != nil {
			return usageError{err}
		}
	case t.changed("email") || t.changed("scoped"):
		return usageError{errors.New("--email and --scoped are about the token of --token-file")}
	}
	return nil
}

func (a *app) addSource(ctx context.Context, s *store.Store, cfg config.Sluice, src store.Source, t tokenFlags) error {
	err := s.AddSource(ctx, src)
	if errors.Is(err, store.ErrSourceExists) {
		return fmt.Errorf("source %s is there already and is something else; choose another id, or: sluice source remove %s", src.ID, src.ID)
	}
	if err != nil {
		return err
	}
	if err := sameStrategy(ctx, s, src.ID, string(src.DeletionStrategy)); err != nil {
		return err
	}
	if t.changed("blog-posts") {
		if err := sameBlogPosts(ctx, s, src.ID, src.BlogPosts); err != nil {
			return err
		}
	}
	if !t.token.IsZero() {
		stored, err := a.setSecret(ctx, s, cfg, src.ID, src.BaseURL, t)
		if err != nil {
			return fmt.Errorf("source %s is registered, but its token is not stored: %w", src.ID, err)
		}
		a.printf("%s\n", tokenLine(stored))
	}
	a.printf("Source %s is space %s of %s. Sync it: sluice sync %s --wait\n", src.ID, src.SpaceKey, src.BaseURL, src.ID)
	return a.hintToken(ctx, s, cfg, src)
}

// hintToken tells of a source that nothing is stored to read it with.
func (a *app) hintToken(ctx context.Context, s *store.Store, cfg config.Sluice, src store.Source) error {
	if site, err := siteURL(cfg.BaseURL, cfg.Confluence); err == nil && site == src.BaseURL {
		return nil
	}
	list, err := s.Secrets(ctx)
	if err != nil {
		return err
	}
	for _, info := range list {
		if slices.Contains(store.SecretNames(src.BaseURL, src.ID), info.Name) {
			return nil
		}
	}
	a.notice(fmt.Sprintf("It has no API token yet, and CONFLUENCE_BASE_URL is not its site: sluice secret set %s < token.txt", src.ID))
	return nil
}

// siteURL gives the address of the site as sources keep it: with /wiki, without a slash.
func siteURL(s string, c config.Confluence) (string, error) {
	site, err := confluence.CheckSite(s, c.Hosts(), c.AllowHTTP)
	if err != nil { // which does not repeat the address: a password may stand in it
		return "", fmt.Errorf("the address of the site %w; it looks like https://acme.atlassian.net/wiki", err)
	}
	return site, nil
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
	list, err := s.Reader().Sources(ctx, viewer.All())
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
				list, err := s.Reader().Losses(cmd.Context(), viewer.All(), argv[0])
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
	list, listErr := s.Reader().Sources(ctx, viewer.All())
	if listErr != nil || len(list) == 0 {
		return fmt.Errorf("there is no source %q; add it: sluice source add %s --space KEY", id, id)
	}
	var ids []string
	for _, src := range list {
		ids = append(ids, src.ID)
	}
	return fmt.Errorf("there is no source %q; there are: %s", id, strings.Join(ids, ", "))
}
