package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store/internal/pg"
)

// kindSettings say which sources have which kinds besides pages: the SQL condition on a source's metadata, and the key
// there that says that a full run has listed the kind. Each of page.Kinds has a row. A third key, which listed gives the
// name, has the time at which the system last refused to list the kind.
var kindSettings = []kindSetting{
	{page.BlogPost, wantsPosts, "blog_posts_listed"},
	{page.Comment, commentsOf + ` <> 'off'`, "comments_listed"},
	{page.Attachment, wantsFiles, "attachments_listed"},
}

type kindSetting struct{ kind, wanted, listed string }

// refused is the key in a source's metadata of the time at which the kind was last refused.
func (k kindSetting) refused() string { return strings.TrimSuffix(k.listed, "_listed") + "_refused_at" }

// refusedAgain is how long after a refusal of a kind only full runs that are asked for try to list it.
const refusedAgain = "1 day"

// unlisted is the SQL condition that no full run has listed what a source's metadata asks for now of the kind.
func (k kindSetting) unlisted() string {
	return `metadata->'` + k.listed + `' IS DISTINCT FROM 'true'`
}

// waits is the SQL condition that the kind was refused a short while ago.
func (k kindSetting) waits() string {
	return `(` + k.unlisted() + ` AND coalesce((metadata->>'` + k.refused() + `')::timestamptz > now() - interval '` + refusedAgain + `', false))`
}

const (
	// wantsPosts is the SQL condition that a source's metadata asks for blog posts.
	wantsPosts = `coalesce(metadata->'include_blog_posts' = 'true', false)`
	// wantsFiles is the SQL condition that a source's metadata asks for attachments.
	wantsFiles = `coalesce(metadata->>'attachments' = 'on', false)`
	// commentsOf is the SQL expression for a source's setting of comments.
	commentsOf = `coalesce(metadata->>'comments', 'off')`
)

// Comments says which comments of its pages a source has.
type Comments string

// The settings of comments.
const (
	AllComments  Comments = "all"
	OpenComments Comments = "open" // without threads that are resolved
	NoComments   Comments = "off"
)

// Wanted reports whether the source has comments.
func (c Comments) Wanted() bool { return c == AllComments || c == OpenComments }

// Valid reports whether c is a setting.
func (c Comments) Valid() bool { return c == AllComments || c == OpenComments || c == NoComments }

// Attachments says whether a source has the files of its pages.
type Attachments string

// The settings of attachments.
const (
	AttachmentsOn  Attachments = "on"
	AttachmentsOff Attachments = "off"
)

// Valid reports whether a is a setting.
func (a Attachments) Valid() bool { return a == AttachmentsOn || a == AttachmentsOff }

// Kinds are the kinds that the source asks for besides pages, of page.Kinds.
func (s Source) Kinds() []string {
	var kinds []string
	if s.BlogPosts {
		kinds = append(kinds, page.BlogPost)
	}
	if s.Comments == AllComments || s.Comments == OpenComments {
		kinds = append(kinds, page.Comment)
	}
	if s.Attachments == AttachmentsOn {
		kinds = append(kinds, page.Attachment)
	}
	return kinds
}

var (
	contentKinds, partKinds = pg.ContentKinds, pg.PartKinds
	// wantedKinds is the SQL array of the kinds that a source's metadata asks for besides pages.
	wantedKinds = kindsSQL(func(k kindSetting) string { return `CASE WHEN ` + k.wanted + ` THEN '` + k.kind + `' END` }, `array_remove(ARRAY[`, `, `, `]::text[], NULL)`)
	// ableKinds are those of wantedKinds that were not refused a short while ago.
	ableKinds = kindsSQL(func(k kindSetting) string {
		return `CASE WHEN ` + k.wanted + ` AND NOT ` + k.waits() + ` THEN '` + k.kind + `' END`
	}, `array_remove(ARRAY[`, `, `, `]::text[], NULL)`)
	// unlistedKinds is the SQL condition that a source's metadata asks for a kind that no full run has listed, and that was
	// not refused a short while ago.
	unlistedKinds = kindsSQL(func(k kindSetting) string {
		return k.wanted + ` AND ` + k.unlisted() + ` AND NOT ` + k.waits()
	}, `(`, ` OR `, `)`)
	// kindsListed are the pairs of a JSON object that says, after a run of the mode $3 with the kinds $9 that began at $8,
	// what was listed. A run may have begun with a setting that was changed since.
	kindsListed = kindsSQL(func(k kindSetting) string {
		return `'` + k.listed + `', CASE WHEN '` + k.kind + `' = ANY ($9::text[]) AND $3 = 'full' AND ` + since(k.kind) + ` THEN true WHEN NOT '` + k.kind + `' = ANY ($9::text[]) AND metadata ? '` + k.listed + `' THEN false END`
	}, ``, `, `, ``)
)

// since is the SQL condition that a run that began at $8 lists what a source's metadata asks for now of a kind.
func since(kind string) string {
	if kind != page.Comment {
		return `true` // it is on or off
	}
	return `coalesce((metadata->>'comments_changed_at')::timestamptz < $8, true)`
}

func kindsSQL(of func(kindSetting) string, before, between, after string) string {
	list := make([]string, len(kindSettings))
	for i, k := range kindSettings {
		list[i] = of(k)
	}
	return before + strings.Join(list, between) + after
}

// RefuseKind notes that the source's system has just refused to list content of a kind. Runs do without it for a day, but
// for full ones that are asked for; then, or when its setting is changed, it is listed again.
func (s *Store) RefuseKind(ctx context.Context, sourceID, kind string) error {
	for _, k := range kindSettings {
		if k.kind != kind {
			continue
		}
		_, err := s.pool.Exec(ctx, `UPDATE archon_sources SET metadata = metadata || jsonb_build_object('`+k.refused()+`', now())
			WHERE source_id = $1 AND `+ourSource, sourceID)
		if err != nil {
			return fmt.Errorf("note what source %s is refused: %w", sourceID, err)
		}
	}
	return nil
}

// KindsOf returns the kinds of those of a source's stored pages that are no plain pages, by id.
func (s *Store) KindsOf(ctx context.Context, sourceID string, ids []string) (map[string]string, error) {
	rows, _ := s.pool.Query(ctx, `SELECT page_id, kind FROM confluence_pages
		WHERE source_id = $1 AND page_id = ANY ($2) AND kind <> 'page'`, sourceID, ids)
	kinds := map[string]string{}
	var id, kind string
	_, err := pgx.ForEachRow(rows, []any{&id, &kind}, func() error {
		kinds[id] = kind
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("tell blog posts and comments from pages: %w", err)
	}
	return kinds, nil
}

// PartsOf returns which of a source's stored pages are parts of other pages, with the id of the page that they are a part
// of. It asks only about ids.
func (s *Store) PartsOf(ctx context.Context, sourceID string, ids []string) (map[string]string, error) {
	rows, _ := s.pool.Query(ctx, `SELECT page_id, `+parentOf+` FROM confluence_pages p
		WHERE p.source_id = $1 AND p.page_id = ANY ($2) AND p.kind IN `+partKinds, sourceID, ids)
	parts := map[string]string{}
	var id, parent string
	_, err := pgx.ForEachRow(rows, []any{&id, &parent}, func() error {
		parts[id] = parent
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look up what comments are on: %w", err)
	}
	return parts, nil
}

// parentOf is the SQL expression for the id of the node above the page p, "" at the top.
const parentOf = `coalesce(substring(p.path from '/([^/]+)/[^/]+$'), '')`
