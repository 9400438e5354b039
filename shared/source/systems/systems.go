// Package systems is the map of all source systems. A new system is a package and a line here.
package systems

import (
	"cmp"
	"context"
	"fmt"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/source"
	"github.com/sluicehq/sluice/shared/source/confluencesource"
	"github.com/sluicehq/sluice/shared/source/folder"
	"github.com/sluicehq/sluice/shared/store"
)

// Means holds what the systems need to reach their servers.
type Means struct {
	Confluence confluencesource.Clients
	Log        zerolog.Logger
}

// opener opens the sources of one system.
type opener interface {
	Open(ctx context.Context, src store.Source) (source.System, error)
}

// kinds are the systems by their name in a source.
var kinds = map[string]func(Means) opener{
	store.Confluence: func(m Means) opener { return confluencesource.New(m.Confluence, m.Log) },
	folder.System:    func(Means) opener { return folder.Opener{} },
}

// Systems opens sources of all systems. It is safe for concurrent use.
type Systems struct{ openers map[string]opener }

// New returns all systems, with the means m.
func New(m Means) *Systems {
	s := &Systems{openers: make(map[string]opener, len(kinds))}
	for name, open := range kinds {
		s.openers[name] = open(m)
	}
	return s
}

// Open opens a source for one piece of work. The error has the code failure.Unauthorized if this process
// may not read it.
func (s *Systems) Open(ctx context.Context, src store.Source) (source.System, error) {
	o := s.openers[src.System]
	if o == nil {
		return nil, failure.New(failure.UnknownSystem, "source %s is a %s, which this version of the service does not know", src.ID, src.System)
	}
	return o.Open(ctx, src)
}

// guarded are the systems that implement source.Permissions.
var guarded = map[string]bool{store.Confluence: true}

// ReadsPermissions reports whether the system of a source says who may see a page. A source without a system is a
// Confluence source.
func ReadsPermissions(system string) bool { return guarded[cmp.Or(system, store.Confluence)] }

// LeftOpen returns the ids of the sources of which every key sees every page only because nobody has chosen yet whether
// Confluence's permissions decide.
func LeftOpen(list []store.Source) []string {
	var ids []string
	for _, src := range list {
		if ReadsPermissions(src.System) && src.Permissions == store.OpenToAll && !src.Chosen {
			ids = append(ids, src.ID)
		}
	}
	return ids
}

// checks validate a new source of a system. They return the invalid field by its name in the HTTP API,
// "" if there is none, and the reason as the end of a sentence.
var checks = map[string]func(src store.Source) (field, reason string){
	store.Confluence: confluencesource.Check,
	folder.System:    folder.Check,
}

// Check returns the field of a new source that can never be valid, by its name in the HTTP API, and the
// reason as the end of a sentence about it. Both are "" if the source is valid. Check does not examine
// its base address. A source without a system is a Confluence source.
func Check(src store.Source) (field, reason string) {
	check := checks[cmp.Or(src.System, store.Confluence)]
	if check == nil {
		return "system", "is not known to this version"
	}
	return check(src)
}

// locators find a source of a system by its location.
var locators = map[string]func(location string) (store.Source, error){
	folder.System: folder.Locate,
}

// Locate returns the source of a system at a location, ready for AddSource except for its id and the
// settings that people choose. The error says what is wrong with the location.
func Locate(system, location string) (store.Source, error) {
	locate := locators[system]
	if locate == nil {
		return store.Source{}, fmt.Errorf("a %s cannot be found by a location", system)
	}
	return locate(location)
}
