package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicehq/sluice/shared/access"
	"github.com/sluicehq/sluice/shared/store/internal/pg"
)

// Permissions is a source's setting: whether Confluence's permissions decide who sees its pages.
type Permissions string

// The settings.
const (
	Enforce          Permissions = "enforce"           // Confluence's permissions decide
	UnrestrictedOnly Permissions = "unrestricted-only" // as Enforce, and nobody sees a page with a view restriction
	OpenToAll        Permissions = "open"              // every key of the source sees every page
)

// Valid reports whether p is a setting.
func (p Permissions) Valid() bool { return p == Enforce || p == UnrestrictedOnly || p == OpenToAll }

// AccessNode is a node of a source's tree, as a reading of permissions needs it.
type AccessNode struct {
	ID       string
	Kind     string // page, blogpost, folder, …
	ParentID string // "" at the top
	Known    bool   // its own view restriction, or that it has none, has been read
}

// AccessNodes returns the nodes of a source's tree that can have a view restriction, and the time of the database's clock: a reading of permissions that
// starts now gives it to SaveAccess.
func (s *Store) AccessNodes(ctx context.Context, sourceID string) ([]AccessNode, time.Time, error) {
	var now time.Time
	if err := s.pool.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now); err != nil {
		return nil, now, fmt.Errorf("read the clock: %w", err)
	}
	rows, _ := s.pool.Query(ctx, `SELECT node_id, kind, coalesce(parent_id, ''), access_known FROM confluence_tree
		WHERE source_id = $1 AND kind NOT IN `+partKinds+` ORDER BY node_id`, sourceID)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[AccessNode])
	if err != nil {
		return nil, now, fmt.Errorf("read the tree of %s: %w", sourceID, err)
	}
	return list, now, nil
}

// AccessRead is what a reading of a source's permissions has learned.
type AccessRead struct {
	SourceID string
	Started  time.Time      // before the first question, by the database's clock
	Source   []access.Layer // the layers of the site and the space; empty: not read, and what is known of them stays
	Layers   []access.Layer // the layers of content, those that could not be read included
	Covered  []string       // the ids of the content whose own restriction was read, whether it has a layer or not
	Complete bool           // all of the source was read: content that is not covered becomes unknown
	Parents  []Node         // the parents of nodes as the reading saw them; nodes that the tree does not have are ignored
}

// AccessChange is what a reading changed.
type AccessChange struct {
	Layers int // layers that came, went or admit others now
	Moved  int // nodes that have another parent now: they are hidden until BuildPaths and Repath
}

// SaveAccess replaces what is known of a source's permissions by what a reading has learned, in one transaction. Only
// covered content loses a layer, or is concluded to have none. A layer that somebody else has read since the reading
// started stays. A layer that is known stays when it cannot be read again, until it is too old. The time of what was
// read is that of Started, which no layer's ReadAt replaces.
func (s *Store) SaveAccess(ctx context.Context, r AccessRead) (AccessChange, error) {
	started := r.Started.Truncate(time.Microsecond) // as the database keeps it
	layers, err := layersJSON(r)
	if err != nil {
		return AccessChange{}, err
	}
	n := len(r.Parents)
	moved, parents, parentKinds := make([]string, n), make([]string, n), make([]string, n)
	for i, p := range r.Parents {
		moved[i], parents[i], parentKinds[i] = p.ID, p.ParentID, p.ParentKind
	}
	var change AccessChange
	err = s.inTx(ctx, "save the permissions of "+r.SourceID, func(tx pgx.Tx) error {
		change = AccessChange{}
		b := &pgx.Batch{}
		count := func(sql string, args ...any) {
			b.Queue(sql, args...).Exec(func(tag pgconn.CommandTag) error {
				change.Layers += int(tag.RowsAffected())
				return nil
			})
		}
		b.Queue(lockTreeSQL, r.SourceID)
		b.Queue(moveNodesSQL, r.SourceID, moved, parents, parentKinds).Exec(func(tag pgconn.CommandTag) error {
			change.Moved = int(tag.RowsAffected())
			return nil
		})
		count(dropLayersSQL, r.SourceID, started, layers, orEmpty(r.Covered), len(r.Source) > 0, r.Complete)
		b.Queue(putLayersSQL, r.SourceID, started, layers, r.Complete)
		count(changePrincipalsSQL, r.SourceID, started, layers)
		b.Queue(`
			UPDATE confluence_tree SET access_known = node_id = ANY ($2)
			WHERE source_id = $1 AND kind NOT IN `+partKinds+` AND CASE WHEN node_id = ANY ($2) THEN NOT access_known ELSE access_known AND $3 END`, r.SourceID, orEmpty(r.Covered), r.Complete)
		if r.Complete {
			b.Queue(`UPDATE confluence_spaces SET access_read_at = greatest(access_read_at, $2), access_problem = '' WHERE source_id = $1`, r.SourceID, started)
			b.Queue(`DELETE FROM confluence_layer_sets s WHERE s.source_id = $1 AND NOT EXISTS (
				SELECT FROM confluence_tree t WHERE t.source_id = $1 AND t.layer_set = s.set_id)
				AND NOT EXISTS (SELECT FROM confluence_removals gone WHERE gone.source_id = $1 AND gone.layer_set = s.set_id)`, r.SourceID)
		}
		return tx.SendBatch(ctx, b).Close()
	})
	return change, err
}

// layersJSON is the parameter that given reads.
func layersJSON(r AccessRead) (string, error) {
	type row struct {
		Kind       access.ObjectKind  `json:"kind"`
		ID         string             `json:"id"`
		Unknown    string             `json:"unknown"`
		Principals []access.Principal `json:"principals"`
	}
	rows := []row{}
	for _, l := range slices.Concat(r.Source, r.Layers) {
		rows = append(rows, row{l.Object.Kind, l.Object.ID, l.Unknown, orEmpty(l.Principals)})
	}
	data, err := json.Marshal(rows)
	if err != nil {
		return "", fmt.Errorf("save the permissions of %s: %w", r.SourceID, err)
	}
	return string(data), nil
}

// given are the layers that a reading has learned, from the parameter $3.
const given = `(SELECT DISTINCT ON (kind, id) * FROM jsonb_to_recordset($3::jsonb) AS n (kind text, id text, unknown text, principals jsonb)
	ORDER BY kind, id, unknown DESC)`

const moveNodesSQL = `
	UPDATE confluence_tree t SET parent_id = nullif(n.parent_id, ''), parent_kind = nullif(n.parent_kind, '')
	FROM (SELECT DISTINCT ON (id) * FROM unnest($2::text[], $3::text[], $4::text[]) AS n (id, parent_id, parent_kind) ORDER BY id) n
	WHERE t.source_id = $1 AND t.node_id = n.id AND t.parent_id IS DISTINCT FROM nullif(n.parent_id, '')`

// dropLayersSQL deletes the layers that are gone, and those of content that is gone.
const dropLayersSQL = `
	DELETE FROM confluence_layers l WHERE l.source_id = $1 AND l.read_at <= $2
	AND NOT EXISTS (SELECT FROM ` + given + ` n WHERE n.kind = l.object_kind AND n.id = l.object_id)
	AND CASE WHEN l.object_kind <> 'content' THEN $5::bool
		ELSE l.object_id = ANY ($4) OR $6::bool AND NOT EXISTS (SELECT FROM confluence_tree t WHERE t.source_id = $1 AND t.node_id = l.object_id) END`

// putLayersSQL adds layers and dates those that are there. An unknown layer never replaces a known one. In a reading
// of a part, it does not replace the knowledge that content has no layer either: both end when they are too old.
const putLayersSQL = `
	INSERT INTO confluence_layers AS l (source_id, object_kind, object_id, unknown, read_at)
	SELECT $1, n.kind, n.id, n.unknown, $2 FROM ` + given + ` n
	WHERE n.unknown = '' OR $4::bool OR n.kind <> 'content' OR EXISTS (
		SELECT FROM confluence_layers o WHERE o.source_id = $1 AND o.object_kind = n.kind AND o.object_id = n.id)
	OR NOT EXISTS (SELECT FROM confluence_tree t WHERE t.source_id = $1 AND t.node_id = n.id AND t.access_known)
	ORDER BY 2, 3
	ON CONFLICT (source_id, object_kind, object_id) DO UPDATE SET unknown = excluded.unknown, read_at = excluded.read_at
	WHERE l.read_at <= excluded.read_at AND (excluded.unknown = '' OR l.unknown <> '')`

// changePrincipalsSQL gives the layers that were put their principals.
const changePrincipalsSQL = `
	WITH put AS (
		SELECT l.layer_id, n.principals FROM ` + given + ` n
		JOIN confluence_layers l ON l.source_id = $1 AND l.object_kind = n.kind AND l.object_id = n.id AND l.read_at = $2 AND l.unknown = ''
	), wanted AS (
		SELECT DISTINCT p.layer_id, e.kind, coalesce(e.id, '') AS principal_id
		FROM put p CROSS JOIN jsonb_to_recordset(p.principals) AS e (kind text, id text)
	), gone AS (
		DELETE FROM confluence_layer_principals o USING put
		WHERE o.layer_id = put.layer_id AND NOT EXISTS (
			SELECT FROM wanted w WHERE (w.layer_id, w.kind, w.principal_id) = (o.layer_id, o.kind, o.principal_id))
		RETURNING o.layer_id
	), came AS (
		INSERT INTO confluence_layer_principals (layer_id, kind, principal_id)
		SELECT * FROM wanted ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING RETURNING layer_id
	)
	SELECT layer_id FROM gone UNION SELECT layer_id FROM came`

// SaveGroups replaces what is known of groups. A group that cannot be read keeps its members until they are too old.
func (s *Store) SaveGroups(ctx context.Context, sourceID string, started time.Time, groups []access.Group) error {
	started = started.Truncate(time.Microsecond)
	return s.inTx(ctx, "save the groups of "+sourceID, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		for _, g := range groups {
			if g.Unknown != "" {
				b.Queue(`INSERT INTO confluence_groups (source_id, group_id, unknown, read_at) VALUES ($1, $2, $3, $4)
					ON CONFLICT DO NOTHING`, sourceID, g.ID, g.Unknown, started)
				continue
			}
			b.Queue(`INSERT INTO confluence_groups AS g (source_id, group_id, read_at) VALUES ($1, $2, $3)
				ON CONFLICT (source_id, group_id) DO UPDATE SET unknown = '', read_at = excluded.read_at WHERE g.read_at <= excluded.read_at`, sourceID, g.ID, started)
			b.Queue(`DELETE FROM confluence_group_members m USING confluence_groups g WHERE m.source_id = $1 AND m.group_id = $2 AND NOT m.account_id = ANY ($3)
				AND g.source_id = $1 AND g.group_id = $2 AND g.read_at = $4`, sourceID, g.ID, orEmpty(g.Members), started)
			b.Queue(`INSERT INTO confluence_group_members (source_id, group_id, account_id)
				SELECT DISTINCT $1, $2, a FROM unnest($3::text[]) AS a JOIN confluence_groups g ON g.source_id = $1 AND g.group_id = $2 AND g.read_at = $4
				ON CONFLICT DO NOTHING`, sourceID, g.ID, orEmpty(g.Members), started)
		}
		// Groups that no layer names any more go.
		b.Queue(`DELETE FROM confluence_groups g WHERE g.source_id = $1 AND g.read_at <= $2 AND NOT EXISTS (
			SELECT FROM confluence_layers l JOIN confluence_layer_principals p USING (layer_id)
			WHERE l.source_id = $1 AND p.kind = 'group' AND p.principal_id = g.group_id)`, sourceID, started)
		return tx.SendBatch(ctx, b).Close()
	})
}

// AccessGroups returns the ids of the groups that the layers of a source name.
func (s *Store) AccessGroups(ctx context.Context, sourceID string) ([]string, error) {
	rows, _ := s.pool.Query(ctx, `SELECT DISTINCT p.principal_id FROM confluence_layers l JOIN confluence_layer_principals p USING (layer_id)
		WHERE l.source_id = $1 AND p.kind = 'group' ORDER BY 1`, sourceID)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("look for the groups of %s: %w", sourceID, err)
	}
	return list, nil
}

// AccessState says how a source's permissions stand.
type AccessState struct {
	Permissions Permissions   `json:"permissions"`
	MaxAge      time.Duration `json:"max_age"`           // what was read longer ago counts as unknown
	ReadAt      time.Time     `json:"read_at,omitzero"`  // when the last complete reading began; zero before the first
	Problem     string        `json:"problem,omitempty"` // why the latest reading failed, as a code
}

// AccessState returns how a source's permissions stand, or ErrNotFound.
func (s *Store) AccessState(ctx context.Context, sourceID string) (AccessState, error) {
	var a AccessState
	var read *time.Time
	err := s.pool.QueryRow(ctx, `SELECT permissions, permissions_max_age, access_read_at, access_problem FROM confluence_spaces WHERE source_id = $1`, sourceID).
		Scan(&a.Permissions, &a.MaxAge, &read, &a.Problem)
	if err != nil {
		return a, pg.NotFound(err, "read how the permissions of "+sourceID+" stand")
	}
	if read != nil {
		a.ReadAt = read.UTC()
	}
	return a, nil
}

// SetPermissions changes the setting of a source, which somebody has then chosen. A max age of 0 leaves it as it is. A
// source that is no longer open shows no page until its permissions have been read, which is due at once. It returns
// ErrNotFound without the source.
func (s *Store) SetPermissions(ctx context.Context, sourceID string, p Permissions, maxAge time.Duration) error {
	return s.inTx(ctx, "set the permissions of "+sourceID, func(tx pgx.Tx) error { return setPermissions(ctx, tx, sourceID, p, maxAge) })
}

func setPermissions(ctx context.Context, tx pgx.Tx, sourceID string, p Permissions, maxAge time.Duration) error {
	// What was read before the source was open is out of date: nobody has looked since.
	tag, err := tx.Exec(ctx, `UPDATE confluence_spaces SET permissions = $2, permissions_chosen = true,
			permissions_max_age = coalesce(nullif($3::interval, '0'), permissions_max_age),
			access_read_at = CASE WHEN permissions = $4 THEN NULL ELSE access_read_at END,
			access_problem = CASE WHEN permissions = $4 THEN '' ELSE access_problem END,
			sweep_tried_at = CASE WHEN permissions = $4 THEN NULL ELSE sweep_tried_at END
		WHERE source_id = $1`, sourceID, p, maxAge, OpenToAll)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrNotFound
	}
	return err
}

// BoundAccess sets for all sources from which age on what was read of permissions counts as unknown.
func (s *Store) BoundAccess(ctx context.Context, maxAge time.Duration) error {
	if _, err := s.pool.Exec(ctx, `UPDATE confluence_spaces SET permissions_max_age = $1 WHERE permissions_max_age <> $1`, maxAge); err != nil {
		return fmt.Errorf("set how old permissions may be: %w", err)
	}
	return nil
}

// FailAccess records why a reading of a source's permissions failed, as a code. What was known stays.
func (s *Store) FailAccess(ctx context.Context, sourceID, code string) error {
	if _, err := s.pool.Exec(ctx, `UPDATE confluence_spaces SET access_problem = $2 WHERE source_id = $1`, sourceID, code); err != nil {
		return fmt.Errorf("record that the permissions of %s could not be read: %w", sourceID, err)
	}
	return nil
}
