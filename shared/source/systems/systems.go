// Package systems is the map of the systems that sources can be of. A new system is a package
// and a line here.
package systems

import (
	"context"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/shared/source"
	"github.com/sluicehq/sluice/shared/source/confluencesource"
	"github.com/sluicehq/sluice/shared/store"
)

// Means is what systems are reached with.
type Means struct {
	Confluence confluencesource.Clients
	Log        zerolog.Logger
}

// opener opens the sources of one system.
type opener interface {
	Open(ctx context.Context, src store.Source) (source.System, error)
}

// kinds are the systems, by the name that a source has them under.
var kinds = map[string]func(Means) opener{
	"confluence": func(m Means) opener { return confluencesource.New(m.Confluence, m.Log) },
}

// Systems opens sources, whatever system they are of. It is safe for concurrent use.
type Systems struct{ openers map[string]opener }

// New returns the systems as they are reached with m.
func New(m Means) *Systems {
	s := &Systems{openers: make(map[string]opener, len(kinds))}
	for name, open := range kinds {
		s.openers[name] = open(m)
	}
	return s
}

// Open opens a source, for one piece of work. The error has the code failure.Unauthorized when
// this process may not read it.
func (s *Systems) Open(ctx context.Context, src store.Source) (source.System, error) {
	return s.openers["confluence"].Open(ctx, src)
}
