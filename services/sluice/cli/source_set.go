package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/store"
)

const strategyHelp = "when syncs look for removals: weekly_reconciliation (the first sync after 7 days), every_sync, or on_demand (only sync --mode full)"

func (a *app) sourceSet() *cobra.Command {
	var change control.SourceChange
	var strategy, permissions string
	var blogPosts bool
	var t tokenFlags
	var sched scheduleFlags
	cmd := &cobra.Command{
		Use:   "set SOURCE",
		Short: "Change a source's settings",
		Long: `Change a source's settings. Settings that are not given stay as they are. --tag replaces all
tags, --tag "" deletes them; chunks get new tags when their page is next written.

With --blog-posts the next sync is a full one, to find them all; with --blog-posts=false the
next full sync removes them.

With --permissions enforce Confluence's permissions decide who sees a page; pages are hidden until they
have been read, which begins within seconds. unrestricted-only is the same, and pages with a view restriction
are not even stored. With open every key of the source sees every page.

With --every or --cron the source is synced by itself: its site is asked what changed, and a run is
requested if something did. Quiet hours put that off. --no-schedule ends it.

Use --base-url when the address of the source's site has changed, for example to a custom domain. The
next sync checks that it is the same site and gives stored pages, links and citations the new address.
Nothing is fetched again, and embeddings stay.`,
		Example: "  sluice source set docs --deletion-strategy every_sync\n  sluice source set hr --name 'People handbook' --tag policy --tag people\n  sluice source set docs --permissions enforce\n  sluice source set docs --every 1m --quiet-hours 22:00-06:00 --time-zone Europe/Berlin\n  sluice source set docs --base-url https://acme2.atlassian.net",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			changed := cmd.Flags().Changed
			cfg, err := a.settings()
			if err != nil {
				return err
			}
			if change.Schedule, err = sched.change(cmd); err != nil {
				return err
			}
			if change.Schedule.Empty() && !changed("deletion-strategy") && !changed("name") && !changed("tag") && !changed("blog-posts") && !changed("token-file") && !changed("base-url") && !changed("permissions") && !changed("comments") && !changed("attachments") {
				return usageError{errors.New("nothing to change: give --deletion-strategy, --name, --tag, --blog-posts, --comments, --attachments, --permissions, --base-url, --token-file or a schedule: " + scheduleFlagNames)}
			}
			if err := notEmpty(cmd, "name", "permissions", "comments", "attachments", "base-url"); err != nil {
				return err
			}
			change.Permissions, change.OpenMeant = store.Permissions(permissions), true // whoever has the database is an administrator
			if permissions != "" && !change.Permissions.Valid() {
				return usageError{fmt.Errorf("--permissions must be enforce, unrestricted-only or open, not %q", permissions)}
			}
			if changed("comments") && !change.Comments.Valid() {
				return usageError{fmt.Errorf("--comments must be all, open or off, not %q", change.Comments)}
			}
			if changed("attachments") && !change.Attachments.Valid() {
				return usageError{fmt.Errorf("--attachments must be on or off, not %q", change.Attachments)}
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
				if err := s.asks(cmd.Context()); err != nil {
					return err
				}
				changed, err := s.ChangeSource(cmd.Context(), operator, argv[0], change)
				if err != nil {
					return refused(err, "source "+argv[0]+" cannot be read", "", change.Token)
				}
				src := changed.Source
				a.showLooked("source "+src.ID, changed.Looked)
				if change.Attachments != "" {
					a.noticeUnread(cmd.Context(), s, src)
				}
				if a.json() {
					if permissions != "" {
						a.toldPermissions(src)
					}
					return a.printJSON(changedJSON(changed))
				}
				if changed.Token != nil {
					a.printf("%s\n", tokenLine(*changed.Token))
				}
				posts := ""
				if src.BlogPosts {
					posts = ", with blog posts"
				}
				if src.Comments != store.NoComments {
					posts += fmt.Sprintf(", comments %s", src.Comments)
				}
				if src.Attachments == store.AttachmentsOn {
					posts += ", with attachments"
				}
				tags := "no tags"
				if len(src.Tags) > 0 {
					tags = "tags " + strings.Join(src.Tags, ", ")
				}
				a.printf("Source %s is %q, %s, deletion strategy %s%s, permissions %s.\n", src.ID, src.DisplayName, tags, src.DeletionStrategy, posts, src.Permissions)
				if !change.Schedule.Empty() {
					a.printf("%s\n", scheduleLine(src))
				}
				if permissions != "" {
					a.toldPermissions(src)
					a.toldRun(changed.Asked)
				}
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
	cmd.Flags().StringVar((*string)(&change.Comments), "comments", "", commentsHelp)
	cmd.Flags().StringVar((*string)(&change.Attachments), "attachments", "", attachmentsHelp)
	cmd.Flags().StringVar(&permissions, "permissions", "", permissionsHelp)
	cmd.Flags().BoolVar(&blogPosts, "blog-posts", false, "sync the space's blog posts too")
	sched.flags(cmd)
	checkable(cmd, &change.Unchecked)
	t.sourceFlags(cmd)
	return cmd
}
