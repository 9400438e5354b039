package sandbox

import (
	"fmt"
	"slices"
	"strings"
)

// ArchiveSpace archives the space, or takes it out of the archive. Its pages stay current: lists
// and reads by id still return them, but a search finds none of them.
func (s *Site) ArchiveSpace(key string, yes bool) error {
	return s.changeOf("archive", key, func(sp *space) error {
		sp.status = current
		if yes {
			sp.status = archived
		}
		return nil
	})
}

// Rekey describes a change of a space's key. Its id and its pages stay.
type Rekey struct {
	Key    string `json:"key"`              // the new one
	Alias  bool   `json:"alias,omitempty"`  // the new key is an alias: addresses use it, the API keeps the old key
	Forget bool   `json:"forget,omitempty"` // the old key stops working
}

// RekeySpace gives the space another key. Lists of spaces, searches and addresses still accept the
// old key, unless r.Forget is set. If another space has or had the key, it returns ErrConflict.
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

// LeaveOutOfSearch removes existing content from the search index, or adds it again. Lists and
// reads by id do not change.
func (s *Site) LeaveOutOfSearch(id string, yes bool) error {
	return s.change("leave out of search", id, func(n *node) error {
		n.unindexed = yes
		s.moment++
		return nil
	})
}

// LeaveSpaceOutOfSearch is LeaveOutOfSearch for all present and future content of a space.
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

// names are the space's valid keys: its own, its alias, and its former keys.
func (sp *space) names() []string {
	return append([]string{sp.key, sp.alias}, sp.former...)
}

// goesBy reports whether one of the keys is valid for the space. Letter case does not matter.
func (sp *space) goesBy(keys ...string) bool {
	return slices.ContainsFunc(sp.names(), func(name string) bool {
		return slices.ContainsFunc(keys, func(key string) bool { return strings.EqualFold(name, key) })
	})
}
