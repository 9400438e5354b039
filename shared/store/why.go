package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/access"
	"github.com/sluicehq/sluice/shared/store/internal/pg"
	"github.com/sluicehq/sluice/shared/viewer"
)

// Verdict is why an account sees a page, or does not.
type Verdict string

// The verdicts. A page is visible with the first two only.
const (
	SeenOpen     Verdict = "open"       // the source is open: permissions do not matter
	SeenAdmitted Verdict = "admitted"   // every layer lets the account in
	NeverRead    Verdict = "never-read" // the source's permissions have never been read completely
	TooOld       Verdict = "too-old"    // they were read longer ago than the source's bound
	Restricted   Verdict = "restricted" // the source shows only what nothing restricts, and something restricts the page
	NotLetIn     Verdict = "not-let-in" // a layer does not let the account in
	HasMoved     Verdict = "has-moved"  // the page is somewhere else now, and is shown once its breadcrumb is new
)

// AccessWhy explains whether an account sees a page.
type AccessWhy struct {
	Account      string      `json:"account"`
	AccountKnown bool        `json:"account_known" doc:"whether any restriction or group that was read has the account"`
	SourceID     string      `json:"source_id"`
	PageID       string      `json:"page_id"`
	Title        string      `json:"title,omitempty" doc:"only if the caller may see the page"`
	Visible      bool        `json:"visible"`
	Verdict      Verdict     `json:"verdict" enum:"open,admitted,never-read,too-old,restricted,not-let-in,has-moved"`
	Permissions  Permissions `json:"permissions" enum:"enforce,unrestricted-only,open"`
	MaxAge       int64       `json:"max_age_seconds" doc:"what was read longer ago counts as unknown"`
	ReadAt       time.Time   `json:"read_at,omitzero" doc:"when the last complete reading began"`
	Problem      string      `json:"problem,omitempty" doc:"why the latest reading failed, as a code"`
	Layers       []WhyLayer  `json:"layers" nullable:"false" doc:"the site, the space, and what restricts the page or is unknown, from the top down"`
}

// WhyLayer is what one layer says to the account.
type WhyLayer struct {
	Object  access.ObjectKind `json:"object" enum:"site,space,content"`
	ID      string            `json:"id,omitempty" doc:"of the space or content"`
	Kind    string            `json:"kind,omitempty" doc:"of content: page, blogpost, folder, …"`
	Title   string            `json:"title,omitempty" doc:"only if the caller may see it"`
	Admits  bool              `json:"admits"`
	Through access.Principal  `json:"through,omitzero" doc:"who lets the account in: itself, a group, or everyone"`
	Reason  string            `json:"reason,omitempty" doc:"why the layer does not let the account in: not-named, stale, unknown, group-unknown"`
	Detail  string            `json:"detail,omitempty" doc:"more about it: the code of a failure, or the id of a group"`
	ReadAt  time.Time         `json:"read_at,omitzero" doc:"since when the layer is known"`
}

// Details of layers that nobody has read.
const (
	DetailUnread  = "unread"  // the content's restriction has not been read yet
	DetailMissing = "missing" // the content above is not in the tree
)

// Why explains whether an account sees a live page, to a viewer that looks into the source. It names the ids of what
// restricts the page, and the titles of what the viewer may see. It returns ErrNotFound without the page.
func (r *Reader) Why(ctx context.Context, v viewer.Viewer, account string, key PageKey) (AccessWhy, error) {
	w := AccessWhy{Account: account, SourceID: key.SourceID, PageID: key.ID, Layers: []WhyLayer{}}
	if !v.Sees(key.SourceID) {
		return w, fmt.Errorf("explain page %s: %w", key.ID, ErrNotFound)
	}
	err := r.pool.Snapshot(ctx, func(q pg.Querier) error {
		e := explaining{tx: q, why: &w}
		return e.explain(ctx, v)
	})
	if err != nil {
		return w, pg.NotFound(err, "explain page "+key.ID)
	}
	return w, nil
}

// explaining is the work on one explanation.
type explaining struct {
	tx     pg.Querier
	why    *AccessWhy
	oldest time.Time // what was read before is too old
}

func (e *explaining) explain(ctx context.Context, v viewer.Viewer) error {
	w := e.why
	seen, err := pg.See(ctx, e.tx, v, []string{w.SourceID})
	if err != nil {
		return err
	}
	var read *time.Time
	err = e.tx.QueryRow(ctx, `
		SELECT n.permissions, extract(epoch FROM n.permissions_max_age)::bigint, n.access_read_at, n.access_problem, now() - n.permissions_max_age,
			CASE WHEN `+pg.Shows("p.source_id", "p.page_id", "$4", "$5")+` THEN p.title ELSE '' END,
			EXISTS (SELECT FROM confluence_admitted($3, '{}', ARRAY[$1]) a WHERE a.set_id IS NULL OR a.set_id = t.layer_set),
			EXISTS (SELECT FROM confluence_group_members m WHERE m.source_id = $1 AND m.account_id = $3)
			OR EXISTS (SELECT FROM confluence_layer_principals q JOIN confluence_layers l USING (layer_id) WHERE l.source_id = $1 AND q.kind = 'user' AND q.principal_id = $3)
		FROM confluence_pages p JOIN confluence_spaces n USING (source_id) LEFT JOIN confluence_tree t ON t.source_id = p.source_id AND t.node_id = p.page_id
		WHERE p.source_id = $1 AND p.page_id = $2 AND NOT p.is_deleted`, w.SourceID, w.PageID, w.Account, seen.Free, seen.Sets).
		Scan(&w.Permissions, &w.MaxAge, &read, &w.Problem, &e.oldest, &w.Title, &w.Visible, &w.AccountKnown)
	if err != nil {
		return err
	}
	if read != nil {
		w.ReadAt = read.UTC()
	}
	if w.Permissions == OpenToAll {
		w.Verdict = SeenOpen
		return nil
	}
	layers, err := e.layers(ctx, seen)
	if err != nil {
		return err
	}
	groups, err := e.groups(ctx)
	if err != nil {
		return err
	}
	for i, g := range access.Decide(w.Account, layers, groups, e.oldest).Grounds {
		at := &w.Layers[i]
		at.Admits, at.Through, at.Reason, at.Detail = g.Admits, g.Through, g.Reason, g.Detail
	}
	w.Verdict = e.verdict()
	return nil
}

// verdict is the reason for what the database has decided.
func (e *explaining) verdict() Verdict {
	w := e.why
	switch {
	case w.Visible:
		return SeenAdmitted
	case w.ReadAt.IsZero():
		return NeverRead
	case w.ReadAt.Before(e.oldest):
		return TooOld
	}
	restricted := false
	for _, l := range w.Layers {
		if !l.Admits {
			return NotLetIn
		}
		restricted = restricted || l.Object == access.ObjectContent
	}
	if restricted && w.Permissions == UnrestrictedOnly {
		return Restricted
	}
	return HasMoved
}

// layers reads the layers of the page from the top down, and puts what people see of them into the explanation.
// Content that nobody has read, or that is missing, is an unknown layer.
func (e *explaining) layers(ctx context.Context, seen pg.Seen) ([]access.Layer, error) {
	rows, err := e.tx.Query(ctx, `
		WITH RECURSIVE up (depth, node_id, parent_id, kind, title, known) AS (
			SELECT 0, t.node_id, t.parent_id, t.kind, t.title, t.access_known AND (t.kind IN ('page', 'blogpost') OR t.checked_run IS NOT NULL)
			FROM confluence_tree t WHERE t.source_id = $1 AND t.node_id = $2
			UNION ALL
			SELECT u.depth + 1, u.parent_id, t.parent_id, coalesce(t.kind, ''), coalesce(t.title, ''),
				coalesce(t.access_known AND (t.kind IN ('page', 'blogpost') OR t.checked_run IS NOT NULL), false)
			FROM up u LEFT JOIN confluence_tree t ON t.source_id = $1 AND t.node_id = u.parent_id
			WHERE u.parent_id IS NOT NULL AND u.depth < 1000
		)
		SELECT * FROM (
			SELECT CASE o.object_kind WHEN 'site' THEN -2 ELSE -1 END AS place, o.object_kind, o.object_id, '' AS kind, '' AS title, o.unknown, o.read_at, o.layer_id
			FROM confluence_layers o WHERE o.source_id = $1 AND o.object_kind <> 'content'
			UNION ALL
			SELECT 1000 - u.depth, 'content', u.node_id, u.kind, CASE WHEN `+pg.Shows("$1::text", "u.node_id", "$3", "$4")+` THEN u.title ELSE '' END,
				CASE WHEN l.layer_id IS NOT NULL THEN l.unknown WHEN u.kind = '' THEN '`+DetailMissing+`' WHEN NOT u.known THEN '`+DetailUnread+`' ELSE '' END, l.read_at, l.layer_id
			FROM up u LEFT JOIN confluence_layers l ON l.source_id = $1 AND l.object_kind = 'content' AND l.object_id = u.node_id
			WHERE l.layer_id IS NOT NULL OR NOT u.known
			UNION ALL
			SELECT 1000, 'content', $2, '', '', '`+DetailMissing+`', NULL, NULL WHERE NOT EXISTS (SELECT FROM up)
		) listed ORDER BY place, object_id`, e.why.SourceID, e.why.PageID, seen.Free, seen.Sets)
	if err != nil {
		return nil, err
	}
	var layers []access.Layer
	at := map[int]int{} // by layer_id
	var place int
	var kind, id, nodeKind, title, unknown string
	var read *time.Time
	var layer *int
	_, err = pgx.ForEachRow(rows, []any{&place, &kind, &id, &nodeKind, &title, &unknown, &read, &layer}, func() error {
		l := access.Layer{Object: access.Object{Kind: access.ObjectKind(kind), ID: id}, Unknown: unknown}
		if read != nil {
			l.ReadAt = read.UTC()
		}
		if layer != nil {
			at[*layer] = len(layers)
		}
		layers = append(layers, l)
		e.why.Layers = append(e.why.Layers, WhyLayer{Object: l.Object.Kind, ID: id, Kind: nodeKind, Title: title, ReadAt: l.ReadAt})
		return nil
	})
	if err != nil {
		return nil, err
	}
	rows, err = e.tx.Query(ctx, `SELECT layer_id, kind, principal_id FROM confluence_layer_principals WHERE layer_id = ANY ($1)
		ORDER BY kind DESC, principal_id`, slices.Collect(maps.Keys(at)))
	if err != nil {
		return nil, err
	}
	var of int
	_, err = pgx.ForEachRow(rows, []any{&of, &kind, &id}, func() error {
		if i, ok := at[of]; ok {
			layers[i].Principals = append(layers[i].Principals, access.Principal{Kind: access.Kind(kind), ID: id})
		}
		return nil
	})
	return layers, err
}

// groups reads the groups of the source, each with the account if it is a member.
func (e *explaining) groups(ctx context.Context) (map[string]access.Group, error) {
	rows, err := e.tx.Query(ctx, `SELECT g.group_id, g.unknown, g.read_at, ARRAY(SELECT m.account_id FROM confluence_group_members m
		WHERE m.source_id = g.source_id AND m.group_id = g.group_id AND m.account_id = $2) FROM confluence_groups g WHERE g.source_id = $1`, e.why.SourceID, e.why.Account)
	if err != nil {
		return nil, err
	}
	list := map[string]access.Group{}
	var g access.Group
	_, err = pgx.ForEachRow(rows, []any{&g.ID, &g.Unknown, &g.ReadAt, &g.Members}, func() error {
		list[g.ID] = g
		return nil
	})
	return list, err
}
