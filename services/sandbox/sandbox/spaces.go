package sandbox

import (
	"fmt"
	"slices"
	"strings"
)

// ArchiveSpace archives the space, or takes it out of the archive. Its pages stay current: lists
// and reads by id give them as before, and a search finds nothing of them.
func (s *Site) ArchiveSpace(key string, yes bool) error {
	return s.changeOf("archive", key, func(sp *space) error {
		sp.status = current
		if yes {
			sp.status = archived
		}
		return nil
	})
}

// Rekey is how a space gets another key. Its id stays, and so do its pages.
type Rekey struct {
	Key    string `json:"key"`              // the new one
	Alias  bool   `json:"alias,omitempty"`  // the new key is an alias: addresses have it, and the API's key stays the old one
	Forget bool   `json:"forget,omitempty"` // nothing answers to the old key any more
}

// RekeySpace gives the space another key. Lists of spaces, searches and addresses know it by the
// old one as well, unless r.Forget says otherwise. A key that another space has or had is an
// ErrConflict.
func (s *Site) RekeySpace(key string, r Rekey) error {
	return s.changeOf("change the key of", key, func(sp *space) error {
		switch other := s.space(r.Key); {
		case r.Key == "":
			return fmt.Errorf("%w: the new key is empty", ErrInvalid)
		case r.Alias && r.Forget:
			return fmt.Errorf("%w: an alias leaves the key as it is", ErrInvalid)
		case other != nil && other != sp:
			return fmt.Errorf("%w: the key %s is taken", ErrConflict, r.Key)
		}
		if r.Alias {
			sp.former = append(sp.former, sp.alias)
			sp.alias = r.Key
			return nil
		}
		sp.former = append(sp.former, sp.key, sp.alias)
		if r.Forget {
			sp.former = nil
		}
		sp.key, sp.alias = r.Key, r.Key
		return nil
	})
}

// LeaveOutOfSearch takes the content out of the search index, though it is there, or puts it
// back. Lists and reads by id are as before.
func (s *Site) LeaveOutOfSearch(id string, yes bool) error {
	return s.change("leave out of search", id, func(n *node) error {
		n.unindexed = yes
		s.moment++
		return nil
	})
}

// LeaveSpaceOutOfSearch is LeaveOutOfSearch for all that a space has and will have.
func (s *Site) LeaveSpaceOutOfSearch(key string, yes bool) error {
	return s.changeOf("leave out of search", key, func(sp *space) error {
		sp.unindexed = yes
		return nil
	})
}

// changeOf runs f on the space under the write lock.
func (s *Site) changeOf(what, key string, f func(sp *space) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	sp := s.space(key)
	if sp == nil {
		return fmt.Errorf("%s space %s: %w", what, key, ErrNotFound)
	}
	if err := f(sp); err != nil {
		return fmt.Errorf("%s space %s: %w", what, key, err)
	}
	s.moment++
	return nil
}

// names are the keys to which the space answers: its own, its alias, and those that it had.
func (sp *space) names() []string {
	return append([]string{sp.key, sp.alias}, sp.former...)
}

// goesBy reports whether the space answers to one of the keys. Letter case is of no matter.
func (sp *space) goesBy(keys ...string) bool {
	return slices.ContainsFunc(sp.names(), func(name string) bool {
		return slices.ContainsFunc(keys, func(key string) bool { return strings.EqualFold(name, key) })
	})
}
