// Package confluencesource opens Confluence Cloud spaces as sources. What Confluence calls
// things, and how it has to be asked, stays in here and in shared/confluence.
package confluencesource

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/singleflight"

	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/source"
	"github.com/sluicehq/sluice/shared/store"
)

// Clients gives the client for a source, or an error when this process may not read it.
type Clients interface {
	Client(ctx context.Context, src store.Source) (*confluence.Client, error)
}

// Opener opens sources that are spaces. It remembers names and the ids of spaces for all of
// them, and is safe for concurrent use.
type Opener struct {
	clients Clients
	log     zerolog.Logger
	people  people
	room    *confluence.Room

	mu      sync.Mutex
	spaces  map[string]string // space ids by site and key
	lookups singleflight.Group
}

// New returns an opener that reads with the clients.
func New(clients Clients, log zerolog.Logger) *Opener {
	return &Opener{
		clients: clients, log: log, spaces: map[string]string{}, room: confluence.NewRoom(),
		people: people{log: log, names: map[string]string{}, asking: map[string]chan struct{}{}},
	}
}

// Check says what of a new source cannot be, as systems.Check.
func Check(src store.Source) (field, reason string) {
	if confluence.CheckSpaceKey(src.SpaceKey) != nil {
		return "space_key", "is no space key: letters and digits, or ~ and the name of a personal space"
	}
	return "", ""
}

// Open opens the source's space. The errors are those of Clients; nothing is called yet.
func (o *Opener) Open(ctx context.Context, src store.Source) (source.System, error) {
	client, err := o.clients.Client(ctx, src)
	if err != nil {
		return nil, err
	}
	return &space{Opener: o, client: client, site: src.BaseURL, key: src.SpaceKey, held: o.room.Held()}, nil
}

// space is a source's space.
type space struct {
	*Opener
	client *confluence.Client
	site   string // with /wiki
	key    string
	usage  confluence.Usage
	held   *confluence.Held
}

var (
	_ source.System     = (*space)(nil)
	_ source.Labels     = (*space)(nil)
	_ source.Holder     = (*space)(nil)
	_ source.Containers = (*space)(nil)
	_ source.People     = (*space)(nil)
	_ source.TitleLinks = (*space)(nil)
	_ source.Metered    = (*space)(nil)
)

// Usage returns the exchanges since the space was opened.
func (s *space) Usage() (calls int, bytes int64) { return s.usage.Calls(), s.usage.Bytes() }

// counted returns a context whose calls count as the space's.
func (s *space) counted(ctx context.Context) context.Context {
	return confluence.CountedBy(ctx, &s.usage)
}

// Probe asks who the credential belongs to, and for the space.
func (s *space) Probe(ctx context.Context) error {
	_, err := s.probe(ctx, s.client.Probe)
	return err
}

func (s *space) probe(ctx context.Context, look func(context.Context, string) (confluence.Probe, error)) (confluence.Probe, error) {
	probe, err := look(s.counted(ctx), s.key)
	var missing *confluence.NotFoundError
	switch {
	case errors.As(err, &missing):
		return probe, failure.New(failure.SpaceNotFound, "space %s is not there, or not visible to the configured account: %w", s.key, err)
	case err != nil:
		return probe, fmt.Errorf("probe space %s: %w", s.key, meaning(err))
	}
	s.rememberSpace(probe.Space.ID)
	return probe, nil
}

// spaceID returns the id of the space as it is remembered, or asks for it. Of several that do
// not know it, one asks.
func (s *space) spaceID(ctx context.Context, ask bool) (string, error) {
	name := s.name()
	s.mu.Lock()
	id := s.spaces[name]
	s.mu.Unlock()
	if id != "" && !ask {
		return id, nil
	}
	if ask {
		// An answer that is on its way already may be older than what makes one ask.
		name += " again"
		s.lookups.Forget(name)
	}
	found, err, _ := s.lookups.Do(name, func() (any, error) {
		found, err := s.client.SpaceByKey(ctx, s.key)
		if err != nil {
			return nil, fmt.Errorf("look up space %s: %w", s.key, meaning(err))
		}
		s.rememberSpace(found.ID)
		return found.ID, nil
	})
	id, _ = found.(string)
	return id, err
}

func (s *space) rememberSpace(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spaces[s.name()] = id
}

func (s *space) name() string { return s.site + " " + s.key }

// PageAddress returns the short address of a page of the space.
func (s *space) PageAddress(pageID string) string {
	return s.site + "/spaces/" + s.key + "/pages/" + pageID
}

// meaning says by source.ErrBroken when Confluence answered with an error of its own.
func meaning(err error) error {
	var server *confluence.ServerError
	if errors.As(err, &server) {
		return &broken{err}
	}
	return err
}

// broken is an error of Confluence's own.
type broken struct{ error }

func (b *broken) Unwrap() error        { return b.error }
func (b *broken) Is(target error) bool { return target == source.ErrBroken }

// madeAt is when a version was made. A time that is still to come is none: what is ordered by it
// would stand in the way of every later version.
func madeAt(t time.Time) time.Time {
	if t.After(time.Now().Add(24 * time.Hour)) {
		return time.Time{}
	}
	return t
}

// kindOf is Confluence's kind in the words of package page.
func kindOf(kind string) string {
	if kind == confluence.KindBlogPost {
		return page.BlogPost
	}
	return ""
}
