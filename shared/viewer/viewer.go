// Package viewer represents the identity on whose behalf data is read. Every read of pages, chunks,
// hits, losses and lists takes a Viewer, so that no read can forget it.
package viewer

import "slices"

// Viewer determines which data a read may return. The zero Viewer sees nothing.
type Viewer struct {
	all     bool
	sources []string
}

// All sees every source: it is for an operator, who has the database, or for a key without a list of
// sources.
func All() Viewer { return Viewer{all: true} }

// OfSources sees only the sources with these ids; without ids, nothing.
func OfSources(ids ...string) Viewer { return Viewer{sources: slices.Clone(ids)} }

// SeesAll reports whether the viewer sees every source.
func (v Viewer) SeesAll() bool { return v.all }

// Sees reports whether the viewer may see the source's data.
func (v Viewer) Sees(sourceID string) bool { return v.all || slices.Contains(v.sources, sourceID) }

// Sources are the ids of the visible sources, never nil. They are also empty for a viewer who sees all:
// check SeesAll first.
func (v Viewer) Sources() []string { return append([]string{}, v.sources...) }

// Only restricts the viewer to one source; it never makes more visible.
func (v Viewer) Only(sourceID string) Viewer {
	if !v.Sees(sourceID) {
		return Viewer{}
	}
	return OfSources(sourceID)
}
