// Package access decides who may see a page. It follows Confluence's rule: a person sees a page if and only if each
// layer that applies to it admits that person: the site, the space, and the view restriction of the page and of every
// ancestor, folders included. The package does no I/O.
//
// Layers are kept apart and never merged into one list of people: a group that a parent names and a member of the
// group that the child names are different principals, but both admit the member.
package access

import (
	"errors"
	"slices"
	"strings"
	"time"
)

// Kind is a kind of principal.
type Kind string

// The kinds of principals. Every other kind grants nothing.
const (
	KindUser     Kind = "user"     // one account; the id is the account id
	KindGroup    Kind = "group"    // the members of a group; the id is the group id
	KindEveryone Kind = "everyone" // all users of the site; the id is ""
)

// Principal is whom a layer admits.
type Principal struct {
	Kind Kind   `json:"kind"`
	ID   string `json:"id,omitempty"`
}

// ObjectKind is a kind of object that a layer protects.
type ObjectKind string

// The kinds of objects.
const (
	ObjectSite    ObjectKind = "site"    // the whole site; the id is ""
	ObjectSpace   ObjectKind = "space"   // a space; the id is the space id
	ObjectContent ObjectKind = "content" // a page, blog post, folder, database, whiteboard or embed; the id is the content id
)

// Object is what a layer protects, together with everything below it.
type Object struct {
	Kind ObjectKind `json:"kind"`
	ID   string     `json:"id,omitempty"`
}

// Layer says whom one object admits. Content without a view restriction has no layer; that may only be concluded from
// a complete, successful answer.
type Layer struct {
	Object     Object
	Principals []Principal // a known layer without principals admits nobody
	Unknown    string      // why the layer could not be read, as a reason code; "" if it is known
	ReadAt     time.Time   // when it was read
}

// Group is a group and the account ids of its members.
type Group struct {
	ID      string
	Members []string
	Unknown string // why the members could not be read, as a reason code; "" if they are known
	ReadAt  time.Time
}

// Reason codes: why a layer does not admit a reader.
const (
	ReasonNotNamed     = "not-named"     // the layer is known and does not name the reader
	ReasonStale        = "stale"         // the layer was read too long ago
	ReasonUnknown      = "unknown"       // the layer could not be read, or nobody has read it yet
	ReasonGroupUnknown = "group-unknown" // the layer names a group whose members are unknown or too old, so the reader may be in it
)

// Ground is what one layer says to a reader.
type Ground struct {
	Layer   Layer
	Admits  bool
	Through Principal // the principal that admits the reader
	Reason  string    // why the layer does not admit the reader: a reason code
	Detail  string    // more about the reason: the layer's or the group's own code
}

// Decision is whether a reader sees a page, with the ground for each layer.
type Decision struct {
	Visible bool
	Grounds []Ground
}

// Decide applies the layers of a page to a reader. Account is the reader's account id; "" is nobody in particular,
// whom only KindEveryone admits. Groups hold the known groups by id; a group that is missing is unknown. What was read
// before oldest is too old and admits nobody; the zero time accepts every age.
//
// A page whose layers are not all known must come with a layer that says so (see Layer.Unknown): Decide admits
// everybody to a page without layers.
func Decide(account string, layers []Layer, groups map[string]Group, oldest time.Time) Decision {
	d := Decision{Visible: true, Grounds: make([]Ground, 0, len(layers))}
	for _, l := range layers {
		g := judge(account, l, groups, oldest)
		d.Visible = d.Visible && g.Admits
		d.Grounds = append(d.Grounds, g)
	}
	return d
}

func judge(account string, l Layer, groups map[string]Group, oldest time.Time) Ground {
	g := Ground{Layer: l}
	switch {
	case l.Unknown != "":
		g.Reason, g.Detail = ReasonUnknown, l.Unknown
		return g
	case l.ReadAt.Before(oldest):
		g.Reason = ReasonStale
		return g
	}
	g.Reason = ReasonNotNamed
	for _, p := range l.Principals {
		switch p.Kind {
		case KindEveryone:
			g.Admits = true
		case KindUser:
			g.Admits = account != "" && p.ID == account
		case KindGroup:
			group, known := groups[p.ID]
			if !known || group.Unknown != "" || group.ReadAt.Before(oldest) {
				g.Reason, g.Detail = ReasonGroupUnknown, p.ID
				continue
			}
			g.Admits = account != "" && slices.Contains(group.Members, account)
		}
		if g.Admits {
			g.Through, g.Reason, g.Detail = p, "", ""
			return g
		}
	}
	return g
}

// ErrAccount says that a text is no account id.
var ErrAccount = errors.New("an account id is 1 to 128 letters, digits, colons, hyphens, underscores and periods")

// ValidAccount reports whether a text may be the id of an account.
func ValidAccount(id string) bool {
	return id != "" && len(id) <= 128 && !strings.ContainsFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(":-_.", r)
	})
}
