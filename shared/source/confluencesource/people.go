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
	// refusals is how many times in a row users may be refused before their names are done
	// without.
	refusals = 4

	// maxPeople bounds the display names that a process remembers.
	maxPeople = 20_000
)

// people are the display names of accounts, which are the same on every site.
type people struct {
	log zerolog.Logger

	mu      sync.Mutex
	names   map[string]string        // by account id, emptied when it grows too large
	asking  map[string]chan struct{} // closed when the account's name is no longer being asked for
	refused int                      // times in a row that users were refused
}

// Names returns the display names of accounts. Confluence is asked for those that are new, by
// one task each: the tasks of a run begin together and are about the same people. Where names
// are refused again and again they are done without.
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

// claim adds to known what is remembered. The caller has to ask for the missing; when there are
// none, but another task asks for one of the ids, that one's end closes asked.
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

// ask asks Confluence for names and ends the claim to them. It reports whether names are to be
// had.
func (p *people) ask(ctx context.Context, client *confluence.Client, ids []string, known map[string]string) (given bool, err error) {
	defer p.endClaim(ids)
	users, err := client.Users(ctx, ids)
	var denied *confluence.AuthError
	p.mu.Lock()
	defer p.mu.Unlock()
	if errors.As(err, &denied) {
		// A token without the scope for users can still read pages; mentions show account ids.
		// Only a refusal that repeats itself is taken for that: a page without its names is
		// not written anew when they can be read again.
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
		// An account that is not there is remembered too, as without a name.
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
