package search

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/store/internal/pg"
)

// language is the name of a text search configuration, which reduces words to their stems. Archon stores
// the vector of a chunk's text in one language only.
type language string

const archonLanguage language = "english"

// maxLanguage is the longest name, in bytes.
const maxLanguage = 40

// quoted is the name in its stored form, which the database converts to a regconfig.
func (l language) quoted() string {
	if l == archonLanguage {
		return string(l)
	}
	return pgx.Identifier{string(l)}.Sanitize()
}

// check returns an error unless the database has the language.
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

// Build makes all chunks searchable in the searcher's language. It rebuilds data in another language,
// which takes minutes for a million chunks. Concurrent processes take turns.
func (s *Searcher) Build(ctx context.Context) error {
	err := pg.InTx(ctx, s.pool, "prepare the search", func(tx pgx.Tx) error {
		var stored string
		// The process that changes the language holds the lock to the end of its transaction.
		err := tx.QueryRow(ctx, `SELECT language FROM confluence_search FOR UPDATE`).Scan(&stored)
		if err != nil {
			return err
		}
		if stored != s.language.quoted() {
			_, err := tx.Exec(ctx, `TRUNCATE confluence_chunk_words, confluence_words, confluence_word_totals, confluence_words_uncounted`)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `UPDATE confluence_search SET language = $1`, s.language.quoted()); err != nil {
				return err
			}
		}
		return dropOld(ctx, tx)
	})
	if err != nil {
		return err
	}
	s.looked.Store(0)
	if err := s.Index(ctx, 0); err != nil {
		return err
	}
	return s.Count(ctx)
}

// dropOld drops the indexes that earlier releases created for languages other than English.
func dropOld(ctx context.Context, tx pgx.Tx) error {
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
}
