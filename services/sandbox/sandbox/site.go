// Package sandbox is a Confluence Cloud stand-in: one http.Handler that answers the routes a
// connector uses with Confluence's own semantics, down to the traps, over spaces that are
// built in, read from a folder, or generated. It needs no network and keeps nothing on disk.
//
// The pages of the built-in and of generated spaces have the same ids on every run.
//
// Methods of Site (CreatePage, EditPage, MovePage, …) do what people do in the browser; the routes
// under /_sandbox/ do the same over HTTP, and GET lists them. SetFaults makes the site misbehave,
// in the same way for the same seed.
package sandbox

import (
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// The credential of a sandbox whose Options name none.
const (
	DefaultEmail = "demo@example.com"
	DefaultToken = "sandbox-demo-token" // a documented token of a site of invented pages
)

// Options are the settings of a Site. The zero value is a working site.
type Options struct {
	Email     string // of the API user; default DefaultEmail
	Token     string // default DefaultToken
	SiteTitle string // shown on the browsable pages; default "Sluice sandbox"
	BaseURL   string // scheme and host in links, without /wiki; default: the address of the request
	CloudID   string // of the gateway address /ex/confluence/{cloudId}; has a default

	Latency  time.Duration    // every API answer waits this long
	Now      func() time.Time // the site's clock, also in the Date header; default time.Now
	IndexLag time.Duration    // how long the search index lags behind a write
	TimeZone *time.Location   // the API user's zone, in which CQL dates are read; default UTC
	Scoped   bool             // the token is scoped: it works only at the gateway
	V1Gone   bool             // the removed v1 content and space routes answer 410
	V1Lists  bool             // the removed v1 lists of content, spaces and attachments still work
}

// Errors of Site's methods. Over HTTP they are 404, 409 and 400.
var (
	ErrNotFound = errors.New("no such content")
	ErrConflict = errors.New("conflict")
	ErrInvalid  = errors.New("invalid")
)

// Site is one Confluence site. It is safe for concurrent use.
type Site struct {
	opt    Options
	stats  recorder
	faults faultBox

	mu       sync.RWMutex
	spaces   []*space // ascending by id
	nodes    map[int64]*node
	all      shelf // every page of the site
	posts    shelf // every blog post of the site
	users    map[string]User
	me       string // account id of the API user
	groups   map[string]*Group
	names    map[string]string // of all groups that were ever named, by id
	deleted  map[string]bool   // groups, by id
	roleMode RoleMode
	lost     int64 // a page that a fault hides together with its descendants
	nextID   int64
	talk     map[string]*Comment    // by id
	files    map[string]*Attachment // by id
	moment   uint64                 // counts the changes of the site

	walks walkCache
	moved atomic.Pointer[string] // the site's present address
	owner atomic.Pointer[string] // who runs the stand-in

	media    atomic.Pointer[string] // port of the media host, if it has one of its own
	mediaKey atomic.Int64           // makes the media host's credentials
}

type space struct {
	id        int64
	key       string
	alias     string   // the key in addresses; the same as key unless it was changed
	former    []string // former keys that still work
	name      string
	kind      string
	status    string
	created   time.Time
	author    string
	home      *node
	hidden    bool
	readers   []Reader         // those who have a permission; groups by id
	unindexed bool             // no search finds its content
	titles    map[string]*node // pages and blog posts that hold their title, by folded title
	shelf     shelf            // its pages
	posts     shelf            // its blog posts
}

// User is a person of the site.
type User struct {
	AccountID   string `json:"account_id"`
	DisplayName string `json:"display_name"`
	Email       string `json:"email"`     // "" where private
	TimeZone    string `json:"time_zone"` // "" where private
	Inactive    bool   `json:"inactive"`
	Outside     bool   `json:"outside,omitempty"` // may not use this site
}

// apiUser is the account id behind the site's credential.
const apiUser = "712020:00000000-5a4d-4c1e-9d10-000000000001"

// New returns a site without spaces; its only user is the API user.
func New(o Options) *Site {
	o.Email = cmpOr(o.Email, DefaultEmail)
	o.Token = cmpOr(o.Token, DefaultToken)
	o.SiteTitle = cmpOr(o.SiteTitle, "Sluice sandbox")
	o.CloudID = cmpOr(o.CloudID, "5a9d0b0c-5b0e-4d5f-8a3c-2f6f1c6f7e10")
	o.BaseURL = origin(o.BaseURL)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.TimeZone == nil {
		o.TimeZone = time.UTC
	}
	s := &Site{
		opt:      o,
		nodes:    map[int64]*node{},
		talk:     map[string]*Comment{},
		files:    map[string]*Attachment{},
		users:    map[string]User{},
		me:       apiUser,
		groups:   map[string]*Group{},
		names:    map[string]string{},
		deleted:  map[string]bool{},
		roleMode: PreRoles,
		nextID:   7_000_000_001,
	}
	s.setGroup(Group{Name: UsersGroup, Access: "user"})
	s.AddUser(User{AccountID: apiUser, DisplayName: "Sandbox API user", Email: o.Email, TimeZone: o.TimeZone.String()})
	return s
}

func cmpOr(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// AddUser adds a person, or replaces what is known of one. Deactivated people stay in UsersGroup.
func (s *Site) AddUser(u User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[u.AccountID] = u
	s.moment++
	all := s.groups[s.groupID(UsersGroup)]
	if all == nil {
		return // the group was deleted
	}
	i, in := slices.BinarySearch(all.Members, u.AccountID)
	switch {
	case u.Outside && in:
		all.Members = slices.Delete(all.Members, i, i+1)
	case !u.Outside && !in:
		all.Members = slices.Insert(all.Members, i, u.AccountID)
	}
}

// AddSpace adds an empty space with a homepage of the same name. If the key exists, it returns
// ErrConflict.
func (s *Site) AddSpace(key, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	sp, err := s.addSpace(key, name)
	if err != nil {
		return err
	}
	home, err := s.insert(Draft{Kind: KindPage, Title: name, Body: "<p>Welcome to " + escapeText(name) + ".</p>"}, sp, nil, s.now())
	if err != nil {
		return err
	}
	sp.home = home
	return nil
}

// addSpace adds a space without a homepage. Its key determines its id.
func (s *Site) addSpace(key, name string) (*space, error) {
	if key == "" {
		return nil, fmt.Errorf("add space: %w: the key is empty", ErrInvalid)
	}
	if s.space(key) != nil {
		return nil, fmt.Errorf("add space %s: %w: the key is taken", key, ErrConflict)
	}
	sp := &space{
		id: 1_000_000 + int64(hash(key)%900_000), key: key, alias: key, name: name, kind: "global", status: "current",
		created: s.now(), author: s.me, titles: map[string]*node{}, readers: []Reader{{Kind: ReaderAll}},
	}
	for s.spaceByID(sp.id) != nil {
		sp.id++
	}
	s.spaces = append(s.spaces, sp)
	slices.SortFunc(s.spaces, func(a, b *space) int { return int(a.id - b.id) })
	return sp, nil
}

// HideSpace hides the space from the API user, or shows it again.
func (s *Site) HideSpace(key string, hidden bool) error {
	return s.changeOf("hide", key, func(sp *space) error {
		sp.hidden = hidden
		return nil
	})
}

// now is the site's clock at Confluence's precision.
func (s *Site) now() time.Time { return s.opt.Now().UTC().Truncate(time.Millisecond) }

func (s *Site) space(key string) *space {
	for _, sp := range s.spaces {
		if sp.goesBy(key) {
			return sp
		}
	}
	return nil
}

func (s *Site) spaceByID(id int64) *space {
	for _, sp := range s.spaces {
		if sp.id == id {
			return sp
		}
	}
	return nil
}

// visible returns the node when the API user may see it, and nil otherwise.
func (s *Site) visible(id string) *node {
	n := s.nodes[parseID(id)]
	if n == nil || !s.sees(n) {
		return nil
	}
	return n
}

// sees reports whether the API user may view n: its space is not hidden, no fault hides it, and the
// permissions let the user in.
func (s *Site) sees(n *node) bool {
	if n.space.hidden {
		return false
	}
	for at := n; at != nil; at = at.parent {
		if at.id == s.lost {
			return false
		}
	}
	return s.refusalOf(s.me, n) == ""
}

// parseID reads an id of digits; it returns 0, which is never an id, for any other text.
func parseID(s string) int64 {
	id, err := strconv.ParseInt(s, 10, 64)
	if err != nil || id <= 0 {
		return 0
	}
	return id
}

func formatID(id int64) string { return strconv.FormatInt(id, 10) }

func hash(s string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s)) // a hash never fails
	return h.Sum64()
}
