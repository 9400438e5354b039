package confluencesource

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/source"
)

const (
	// searchRows is the maximum number of rows per search call.
	searchRows = 250

	// overlap extends a search to before the watermark: the search index lags behind writes, and its
	// times are whole minutes.
	overlap = 10 * time.Minute
)

// List lists the space's pages, and its blog posts and threads of comments if requested. The listing has no labels; Labels
// returns them.
func (s *space) List(ctx context.Context, kinds source.Kinds) (source.Listing, error) {
	probe, err := s.probe(ctx, s.client.Probe)
	if err != nil {
		return source.Listing{}, err
	}
	id, key := probe.Space.ID, probe.Space.Key
	parts := []source.Part{func(ctx context.Context) iter.Seq2[source.Item, error] {
		return items(s.client.SpacePages(s.counted(ctx), id), ofStub, badRow, "list space "+key)
	}}
	if slices.Contains(kinds, page.BlogPost) {
		parts = append(parts, func(ctx context.Context) iter.Seq2[source.Item, error] {
			return items(s.client.SpaceBlogPosts(s.counted(ctx), id), ofStub, badRow, "list blog posts of space "+key)
		})
	}
	if comments, files := slices.Contains(kinds, page.Comment), slices.Contains(kinds, page.Attachment); comments || files {
		var on commented
		parts = on.note(parts)
		if comments {
			parts = append(parts, s.threads(&on))
		}
		if files {
			parts = append(parts, s.files(&on))
		}
	}
	return source.Listing{At: probe.ServerTime, Parts: parts}, nil
}

// Changes queries the search index, which has neither parents nor archived pages. A search rejects a
// dead token itself, so only the space is probed.
func (s *space) Changes(ctx context.Context, since time.Time, kinds source.Kinds) (source.Listing, error) {
	probe, err := s.probe(ctx, s.client.ProbeSpace)
	if err != nil {
		return source.Listing{}, err
	}
	if probe.Space.Status == "archived" {
		return source.Listing{}, fmt.Errorf("space %s is archived, and the search index leaves it out: %w", s.key(), source.ErrUnsearchable)
	}
	minutes := confluence.MinutesSince(since.Add(-overlap), probe.ServerTime)
	cql := confluence.Where(
		confluence.InSpace(s.key()), searched(kinds), confluence.ModifiedWithin(minutes),
	).OrderBy("lastmodified", confluence.Asc)
	parts := []source.Part{func(ctx context.Context) iter.Seq2[source.Item, error] {
		hits := s.client.CQLSearch(s.counted(ctx), cql, "version,metadata.labels", searchRows)
		return items(hits, ofHit, badRow, "search for changes in space "+s.key())
	}}
	if slices.Contains(kinds, page.Comment) {
		parts = append(parts, s.changedThreads(minutes))
	}
	return source.Listing{At: probe.ServerTime, Parts: parts}, nil
}

// Labels queries the search index for the labels of the space's pages.
func (s *space) Labels(ctx context.Context, kinds source.Kinds) iter.Seq2[source.Labelled, error] {
	cql := confluence.Where(confluence.InSpace(s.key()), wanted(kinds))
	hits := s.client.CQLSearch(s.counted(ctx), cql, "metadata.labels", searchRows)
	return items(hits, func(hit confluence.SearchResult) source.Labelled {
		return source.Labelled{PageID: hit.ID, Labels: hit.Labels}
	}, nil, "read labels in space "+s.key())
}

// wanted matches pages and those of the kinds that are listed like them.
func wanted(kinds source.Kinds) confluence.Condition {
	if slices.Contains(kinds, page.BlogPost) {
		return confluence.TypeIn(confluence.KindPage, confluence.KindBlogPost)
	}
	return confluence.TypeIs(confluence.KindPage)
}

// searched matches those and files: one search names all that changed.
func searched(kinds source.Kinds) confluence.Condition {
	types := []string{confluence.KindPage}
	if slices.Contains(kinds, page.BlogPost) {
		types = append(types, confluence.KindBlogPost)
	}
	if slices.Contains(kinds, page.Attachment) {
		types = append(types, confluence.KindAttachment)
	}
	if len(types) == 1 {
		return confluence.TypeIs(types[0])
	}
	return confluence.TypeIn(types...)
}

// badRow is the item for an unusable row: its page fails alone.
func badRow(row *confluence.RowError) source.Item {
	return source.Item{Ref: page.Ref{ID: row.ID, Kind: kindOf(row.Kind)}, Err: row}
}

// items converts a listing of Confluence. Its errors say what it was doing. For an unusable row it
// yields the result of bad, or nothing if bad is nil.
func items[From, To any](list iter.Seq2[From, error], of func(From) To, bad func(*confluence.RowError) To, doing string) iter.Seq2[To, error] {
	return func(yield func(To, error) bool) {
		for row, err := range list {
			var unusable *confluence.RowError
			if errors.As(err, &unusable) {
				if bad != nil && !yield(bad(unusable), nil) {
					return
				}
				continue
			}
			if err != nil {
				var none To
				yield(none, fmt.Errorf("%s: %w", doing, meaning(err)))
				return
			}
			if !yield(of(row), nil) {
				return
			}
		}
	}
}

func ofStub(p confluence.PageStub) source.Item {
	return source.Item{
		Ref:   page.Ref{ID: p.ID, Version: p.Version, Kind: kindOf(p.Kind)},
		Title: p.Title, Status: p.Status, ParentID: p.ParentID, ParentKind: p.ParentType, ModifiedAt: madeAt(p.ModifiedAt),
	}
}

func ofHit(hit confluence.SearchResult) source.Item {
	return source.Item{
		Ref: page.Ref{ID: hit.ID, Version: hit.Version, Kind: kindOf(hit.Type)}, Title: hit.Title, Labels: hit.Labels, ModifiedAt: madeAt(hit.ModifiedAt),
	}
}

// Containers looks up folders, whiteboards, databases and embeds, which listings of pages omit. A hidden
// container, or one of an unknown kind, has no title. After several consecutive failures it does not
// look up the rest: each failure costs all its retries.
func (s *space) Containers(ctx context.Context, refs []source.ContainerRef) ([]source.Container, error) {
	ctx = s.counted(ctx)
	found := make([]source.Container, len(refs))
	failed := 0
	for i, ref := range refs {
		found[i].ContainerRef = ref
		if failed >= refusals {
			found[i].Err = found[i-1].Err
			continue
		}
		c, err := s.client.Container(ctx, ref.Kind, ref.ID)
		var hidden *confluence.NotFoundError
		switch {
		case err == nil:
			failed = 0
			found[i].Title, found[i].ParentID, found[i].ParentKind = c.Title, c.ParentID, c.ParentType
		case !errors.As(err, &hidden) && !errors.Is(err, confluence.ErrInvalidArgument):
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			failed++
			found[i].Err = fmt.Errorf("look up %s %s: %w", ref.Kind, ref.ID, meaning(err))
		}
	}
	return found, nil
}
