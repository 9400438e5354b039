package search

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/store/internal/pg"
)

// language is the name of a text search configuration, by which words are brought to their
// stem. Archon stores the vector of a chunk's text in one language only.
type language string

const archonLanguage language = "english"

// maxLanguage is as much of a name as fits into the name of an index, in bytes.
const maxLanguage = 40

// literal is the language as a constant in a statement. It cannot be a parameter: the
// planner would not see that an index is in the same language.
func (l language) literal() string {
	return quoted(pgx.Identifier{string(l)}.Sanitize()) + "::regconfig"
}

func quoted(text string) string {
	text = strings.ReplaceAll(text, "'", "''")
	if strings.Contains(text, `\`) {
		return "E'" + strings.ReplaceAll(text, `\`, `\\`) + "'"
	}
	return "'" + text + "'"
}

// text is the vector of a chunk's text. Of is the chunk's name in the statement, with a dot.
func (l language) text(of string) string {
	if l == archonLanguage {
		return of + "content_search_vector"
	}
	return "to_tsvector(" + l.literal() + ", " + of + "content)"
}

// titles is the vector of the page's title and the heading of a chunk, as it is indexed.
func (l language) titles(of string) string {
	return fmt.Sprintf("to_tsvector(%s, coalesce(%[2]smetadata->>'title', '') || ' ' || coalesce(%[2]smetadata->>'section_title', ''))", l.literal(), of)
}

// weighted is the vector of titles for ranking: the page's title counts more than the heading.
func (l language) weighted(of string) string {
	part := func(key, weight string) string {
		return fmt.Sprintf("setweight(to_tsvector(%s, coalesce(%smetadata->>'%s', '')), '%s')", l.literal(), of, key, weight)
	}
	return part("title", "A") + " || " + part("section_title", "B")
}

// ranked is how many chunks the words leg ranks.
func (l language) ranked() int {
	if l == archonLanguage {
		return rankedStored
	}
	return rankedMade
}

// check reports whether the database knows the language.
func (l language) check(ctx context.Context, db pg.Querier) error {
	rows, _ := db.Query(ctx, `SELECT cfgname::text FROM pg_ts_config WHERE pg_ts_config_is_visible(oid) ORDER BY 1`)
	known, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("look for text search configurations: %w", err)
	}
	if !slices.Contains(known, string(l)) || len(l) > maxLanguage {
		return fmt.Errorf("SEARCH_LANGUAGE is %q; this database has %s", string(l), strings.Join(known, ", "))
	}
	return nil
}

// indexes are those that the language needs, by name; English has them by migration.
func (l language) indexes() map[string]string {
	if l == archonLanguage {
		return nil
	}
	return map[string]string{
		"idx_confluence_chunks_words_" + string(l):  l.text(""),
		"idx_confluence_chunks_titles_" + string(l): l.titles(""),
	}
}

// MakeIndexes makes those that the language needs and that are missing. Processes that do so at
// once take turns.
func (s *Searcher) MakeIndexes(ctx context.Context) error {
	if len(s.language.indexes()) == 0 {
		return nil
	}
	return pg.InTx(ctx, s.pool, "make search indexes for "+string(s.language), func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('confluence search indexes', 0))`); err != nil {
			return err
		}
		for name, of := range s.language.indexes() {
			_, err := tx.Exec(ctx, `CREATE INDEX IF NOT EXISTS `+pgx.Identifier{name}.Sanitize()+
				` ON archon_crawled_pages USING gin ((`+of+`))`)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// DropIndexes drops the indexes of every language that was searched in.
func (s *Searcher) DropIndexes(ctx context.Context) error {
	return pg.InTx(ctx, s.pool, "drop search indexes", func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, `SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
			WHERE indrelid = to_regclass('archon_crawled_pages') AND relname ~ '^idx_confluence_chunks_(words|titles)_.'`)
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, name := range names {
			if _, err := tx.Exec(ctx, `DROP INDEX IF EXISTS `+name); err != nil { // quoted by the database
				return err
			}
		}
		return nil
	})
}
