package source

import (
	"context"

	"github.com/sluicehq/sluice/shared/access"
)

// Permissions is implemented by a system that does not show every page to everyone. A system without it shows
// everything to everyone.
//
// No answer, an error and an incomplete answer are never "unrestricted": the methods return what is proven, or
// an error. failure.CodeOf of an error is the reason that people see.
type Permissions interface {
	// SiteUsers returns everyone who may use the site, as a group with the id SiteUsers. It omits
	// deactivated accounts.
	SiteUsers(ctx context.Context) (access.Group, error)

	// SpaceReaders returns who may read the source's space.
	SpaceReaders(ctx context.Context) (access.Layer, error)

	// Restrictions reads the content's own view restrictions in bulk: of some content, or of the whole
	// source if ids is nil. It gives each what was answered completely. For what it does not give,
	// nothing is known, not even after a nil error: ask RestrictionOf.
	Restrictions(ctx context.Context, ids []string, each func(Restriction) error) error

	// RestrictionOf reads the own view restriction of one page, folder, or other content.
	RestrictionOf(ctx context.Context, id string) (Restriction, error)

	// GroupMembers returns the members of a group. A group that does not exist has none.
	GroupMembers(ctx context.Context, groupID string) (access.Group, error)
}

// SiteUsers is the id of the group of all who may use the site.
const SiteUsers = "site-users"

// Restriction is what is known of the view restriction of one piece of content.
type Restriction struct {
	ContentID string
	Layer     *access.Layer // nil: the content itself restricts nobody
}
