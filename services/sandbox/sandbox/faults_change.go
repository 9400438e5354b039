package sandbox

// meddle changes a page while somebody else reads, as people do: the fault's page, or any
// current one, which follows from the choice. What cannot be changed stays as it is.
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
		_ = s.edit(n, Edit{}) // only a new title is ever refused
	case FaultMove:
		_ = s.move(n, n.space, n.space.home) // the homepage is below nothing
	case FaultTrash:
		s.trash(n)
	}
}

// anyPage chooses among the current pages, homepages aside; nil where there is none.
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
