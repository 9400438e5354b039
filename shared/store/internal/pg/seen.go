package pg

import (
	"context"
	"fmt"
	"slices"

	"github.com/sluicehq/sluice/shared/viewer"
)

// Seen is what a viewer may see now. It is read once for each request.
type Seen struct {
	Sources []string // the sources that the viewer looks into; nil: every source
	Free    []string // those in which it sees every page
	Sets    []int32  // the sets of layers that it passes, of the other sources; nil: the viewer sees every page
}

// Widest returns the context of a request of a viewer, who looks into sources, nil for every source. What the viewer may see
// in some of them is then looked up as for all of them, so that reads of Together look it up once.
func Widest(ctx context.Context, v viewer.Viewer, sources []string) context.Context {
	if w, ok := ctx.Value(widestKey{}).(widest); ok && w.holds(v, sources) {
		return ctx
	}
	return context.WithValue(ctx, widestKey{}, widest{v, sources})
}

type widestKey struct{}

type widest struct {
	viewer  viewer.Viewer
	sources []string
}

// holds reports whether what the viewer of the request may see says what another viewer may see: the same reader in
// some of the same sources.
func (w widest) holds(v viewer.Viewer, sources []string) bool {
	named, chosen := v.Named(), w.viewer.Named()
	return !w.viewer.Operator() && v.Account() == w.viewer.Account() && (len(named) == 0) == (len(chosen) == 0) && within(named, chosen) &&
		(w.sources == nil || sources != nil && within(sources, w.sources))
}

// within reports whether all of some ids are among others.
func within(some, all []string) bool {
	return !slices.ContainsFunc(some, func(id string) bool { return !slices.Contains(all, id) })
}

// See returns what a viewer may see in some sources, nil for every source.
func See(ctx context.Context, q Querier, v viewer.Viewer, sources []string) (Seen, error) {
	s := Seen{Sources: sources, Free: []string{}}
	if v.Operator() {
		return s, nil
	}
	if w, ok := ctx.Value(widestKey{}).(widest); ok && w.holds(v, sources) {
		v, sources = w.viewer, w.sources
	}
	var guarded bool
	err := q.QueryRow(ctx, `
		WITH admitted AS MATERIALIZED (SELECT * FROM confluence_admitted($1, $2, $3))
		SELECT coalesce(array_agg(source_id) FILTER (WHERE set_id IS NULL), '{}'), coalesce(array_agg(set_id) FILTER (WHERE set_id IS NOT NULL), '{}'),
			EXISTS (SELECT FROM archon_sources s WHERE ($3::text[] IS NULL OR s.source_id = ANY ($3))
				AND s.source_id NOT IN (SELECT source_id FROM admitted WHERE set_id IS NULL))
		FROM admitted`, v.Account(), v.Named(), sources).Scan(&s.Free, &s.Sets, &guarded)
	if err == nil && (!guarded || s.Sources != nil && within(s.Sources, s.Free)) {
		s.Sets = nil
	}
	if err != nil {
		return s, fmt.Errorf("look up what the reader may see: %w", err)
	}
	return s, nil
}

// All reports whether the viewer sees every page of its sources.
func (s Seen) All() bool { return s.Sets == nil }

// Shows returns the SQL condition that a viewer may see the page with the id node in source, both SQL expressions.
// free and sets are the names of the parameters for Seen.Free and Seen.Sets. A node of NULL, something that is no
// page, is visible in a free source only.
func Shows(source, node, free, sets string) string { return shows(source, node, free, sets, "") }

// ShowsEach is Shows for a few thousand rows at most: each of their pages is looked up. With Shows, the planner may
// first read every page that the viewer sees.
func ShowsEach(source, node, free, sets string) string {
	return shows(source, node, free, sets, " OFFSET 0")
}

func shows(source, node, free, sets, end string) string {
	return `(` + sets + `::int[] IS NULL OR ` + source + ` = ANY (` + free + `::text[]) OR EXISTS (SELECT FROM confluence_tree seen
		WHERE seen.source_id = ` + source + ` AND seen.node_id = ` + node + ` AND seen.layer_set = ANY (` + sets + `::int[])` + end + `))`
}
