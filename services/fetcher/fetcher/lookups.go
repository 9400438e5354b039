package fetcher

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/store"
)

// refusals is how many times in a row users may be refused before their names are done
// without.
const refusals = 4

// maxPeople bounds the display names that a process remembers.
const maxPeople = 20_000

// names returns the display names of accounts. Confluence is asked for those that are new, by
// one task each: the tasks of a run begin together and are about the same people.
func (f *Fetcher) names(ctx context.Context, client *confluence.Client, ids []string) (map[string]string, error) {
	known := map[string]string{}
	for {
		missing, asked := f.claimNames(ids, known)
		switch {
		case len(missing) > 0:
			given, err := f.askNames(ctx, client, missing, known)
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

// claimNames adds to known what is remembered. The caller has to ask for the missing; when there
// are none, but another task asks for one of the ids, that one's end closes asked.
func (f *Fetcher) claimNames(ids []string, known map[string]string) (missing []string, asked <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		if _, ok := known[id]; ok {
			continue
		}
		if name, ok := f.people[id]; ok {
			known[id] = name
		} else if ended := f.asking[id]; ended != nil {
			asked = ended
		} else {
			missing = append(missing, id)
		}
	}
	ended := make(chan struct{})
	for _, id := range missing {
		f.asking[id] = ended
	}
	return missing, asked
}

// askNames asks Confluence for names and ends the claim to them. It reports whether names are
// to be had: where they are refused again and again they are done without.
func (f *Fetcher) askNames(ctx context.Context, client *confluence.Client, ids []string, known map[string]string) (given bool, err error) {
	defer f.endClaim(ids)
	users, err := client.Users(ctx, ids)
	var denied *confluence.AuthError
	f.mu.Lock()
	defer f.mu.Unlock()
	if errors.As(err, &denied) {
		// A token without the scope for users can still read pages; mentions show account ids.
		// Only a refusal that repeats itself is taken for that: a page without its names is
		// not written anew when they can be read again.
		if f.refused++; f.refused < refusals {
			return false, fmt.Errorf("look up users: %w", err)
		}
		f.log.Warn().Err(err).Msg("display names are not readable")
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up users: %w", err)
	}
	f.refused = 0
	if len(f.people)+len(ids) > maxPeople {
		clear(f.people)
	}
	for _, id := range ids {
		// An account that is not there is remembered too, as without a name.
		f.people[id] = users[id].DisplayName
		known[id] = users[id].DisplayName
	}
	return true, nil
}

func (f *Fetcher) endClaim(ids []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.asking[ids[0]])
	for _, id := range ids {
		delete(f.asking, id)
	}
}

// spaceID returns the id of the source's space as it is remembered, or asks for it. Of several
// that do not know it, one asks.
func (f *Fetcher) spaceID(ctx context.Context, client *confluence.Client, src store.Source, ask bool) (string, error) {
	key := spaceName(src)
	f.mu.Lock()
	id := f.spaces[key]
	f.mu.Unlock()
	if id != "" && !ask {
		return id, nil
	}
	look := func() (any, error) {
		space, err := client.SpaceByKey(ctx, src.SpaceKey)
		if err != nil {
			return nil, fmt.Errorf("look up space %s: %w", src.SpaceKey, err)
		}
		f.rememberSpace(src, space.ID)
		return space.ID, nil
	}
	if ask {
		// An answer that is on its way already may be older than what makes one ask.
		key += " again"
		f.lookups.Forget(key)
	}
	found, err, _ := f.lookups.Do(key, look)
	id, _ = found.(string)
	return id, err
}

func (f *Fetcher) rememberSpace(src store.Source, id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.spaces[spaceName(src)] = id
}

func spaceName(src store.Source) string { return src.BaseURL + " " + src.SpaceKey }
