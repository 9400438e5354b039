package control

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/source/systems"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// PermissionsState is how what is known of a source's permissions stands.
type PermissionsState string

// The states.
const (
	PermissionsOpen       PermissionsState = "open"       // every key of the source sees every page
	PermissionsLeftOpen   PermissionsState = "left-open"  // the same, because nobody has chosen yet
	PermissionsFirstSync  PermissionsState = "first-sync" // they are read with the first sync
	PermissionsUnread     PermissionsState = "unread"     // they are being read for the first time, or wait for a fetcher: every page is hidden
	PermissionsUnreadable PermissionsState = "unreadable" // they could never be read completely: every page is hidden
	PermissionsOld        PermissionsState = "old"        // they were read too long ago: every page is hidden
	PermissionsFailing    PermissionsState = "failing"    // the latest reading failed; what was known counts until it is too old
	PermissionsCurrent    PermissionsState = "current"    // they are known
)

// HidesAll reports whether every page of the source is hidden from readers in this state.
func (s PermissionsState) HidesAll() bool {
	return s == PermissionsFirstSync || s == PermissionsUnread || s == PermissionsUnreadable || s == PermissionsOld
}

// SourcePermissions are the setting permissions of a source, and what is known of who may see its pages.
type SourcePermissions struct {
	Setting store.Permissions
	Choices []store.Permissions // what the setting can be; only one for a system that does not say who may see a page
	State   PermissionsState
	ReadAt  time.Time     // when the last complete reading began; zero before the first
	MaxAge  time.Duration // what was read longer ago counts as unknown
	Problem string        // why the latest reading failed, as a code; "" if it did not
}

// Permissions returns how the permissions of a source stand, or an *UnknownSourceError. ChangeSource changes the setting.
func (c *Control) Permissions(ctx context.Context, v viewer.Viewer, id string) (SourcePermissions, error) {
	src, err := c.visibleSource(ctx, v, id)
	if err != nil {
		return SourcePermissions{}, err
	}
	return PermissionsOf(src), nil
}

// PermissionsOf says how the permissions of a source stand.
func PermissionsOf(src store.Source) SourcePermissions {
	p := SourcePermissions{
		Setting: src.Permissions, Choices: []store.Permissions{store.Enforce, store.UnrestrictedOnly, store.OpenToAll},
		State: stateOf(src), ReadAt: src.ReadersAt, MaxAge: src.ReadersMaxAge, Problem: src.ReadersProblem,
	}
	if !systems.ReadsPermissions(src.System) {
		p.Choices = []store.Permissions{store.OpenToAll}
	}
	return p
}

func stateOf(src store.Source) PermissionsState {
	switch {
	case src.Permissions == store.OpenToAll && !src.Chosen && systems.ReadsPermissions(src.System):
		return PermissionsLeftOpen
	case src.Permissions == store.OpenToAll:
		return PermissionsOpen
	case src.ReadersAt.IsZero() && src.ReadersProblem != "":
		return PermissionsUnreadable
	case src.ReadersAt.IsZero() && src.LastSync.IsZero():
		return PermissionsFirstSync
	case src.ReadersAt.IsZero():
		return PermissionsUnread
	case src.ReadersOld:
		return PermissionsOld
	case src.ReadersProblem != "":
		return PermissionsFailing
	}
	return PermissionsCurrent
}

// settle requests a full run of a source whose setting permissions has changed, if it now stores pages that it must not,
// or leaves out pages that it need not leave out any more. It returns nil if nothing is to be done. What needs the
// permissions to be read first, the sweep requests when it has read them.
func (c *Control) settle(ctx context.Context, v viewer.Viewer, id string) (*Asked, error) {
	unsettled, err := c.Ledger.Unsettled(ctx, id)
	if err != nil || !unsettled {
		return nil, err
	}
	asked, err := c.request(ctx, v, event.SyncRequested{RequestID: event.NewID(), Mode: event.Full, SourceID: id}, false, true)
	if err != nil {
		return nil, err
	}
	return &asked, nil
}
