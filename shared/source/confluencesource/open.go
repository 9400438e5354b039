// Package confluencesource opens Confluence Cloud spaces as sources. Confluence's terms and its queries
// stay in this package and in shared/confluence.
package confluencesource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
	sites   map[string]told   // by address
	wrote   map[string]string // who wrote the first version of edited comments, by site and id
	lookups singleflight.Group
}

// New returns an opener that uses the clients.
func New(clients Clients, log zerolog.Logger) *Opener {
	return &Opener{
		clients: clients, log: log, spaces: map[string]string{}, sites: map[string]told{}, wrote: map[string]string{}, room: confluence.NewRoom(),
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
	return &space{Opener: o, client: client, src: src, site: src.BaseURL, held: o.room.Held()}, nil
}

// space is a source's space.
type space struct {
	*Opener
	client *confluence.Client
	src    store.Source
	site   string                           // with /wiki
	found  atomic.Pointer[confluence.Space] // as it was last found
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
	_ source.Identified = (*space)(nil)
	_ source.Files      = (*space)(nil)
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

// look asks for the space with a key.
type look func(ctx context.Context, key string) (confluence.Probe, error)

// probe finds the space, by its key, and where that is no longer its key, by its id.
func (s *space) probe(ctx context.Context, look look) (confluence.Probe, error) {
	ctx = s.counted(ctx)
	probe, err := look(ctx, s.key())
	var missing *confluence.NotFoundError
	if id := s.src.SpaceID; id != "" && (errors.As(err, &missing) || err == nil && probe.Space.ID != id) {
		probe, err = s.follow(ctx, look, probe, err)
	}
	var moved *confluence.ProtocolError
	switch {
	case errors.As(err, &missing):
		return probe, failure.New(failure.SpaceNotFound, "space %s does not exist, or is not visible to the configured account: %w", s.key(), err)
	case errors.As(err, &moved) && moved.MovedTo != "":
		return probe, failure.New(failure.SiteMoved, "probe space %s: %w; tell Sluice: sluice source set %s --base-url %s", s.key(), err, s.src.ID, moved.MovedTo)
	case err != nil:
		return probe, fmt.Errorf("probe space %s: %w", s.key(), meaning(err))
	}
	s.found.Store(&probe.Space)
	s.rememberSpace(probe.Space.ID)
	return probe, nil
}

// follow finds the space by its id, when its key is that of none, or of another space.
func (s *space) follow(ctx context.Context, look look, other confluence.Probe, cause error) (confluence.Probe, error) {
	id := s.src.SpaceID
	space, err := s.client.SpaceByID(ctx, id)
	if err == nil {
		other, err = look(ctx, space.Key)
		if err == nil && other.Space.ID == id {
			return other, nil
		}
	}
	var missing *confluence.NotFoundError
	switch {
	case err != nil && !errors.As(err, &missing):
		return other, err
	case cause != nil:
		return other, cause
	}
	return other, failure.New(failure.SpaceNotFound, "space key %s now belongs to another space (id %s): the space of source %s (id %s) does not exist, "+
		"or is not visible to the configured account; add the new space as a source of its own", s.key(), other.Space.ID, s.src.ID, id)
}

// key is the key by which the source's space is called: as it is registered while the space answers
// to that, in the letters of the site, else the one that it has now.
func (s *space) key() string {
	found := s.found.Load()
	switch {
	case found == nil:
		return s.src.SpaceKey
	case strings.EqualFold(found.Alias, s.src.SpaceKey):
		return found.Alias
	case strings.EqualFold(found.Key, s.src.SpaceKey) || found.Alias == "":
		return found.Key
	default:
		return found.Alias
	}
}

// names are the keys by which the space is and was called, in small letters.
func (s *space) names() []string {
	names := append([]string{strings.ToLower(s.src.SpaceKey)}, s.src.Keys...)
	if found := s.found.Load(); found != nil {
		names = append(names, strings.ToLower(found.Key), strings.ToLower(found.Alias))
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == "" })
}

// otherNames are those but for the one by which it is called.
func (s *space) otherNames() []string {
	return slices.DeleteFunc(s.names(), func(name string) bool { return strings.EqualFold(name, s.key()) })
}

// Identity says which space of which site the source is. A site that does not tell its id is known by
// what was found out before.
func (s *space) Identity(ctx context.Context) (source.Identity, error) {
	found := s.found.Load()
	if found == nil {
		if err := s.Probe(ctx); err != nil {
			return source.Identity{}, err
		}
		found = s.found.Load()
	}
	is := source.Identity{ID: found.ID, Key: s.key(), Keys: []string{found.Key}}
	if found.Alias != "" {
		is.Keys = append(is.Keys, found.Alias)
	}
	var err error
	is.Site, err = s.cloudID(ctx)
	return is, err
}

// siteAgain is how long a site's id is believed: that of an address changes about never.
const siteAgain = time.Hour

// told is what a site said its id is, "" for nothing.
type told struct {
	id    string
	until time.Time
}

// cloudID asks the site for its id, now and then.
func (s *space) cloudID(ctx context.Context) (string, error) {
	s.mu.Lock()
	known := s.sites[s.site]
	s.mu.Unlock()
	if time.Now().Before(known.until) {
		return known.id, nil
	}
	id, err := s.client.CloudID(s.counted(ctx))
	if err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		s.log.Warn().Str("site", s.site).Err(err).Msg("the site does not tell its id; it is known by its address")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sites[s.site] = told{id, time.Now().Add(siteAgain)}
	return id, nil
}

// spaceID returns the id of the space: the source's, or as it is remembered, or it asks for it. Of
// several that do not know it, one asks.
func (s *space) spaceID(ctx context.Context, ask bool) (string, error) {
	if s.src.SpaceID != "" {
		return s.src.SpaceID, nil
	}
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
		found, err := s.client.SpaceByKey(ctx, s.key())
		if err != nil {
			return nil, fmt.Errorf("look up space %s: %w", s.key(), meaning(err))
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

func (s *space) name() string { return s.site + " " + s.src.SpaceKey }

// PageAddress returns the short address of a page of the space.
func (s *space) PageAddress(pageID string) string {
	return s.site + "/spaces/" + s.key() + "/pages/" + pageID
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
	switch kind {
	case confluence.KindBlogPost:
		return page.BlogPost
	case confluence.KindComment:
		return page.Comment
	case confluence.KindAttachment:
		return page.Attachment
	}
	return ""
}
