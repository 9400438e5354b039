package sandbox

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Draft is the input for a new piece of content.
type Draft struct {
	ID       string   `json:"id,omitempty"`        // default: the next free id
	Kind     Kind     `json:"kind,omitempty"`      // default KindPage
	Space    string   `json:"space,omitempty"`     // key; default: the parent's space
	ParentID string   `json:"parent_id,omitempty"` // default: the space's homepage
	Title    string   `json:"title"`
	Body     string   `json:"body"`
	AuthorID string   `json:"author_id,omitempty"` // default: the API user
	Labels   []string `json:"labels,omitempty"`
	Status   string   `json:"status,omitempty"`  // default current; draft for unpublished content
	Subtype  string   `json:"subtype,omitempty"` // of a page: live for a live doc
}

// check rejects drafts that Confluence does not allow.
func (d Draft) check(parent *node) error {
	switch {
	case strings.TrimSpace(d.Title) == "":
		return fmt.Errorf("%w: the title is empty", ErrInvalid)
	case d.Status != "" && d.Status != current && d.Status != draft:
		return fmt.Errorf("%w: new content is current or a draft, not %q", ErrInvalid, d.Status)
	case d.Subtype != "" && d.Subtype != live || d.Subtype == live && d.Kind != "" && d.Kind != KindPage:
		return fmt.Errorf("%w: a page can be live, and nothing else is a subtype", ErrInvalid)
	case parent != nil && (d.Kind == KindBlogPost || parent.kind == KindBlogPost):
		return fmt.Errorf("%w: a blog post is in no tree", ErrInvalid)
	}
	return nil
}

// live is the subtype of live docs, which are always being edited.
const live = "live"

// Page is a snapshot of a page or another piece of content. Site.Body returns its body.
type Page struct {
	ID         string    `json:"id"`
	Kind       Kind      `json:"kind"`
	Subtype    string    `json:"subtype,omitempty"` // live, or none
	Space      string    `json:"space"`
	ParentID   string    `json:"parent_id,omitempty"`
	ParentType Kind      `json:"parent_type,omitempty"`
	Title      string    `json:"title"`
	Status     string    `json:"status"`
	Version    int       `json:"version"`
	AuthorID   string    `json:"author_id"`
	CreatedAt  time.Time `json:"created_at"`
	ModifiedAt time.Time `json:"modified_at"` // of the current version
	Labels     []string  `json:"labels"`
	Hidden     bool      `json:"hidden"` // from the API user
}

// Page returns the content with the id, whatever its status and readers.
func (s *Site) Page(id string) (Page, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n, err := s.must(id)
	if err != nil {
		return Page{}, err
	}
	return s.snapshot(n), nil
}

// Pages returns every page of the space in ascending order of id, including trashed pages, hidden
// pages and drafts.
func (s *Site) Pages(space string) []Page { return s.shelved(space, KindPage) }

// BlogPosts is Pages for the blog posts of the space.
func (s *Site) BlogPosts(space string) []Page { return s.shelved(space, KindBlogPost) }

func (s *Site) shelved(space string, kind Kind) []Page {
	s.mu.RLock()
	defer s.mu.RUnlock()
	sp := s.space(space)
	if sp == nil {
		return nil
	}
	nodes := sp.shelfOf(kind).byID
	out := make([]Page, 0, len(nodes))
	for _, n := range nodes {
		out = append(out, s.snapshot(n))
	}
	return out
}

// Body returns the page's current body in storage format.
func (s *Site) Body(id string) (string, error) {
	s.mu.RLock()
	n, err := s.must(id)
	if err != nil {
		s.mu.RUnlock()
		return "", err
	}
	body := n.rev.body
	s.mu.RUnlock()
	return body.text(), nil
}

func (s *Site) snapshot(n *node) Page {
	p := Page{
		ID: formatID(n.id), Kind: n.kind, Subtype: n.subtype, Space: n.space.key, Title: n.rev.title, Status: n.status,
		Version: n.rev.number, AuthorID: n.author, CreatedAt: n.created, ModifiedAt: n.rev.at,
		Labels: slices.Clone(n.labels), Hidden: !s.sees(n),
	}
	if n.parent != nil {
		p.ParentID, p.ParentType = formatID(n.parent.id), n.parent.kind
	}
	return p
}

func (s *Site) must(id string) (*node, error) {
	n := s.nodes[parseID(id)]
	if n == nil {
		return nil, fmt.Errorf("content %s: %w", id, ErrNotFound)
	}
	return n, nil
}

// CreatePage adds a page, or another piece of content when d.Kind says so.
func (s *Site) CreatePage(d Draft) (Page, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sp, parent := s.space(d.Space), (*node)(nil)
	if d.ParentID != "" {
		p, err := s.must(d.ParentID)
		if err != nil {
			return Page{}, fmt.Errorf("create %q under %s: %w", d.Title, d.ParentID, err)
		}
		if sp != nil && p.space != sp {
			return Page{}, fmt.Errorf("create %q: %w: parent %s is not in space %s", d.Title, ErrInvalid, d.ParentID, d.Space)
		}
		sp, parent = p.space, p
	}
	if sp == nil {
		return Page{}, fmt.Errorf("create %q: space %q: %w", d.Title, d.Space, ErrNotFound)
	}
	if parent == nil && d.Kind != KindBlogPost {
		parent = sp.home
	}
	n, err := s.insert(d, sp, parent, s.now())
	if err != nil {
		return Page{}, err
	}
	n.born = n.created.Add(1) // so that a lagging index does not know it yet
	return s.snapshot(n), nil
}

// insert makes a node from d and adds it to the indexes.
func (s *Site) insert(d Draft, sp *space, parent *node, at time.Time) (*node, error) {
	kind := d.Kind
	if kind == "" {
		kind = KindPage
	}
	if err := d.check(parent); err != nil {
		return nil, fmt.Errorf("create %q: %w", d.Title, err)
	}
	id := parseID(d.ID)
	if id == 0 {
		id = s.nextID
		s.nextID++
	}
	if s.nodes[id] != nil {
		return nil, fmt.Errorf("create %q: %w: id %d is taken", d.Title, ErrConflict, id)
	}
	author := cmpOr(d.AuthorID, s.me)
	n := &node{
		id: id, kind: kind, subtype: d.Subtype, space: sp, status: cmpOr(d.Status, current), created: at, author: author, labels: normalLabels(d.Labels),
		rev: revision{number: 1, at: at, author: author, title: d.Title, body: literal(d.Body)},
	}
	if err := s.claimTitle(n, sp, d.Title); err != nil {
		return nil, fmt.Errorf("create %q: %w", d.Title, err)
	}
	n.attach(parent)
	s.file(n)
	return n, nil
}

// file adds n to the indexes of the site and of its space.
func (s *Site) file(n *node) {
	s.nodes[n.id] = n
	s.moment++
	if all := s.shelfOf(n.kind); all != nil {
		all.add(n)
		n.space.shelfOf(n.kind).add(n)
	}
}

// shelfOf returns the site's list of a kind that has lists, else nil.
func (s *Site) shelfOf(k Kind) *shelf {
	switch k {
	case KindPage:
		return &s.all
	case KindBlogPost:
		return &s.posts
	default:
		return nil
	}
}

// shelfOf is Site.shelfOf for one space.
func (sp *space) shelfOf(k Kind) *shelf {
	switch k {
	case KindPage:
		return &sp.shelf
	case KindBlogPost:
		return &sp.posts
	default:
		return nil
	}
}

// claimTitle reserves the title in sp for n, which must not hold another title there.
func (s *Site) claimTitle(n *node, sp *space, title string) error {
	if !n.holdsTitle() {
		return nil
	}
	key := titleKey(n.kind, title)
	if other := sp.titles[key]; other != nil && other != n {
		return fmt.Errorf("%w: a page with this title already exists in space %s: %q", ErrConflict, sp.key, title)
	}
	sp.titles[key] = n
	return nil
}

func (s *Site) freeTitle(n *node) {
	key := titleKey(n.kind, n.rev.title)
	if n.space.titles[key] == n {
		delete(n.space.titles, key)
	}
}

// touch is called before every change of n: it remembers the state that a lagging index still shows
// and drops the orders that the change makes invalid.
func (s *Site) touch(n *node) time.Time {
	now := s.now()
	if lag := s.opt.IndexLag; lag > 0 {
		n.seen = slices.DeleteFunc(n.seen, func(old shade) bool { return old.until.Before(now.Add(-lag)) })
		n.seen = append(n.seen, n.shade(now))
	}
	s.moment++
	if all := s.shelfOf(n.kind); all != nil {
		all.stale()
		n.space.shelfOf(n.kind).stale()
	}
	return now
}

// Edit is a new version of a page.
type Edit struct {
	Title    *string `json:"title,omitempty"`
	Body     *string `json:"body,omitempty"` // without a title too, a line is added to the body
	AuthorID string  `json:"author_id,omitempty"`
	Message  string  `json:"message,omitempty"`
}

// EditPage gives the page a new version, with a new title, a new body, or both.
func (s *Site) EditPage(id string, e Edit) (Page, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.must(id)
	if err != nil {
		return Page{}, fmt.Errorf("edit: %w", err)
	}
	if n.status != current {
		return Page{}, fmt.Errorf("edit %s: %w: it is %s", id, ErrConflict, n.status)
	}
	if err := s.edit(n, e); err != nil {
		return Page{}, fmt.Errorf("edit %s: %w", id, err)
	}
	return s.snapshot(n), nil
}

func (s *Site) edit(n *node, e Edit) error {
	next := n.rev
	next.number++
	next.author, next.message = cmpOr(e.AuthorID, s.me), e.Message
	switch {
	case e.Body != nil:
		next.body = literal(*e.Body)
	case e.Title == nil:
		next.body = amended{n.rev.body, next.number}
	}
	if e.Title != nil {
		if strings.TrimSpace(*e.Title) == "" {
			return fmt.Errorf("%w: the title is empty", ErrInvalid)
		}
		if err := s.claimTitle(n, n.space, *e.Title); err != nil {
			return err
		}
		if titleKey(n.kind, *e.Title) != titleKey(n.kind, n.rev.title) {
			s.freeTitle(n)
		}
		next.title = *e.Title
	}
	next.at = s.touch(n)
	if !next.at.After(n.rev.at) {
		next.at = n.rev.at.Add(time.Millisecond) // two edits in one millisecond still have an order
	}
	n.past = append(n.past, n.rev)
	n.rev = next
	return nil
}

// EditSome gives that many current pages of the space a new version and returns their ids in
// ascending order. The seed selects the pages.
func (s *Site) EditSome(space string, count int, seed int64) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sp := s.space(space)
	if sp == nil {
		return nil, fmt.Errorf("edit some of space %s: %w", space, ErrNotFound)
	}
	var pages []*node
	for _, n := range sp.shelf.byID {
		if n.status == current {
			pages = append(pages, n)
		}
	}
	rng := rand.New(rand.NewPCG(uint64(seed), uint64(sp.id))) //nolint:gosec // the same shuffle for the same seed
	rng.Shuffle(len(pages), func(i, j int) { pages[i], pages[j] = pages[j], pages[i] })
	pages = pages[:min(max(count, 0), len(pages))]
	slices.SortFunc(pages, func(a, b *node) int { return cmp.Compare(a.id, b.id) })
	ids := make([]string, 0, len(pages))
	for _, n := range pages {
		if err := s.edit(n, Edit{}); err != nil {
			return ids, fmt.Errorf("edit some of space %s: %w", space, err)
		}
		ids = append(ids, formatID(n.id))
	}
	return ids, nil
}

// amended is a body with a line that names the version that added it.
type amended struct {
	base    source
	version int
}

func (a amended) text() string {
	return a.base.text() + fmt.Sprintf("<p>Reviewed and confirmed in version %d.</p>", a.version)
}
