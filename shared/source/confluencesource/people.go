package confluencesource

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/shared/confluence"
)

const (
	// refusals is the number of consecutive rejections after which users' names are given up.
	refusals = 4

	// maxPeople limits the number of cached display names in a process.
	maxPeople = 20_000
)

// people caches the display names of accounts, which are the same on every site.
type people struct {
	log zerolog.Logger

	mu      sync.Mutex
	names   map[string]string        // by account id, emptied when it grows too large
	asking  map[string]chan struct{} // closed when the look-up of the account's name ends
	refused int                      // consecutive rejections
}

// Names returns the display names of accounts. Each unknown name is looked up by only one task: the
// tasks of a run start together and concern the same people. After repeated rejections the names are
// given up.
func (s *space) Names(ctx context.Context, ids []string) (map[string]string, error) {
	ctx = s.counted(ctx)
	known := map[string]string{}
	for {
		missing, asked := s.people.claim(ids, known)
		switch {
		case len(missing) > 0:
			given, err := s.people.ask(ctx, s.client, missing, known)
			if err != nil || !given {
				return known, err
			}
		case asked == nil:
			return known, nil
		default:
			select {
			case <-asked:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}
}

// claim adds the cached names to known. The caller must look up the missing ones; if there are none, but
// another task is looking up one of the ids, asked is closed at the end of that look-up.
func (p *people) claim(ids []string, known map[string]string) (missing []string, asked <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range ids {
		if _, ok := known[id]; ok {
			continue
		}
		if name, ok := p.names[id]; ok {
			known[id] = name
		} else if ended := p.asking[id]; ended != nil {
			asked = ended
		} else {
			missing = append(missing, id)
		}
	}
	ended := make(chan struct{})
	for _, id := range missing {
		p.asking[id] = ended
	}
	return missing, asked
}

// ask looks up names and ends the claim to them. It reports whether names are available.
func (p *people) ask(ctx context.Context, client *confluence.Client, ids []string, known map[string]string) (given bool, err error) {
	defer p.endClaim(ids)
	users, err := client.Users(ctx, ids)
	var denied *confluence.AuthError
	p.mu.Lock()
	defer p.mu.Unlock()
	if errors.As(err, &denied) {
		// A token without the scope for users can still read pages; mentions then show account ids. Only
		// repeated rejections count as such a token, because a page without names is not written again
		// when names become readable.
		if p.refused++; p.refused < refusals {
			return false, fmt.Errorf("look up users: %w", err)
		}
		p.log.Warn().Err(err).Msg("display names are not readable")
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up users: %w", meaning(err))
	}
	p.refused = 0
	if len(p.names)+len(ids) > maxPeople {
		clear(p.names)
	}
	for _, id := range ids {
		// An account that does not exist is cached too, without a name.
		p.names[id] = users[id].DisplayName
		known[id] = users[id].DisplayName
	}
	return true, nil
}

func (p *people) endClaim(ids []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.asking[ids[0]])
	for _, id := range ids {
		delete(p.asking, id)
	}
}
