package confluencesource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/source"
)

const (
	// watchedAtOnce limits the spaces of a question: more make an address that proxies reject.
	watchedAtOnce = 50
	// mostHits limits what is read of an answer. With more, runs find out the rest.
	mostHits = 4 * searchRows
)

var _ source.Watching = (*space)(nil)

// Watch asks once for all spaces that are read with the same credential, because it shows what that may see.
func (s *space) Watch(ctx context.Context, of []source.Watched) []source.Change {
	out := make([]source.Change, len(of))
	groups := map[*confluence.Client][]watched{}
	for i, w := range of {
		sp, ok := w.System.(*space)
		switch {
		case !ok:
			out[i].Err = fmt.Errorf("watch: %T is no space", w.System)
		case sp.src.SpaceID == "":
			out[i].Unsure = "its space's id is not known yet"
		default:
			groups[sp.client] = append(groups[sp.client], watched{space: sp, Watched: w, out: &out[i]})
		}
	}
	for client, group := range groups {
		for some := range slices.Chunk(group, watchedAtOnce) {
			if err := watch(s.counted(ctx), client, some); err != nil {
				for _, w := range some {
					*w.out = source.Change{Err: err}
				}
			}
		}
	}
	return out
}

// watched is a space of a question, and where its answer goes.
type watched struct {
	*space
	source.Watched
	out *source.Change
}

// watch asks where the spaces are now, and then what changed in them. The first proves that the spaces can be read and are
// called as the search must name them: it finds nothing in a space that it does not know.
func watch(ctx context.Context, client *confluence.Client, of []watched) error {
	ids := make([]string, len(of))
	for i, w := range of {
		ids[i] = w.src.SpaceID
	}
	found, now, err := client.SpacesByID(ctx, ids)
	if err != nil {
		return fmt.Errorf("look for the spaces of %d sources: %w", len(of), meaning(err))
	}
	byName := map[string][]watched{}
	var asked []watched
	oldest := now
	var keys []string
	for _, w := range of {
		i := slices.IndexFunc(found, func(sp confluence.Space) bool { return sp.ID == w.src.SpaceID })
		if i < 0 {
			w.out.Unsure = "its space is missing or hidden"
			continue
		}
		w.out.At = now
		w.found.Store(&found[i])
		if found[i].Status == "archived" { // the search leaves it out, and nobody can edit in it
			continue
		}
		asked, keys = append(asked, w), append(keys, w.key())
		if w.Since.Before(oldest) {
			oldest = w.Since
		}
		for _, name := range w.names() {
			byName[name] = append(byName[name], w)
		}
	}
	if len(asked) == 0 {
		return nil
	}
	cql := confluence.Where(confluence.InSpaces(keys...), watchedTypes(asked), confluence.ModifiedWithin(confluence.MinutesSince(oldest.Add(-overlap), now))).
		OrderBy("lastmodified", confluence.Desc)
	return readHits(ctx, client, cql, asked, byName)
}

func readHits(ctx context.Context, client *confluence.Client, cql confluence.CQL, asked []watched, byName map[string][]watched) error {
	n := 0
	for hit, err := range client.CQLSearch(ctx, cql, "version,space", searchRows) {
		of := byName[strings.ToLower(hit.SpaceKey)]
		var unusable *confluence.RowError
		switch {
		case errors.As(err, &unusable):
			// Of which space it is, is not known. With the version 0, one run of each is enough.
			hit, of = confluence.SearchResult{ID: unusable.ID, Type: unusable.Kind}, asked
		case err != nil:
			return fmt.Errorf("search for what changed in %d spaces: %w", len(asked), meaning(err))
		case of == nil:
			of = asked
		}
		for _, w := range of {
			if kind := kindOf(hit.Type); kind == "" || slices.Contains(w.Kinds, kind) {
				w.out.Hits = append(w.out.Hits, page.Ref{ID: hit.ID, Version: hit.Version, Kind: kind})
			}
		}
		if n++; n == mostHits {
			for _, w := range asked {
				w.out.Unsure = "more has changed on its site than one question tells"
			}
			return nil
		}
	}
	return nil
}

// watchedTypes matches all types that one of the spaces wants.
func watchedTypes(of []watched) confluence.Condition {
	types := []string{confluence.KindPage}
	for _, k := range []struct{ kind, name string }{{page.BlogPost, confluence.KindBlogPost}, {page.Comment, confluence.KindComment}, {page.Attachment, confluence.KindAttachment}} {
		if slices.ContainsFunc(of, func(w watched) bool { return slices.Contains(w.Kinds, k.kind) }) {
			types = append(types, k.name)
		}
	}
	return confluence.TypeIn(types...)
}
