package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/shared/access"
	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/source"
	"github.com/sluicehq/sluice/shared/source/systems"
	"github.com/sluicehq/sluice/shared/store"
)

// permissions examines whether a source's credential may read who sees the pages, what follows if not, and how old
// what is known is.
func (d *Doctor) permissions(ctx context.Context, client *confluence.Client, opened *systems.Systems, s store.Source, space confluence.Space) {
	check := "permissions " + s.ID
	found := len(d.Findings)
	for _, c := range permissionCalls(ctx, client, opened, s, space) {
		if c.err != nil {
			d.Fail(check, "give the account this right, or another account's token (sluice secret set); if the token is scoped, add the scope "+c.scope,
				"the account may not read %s: %v", c.what, c.err)
		}
	}
	again := "read the fetcher's log; permissions are read again within a minute while a fetcher runs"
	switch p := PermissionsOf(s); p.State {
	case PermissionsFirstSync, PermissionsUnread:
		d.Warn(check, "start a fetcher (sluice up), or wait for it", "they have not been read completely yet, so all pages are hidden")
	case PermissionsUnreadable:
		d.Fail(check, again, "they have never been read completely (%s), so all pages are hidden", p.Problem)
	case PermissionsOld:
		d.Fail(check, again, "they were last read completely %s, which is too old (PERMISSIONS_MAX_AGE), so all pages are hidden", age(p.ReadAt))
	case PermissionsFailing:
		d.Warn(check, again, "the latest reading failed (%s); those of %s count until they are too old", p.Problem, age(p.ReadAt))
	}
	if len(d.Findings) == found {
		d.OK(check, "the account may read them; they were last read completely %s", age(s.ReadersAt))
	}
}

// Hidden makes the calls by which the permissions of a new source's space are read, and says what its credential may not
// read: what stays hidden then, and which right or scope it probably lacks. It says nothing of a source that is open.
func Hidden(ctx context.Context, client *confluence.Client, src store.Source, space confluence.Space) []string {
	if src.Permissions == store.OpenToAll || !systems.ReadsPermissions(src.System) {
		return nil
	}
	src.System = store.Confluence
	var list []string
	for _, c := range permissionCalls(ctx, client, systems.New(systems.Means{Confluence: sameClient{client}, Log: zerolog.Nop()}), src, space) {
		if c.err != nil {
			list = append(list, fmt.Sprintf("the account may not read %s: give it this right; if the token is scoped, add the scope %s: %v", c.what, c.scope, c.err))
		}
	}
	return list
}

// sameClient opens every source with one client.
type sameClient struct{ client *confluence.Client }

func (s sameClient) Client(context.Context, store.Source) (*confluence.Client, error) {
	return s.client, nil
}

// permissionCalls makes one call of each kind by which permissions are read. what names what is read, and what follows
// if it cannot be.
func permissionCalls(ctx context.Context, client *confluence.Client, opened *systems.Systems, s store.Source, space confluence.Space) []call {
	calls := []call{{"who may use the site (pages are hidden from every account)", "read:group:confluence and read:user:confluence", siteUsers(ctx, client)}}
	system, err := opened.Open(ctx, s)
	if err != nil {
		return append(calls, call{"anything", "read:space:confluence", err})
	}
	if held, ok := system.(source.Holder); ok {
		defer held.Release()
	}
	readable, ok := system.(source.Permissions)
	if !ok {
		return calls
	}
	readers, err := readable.SpaceReaders(ctx)
	calls = append(calls, call{"who may read the space (all pages are hidden)", "read:space.permission:confluence and read:configuration:confluence", err})
	for _, p := range readers.Principals {
		if p.Kind == access.KindGroup {
			_, err = readable.GroupMembers(ctx, p.ID)
			calls = append(calls, call{"the members of groups (pages are hidden from people whom a group lets in)", "read:group:confluence", err})
			break
		}
	}
	for page, err := range client.SpacePages(ctx, space.ID) {
		if err == nil {
			_, err = readable.RestrictionOf(ctx, page.ID)
		}
		return append(calls, call{"the view restrictions of pages (pages whose restrictions are unknown are hidden)", "read:content-details:confluence", err})
	}
	return calls
}

// siteUsers makes one call of each kind that reading the site's users takes.
func siteUsers(ctx context.Context, client *confluence.Client) error {
	for _, kind := range confluence.AccessTypes {
		groups, err := client.AccessGroups(ctx, kind)
		if err != nil {
			return err
		}
		if len(groups) == 0 {
			continue
		}
		members, err := client.GroupMembers(ctx, groups[0])
		if err == nil && len(members) > 0 {
			_, err = client.Users(ctx, members[:1])
		}
		return err
	}
	return errNoGroups
}

var errNoGroups = errors.New("the site names no group that gives access to Confluence")

func age(t time.Time) string { return time.Since(t).Round(time.Second).String() + " ago" }
