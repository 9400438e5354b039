package sandbox

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Kind is the type of a piece of content.
type Kind string

// The kinds of content. All except blog posts and comments can be in the page tree.
const (
	KindPage       Kind = "page"
	KindBlogPost   Kind = "blogpost"
	KindFolder     Kind = "folder"
	KindWhiteboard Kind = "whiteboard"
	KindDatabase   Kind = "database"
	KindEmbed      Kind = "embed"
	KindComment    Kind = "comment" // on a page or blog post; not in the tree
	KindAttachment Kind = "attachment"
)

// The statuses of content.
const (
	current  = "current"
	draft    = "draft" // never published: lists and searches do not show it
	archived = "archived"
	trashed  = "trashed"
)

// node is a page or another piece of content in the tree. The site's lock guards it.
type node struct {
	id       int64
	kind     Kind
	space    *space
	parent   *node
	children []*node // by position
	position int
	subtype  string // "" or live
	status   string
	created  time.Time
	author   string
	rev      revision
	past     []revision // known older revisions, oldest first
	labels   []string
	read     *audience // nil without a restriction
	files    []*Attachment
	attached int // attachments that it ever had
	notes    []*Comment
	noted    int         // comments that it ever had without an id of their own
	note     *Comment    // what a node of the kind comment is
	upload   *Attachment // what a node of the kind attachment is

	before *node   // former parent of a trashed page
	seen   []shade // earlier states that a lagging search index may still show, oldest first
	born   time.Time

	unindexed bool // no search finds it
}

// revision is one version of a page's title and body.
type revision struct {
	number  int
	at      time.Time
	author  string
	message string
	title   string
	body    source
}

// source returns a body in storage format. Generated bodies are generated on each call.
type source interface{ text() string }

type literal string

func (l literal) text() string { return string(l) }

// audience is the readers of a restricted page.
type audience struct {
	users  []string // account ids
	groups []string // ids
}

func (a *audience) admits(user string, groups []string) bool {
	if slices.Contains(a.users, user) {
		return true
	}
	return slices.ContainsFunc(groups, func(g string) bool { return slices.Contains(a.groups, g) })
}

// shade is an earlier state of a node in the search index.
type shade struct {
	until    time.Time // time of the write that ended it
	status   string
	title    string
	space    *space
	labels   []string
	modified time.Time
}

func (n *node) shade(until time.Time) shade {
	return shade{until: until, status: n.status, title: n.rev.title, space: n.space, labels: n.labels, modified: n.rev.at}
}

// indexed is the node as the search index knew it at time t, or false if it did not know it yet.
func (n *node) indexed(t time.Time) (shade, bool) {
	if n.born.After(t) {
		return shade{}, false
	}
	for _, old := range n.seen {
		if old.until.After(t) {
			return old, true
		}
	}
	return n.shade(time.Time{}), true
}

// above yields the ancestors of n from its parent upwards.
func (n *node) above(yield func(*node) bool) {
	for p := n.parent; p != nil; p = p.parent {
		if !yield(p) {
			return
		}
	}
}

// below yields the descendants of n, not n itself.
func (n *node) below(yield func(*node) bool) bool {
	for _, c := range n.children {
		if !yield(c) || !c.below(yield) {
			return false
		}
	}
	return true
}

// attach makes n the last child of p; p may be nil for the top of a space.
func (n *node) attach(p *node) {
	n.parent = p
	if p == nil {
		return
	}
	n.position = 1
	if len(p.children) > 0 {
		n.position = p.children[len(p.children)-1].position + 1
	}
	p.children = append(p.children, n)
}

func (n *node) detach() {
	if n.parent == nil {
		return
	}
	if i := slices.Index(n.parent.children, n); i >= 0 {
		n.parent.children = slices.Delete(n.parent.children, i, i+1)
	}
	n.parent = nil
}

// holdsTitle reports whether the node's title is taken in its space.
func (n *node) holdsTitle() bool {
	return n.status != trashed && n.status != draft && (n.kind == KindPage || n.kind == KindBlogPost)
}

// titleKey is unique in a space. Blog posts have titles of their own.
func titleKey(kind Kind, title string) string { return string(kind) + ":" + strings.ToLower(title) }

// place is a node's position in one order of a list.
type place struct {
	Num int64  `json:"n,omitempty"`
	Str string `json:"s,omitempty"`
	ID  int64  `json:"i"`
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.Num, q.Num), cmp.Compare(p.Str, q.Str), cmp.Compare(p.ID, q.ID))
}

// placeBy returns the node's place in the order of a v2 sort field.
func (n *node) placeBy(field string) place {
	switch field {
	case "created-date":
		return place{Num: n.created.UnixMilli(), ID: n.id}
	case "modified-date":
		return place{Num: n.rev.at.UnixMilli(), ID: n.id}
	case "title":
		return place{Str: strings.ToLower(n.rev.title), ID: n.id}
	default:
		return place{ID: n.id}
	}
}

// shelf keeps content of one kind in ascending order of id and, on demand, in other orders, so that
// a list call costs as much as its result and not as much as the space. The site's lock guards
// byID; orders are built under the read lock, so they have their own lock.
type shelf struct {
	byID []*node

	mu     sync.Mutex
	orders map[string][]*node
}

func (f *shelf) add(n *node) {
	i, _ := slices.BinarySearchFunc(f.byID, n.id, func(m *node, id int64) int { return cmp.Compare(m.id, id) })
	f.byID = slices.Insert(f.byID, i, n)
	f.stale()
}

func (f *shelf) addAll(ns []*node) {
	f.byID = append(f.byID, ns...)
	slices.SortFunc(f.byID, func(a, b *node) int { return cmp.Compare(a.id, b.id) })
	f.stale()
}

func (f *shelf) remove(n *node) {
	i, ok := slices.BinarySearchFunc(f.byID, n.id, func(m *node, id int64) int { return cmp.Compare(m.id, id) })
	if ok {
		f.byID = slices.Delete(f.byID, i, i+1)
	}
	f.stale()
}

// stale drops the orders that a change made invalid. The caller holds the site's write lock.
func (f *shelf) stale() { f.orders = nil }

// by returns the pages in ascending order of a v2 sort field.
func (f *shelf) by(field string) []*node {
	if field == "id" {
		return f.byID
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if sorted, ok := f.orders[field]; ok {
		return sorted
	}
	sorted := slices.Clone(f.byID)
	slices.SortFunc(sorted, func(a, b *node) int { return a.placeBy(field).compare(b.placeBy(field)) })
	if f.orders == nil {
		f.orders = map[string][]*node{}
	}
	f.orders[field] = sorted
	return sorted
}
