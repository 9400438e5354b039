package sandbox

import (
	"fmt"
	"slices"
)

// KeepVersions deletes all but the newest keep versions of the content and renumbers the rest from
// 1, as Confluence does when people or a retention app delete old versions. The newest version
// keeps its text and its time. The next edit gets the next number, which another text had before.
func (s *Site) KeepVersions(id string, keep int) error {
	return s.change("delete old versions of", id, func(n *node) error {
		if keep < 1 || keep > n.rev.number {
			return fmt.Errorf("%w: %d versions cannot be kept of %d", ErrInvalid, keep, n.rev.number)
		}
		s.touch(n)
		gone := n.rev.number - keep
		n.past = slices.DeleteFunc(n.past, func(old revision) bool { return old.number <= gone })
		for i := range n.past {
			n.past[i].number -= gone
		}
		n.rev.number = keep
		return nil
	})
}

// NumberVersion changes only the number of the newest version, for numbers that no page reaches by
// edits. It deletes older versions with this number or a higher one.
func (s *Site) NumberVersion(id string, number int) error {
	return s.change("number the version of", id, func(n *node) error {
		if number < 1 {
			return fmt.Errorf("%w: a version has a number from 1 on, not %d", ErrInvalid, number)
		}
		s.touch(n)
		n.past = slices.DeleteFunc(n.past, func(old revision) bool { return old.number >= number })
		n.rev.number = number
		return nil
	})
}
