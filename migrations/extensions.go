package migrations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// Extension is one that the server may have or not, and what there is of it. It may come after
// the tables were made, so it is looked for at every Up and not in a file, which runs once.
type Extension struct {
	Name    string `json:"name"`    // "vector" or "pg_trgm"
	Version string `json:"version"` // as installed in this database, "" when it is not
	Used    bool   `json:"used"`    // what it brings is used: the chunks have embedding columns, or search compares words by their trigrams
	Advice  string `json:"advice"`  // what to do to have it used, "" when it is
}

// Extensions tells what there is of the extensions that Sluice can use.
func Extensions(ctx context.Context, db *sql.DB) ([]Extension, error) {
	s, err := look(ctx, db)
	if err != nil {
		return nil, err
	}
	return []Extension{s.vector.told(s, s.embeddings > 0), s.trgm.told(s, s.trgm.version != "")}, nil
}

// The widths of Archon's embedding columns. The index type ends at 2,000 dimensions.
var dimensions = []int{384, 768, 1024, 1536, 3072}

const mostIndexed = 2000

// scene is what the database has of the chunks' table and of the extensions.
type scene struct {
	table      bool // archon_crawled_pages is there
	ours       bool // and was made by migration 001, not by Archon
	embeddings int  // its embedding columns
	vector     extension
	trgm       extension
}

type extension struct {
	name      string
	available bool // the server could create it
	schema    string
	version   string // "" when it is not installed
}

func (e extension) told(s scene, used bool) Extension {
	t := Extension{Name: e.name, Version: e.version, Used: used}
	const then = ", then run: sluice migrate up"
	switch {
	case used:
	case s.table && !s.ours:
		t.Advice = "the chunks' table is Archon's and stays as Archon made it; let Archon's own migrations add it"
	case e.version == "" && !e.available:
		t.Advice = map[string]string{
			"vector":  "install pgvector on the database server (on Debian: postgresql-<version>-pgvector)" + then,
			"pg_trgm": "install PostgreSQL's contrib modules on the database server (on Debian: postgresql-contrib)" + then,
		}[e.name]
	case e.version == "":
		t.Advice = "run: sluice migrate up (should it not be allowed to: as a superuser, CREATE EXTENSION " + e.name + then + ")"
	default:
		t.Advice = "run: sluice migrate up"
	}
	return t
}

// queryer is a *sql.DB or a *sql.Tx.
type queryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// The table is ours when it has the columns of migration 001 and no other. An Archon has never
// had it without one or more embedding columns, and has had archon_code_examples as long; newer
// ones have page_id.
const sceneQuery = `
	WITH t AS (SELECT to_regclass('archon_crawled_pages')::oid AS oid),
	c AS (SELECT a.attname::text AS name FROM t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped),
	e AS (SELECT name FROM c WHERE name ~ '^embedding' AND name NOT IN ('embedding_model', 'embedding_dimension'))
	SELECT t.oid IS NOT NULL,
		to_regclass('archon_code_examples') IS NULL AND to_regclass('archon_page_metadata') IS NULL
			AND (SELECT count(*) FROM e) IN (0, 5)
			AND (SELECT array_agg(name ORDER BY name COLLATE "C") FROM (SELECT name FROM c EXCEPT SELECT 'embedding_' || d FROM unnest(ARRAY[384, 768, 1024, 1536, 3072]) d) x)
			IS NOT DISTINCT FROM ARRAY['chunk_number', 'content', 'content_search_vector', 'created_at', 'embedding_dimension',
				'embedding_model', 'id', 'llm_chat_model', 'metadata', 'source_id', 'url'],
		(SELECT count(*) FROM e)
	FROM t`

func look(ctx context.Context, db queryer) (scene, error) {
	s := scene{vector: extension{name: "vector"}, trgm: extension{name: "pg_trgm"}}
	err := db.QueryRowContext(ctx, sceneQuery).Scan(&s.table, &s.ours, &s.embeddings)
	if err != nil {
		return s, fmt.Errorf("look at the chunks' table: %w", err)
	}
	for _, e := range []*extension{&s.vector, &s.trgm} {
		err := db.QueryRowContext(ctx, `
			SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = $1),
				coalesce(max(extversion), ''), coalesce(max(extnamespace::regnamespace::text), '')
			FROM pg_extension WHERE extname = $1`, e.name).Scan(&e.available, &e.version, &e.schema)
		if err != nil {
			return s, fmt.Errorf("look for the extension %s: %w", e.name, err)
		}
	}
	return s, nil
}

// extend adds to the chunks' table what an extension that came later brings, and returns what
// it added. A table that Archon made is left alone, and so is one whose extension this user
// may not create: Extensions says what to do then.
func extend(ctx context.Context, db *sql.DB) ([]string, error) {
	var added []string
	for _, one := range []func(context.Context, *sql.Tx) (string, error){addVectors, addTrigrams, addSimilar} {
		what, err := locked(ctx, db, one)
		if err != nil {
			return added, err
		}
		if what != "" {
			added = append(added, what)
		}
	}
	return added, nil
}

var errMayNotCreate = errors.New("this user may not create the extension")

// locked runs add in a transaction, one process at a time. That the user may not create an
// extension is no failure: everything works without.
func locked(ctx context.Context, db *sql.DB, add func(context.Context, *sql.Tx) (string, error)) (string, error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return "", fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(hashtext('sluice_migrations'))`); err != nil {
		return "", fmt.Errorf("wait for another migration: %w", err)
	}
	what, err := add(ctx, tx)
	if errors.Is(err, errMayNotCreate) {
		return "", nil
	}
	if err != nil || what == "" {
		return "", err
	}
	if err := tx.Commit(); err != nil {
		return "", fmt.Errorf("commit %s: %w", what, err)
	}
	return what, nil
}

func addVectors(ctx context.Context, tx *sql.Tx) (string, error) {
	s, err := look(ctx, tx)
	if err != nil || !s.ours || s.embeddings > 0 || !s.vector.available {
		return "", err
	}
	schema, err := create(ctx, tx, s.vector)
	if err != nil {
		return "", err
	}
	var columns, indexes []string
	for _, dim := range dimensions {
		columns = append(columns, fmt.Sprintf("ADD COLUMN embedding_%d %s.vector(%d)", dim, schema, dim))
		if dim <= mostIndexed {
			indexes = append(indexes, fmt.Sprintf("CREATE INDEX idx_archon_crawled_pages_embedding_%[1]d ON archon_crawled_pages "+
				"USING ivfflat (embedding_%[1]d %[2]s.vector_cosine_ops) WITH (lists = 100)", dim, schema))
		}
	}
	statements := append([]string{"ALTER TABLE archon_crawled_pages " + strings.Join(columns, ", ")}, indexes...)
	for _, statement := range statements {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return "", fmt.Errorf("add what the extension vector brings: %w", err)
		}
	}
	return "vector: the embedding columns of archon_crawled_pages, with their indexes", nil
}

func addTrigrams(ctx context.Context, tx *sql.Tx) (string, error) {
	s, err := look(ctx, tx)
	if err != nil || !s.ours || s.trgm.version != "" || !s.trgm.available {
		return "", err
	}
	schema, err := create(ctx, tx, s.trgm)
	if err != nil {
		return "", err
	}
	if _, err := makeSimilar(ctx, tx, schema); err != nil {
		return "", err
	}
	return "pg_trgm: search finds words that are nearly right", nil
}

// addSimilar makes the index of similar words beside an Archon, which brought the extension. The table is
// ours, whoever made that of the chunks.
func addSimilar(ctx context.Context, tx *sql.Tx) (string, error) {
	s, err := look(ctx, tx)
	if err != nil || s.trgm.version == "" {
		return "", err
	}
	made, err := makeSimilar(ctx, tx, s.trgm.schema)
	if err != nil || !made {
		return "", err
	}
	return "pg_trgm: the index of similar words", nil
}

// makeSimilar makes the index by which search finds words that are nearly right, unless it is there.
func makeSimilar(ctx context.Context, tx *sql.Tx, schema string) (made bool, err error) {
	var there bool
	err = tx.QueryRowContext(ctx, `SELECT to_regclass('confluence_words') IS NULL OR to_regclass('idx_confluence_words_similar') IS NOT NULL`).Scan(&there)
	if err != nil {
		return false, fmt.Errorf("look for the index of similar words: %w", err)
	}
	if there {
		return false, nil
	}
	_, err = tx.ExecContext(ctx, `CREATE INDEX idx_confluence_words_similar ON confluence_words USING gin (word `+schema+`.gin_trgm_ops)
		WHERE word ~ '^\^?[[:alpha:]]{3,30}$'`)
	if err != nil {
		return false, fmt.Errorf("make the index of similar words: %w", err)
	}
	return true, nil
}

// create makes the extension where it is missing and returns its schema, quoted: it need not
// be in the search path.
func create(ctx context.Context, tx *sql.Tx, e extension) (string, error) {
	if e.version != "" {
		return e.schema, nil
	}
	_, err := tx.ExecContext(ctx, "CREATE EXTENSION IF NOT EXISTS "+e.name)
	if notAllowed(err) {
		return "", errMayNotCreate
	}
	if err != nil {
		return "", fmt.Errorf("create the extension %s: %w", e.name, err)
	}
	var schema string
	err = tx.QueryRowContext(ctx, `SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = $1`, e.name).Scan(&schema)
	if err != nil {
		return "", fmt.Errorf("look for the extension %s: %w", e.name, err)
	}
	return schema, nil
}

// notAllowed reports whether the server refused for want of a privilege.
func notAllowed(err error) bool { return hasState(err, "42501") }

// lockedOut reports whether a statement has waited for a lock for as long as its migration lets it, or was given up
// because the holder of the lock waited for the migration.
func lockedOut(err error) bool { return hasState(err, "55P03") || hasState(err, "40P01") }

func hasState(err error, state string) bool {
	var coded interface{ SQLState() string }
	return errors.As(err, &coded) && coded.SQLState() == state
}
