package confluencesource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/shared/access"
	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/source"
)

var _ source.Permissions = (*space)(nil)

// SiteUsers reads the groups that give access to Confluence, their members, and which of these accounts are
// active: a list of members does not tell who is deactivated.
func (s *space) SiteUsers(ctx context.Context) (access.Group, error) {
	ctx = s.counted(ctx)
	groups, err := s.accessGroups(ctx, confluence.AccessTypes...)
	if err != nil {
		return access.Group{}, err
	}
	var members []string
	for _, id := range groups {
		some, err := s.client.GroupMembers(ctx, id)
		if err != nil {
			return access.Group{}, fmt.Errorf("read who may use the site: %w", meaning(err))
		}
		members = append(members, some...)
	}
	slices.Sort(members)
	members = slices.Compact(members)
	users, err := s.client.Users(ctx, members)
	if err != nil {
		return access.Group{}, fmt.Errorf("read whose accounts are active: %w", meaning(err))
	}
	members = slices.DeleteFunc(members, func(id string) bool { return users[id].Status != "active" })
	return access.Group{ID: source.SiteUsers, Members: members}, nil
}

// accessGroups returns the ids of the groups that give the access.
func (s *space) accessGroups(ctx context.Context, types ...string) ([]string, error) {
	var all []string
	for _, t := range types {
		ids, err := s.client.AccessGroups(ctx, t)
		if err != nil {
			return nil, fmt.Errorf("read the groups that give access to the site: %w", meaning(err))
		}
		all = append(all, ids...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// GroupMembers reads the members of a group. They may include deactivated accounts, which may not use the
// site: see SiteUsers.
func (s *space) GroupMembers(ctx context.Context, groupID string) (access.Group, error) {
	members, err := s.client.GroupMembers(s.counted(ctx), groupID)
	var missing *confluence.NotFoundError
	if err != nil && !errors.As(err, &missing) {
		return access.Group{}, fmt.Errorf("read the members of group %s: %w", groupID, meaning(err))
	}
	return access.Group{ID: groupID, Members: members}, nil
}

// SpaceReaders reads who may read the space, in the way in which the site gives permissions.
func (s *space) SpaceReaders(ctx context.Context) (access.Layer, error) {
	ctx = s.counted(ctx)
	id, err := s.spaceID(ctx, false)
	if err != nil {
		return access.Layer{}, err
	}
	mode, err := s.client.SpaceRoleMode(ctx)
	if err != nil {
		return access.Layer{}, fmt.Errorf("read whether spaces have roles: %w", meaning(err))
	}
	r := spaceReaders{space: s, id: id}
	if mode != confluence.ModeRoles {
		err = r.byPermissions(ctx)
	}
	if err == nil && mode != confluence.ModePermissions {
		err = r.byRoles(ctx)
	}
	if err == nil {
		err = r.widen(ctx)
	}
	if err != nil {
		return access.Layer{}, fmt.Errorf("read who may read the space: %w", meaning(err))
	}
	return access.Layer{Object: access.Object{Kind: access.ObjectSpace, ID: id}, Principals: r.principals}, nil
}

// spaceReaders are gathered of one space.
type spaceReaders struct {
	*space
	id         string
	principals []access.Principal
}

// readSpace is the permission that lets its holders read a space. All others grant nothing here.
const readSpace = "read/space"

// add adds a principal once. Kinds that are not known grant nothing.
func (r *spaceReaders) add(kind access.Kind, id string) {
	p := access.Principal{Kind: kind, ID: id}
	if (id != "" || kind == access.KindEveryone) && !slices.Contains(r.principals, p) {
		r.principals = append(r.principals, p)
	}
}

func (r *spaceReaders) byPermissions(ctx context.Context) error {
	for g, err := range r.client.SpacePermissions(ctx, r.id) {
		switch {
		case err != nil:
			return err
		case g.Operation != readSpace:
		case g.Kind == "user":
			r.add(access.KindUser, g.ID)
		case g.Kind == "group":
			r.add(access.KindGroup, g.ID)
		}
	}
	return nil
}

func (r *spaceReaders) byRoles(ctx context.Context) error {
	reads := map[string]bool{}
	for role, err := range r.client.SpaceRoles(ctx) {
		if err != nil {
			return err
		}
		reads[role.ID] = slices.Contains(role.Permissions, readSpace)
	}
	for g, err := range r.client.RoleAssignments(ctx, r.id) {
		switch {
		case err != nil:
			return err
		case !reads[g.RoleID]:
		case g.Kind == "USER":
			r.add(access.KindUser, g.ID)
		case g.Kind == "GROUP":
			r.add(access.KindGroup, g.ID)
		case g.Kind == "ACCESS_CLASS":
			if err := r.class(ctx, g.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// class adds an access class, whose name is written in two ways.
func (r *spaceReaders) class(ctx context.Context, name string) error {
	switch strings.ReplaceAll(strings.ToLower(name), "_", "-") {
	case "all-licensed-users":
		r.add(access.KindEveryone, "")
	case "all-product-admins":
		groups, err := r.accessGroups(ctx, "admin", "site-admin")
		if err != nil {
			return err
		}
		for _, id := range groups {
			r.add(access.KindGroup, id)
		}
	}
	return nil
}

// widen finds out whether the groups that read the space are all who may use the site.
func (r *spaceReaders) widen(ctx context.Context) error {
	if !slices.ContainsFunc(r.principals, func(p access.Principal) bool { return p.Kind == access.KindGroup }) {
		return nil
	}
	groups, err := r.accessGroups(ctx, confluence.AccessTypes...)
	if err != nil {
		return err
	}
	for _, id := range groups {
		if !slices.Contains(r.principals, access.Principal{Kind: access.KindGroup, ID: id}) {
			return nil
		}
	}
	if len(groups) > 0 {
		r.add(access.KindEveryone, "")
	}
	return nil
}

// Restrictions reads the view restrictions of pages and blog posts by search.
func (s *space) Restrictions(ctx context.Context, ids []string, each func(source.Restriction) error) error {
	ctx = s.counted(ctx)
	if ids == nil {
		return s.restrictions(ctx, confluence.InSpace(s.key()), each)
	}
	for some := range slices.Chunk(ids, confluence.MostIDs) {
		if err := s.restrictions(ctx, confluence.IDIn(some...), each); err != nil {
			return err
		}
	}
	return nil
}

func (s *space) restrictions(ctx context.Context, of confluence.Condition, each func(source.Restriction) error) error {
	for row, err := range s.client.SearchReaders(ctx, of) {
		var bad *confluence.RowError
		switch {
		case errors.As(err, &bad):
			continue // it is asked by id
		case err != nil:
			return fmt.Errorf("read view restrictions: %w", meaning(err))
		case !row.Complete:
			continue
		}
		if err := each(restriction(row.ID, row.Readers)); err != nil {
			return err
		}
	}
	return nil
}

// RestrictionOf reads the view restriction of one piece of content.
func (s *space) RestrictionOf(ctx context.Context, id string) (source.Restriction, error) {
	readers, err := s.client.ReadersOf(s.counted(ctx), id)
	if err != nil {
		return source.Restriction{}, fmt.Errorf("read the view restriction of %s: %w", id, meaning(err))
	}
	return restriction(id, readers), nil
}

func restriction(id string, readers confluence.Readers) source.Restriction {
	r := source.Restriction{ContentID: id}
	if !readers.Limited() {
		return r
	}
	r.Layer = &access.Layer{Object: access.Object{Kind: access.ObjectContent, ID: id}}
	for _, account := range readers.Users {
		r.Layer.Principals = append(r.Layer.Principals, access.Principal{Kind: access.KindUser, ID: account})
	}
	for _, group := range readers.Groups {
		r.Layer.Principals = append(r.Layer.Principals, access.Principal{Kind: access.KindGroup, ID: group})
	}
	return r
}
