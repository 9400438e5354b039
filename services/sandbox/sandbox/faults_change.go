package sandbox

// meddle changes a page during another caller's read, as people do: the fault's page, or a current
// page that the choice selects. A page that cannot be changed stays unchanged.
func (s *Site) meddle(f Fault, choice uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.nodes[parseID(f.PageID)]
	if f.PageID == "" {
		n = s.anyPage(choice)
	}
	if n == nil || n.status != current || n == n.space.home {
		return
	}
	switch f.Kind {
	case FaultEdit:
		_ = s.edit(n, Edit{}) // only a new title can be rejected
	case FaultMove:
		_ = s.move(n, n.space, n.space.home) // the homepage has no parent
	case FaultTrash:
		s.trash(n)
	}
}

// anyPage chooses one of the current pages except homepages; nil if there is none.
func (s *Site) anyPage(choice uint64) *node {
	pages := s.all.byID
	for i := range pages {
		n := pages[(choice+uint64(i))%uint64(len(pages))]
		if n.status == current && n != n.space.home {
			return n
		}
	}
	return nil
}
