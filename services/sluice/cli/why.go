package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/shared/access"
	"github.com/sluicehq/sluice/shared/source"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/terminal"
	"github.com/sluicehq/sluice/shared/viewer"
)

const asHelp = "show what the `account` with this id sees (default: everything, as whoever has the database may)"

// readsAs gives a command that shows something of pages the flag --as. The function that it returns says for whom the
// command reads.
func readsAs(cmd *cobra.Command) func() (viewer.Viewer, error) {
	account := cmd.Flags().String("as", "", asHelp)
	return func() (viewer.Viewer, error) {
		switch {
		case !cmd.Flags().Changed("as"):
			return operator, nil
		case !access.ValidAccount(*account): // an empty one is the mistake of a script, and must not show everything
			return viewer.Viewer{}, usageError{fmt.Errorf("--as: %w", access.ErrAccount)}
		}
		return operator.As(*account), nil
	}
}

// seesAll is what the operator is told.
const seesAll = "You see every page, whatever Confluence restricts; --as ACCOUNT shows what somebody sees."

// whoSees says that the operator sees what others may not, if what was read is of a source that enforces permissions.
func (a *app) whoSees(ctx context.Context, s *session, reader viewer.Viewer, sources ...string) error {
	if !reader.Operator() {
		return nil
	}
	slices.Sort(sources)
	for _, id := range slices.Compact(sources) {
		setting, err := s.store.PermissionsOf(ctx, id)
		if err != nil {
			return err
		}
		if setting != store.OpenToAll {
			a.notice(seesAll)
			return nil
		}
	}
	return nil
}

// whoSeesAny is whoSees for what was read of all sources, or of one.
func (a *app) whoSeesAny(ctx context.Context, s *session, reader viewer.Viewer, source string) error {
	if source != "" || !reader.Operator() {
		return a.whoSees(ctx, s, reader, source)
	}
	all, err := s.Reader.SourceIDs(ctx, reader)
	if err != nil {
		return err
	}
	return a.whoSees(ctx, s, reader, all...)
}

func (a *app) why() *cobra.Command {
	var of string
	cmd := &cobra.Command{
		Use:   "why ACCOUNT PAGE",
		Short: "Explain whether an account sees a page",
		Long: `Explain whether the account with this id sees a page: what restricts the page, what that says
to the account, and since when it is known. PAGE is the page's id or its address.`,
		Example: `  sluice why 712020:8d0f 7000000012
  sluice why 712020:8d0f https://acme.atlassian.net/wiki/spaces/DOCS/pages/7000000012`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			return a.withControl(cmd.Context(), func(s *session) error {
				why, err := s.Why(cmd.Context(), operator, argv[0], of, argv[1])
				if err != nil {
					return err
				}
				return a.showWhy(why)
			})
		},
	}
	cmd.Flags().StringVar(&of, "source", "", "the page's `source`; needed if several sites have a page with this id")
	return cmd
}

func (a *app) showWhy(w store.AccessWhy) error {
	if a.json() {
		return a.printJSON(w)
	}
	verdict, sees := "Hidden", "does not see"
	if w.Visible {
		verdict, sees = "Visible", "sees"
	}
	a.printf("%s: %s %s page %s, %s, because %s.\n", verdict, w.Account, sees, w.PageID, a.strong(terminal.Line(w.Title)), verdictSays(w))
	if !w.AccountKnown && w.Verdict != store.SeenOpen {
		a.printf("No group or restriction that was read has this account. Check the id: it is no e-mail address and no name.\n")
	}
	if w.Problem != "" {
		a.printf("The latest reading of permissions failed (%s); what was known counts until it is too old.\n", w.Problem)
	}
	if len(w.Layers) == 0 {
		return nil
	}
	rows := [][]string{{"LAYER", "LETS IN", "WHY", "KNOWN SINCE"}}
	for _, l := range w.Layers {
		in, since := "no", "never read"
		if l.Admits {
			in = "yes"
		}
		if !l.ReadAt.IsZero() {
			since = ago(l.ReadAt)
		}
		rows = append(rows, []string{layerName(l), in, groundSays(l), since})
	}
	a.printf("\n")
	a.table(rows)
	return nil
}

// verdictSays continues "because".
func verdictSays(w store.AccessWhy) string {
	bound := (time.Duration(w.MaxAge) * time.Second).String()
	switch w.Verdict {
	case store.SeenOpen:
		return fmt.Sprintf("source %s is open: every key of it sees every page", w.SourceID)
	case store.SeenAdmitted:
		return "every layer lets it in"
	case store.NeverRead:
		return fmt.Sprintf("the permissions of source %s have not been read completely yet", w.SourceID)
	case store.TooOld:
		return fmt.Sprintf("the permissions of source %s were last read %s, and count for %s", w.SourceID, ago(w.ReadAt), bound)
	case store.Restricted:
		return fmt.Sprintf("something restricts the page, and source %s shows unrestricted pages only", w.SourceID)
	case store.HasMoved:
		return "the page has moved, and its breadcrumb is not written anew yet; the next run or sweep does that"
	}
	for _, l := range w.Layers {
		if !l.Admits {
			return layerName(l) + " does not let it in"
		}
	}
	return "a layer does not let it in"
}

func layerName(l store.WhyLayer) string {
	switch {
	case l.Object == access.ObjectSite:
		return "the site"
	case l.Object == access.ObjectSpace:
		return "space " + l.ID
	case l.Title == "":
		return "content " + l.ID
	}
	return l.Kind + " " + l.ID + ", " + terminal.Line(l.Title)
}

// groundSays says why a layer lets the account in, or does not.
func groundSays(l store.WhyLayer) string {
	switch {
	case l.Admits && l.Through.Kind == access.KindUser:
		return "names the account"
	case l.Admits && l.Through.Kind == access.KindEveryone:
		return "everyone may"
	case l.Admits && l.Through.ID == source.SiteUsers:
		return "the account may use the site"
	case l.Admits:
		return "group " + l.Through.ID
	case l.Reason == access.ReasonNotNamed && l.Object == access.ObjectSite:
		return "the account is unknown, deactivated or without access to Confluence"
	case l.Reason == access.ReasonNotNamed:
		return "names neither the account nor any of its groups"
	case l.Reason == access.ReasonStale:
		return "read too long ago"
	case l.Reason == access.ReasonGroupUnknown:
		return "the members of group " + l.Detail + " are unknown or read too long ago"
	case l.Detail == store.DetailUnread:
		return "not read yet"
	case l.Detail == store.DetailMissing:
		return "not in the tree yet"
	}
	return "could not be read (" + l.Detail + ")"
}
