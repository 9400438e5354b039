// Package viewer represents the identity on whose behalf data is read. Every read of pages, chunks,
// hits, losses and lists takes a Viewer, so that no read can forget it.
package viewer

import "slices"

// Viewer determines which data a read may return. The zero Viewer sees nothing.
//
// A viewer is limited to sources and, within them, to the pages that its reader may see in Confluence. Only the
// operator has no reader: an operator sees every page.
type Viewer struct {
	operator bool
	overseer bool
	all      bool
	sources  []string
	named    bool   // an administrator has chosen the sources for the viewer
	account  string // the account id of the reader; "" is nobody in particular
}

// All is the operator, who has the database: it sees every page of every source, whatever Confluence's
// permissions say.
func All() Viewer { return Viewer{operator: true, all: true} }

// Everywhere looks into every source for nobody in particular.
func Everywhere() Viewer { return Viewer{all: true} }

// OfSources looks for nobody in particular into the sources with these ids, which an administrator has
// chosen for the viewer; without ids, it sees nothing.
func OfSources(ids ...string) Viewer { return Viewer{sources: slices.Clone(ids), named: true} }

// As returns the viewer with a reader: it sees what the account with this id may see in Confluence. An empty
// account is nobody in particular. The operator may so see what somebody sees.
func (v Viewer) As(account string) Viewer {
	v.operator, v.overseer, v.account = false, false, account
	return v
}

// Overseeing returns the viewer as one who runs the sources: it is told what runs did with all their pages, in numbers,
// messages and costs. Which pages these are, and what they contain, still depends on the reader.
func (v Viewer) Overseeing() Viewer {
	v.overseer = true
	return v
}

// Oversees reports whether the viewer is told what runs did with all their pages.
func (v Viewer) Oversees() bool { return v.operator || v.overseer }

// AsOperator returns the viewer with an operator's eyes: it sees every page of its sources. It is for those who have
// the database.
func (v Viewer) AsOperator() Viewer {
	v.operator, v.account = true, ""
	return v
}

// Operator reports whether the viewer sees every page of its sources.
func (v Viewer) Operator() bool { return v.operator }

// Account is the account id of the reader; "" is nobody in particular.
func (v Viewer) Account() string { return v.account }

// Named are the sources that an administrator has chosen for the viewer, never nil.
func (v Viewer) Named() []string {
	if !v.named {
		return []string{}
	}
	return v.Sources()
}

// SeesAll reports whether the viewer looks into every source.
func (v Viewer) SeesAll() bool { return v.all }

// Sees reports whether the viewer looks into the source.
func (v Viewer) Sees(sourceID string) bool { return v.all || slices.Contains(v.sources, sourceID) }

// Sources are the ids of the visible sources, never nil. They are also empty for a viewer who sees all:
// check SeesAll first.
func (v Viewer) Sources() []string { return append([]string{}, v.sources...) }

// Only restricts the viewer to one source; it never makes more visible.
func (v Viewer) Only(sourceID string) Viewer {
	if !v.Sees(sourceID) {
		return Viewer{}
	}
	v.all, v.sources = false, []string{sourceID}
	return v
}
