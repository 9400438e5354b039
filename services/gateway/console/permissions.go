package console

import (
	"strings"

	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/store"
)

// permissionsSay are what the states of a source's permissions mean for its readers.
var permissionsSay = map[control.PermissionsState]string{
	control.PermissionsOpen:       "Every key of the source sees every page.",
	control.PermissionsLeftOpen:   "Every key of the source sees every page, because nobody has chosen yet.",
	control.PermissionsFirstSync:  "They are read with the first sync. Every page is hidden until then.",
	control.PermissionsUnread:     "They have not been read yet. Every page is hidden.",
	control.PermissionsUnreadable: "They could not be read. Every page is hidden.",
	control.PermissionsOld:        "They were read too long ago. Every page is hidden.",
	control.PermissionsFailing:    "The latest reading failed. What was known counts until it is too old.",
	control.PermissionsCurrent:    "Readers see what Confluence shows them.",
}

// shownPermissions are how the permissions of a source stand, in words.
type shownPermissions struct{ control.SourcePermissions }

// Says is what the state means.
func (p shownPermissions) Says() string {
	if p.State == control.PermissionsCurrent && p.Setting == store.UnrestrictedOnly {
		return "Readers see what Confluence shows them, and nobody sees restricted pages."
	}
	return permissionsSay[p.State]
}

// Tone is how the state is coloured.
func (p shownPermissions) Tone() string {
	switch {
	case p.State == control.PermissionsCurrent:
		return "good"
	case p.State == control.PermissionsOpen, p.State == control.PermissionsFirstSync:
		return "calm"
	case p.State.HidesAll():
		return "bad"
	}
	return "warn"
}

// Name is the state as people read it.
func (p shownPermissions) Name() string { return strings.ReplaceAll(string(p.State), "-", " ") }

// wantedOfPermissions is what somebody with the role has to do about the permissions of a source, if anything.
func wantedOfPermissions(src store.Source, role apikey.Role) (want, bool) {
	p := shownPermissions{control.PermissionsOf(src)}
	w := want{p.Tone(), "", p.Says(), "/sources/" + src.ID}
	switch {
	case !role.May(apikey.Operate):
	case p.State == control.PermissionsLeftOpen && role.May(apikey.Admin):
		w.To += "/settings"
		w.What = "Choose who sees the pages of " + src.ID
	case p.State == control.PermissionsFailing, p.State.HidesAll() && p.State != control.PermissionsFirstSync:
		w.What = "The permissions of " + src.ID + " are not known"
		if p.Problem != "" {
			w.Why += " The reason: " + strings.ReplaceAll(p.Problem, "_", " ") + "."
		}
	}
	return w, w.What != ""
}
