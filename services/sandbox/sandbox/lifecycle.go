package sandbox

import (
	"fmt"
	"slices"
	"strings"
)

// change runs f on the content with the id under the write lock.
func (s *Site) change(what, id string, f func(n *node) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.must(id)
	if err == nil {
		err = f(n)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", what, id, err)
	}
	return nil
}

// PublishPage makes a draft current, as its first version.
func (s *Site) PublishPage(id string) error {
	return s.change("publish", id, func(n *node) error {
		if n.status != draft {
			return fmt.Errorf("%w: it is %s", ErrConflict, n.status)
		}
		at := s.touch(n)
		n.status = current
		if err := s.claimTitle(n, n.space, n.rev.title); err != nil {
			n.status = draft
			return err
		}
		n.created, n.rev.at = at, at
		return nil
	})
}

// MovePage moves the page with its descendants below another parent, which may be in another space;
// an empty newParentID means the top of its own space. A move makes no version.
func (s *Site) MovePage(id, newParentID string) error {
	return s.change("move", id, func(n *node) error {
		if newParentID == "" {
			return s.move(n, n.space, nil)
		}
		p, err := s.must(newParentID)
		if err != nil {
			return err
		}
		return s.move(n, p.space, p)
	})
}

// MoveToSpace moves the page with its descendants below the homepage of another space. A blog post
// just changes its space.
func (s *Site) MoveToSpace(id, key string) error {
	return s.change("move", id, func(n *node) error {
		sp := s.space(key)
		if sp == nil {
			return fmt.Errorf("space %s: %w", key, ErrNotFound)
		}
		if n.kind == KindBlogPost {
			return s.move(n, sp, nil)
		}
		return s.move(n, sp, sp.home)
	})
}

func (s *Site) move(n *node, sp *space, parent *node) error {
	if n.status == trashed {
		return fmt.Errorf("%w: it is trashed", ErrConflict)
	}
	if n == n.space.home {
		return fmt.Errorf("%w: a homepage stays where it is", ErrInvalid)
	}
	if parent != nil && (n.kind == KindBlogPost || parent.kind == KindBlogPost) {
		return fmt.Errorf("%w: a blog post is in no tree", ErrInvalid)
	}
	for p := parent; p != nil; p = p.parent {
		if p == n {
			return fmt.Errorf("%w: %d is under it", ErrInvalid, parent.id)
		}
	}
	moved := []*node{n}
	n.below(func(c *node) bool { moved = append(moved, c); return true })
	if sp != n.space {
		if err := s.changeSpace(moved, sp); err != nil {
			return err
		}
	}
	s.touch(n)
	n.detach()
	n.attach(parent)
	return nil
}

// changeSpace moves the nodes to another space, all or none.
func (s *Site) changeSpace(moved []*node, sp *space) error {
	for _, m := range moved {
		if other := sp.titles[titleKey(m.kind, m.rev.title)]; other != nil && m.holdsTitle() {
			return fmt.Errorf("%w: space %s has a page titled %q", ErrConflict, sp.key, m.rev.title)
		}
	}
	for _, m := range moved {
		s.touch(m)
		s.freeTitle(m)
		from := m.space.shelfOf(m.kind)
		m.space = sp
		if m.holdsTitle() {
			sp.titles[titleKey(m.kind, m.rev.title)] = m
		}
		if from != nil {
			from.remove(m)
			sp.shelfOf(m.kind).add(m)
		}
	}
	return nil
}

// ArchivePage archives the page. It keeps its parent and its title; its children move up to its
// parent, as when one page is archived without its descendants. Blog posts cannot be archived.
func (s *Site) ArchivePage(id string) error {
	return s.change("archive", id, func(n *node) error {
		if n.kind == KindBlogPost {
			return fmt.Errorf("%w: it is a blog post", ErrInvalid)
		}
		if n.status != current {
			return fmt.Errorf("%w: it is %s", ErrConflict, n.status)
		}
		s.touch(n)
		s.lift(n)
		n.status = archived
		return nil
	})
}

// TrashPage moves the page to the trash: it still answers by id, without a parent, and its title is
// free again. Its children move up to its parent.
func (s *Site) TrashPage(id string) error {
	return s.change("trash", id, func(n *node) error {
		if n.status == trashed {
			return fmt.Errorf("%w: it is trashed", ErrConflict)
		}
		if n == n.space.home {
			return fmt.Errorf("%w: a homepage cannot be trashed", ErrInvalid)
		}
		s.trash(n)
		return nil
	})
}

// TrashTree moves the page and everything under it to the trash.
func (s *Site) TrashTree(id string) error {
	return s.change("trash the tree of", id, func(n *node) error {
		if n == n.space.home {
			return fmt.Errorf("%w: a homepage cannot be trashed", ErrInvalid)
		}
		gone := []*node{n}
		n.below(func(c *node) bool { gone = append(gone, c); return true })
		for _, g := range slices.Backward(gone) {
			s.trash(g)
		}
		return nil
	})
}

func (s *Site) trash(n *node) {
	s.touch(n)
	s.lift(n)
	s.freeTitle(n)
	n.before = n.parent
	n.detach()
	n.status = trashed
}

// lift moves the children of n up to its parent.
func (s *Site) lift(n *node) {
	for _, c := range slices.Clone(n.children) {
		s.touch(c)
		c.detach()
		c.attach(n.parent)
	}
}

// RestorePage takes the page out of the trash or the archive. From the trash it returns to its
// former parent, or to the top of the space if the parent no longer exists.
func (s *Site) RestorePage(id string) error {
	return s.change("restore", id, func(n *node) error {
		switch n.status {
		case archived:
			s.touch(n)
			n.status = current
			return nil
		case trashed:
			if other := n.space.titles[titleKey(n.kind, n.rev.title)]; other != nil {
				return fmt.Errorf("%w: its title is taken by %d", ErrConflict, other.id)
			}
			s.touch(n)
			n.status = current
			if p := n.before; p != nil && s.nodes[p.id] == p && p.status == current && p.space == n.space {
				n.attach(p)
			}
			n.before = nil
			return s.claimTitle(n, n.space, n.rev.title)
		}
		return fmt.Errorf("%w: it is %s", ErrConflict, n.status)
	})
}

// PurgePage removes the page permanently, whatever its status. The search index drops it
// immediately.
func (s *Site) PurgePage(id string) error {
	return s.change("purge", id, func(n *node) error {
		if n == n.space.home {
			return fmt.Errorf("%w: a homepage cannot be purged", ErrInvalid)
		}
		s.touch(n)
		s.lift(n)
		s.freeTitle(n)
		n.detach()
		if all := s.shelfOf(n.kind); all != nil {
			all.remove(n)
			n.space.shelfOf(n.kind).remove(n)
		}
		delete(s.nodes, n.id)
		s.forget(n)
		return nil
	})
}

// Restrict lets only these users (account ids) and groups (names) view the page and its descendants. With
// neither, no one may view them; the API user can be one of the users. Restrict makes no version.
func (s *Site) Restrict(id string, users, groups []string) error {
	return s.change("restrict", id, func(n *node) error {
		n.read = &audience{users: slices.Clone(users), groups: s.namedGroups(groups)}
		s.moment++
		return nil
	})
}

// Unrestrict removes the page's own view restriction.
func (s *Site) Unrestrict(id string) error {
	return s.change("unrestrict", id, func(n *node) error {
		n.read = nil
		s.moment++
		return nil
	})
}

// SetLabels replaces the page's labels. It makes no version.
func (s *Site) SetLabels(id string, labels ...string) error {
	return s.change("label", id, func(n *node) error {
		s.touch(n)
		n.labels = normalLabels(labels)
		return nil
	})
}

// normalLabels returns labels as Confluence stores them: lower case, without duplicates, sorted.
func normalLabels(labels []string) []string {
	out := make([]string, 0, len(labels))
	for _, l := range labels {
		if l = strings.ToLower(strings.TrimSpace(l)); l != "" {
			out = append(out, l)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
