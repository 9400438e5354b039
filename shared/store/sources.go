package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/schedule"
	"github.com/sluicehq/sluice/shared/store/internal/pg"
	"github.com/sluicehq/sluice/shared/store/vault"
	"github.com/sluicehq/sluice/shared/viewer"
)

// DeletionStrategy determines when a source is checked for removed pages.
type DeletionStrategy string

// The deletion strategies.
const (
	WeeklyReconciliation DeletionStrategy = "weekly_reconciliation"
	EverySync            DeletionStrategy = "every_sync"
	OnDemand             DeletionStrategy = "on_demand"
)

// DeletionStrategies lists all strategies, the default first.
var DeletionStrategies = []DeletionStrategy{WeeklyReconciliation, EverySync, OnDemand}

// Confluence is the Source.System of a Confluence space.
const Confluence = "confluence"

// Source is one synced source, such as a Confluence space: a row of archon_sources.
type Source struct {
	ID               string           `json:"source_id"`
	System           string           `json:"system"`              // confluence, or another one of shared/source/systems
	Location         string           `json:"location,omitempty"`  // the place in a system other than Confluence, for example a folder
	BaseURL          string           `json:"base_url"`            // the site with /wiki, or the prefix of the pages' addresses
	SpaceKey         string           `json:"space_key,omitempty"` // only for Confluence; the current key, if known
	SpaceID          string           `json:"-"`                   // Confluence's id of the space; "" while unknown
	Keys             []string         `json:"-"`                   // every known key of the space, current and former, in lower case
	DisplayName      string           `json:"display_name"`
	DeletionStrategy DeletionStrategy `json:"deletion_strategy"`
	BlogPosts        bool             `json:"blog_posts"` // also sync the space's blog posts
	Comments         Comments         `json:"comments" enum:"all,open,off"`
	Attachments      Attachments      `json:"attachments" enum:"on,off"`
	KnowledgeType    string           `json:"knowledge_type"` // technical or business, as in Archon
	Tags             []string         `json:"tags"`
	Permissions      Permissions      `json:"permissions" enum:"enforce,unrestricted-only,open"`
	Chosen           bool             `json:"permissions_chosen"`            // whether somebody has said so; false: left over from before there was a choice
	ReadersAt        time.Time        `json:"permissions_read_at,omitzero"`  // when the last complete reading of permissions began; zero before the first
	ReadersProblem   string           `json:"permissions_problem,omitempty"` // why the latest reading failed, as a code
	ReadersMaxAge    time.Duration    `json:"-"`                             // what was read of permissions longer ago counts as unknown
	ReadersOld       bool             `json:"permissions_old,omitempty"`     // the last complete reading is older than the source's bound, so that every page is hidden
	LastSync         time.Time        `json:"last_sync,omitzero"`            // the watermark, by Confluence's clock; zero before the first complete run
	LastCheck        time.Time        `json:"last_deletion_check,omitzero"`  // when removals were last checked or decided on
	Pages            int              `json:"pages"`                         // current number of live pages
	Chunks           int              `json:"chunks"`                        // current number of chunks
	Pause            *Pause           `json:"pause,omitempty"`               // the site's, while it lasts; all its sources wait
	Schedule         *Scheduled       `json:"schedule,omitempty"`            // when it is synced by itself; nil if nobody has said, as before there were schedules
}

// String returns a description of the source, such as "space DOCS of https://acme.atlassian.net/wiki".
func (s Source) String() string {
	if s.System == Confluence {
		return "space " + s.SpaceKey + " of " + s.BaseURL
	}
	return s.System + " " + s.Location
}

// CrawlType returns the crawl_type of the source's chunks. Archon's readers have a special name for Confluence.
func (s Source) CrawlType() string {
	if s.System == Confluence {
		return Confluence
	}
	return "page"
}

const (
	// ourSource is the SQL condition for a source that Sluice syncs, whatever its system.
	ourSource = `(metadata->>'source_type' = 'confluence' OR metadata ? 'sluice_system')`
	// systemOf is the SQL expression for the system of a source; archonMetadata explains source_type.
	systemOf = `coalesce(metadata->>'sluice_system', metadata->>'source_type')`
)

// Errors of AddSource.
var (
	ErrSourceExists = errors.New("the source id is taken")
	ErrSpaceTaken   = errors.New("a page belongs to one source, and these pages already belong to another")
)

// AddSource registers a source. Adding the same source again changes nothing. The error is ErrSourceExists if the id
// is taken by another space, site or kind of source. It is ErrSpaceTaken if another source already syncs the space: a
// page belongs to one source, so the two sources would take the pages from each other. A source without Permissions is
// open, and nobody has chosen that.
func (s *Store) AddSource(ctx context.Context, src Source) error {
	if src.DeletionStrategy == "" {
		src.DeletionStrategy = WeeklyReconciliation
	}
	if src.KnowledgeType == "" {
		src.KnowledgeType = "technical"
	}
	if src.Tags == nil {
		src.Tags = []string{}
	}
	if src.DisplayName == "" {
		src.DisplayName = cmp.Or(src.SpaceKey, src.ID)
	}
	src.System = cmp.Or(src.System, Confluence)
	meta := archonMetadata(src)
	meta["sluice_system"], meta["deletion_strategy"] = src.System, src.DeletionStrategy
	if src.System == Confluence {
		meta["confluence_space_key"], meta["confluence_base_url"] = src.SpaceKey, src.BaseURL
	} else {
		meta["base_url"], meta["location"] = src.BaseURL, src.Location
	}
	if src.BlogPosts {
		meta["include_blog_posts"] = true
	}
	if src.Comments != "" {
		meta["comments"] = src.Comments
	}
	if src.Attachments != "" {
		meta["attachments"] = src.Attachments
	}
	added := false
	err := s.inTx(ctx, "add source "+src.ID, func(tx pgx.Tx) error {
		if err := lockSites(ctx, tx); err != nil {
			return err
		}
		at, err := findSite(ctx, tx, src)
		if err != nil {
			return err
		}
		// updated_at marks an existing source as found again, so the call that added it does not undo that.
		err = tx.QueryRow(ctx, `
			INSERT INTO archon_sources AS s (source_id, source_url, source_display_name, title, metadata, summary)
			VALUES ($1, $2, $3, $3, $4, $5)
			ON CONFLICT (source_id) DO UPDATE SET updated_at = clock_timestamp()
			WHERE s.metadata->>'source_type' = 'confluence' OR s.metadata ? 'sluice_system'
			RETURNING s.xmax = 0`,
			src.ID, src.address(), src.DisplayName, meta, src.summary(0, nil)).Scan(&added)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil || !added {
			return err
		}
		if err := at.recordSource(ctx, tx, src); err != nil || src.Schedule == nil {
			return err
		}
		return setSchedule(ctx, tx, src.ID, src.Schedule.Schedule)
	})
	if err != nil || added {
		return err
	}
	there, err := s.Source(ctx, src.ID)
	if err == nil && there.Same(src) {
		return nil
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return fmt.Errorf("add source %s: %w", src.ID, ErrSourceExists)
}

// Same reports whether other is the same space of the same site, or the same place in another system. Upper and lower
// case do not matter, and each known key of the space counts.
func (s Source) Same(other Source) bool {
	if system := cmp.Or(other.System, Confluence); s.System != system || !strings.EqualFold(s.BaseURL, other.BaseURL) {
		return false
	}
	return s.Location == other.Location && (s.SpaceKey == other.SpaceKey || slices.Contains(s.Keys, strings.ToLower(other.SpaceKey)))
}

const sourceFrom = ` FROM archon_sources s LEFT JOIN confluence_spaces n USING (source_id)
	LEFT JOIN confluence_schedules h USING (source_id)
	LEFT JOIN confluence_pauses p ON p.site = ` + siteOf + ` AND ` + inForce + ` `

const sourceColumns = `
	s.source_id, ` + systemOf + `, coalesce(s.metadata->>'location', ''),
	coalesce(s.metadata->>'confluence_base_url', s.metadata->>'base_url', ''), coalesce(s.metadata->>'confluence_space_key', ''),
	coalesce(n.space_id, ''), coalesce(n.keys || n.old_keys, '{}'),
	coalesce(s.source_display_name, ''), coalesce(s.metadata->>'deletion_strategy', 'weekly_reconciliation'),
	` + wantsPosts + `, ` + commentsOf + `, CASE WHEN ` + wantsFiles + ` THEN 'on' ELSE 'off' END, coalesce(s.metadata->>'knowledge_type', 'technical'),
	coalesce((SELECT array_agg(t) FROM jsonb_array_elements_text(
		CASE WHEN jsonb_typeof(s.metadata->'tags') = 'array' THEN s.metadata->'tags' END) t), '{}'),
	(s.metadata->>'last_sync_timestamp')::timestamptz, (s.metadata->>'last_deletion_check')::timestamptz,
	p.since, p.until, p.why, coalesce(n.permissions, 'open'), coalesce(n.permissions_chosen, false), n.access_read_at, coalesce(n.access_problem, ''),
	coalesce(n.permissions_max_age, '0'), coalesce(n.permissions <> 'open' AND n.access_read_at < now() - n.permissions_max_age, false)` + scheduleColumns

func scanSource(row pgx.CollectableRow) (Source, error) { return scanSourceAnd(row) }

// scanSourceAnd scans sourceColumns, the counts, and what follows them.
func scanSourceAnd(row pgx.CollectableRow, more ...any) (Source, error) {
	var src Source
	var h scheduleRow
	var last, checked, since, until, readers *time.Time
	var why *string
	targets := []any{&src.ID, &src.System, &src.Location, &src.BaseURL, &src.SpaceKey, &src.SpaceID, &src.Keys, &src.DisplayName, &src.DeletionStrategy,
		&src.BlogPosts, &src.Comments, &src.Attachments, &src.KnowledgeType, &src.Tags, &last, &checked, &since, &until, &why,
		&src.Permissions, &src.Chosen, &readers, &src.ReadersProblem, &src.ReadersMaxAge, &src.ReadersOld}
	targets = append(append(targets, h.targets()...), &src.Pages, &src.Chunks)
	err := row.Scan(append(targets, more...)...)
	if last != nil {
		src.LastSync = last.UTC()
	}
	if checked != nil {
		src.LastCheck = checked.UTC()
	}
	if readers != nil {
		src.ReadersAt = readers.UTC()
	}
	if until != nil {
		src.Pause = &Pause{Since: since.UTC(), Until: until.UTC(), Why: *why}
	}
	src.Schedule = h.schedule(src)
	return src, err
}

// SourceChange contains the changes for UpdateSource. An empty field changes nothing.
type SourceChange struct {
	DisplayName      string
	DeletionStrategy DeletionStrategy
	Tags             []string    // replaces all tags; an empty list that is not nil deletes them
	BlogPosts        *bool       // if on, the next run is full; if off, the next full run removes them
	Comments         Comments    // if changed to another than off, the next run is full; with less, the next full run removes the others
	Attachments      Attachments // if on, the next run is full; if off, the next full run removes them
	Permissions      Permissions
	Schedule         *schedule.Schedule
}

// UpdateSource changes settings of a source and keeps the rest of its row, including other tools' keys in its
// metadata. The title changes with the name unless somebody has set a different title. Chunks get the new tags when
// their page is written next. The error is ErrNotFound if there is no such source.
func (s *Store) UpdateSource(ctx context.Context, id string, c SourceChange) error {
	set := map[string]any{}
	if c.DeletionStrategy != "" {
		set["deletion_strategy"] = c.DeletionStrategy
	}
	if c.Tags != nil {
		set["tags"] = c.Tags
	}
	if c.BlogPosts != nil {
		set["include_blog_posts"] = *c.BlogPosts
	}
	if c.Comments != "" {
		set["comments"] = c.Comments
	}
	if c.Attachments != "" {
		set["attachments"] = c.Attachments
	}
	return s.inTx(ctx, "change source "+id, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE archon_sources SET updated_at = now(),
				-- What was not listed as open is listed by a full run only, which must begin after this.
				metadata = (metadata - CASE WHEN $4 <> '' THEN 'comments_refused_at' ELSE '' END) || $2::jsonb || CASE WHEN $4 <> '' AND $4 <> `+commentsOf+`
					THEN jsonb_build_object('comments_listed', false, 'comments_changed_at', clock_timestamp()) ELSE '{}' END,
				source_display_name = coalesce(nullif($3, ''), source_display_name),
				title = CASE WHEN $3 <> '' AND title IS NOT DISTINCT FROM source_display_name THEN $3 ELSE title END
			WHERE source_id = $1 AND `+ourSource, id, set, c.DisplayName, c.Comments)
		if err == nil && tag.RowsAffected() == 0 {
			err = ErrNotFound
		}
		if err == nil && c.Permissions != "" {
			err = setPermissions(ctx, tx, id, c.Permissions, 0)
		}
		if err == nil && c.Schedule != nil {
			err = setSchedule(ctx, tx, id, *c.Schedule)
		}
		return err
	})
}

// Source returns a source without its counts. The error is ErrNotFound if there is none, and also if the id belongs
// to a source of another kind.
func (s *Store) Source(ctx context.Context, id string) (Source, error) {
	rows, _ := pg.Pool{Pool: s.pool}.Query(ctx, `SELECT `+sourceColumns+`, 0, 0`+sourceFrom+`
		WHERE s.source_id = $1 AND `+ourSource, id)
	src, err := pgx.CollectExactlyOneRow(rows, scanSource)
	if err != nil {
		return src, pg.NotFound(err, "read source "+id)
	}
	return src, nil
}

// OpenUnchosen returns the sources, without their counts, that are open although nobody has chosen that.
func (s *Store) OpenUnchosen(ctx context.Context) ([]Source, error) {
	rows, _ := s.pool.Query(ctx, `SELECT `+sourceColumns+`, 0, 0`+sourceFrom+`
		WHERE n.permissions = $1 AND NOT n.permissions_chosen AND `+ourSource+` ORDER BY s.source_id`, OpenToAll)
	list, err := pgx.CollectRows(rows, scanSource)
	if err != nil {
		return nil, fmt.Errorf("look for open sources: %w", err)
	}
	return list, nil
}

// Sources lists the sources with their counts, ordered by id.
func (r *Reader) Sources(ctx context.Context, v viewer.Viewer, p Part) ([]Source, error) {
	return r.listSources(ctx, v, "", p)
}

// SourceIDs lists the ids of the sources that Sluice syncs.
func (r *Reader) SourceIDs(ctx context.Context, v viewer.Viewer) ([]string, error) {
	rows, _ := r.pool.Query(ctx, `SELECT source_id FROM archon_sources WHERE `+ourSource+`
		AND ($1::text[] IS NULL OR source_id = ANY ($1)) ORDER BY source_id`, visibleSources(v))
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list source ids: %w", err)
	}
	return list, nil
}

// Source returns a source with its counts, or ErrNotFound.
func (r *Reader) Source(ctx context.Context, v viewer.Viewer, id string) (Source, error) {
	if id == "" {
		return Source{}, fmt.Errorf("read source: %w", ErrNotFound)
	}
	list, err := r.listSources(ctx, v, id, First(1))
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("read source %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return Source{}, err
	}
	return list[0], nil
}

// listSources lists one source, or all sources if id is "".
func (r *Reader) listSources(ctx context.Context, v viewer.Viewer, id string, p Part) ([]Source, error) {
	args, err := r.partAs(ctx, v, p, 1, id, visibleSources(v))
	if err != nil {
		return nil, err
	}
	rows, _ := r.pool.Query(ctx, `SELECT `+sourceColumns+`,
		(SELECT count(*) FROM confluence_pages p WHERE p.source_id = s.source_id AND p.is_deleted = false AND NOT p.kind IN `+partKinds+` AND `+pg.Shows("p.source_id", "p.page_id", "$5", "$6")+`)::int,
		(SELECT count(*) FROM archon_crawled_pages c WHERE c.source_id = s.source_id AND `+pg.Shows("c.source_id", pg.ChunkPage("c"), "$5", "$6")+`)::int
		`+sourceFrom+` WHERE `+ourSource+` AND ($1 = '' OR s.source_id = $1)
		AND ($2::text[] IS NULL OR s.source_id = ANY ($2))
		AND s.source_id > coalesce($3, '') ORDER BY s.source_id LIMIT $4`, args...)
	list, err := pgx.CollectRows(rows, scanSource)
	if err != nil {
		return nil, fmt.Errorf("list sources: %w", err)
	}
	return list, nil
}

// UndoAddSource deletes a source that was just added, unless somebody has found it again, changed it, or requested a
// run of it since.
func (s *Store) UndoAddSource(ctx context.Context, id string) error {
	_, err := s.pool.Exec(ctx, `
		DELETE FROM archon_sources WHERE source_id = $1 AND `+ourSource+` AND updated_at = created_at
		AND NOT EXISTS (SELECT FROM confluence_sync_runs r WHERE r.source_id = $1)`, id)
	if err != nil {
		return fmt.Errorf("undo adding source %s: %w", id, err)
	}
	return nil
}

// RemoveSource deletes a source with its pages, chunks, runs and secret in one transaction. It first locks the
// source, which waits until running writes of pages end. Chunks are deleted before the source because an older
// Archon's foreign key does not cascade.
func (s *Store) RemoveSource(ctx context.Context, id string) error {
	if _, err := s.Source(ctx, id); err != nil {
		return err
	}
	err := s.inTx(ctx, "remove source "+id, func(tx pgx.Tx) error {
		if err := lockSites(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `SELECT FROM archon_sources WHERE source_id = $1 FOR UPDATE`, id); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM archon_crawled_pages WHERE source_id = $1`, id); err != nil {
			return err
		}
		if err := vault.Forget(ctx, tx, id); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM archon_sources WHERE source_id = $1`, id); err != nil {
			return err
		}
		return dropSites(ctx, tx)
	})
	if err == nil {
		_ = s.searcher.Count(ctx) // update the word counts; if it fails, the next call does it
	}
	return err
}
