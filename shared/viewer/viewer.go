// Package viewer says on whose behalf something is read. Every read of pages, chunks, hits,
// losses and lists takes a Viewer, so that none can forget whom it answers.
package viewer

import "slices"

// Viewer is who a read is for, and so what it may answer with. The zero Viewer sees nothing.
type Viewer struct {
	all     bool
	sources []string
}

// All sees every source: an operator, who has the database, or a key that is for no source
// in particular.
func All() Viewer { return Viewer{all: true} }

// OfSources sees the sources with these ids and nothing else; without ids, nothing.
func OfSources(ids ...string) Viewer { return Viewer{sources: slices.Clone(ids)} }

// SeesAll reports whether every source is seen.
func (v Viewer) SeesAll() bool { return v.all }

// Sees reports whether what belongs to the source may be shown.
func (v Viewer) Sees(sourceID string) bool { return v.all || slices.Contains(v.sources, sourceID) }

// Sources are the ids of the sources that are seen, never nil. It is empty also for a viewer
// who sees all: ask SeesAll first.
func (v Viewer) Sources() []string { return append([]string{}, v.sources...) }

// Only narrows the viewer to one source: nothing is seen that was not seen before.
func (v Viewer) Only(sourceID string) Viewer {
	if !v.Sees(sourceID) {
		return Viewer{}
	}
	return OfSources(sourceID)
}
