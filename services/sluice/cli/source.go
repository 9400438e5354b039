package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/source/systems"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/vault"
	"github.com/sluicehq/sluice/shared/viewer"
)

func parseURL(s string) (*url.URL, error) { return url.Parse(s) }

func (a *app) source() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "source",
		Short: "Add, change, list and remove sources: the spaces and folders to sync",
	}
	cmd.AddCommand(a.sourceAdd(), a.sourceSet(), a.sourceList(), a.sourceLosses(), a.sourceResume(), a.sourceRemove())
	return cmd
}

func (a *app) sourceAdd() *cobra.Command {
	var n control.NewSource
	var strategy, folder, permissions string
	var t tokenFlags
	var sched scheduleFlags
	cmd := &cobra.Command{
		Use:   "add SOURCE --space KEY | --folder DIR",
		Short: "Register a Confluence space, or a folder of Markdown files, as a source",
		Long: `Register a Confluence space as a source. It is read with the token from --token-file, which is
stored encrypted, else with one from sluice secret, else with CONFLUENCE_API_TOKEN. The site is asked
first whether it has the space and accepts the token; --no-check does without.

--permissions says who sees its pages: enforce (the default for a space), whoever sees them in
Confluence; unrestricted-only, as enforce, and pages with a view restriction are not even stored; open
(the default for a folder, and all it can be), every key of the source.

With --folder the source is a folder of Markdown files, for example a git checkout. The services
must have it under the same path. Page addresses are those of the checkout's host if it is known,
else file:// addresses; --base-url sets others.`,
		Example: "  sluice source add docs --space DOCS\n  sluice source add handbook --folder ~/handbook/docs\n  sluice source add hr --space HR --name 'People handbook' --tag policy\n" +
			"  sluice source add legal --space LAW --base-url https://acme-legal.atlassian.net --email reader@acme.com --token-file /run/secrets/legal",
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			if err := notEmpty(cmd, "permissions", "comments"); err != nil {
				return err
			}
			var err error
			if n.Schedule, err = sched.change(cmd); err != nil {
				return err
			}
			n.ID, n.DeletionStrategy = argv[0], store.DeletionStrategy(strategy)
			n.Permissions, n.OpenMeant = store.Permissions(permissions), true // whoever has the database is an administrator
			if folder != "" {
				return a.addFolder(cmd, n, folder)
			}
			if n.SpaceKey == "" {
				return usageError{errors.New("which space? give its key with --space, for example --space DOCS")}
			}
			if err := cmp.Or(n.Check(), control.CheckStrategy(n.DeletionStrategy)); err != nil {
				return reword(err)
			}
			cfg, err := a.settings()
			if err != nil {
				return err
			}
			if n.BaseURL == "" {
				if n.BaseURL = cfg.BaseURL; n.BaseURL == "" {
					return errNoSite()
				}
			}
			if n.BaseURL, err = siteURL(n.BaseURL, cfg.Confluence); err != nil {
				return usageError{err}
			}
			n.Insist = []string{"deletion_strategy"}
			if cmd.Flags().Changed("blog-posts") {
				n.Insist = append(n.Insist, "blog_posts")
			}
			if n.Permissions != "" {
				n.Insist = append(n.Insist, "permissions")
			}
			if n.Comments != "" {
				n.Insist = append(n.Insist, "comments")
			}
			if n.Attachments != "" {
				n.Insist = append(n.Insist, "attachments")
			}
			if n.Token, err = a.tokenOf(cmd, &t, cfg); err != nil {
				return err
			}
			return a.withControl(cmd.Context(), func(s *session) error {
				if err := s.asks(cmd.Context()); err != nil {
					return err
				}
				added, err := s.AddSource(cmd.Context(), operator, n)
				if err != nil {
					return refused(err, fmt.Sprintf("the space %s cannot be read at %s", n.SpaceKey, n.BaseURL), n.SpaceKey, n.Token)
				}
				a.showLooked("space "+n.SpaceKey, added.Looked)
				a.noticeUnread(cmd.Context(), s, added.Source)
				err = a.showAdded(cmd.Context(), s, added)
				if err == nil && added.Created && n.Attachments == "" && !a.json() {
					a.printf("The files of its pages are left out. To read them too: sluice source set %s --attachments on\n", added.Source.ID)
				}
				return err
			})
		},
	}
	cmd.Flags().StringVar(&n.SpaceKey, "space", "", "`key` of the space")
	cmd.Flags().StringVar(&folder, "folder", "", "`folder` of Markdown files, instead of a space")
	cmd.Flags().StringVar(&n.BaseURL, "base-url", "", "`address` of the site (default $CONFLUENCE_BASE_URL), or the beginning of a folder's page addresses")
	cmd.Flags().StringVar(&n.DisplayName, "name", "", "`name` shown to people (default: the space's key)")
	cmd.Flags().StringSliceVar(&n.Tags, "tag", nil, "`tag` for the source and its chunks; may be repeated")
	cmd.Flags().StringVar(&strategy, "deletion-strategy", string(store.WeeklyReconciliation), strategyHelp)
	cmd.Flags().BoolVar(&n.BlogPosts, "blog-posts", false, "sync the space's blog posts too")
	cmd.Flags().StringVar((*string)(&n.Comments), "comments", "", commentsHelp)
	cmd.Flags().StringVar((*string)(&n.Attachments), "attachments", "", attachmentsHelp)
	cmd.Flags().StringVar(&permissions, "permissions", "", permissionsHelp)
	sched.flags(cmd)
	checkable(cmd, &n.Unchecked)
	t.sourceFlags(cmd)
	return cmd
}

const commentsHelp = "which `comments` of the pages to sync too: all, as a new source does, open, which leaves out resolved threads, or off"

const attachmentsHelp = "whether to sync the `files` of the pages too: on or off"

// notEmpty returns a usage error if one of the flags was given with an empty value, as by a script whose variable is not
// set.
func notEmpty(cmd *cobra.Command, flags ...string) error {
	choices := map[string]string{"comments": ": give all, open or off", "attachments": ": give on or off", "permissions": ": give enforce, unrestricted-only or open"}
	for _, name := range flags {
		if f := cmd.Flags().Lookup(name); f.Changed && f.Value.String() == "" {
			return usageError{fmt.Errorf("--%s is empty%s", name, choices[name])}
		}
	}
	return nil
}

// addFolder registers a folder.
func (a *app) addFolder(cmd *cobra.Command, n control.NewSource, dir string) error {
	for _, flag := range []string{"space", "blog-posts", "comments", "token-file", "email", "scoped", checkFlag} {
		if cmd.Flags().Changed(flag) {
			return usageError{fmt.Errorf("--%s is for a space and cannot be used with --folder", flag)}
		}
	}
	src, err := systems.Locate("folder", dir)
	if err != nil {
		return usageError{err}
	}
	src.ID, src.Tags, src.Permissions = n.ID, n.Tags, n.Permissions
	src.DisplayName = cmp.Or(n.DisplayName, src.DisplayName)
	if n.BaseURL != "" {
		if src.BaseURL, err = folderURL(n.BaseURL); err != nil {
			return usageError{err}
		}
	}
	if cmd.Flags().Changed("deletion-strategy") {
		src.DeletionStrategy = n.DeletionStrategy
	}
	n = control.NewSource{Source: src, Schedule: n.Schedule, OpenMeant: true, Insist: []string{"deletion_strategy"}}
	if err := n.Check(); err != nil {
		return reword(err)
	}
	return a.withControl(cmd.Context(), func(s *session) error {
		added, err := s.AddSource(cmd.Context(), operator, n)
		if err != nil {
			return err
		}
		return a.showAdded(cmd.Context(), s, added)
	})
}

// folderURL checks the beginning of a folder's page addresses.
func folderURL(s string) (string, error) {
	u, err := parseURL(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "file" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("--base-url of a folder must be an address with https://, http:// or file://, without user, query or fragment")
	}
	return strings.TrimSuffix(u.String(), "/"), nil
}

// sourceFlags adds the token flags of a command about a source.
func (t *tokenFlags) sourceFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.file, "token-file", "", "`file` with an API token for this source; it is stored encrypted")
	t.flags(cmd)
}

// tokenOf reads the token that was given to a command about a source; without one it returns nil.
func (a *app) tokenOf(cmd *cobra.Command, t *tokenFlags, cfg config.Sluice) (*credential.GivenToken, error) {
	changed := cmd.Flags().Changed
	switch {
	case changed("token-file") && t.file == "":
		return nil, usageError{errors.New("--token-file is empty")}
	case changed("token-file"):
		return a.givenToken(cmd, t, cfg)
	case changed("email") || changed("scoped") || changed("expires"):
		return nil, usageError{errors.New("--email, --scoped and --expires need a token: give --token-file")}
	}
	return nil, nil
}

func (a *app) showAdded(ctx context.Context, s *session, added control.Added) error {
	src := added.Source
	if a.json() {
		a.toldPermissions(src)
		return cmp.Or(a.printJSON(src), a.noticeToken(ctx, s, src, false))
	}
	if added.Token != nil {
		a.printf("%s\n", tokenLine(*added.Token))
	}
	a.printf("Source %s is %s. Sync it: sluice sync %s --wait\n", src.ID, src, src.ID)
	if src.Schedule != nil {
		a.printf("%s\n", scheduleLine(src))
	}
	a.toldPermissions(src)
	return a.noticeToken(ctx, s, src, false)
}

// noticeToken warns if no stored token can read the source. moved means that the source's address has changed since
// its own token, if any, was stored.
func (a *app) noticeToken(ctx context.Context, s *session, src store.Source, moved bool) error {
	if src.System != store.Confluence {
		return nil
	}
	list, err := s.store.Vault().Secrets(ctx)
	if err != nil {
		return err
	}
	if moved && slices.ContainsFunc(list, func(info vault.Secret) bool { return info.Name == src.ID }) {
		a.notice(fmt.Sprintf("Its API token was stored for the old address and is not sent to the new one. Store it again: sluice secret set %s < token.txt", src.ID))
		return nil
	}
	if site, err := siteURL(s.cfg.BaseURL, s.cfg.Confluence); err == nil && site == src.BaseURL {
		return nil
	}
	names := vault.SecretNames(src.BaseURL, src.ID)
	if !slices.ContainsFunc(list, func(info vault.Secret) bool { return slices.Contains(names, info.Name) }) {
		a.notice(fmt.Sprintf("It has no API token yet, and CONFLUENCE_BASE_URL is another site. Store one: sluice secret set %s < token.txt", src.ID))
	}
	return nil
}

// siteURL returns the site's address in the form that sources store: with /wiki and without a trailing slash.
func siteURL(s string, c config.Confluence) (string, error) {
	site, err := confluence.CheckSite(s, c.Hosts(), c.AllowHTTP)
	if err != nil { // the error omits the address, which may contain a password
		return "", fmt.Errorf("the address of the site %w; the form is https://acme.atlassian.net/wiki", err)
	}
	return site, nil
}

func (a *app) sourceList() *cobra.Command {
	var reads func() (viewer.Viewer, error)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the sources and their stored pages and chunks",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withControl(cmd.Context(), func(s *session) error {
				reader, err := reads()
				if err != nil {
					return err
				}
				return a.listSources(cmd.Context(), s, reader)
			})
		},
	}
	reads = readsAs(cmd)
	return cmd
}

func (a *app) listSources(ctx context.Context, s *session, reader viewer.Viewer) error {
	list, err := s.Sources(ctx, reader, store.Whole())
	if err != nil {
		return err
	}
	if reader.Operator() && slices.ContainsFunc(list, func(src store.Source) bool { return src.Permissions != store.OpenToAll }) {
		a.notice(seesAll)
	}
	if a.json() {
		return a.printJSON(list)
	}
	if len(list) == 0 {
		a.printf("No source yet. Add one: sluice source add docs --space DOCS\n")
		return nil
	}
	a.table(sourceRows(list))
	a.showSchedules(list)
	a.showPermissions(list)
	a.showPauses(list)
	if !reader.Operator() {
		return nil
	}
	secrets, err := s.store.Vault().Secrets(ctx)
	a.noticeExpiring(credential.Expiring(secrets, s.cfg.Confluence, time.Now()))
	return err
}

// sourceRows returns the table of sources, which fits into 80 columns.
func sourceRows(list []store.Source) [][]string {
	rows := [][]string{{"SOURCE", "PAGES", "CHUNKS", "SPACE OR FOLDER", "LAST SYNC", "REMOVALS"}}
	for _, src := range list {
		where := src.Location
		if src.SpaceKey != "" {
			where = src.SpaceKey + " at " + strings.TrimSuffix(strings.TrimPrefix(src.BaseURL, "https://"), "/wiki")
		}
		rows = append(rows, []string{
			src.ID, fmt.Sprint(src.Pages), fmt.Sprint(src.Chunks), where, orNever(src.LastSync),
			removalsCell(src),
		})
	}
	return rows
}

// removalsCell says when removals were last looked for, and how often they are.
func removalsCell(src store.Source) string {
	often := map[store.DeletionStrategy]string{store.WeeklyReconciliation: "weekly", store.EverySync: "every sync", store.OnDemand: "on demand"}
	return cmp.Or(often[src.DeletionStrategy], string(src.DeletionStrategy)) + ", " + orNever(src.LastCheck)
}

func orNever(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return ago(t)
}

func (a *app) sourceLosses() *cobra.Command {
	var reads func() (viewer.Viewer, error)
	cmd := &cobra.Command{
		Use:   "losses SOURCE",
		Short: "Summarize how macros and elements on a source's pages were converted",
		Long: `Count, over a source's pages, which macros and elements were rendered, kept as a
placeholder or dropped, and why. sluice page ID --losses shows one page.`,
		Example: "  sluice source losses docs\n  sluice source losses docs -o json | jq '.[] | select(.fate != \"rendered\")'",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			return a.withControl(cmd.Context(), func(s *session) error {
				reader, err := reads()
				if err != nil {
					return err
				}
				list, err := s.Losses(cmd.Context(), reader, argv[0], store.Whole())
				if err != nil {
					return err
				}
				if err := a.whoSees(cmd.Context(), s, reader, argv[0]); err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(list)
				}
				if len(list) == 0 {
					a.printf("Nothing is on record: %s has no pages yet, or none with a macro or a special element.\n", argv[0])
					return nil
				}
				rows := [][]string{{"ELEMENT", "RESULT", "PAGES", "COUNT", "WHY"}}
				for _, l := range list {
					rows = append(rows, []string{l.Element, string(l.Fate), fmt.Sprint(l.Pages), fmt.Sprint(l.Count), l.Reason})
				}
				a.table(rows)
				return nil
			})
		},
	}
	reads = readsAs(cmd)
	return cmd
}

func (a *app) sourceRemove() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove SOURCE",
		Short: "Delete a source with its pages, chunks and runs",
		Long: `Delete a source with everything that is stored for it: pages, chunks, runs and its token. On a
terminal it asks first; --yes does without.`,
		Example: "  sluice source remove docs\n  sluice source remove docs --yes",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			return a.withControl(cmd.Context(), func(s *session) error {
				src, err := s.Source(cmd.Context(), operator, argv[0])
				if err != nil {
					return err
				}
				if !yes && !a.confirmed(fmt.Sprintf("Delete source %s with %s and %s?", src.ID, plural(src.Pages, "page", "pages"), plural(src.Chunks, "chunk", "chunks"))) {
					return errors.New("nothing is removed")
				}
				if err := s.RemoveSource(cmd.Context(), operator, src.ID); err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(map[string]string{"removed": src.ID})
				}
				a.printf("Source %s and everything stored for it is removed.\n", src.ID)
				return nil
			})
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

// confirmed asks a question that only y or yes affirms. It asks nobody if standard input is not a terminal.
func (a *app) confirmed(question string) bool {
	if f, ok := a.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return a.asks(question)
	}
	return true
}

// asks reads the answer to a question.
func (a *app) asks(question string) bool {
	fmt.Fprintf(a.err, "%s [y/N] ", question)
	answer, _ := bufio.NewReader(a.in).ReadString('\n') // without an answer it is no
	return slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(answer)))
}
