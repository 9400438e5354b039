package sandbox

import "slices"

// Part is a comment or a file of a page or blog post.
type Part struct {
	ID       string
	Kind     Kind   // comment or attachment
	On       string // id of the page or blog post
	ParentID string // of a reply: the comment that it replies to
	Name     string // of a file
	Version  int
	Inline   bool
	Resolved bool
	Trashed  bool // known by its id only
}

// Parts returns every comment and file of the pages and blog posts of a space, whatever their status, in the order of their pages.
func (s *Site) Parts(space string) []Part {
	s.mu.RLock()
	defer s.mu.RUnlock()
	sp := s.space(space)
	if sp == nil {
		return nil
	}
	var all []Part
	for _, n := range slices.Concat(sp.shelfOf(KindPage).byID, sp.shelfOf(KindBlogPost).byID) {
		for _, c := range n.notes {
			all = append(all, c.part())
		}
		for _, a := range n.files {
			all = append(all, a.part())
		}
	}
	return all
}

// Part returns the comment or file with the id, and whether there is one.
func (s *Site) Part(id string) (p Part, found bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if c := s.talk[id]; c != nil {
		return c.part(), true
	}
	if a := s.files[id]; a != nil {
		return a.part(), true
	}
	return Part{}, false
}

func (c *Comment) part() Part {
	return Part{
		ID: c.ID, Kind: KindComment, On: formatID(c.on.id), ParentID: c.ParentID, Version: c.version, Inline: c.Inline, Resolved: c.Resolved, Trashed: c.trashed,
	}
}

func (a *Attachment) part() Part {
	return Part{ID: a.ID, Kind: KindAttachment, On: formatID(a.on.id), Name: a.Name, Version: a.version, Trashed: a.trashed}
}
