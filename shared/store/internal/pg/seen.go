package pg

import (
	"context"
	"fmt"

	"github.com/sluicehq/sluice/shared/viewer"
)

// Seen is what a viewer may see now. It is read once for each request.
type Seen struct {
	Sources []string // the sources that the viewer looks into; nil: every source
	Free    []string // those in which it sees every page
	Sets    []int32  // the sets of layers that it passes, of the other sources; nil: the viewer sees every page
}

// See returns what a viewer may see in some sources, nil for every source.
func See(ctx context.Context, q Querier, v viewer.Viewer, sources []string) (Seen, error) {
	s := Seen{Sources: sources, Free: []string{}}
	if v.Operator() {
		return s, nil
	}
	var guarded bool
	err := q.QueryRow(ctx, `
		WITH admitted AS MATERIALIZED (SELECT * FROM confluence_admitted($1, $2, $3))
		SELECT coalesce(array_agg(source_id) FILTER (WHERE set_id IS NULL), '{}'), coalesce(array_agg(set_id) FILTER (WHERE set_id IS NOT NULL), '{}'),
			EXISTS (SELECT FROM archon_sources s WHERE ($3::text[] IS NULL OR s.source_id = ANY ($3))
				AND s.source_id NOT IN (SELECT source_id FROM admitted WHERE set_id IS NULL))
		FROM admitted`, v.Account(), v.Named(), sources).Scan(&s.Free, &s.Sets, &guarded)
	if err == nil && !guarded {
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
func Shows(source, node, free, sets string) string {
	return `(` + sets + `::int[] IS NULL OR ` + source + ` = ANY (` + free + `::text[]) OR EXISTS (SELECT FROM confluence_tree seen
		WHERE seen.source_id = ` + source + ` AND seen.node_id = ` + node + ` AND seen.layer_set = ANY (` + sets + `::int[])))`
}
