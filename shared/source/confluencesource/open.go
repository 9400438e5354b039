// Package confluencesource opens Confluence Cloud spaces as sources. Confluence's terms and its queries
// stay in this package and in shared/confluence.
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

// Clients returns the client for a source, or an error if this process may not read it.
type Clients interface {
	Client(ctx context.Context, src store.Source) (*confluence.Client, error)
}

// Opener opens sources that are spaces. It caches names and the ids of spaces for all of them, and is
// safe for concurrent use.
type Opener struct {
	clients Clients
	log     zerolog.Logger
	people  people
	room    *confluence.Room

	mu      sync.Mutex
	spaces  map[string]string // space ids by site and key
	lookups singleflight.Group
}

// New returns an opener that uses the clients.
func New(clients Clients, log zerolog.Logger) *Opener {
	return &Opener{
		clients: clients, log: log, spaces: map[string]string{}, room: confluence.NewRoom(),
		people: people{log: log, names: map[string]string{}, asking: map[string]chan struct{}{}},
	}
}

// Check reports invalid fields of a new source; see systems.Check.
func Check(src store.Source) (field, reason string) {
	if confluence.CheckSpaceKey(src.SpaceKey) != nil {
		return "space_key", "is not a space key: letters and digits, or ~ and the name of a personal space"
	}
	return "", ""
}

// Open opens the source's space. The errors are those of Clients; Open makes no call.
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

// Usage counts the exchanges since the space was opened.
func (s *space) Usage() (calls int, bytes int64) { return s.usage.Calls(), s.usage.Bytes() }

// counted returns a context whose calls count for the space.
func (s *space) counted(ctx context.Context) context.Context {
	return confluence.CountedBy(ctx, &s.usage)
}

// Probe checks the credential and the space.
func (s *space) Probe(ctx context.Context) error {
	_, err := s.probe(ctx, s.client.Probe)
	return err
}

func (s *space) probe(ctx context.Context, look func(context.Context, string) (confluence.Probe, error)) (confluence.Probe, error) {
	probe, err := look(s.counted(ctx), s.key)
	var missing *confluence.NotFoundError
	switch {
	case errors.As(err, &missing):
		return probe, failure.New(failure.SpaceNotFound, "space %s does not exist, or is not visible to the configured account: %w", s.key, err)
	case err != nil:
		return probe, fmt.Errorf("probe space %s: %w", s.key, meaning(err))
	}
	s.rememberSpace(probe.Space.ID)
	return probe, nil
}

// spaceID returns the cached id of the space, or looks it up. Concurrent callers share one look-up.
func (s *space) spaceID(ctx context.Context, ask bool) (string, error) {
	name := s.name()
	s.mu.Lock()
	id := s.spaces[name]
	s.mu.Unlock()
	if id != "" && !ask {
		return id, nil
	}
	if ask {
		// An answer already under way may be older than the reason for this look-up.
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

// meaning adds source.ErrBroken if Confluence answered with an error of its own.
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

// madeAt is the time of a version. A future time counts as unknown: it would make every later version
// look old.
func madeAt(t time.Time) time.Time {
	if t.After(time.Now().Add(24 * time.Hour)) {
		return time.Time{}
	}
	return t
}

// kindOf converts Confluence's kind to the kind of package page.
func kindOf(kind string) string {
	if kind == confluence.KindBlogPost {
		return page.BlogPost
	}
	return ""
}
