package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/source/systems"
	"github.com/sluicehq/sluice/shared/store"
)

const permissionsHelp = "who sees its `pages`: enforce (whoever sees them in Confluence), unrestricted-only (and pages with a view restriction are not stored), or open (every key of the source)"

// changedSource is a changed source in JSON.
type changedSource struct {
	store.Source
	Run string `json:"requested_run,omitempty"`
}

// changedJSON returns what a change of a source answers in JSON.
func changedJSON(c control.Added) changedSource {
	out := changedSource{Source: c.Source}
	if c.Asked != nil {
		out.Run = c.Asked.Run.ID
	}
	return out
}

// toldRun says which run a change of permissions has requested.
func (a *app) toldRun(asked *control.Asked) {
	if asked != nil {
		a.printf("Pages come or go with that, so a full sync was requested: sluice status %s --follow\n", asked.Run.ID)
	}
}

// toldPermissions says what a change of a source's permissions does.
func (a *app) toldPermissions(src store.Source) {
	switch {
	case src.Permissions == store.OpenToAll && systems.ReadsPermissions(src.System):
		a.notice(fmt.Sprintf("Source %s is open: every key of it sees every page, whatever Confluence restricts. To change that: sluice source set %s --permissions enforce", src.ID, src.ID))
	case src.Permissions != store.OpenToAll && src.ReadersAt.IsZero() && !a.json():
		a.printf("Its pages are hidden until its permissions have been read. That begins within seconds while a fetcher runs; sluice status says how it stands.\n")
	}
}

// showPermissions shows the setting of each source, and what keeps pages hidden.
func (a *app) showPermissions(list []store.Source) {
	ids := map[store.Permissions][]string{}
	for _, src := range list {
		ids[src.Permissions] = append(ids[src.Permissions], src.ID)
	}
	var parts []string
	for _, p := range []store.Permissions{store.Enforce, store.UnrestrictedOnly, store.OpenToAll} {
		if len(ids[p]) > 0 {
			parts = append(parts, string(p)+" for "+strings.Join(ids[p], ", "))
		}
	}
	a.printf("\nPermissions: %s\n", strings.Join(parts, "; "))
	for _, src := range list {
		if line := permissionsLine(src); line != "" {
			a.printf("  %s\n", line)
		}
	}
	if left := systems.LeftOpen(list); len(left) > 0 {
		a.notice(openNotice(left))
	}
}

// permissionsLine says why pages of a source are hidden that its readers could see, or will be; "" if none are.
func permissionsLine(src store.Source) string {
	switch p := control.PermissionsOf(src); p.State {
	case control.PermissionsFirstSync:
		return src.ID + ": its permissions are read with its first sync"
	case control.PermissionsUnread:
		return src.ID + ": permissions are being read; until then its pages are hidden"
	case control.PermissionsUnreadable:
		return fmt.Sprintf("%s: its pages are hidden, because its permissions cannot be read (%s). sluice doctor says more", src.ID, p.Problem)
	case control.PermissionsOld:
		return fmt.Sprintf("%s: its pages are hidden, because its permissions were last read %s, which is too old. A fetcher reads them; sluice doctor says more", src.ID, ago(p.ReadAt))
	case control.PermissionsFailing:
		return fmt.Sprintf("%s: its permissions could not be read again (%s). Those of %s count until they are %s old; then its pages are hidden. sluice doctor says more",
			src.ID, p.Problem, ago(p.ReadAt), strings.TrimSpace(humanize.RelTime(time.Time{}, time.Time{}.Add(p.MaxAge), "", "")))
	}
	return ""
}

// openNotice says that sources are open because nobody has chosen yet.
func openNotice(ids []string) string {
	return fmt.Sprintf("Every key sees every page of %s, whatever Confluence restricts, because nobody has chosen yet. "+
		"To let Confluence's permissions decide: sluice source set %s --permissions enforce. To leave it so: --permissions open", strings.Join(ids, ", "), ids[0])
}
