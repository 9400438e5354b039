// Package vectors keeps the vectors of chunks, by which they are found by meaning, and the ledger of what
// has one. It needs pgvector; without it, there are no spaces.
//
// A space holds the vectors of one model. A chunk's text gets its key in confluence_texts once, whatever
// number of chunks have it, and is pending until it has a vector or has failed for good.
package vectors

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sluicehq/sluice/shared/store/internal/pg"
)

// Vectors is the store of vectors. It is safe for concurrent use.
type Vectors struct{ pool pg.Pool }

// New returns the vectors of a database.
func New(pool *pgxpool.Pool) *Vectors { return &Vectors{pg.Pool{Pool: pool}} }

// State says what a space is used for.
type State string

// The states of a space.
const (
	Filling State = "filling" // not complete yet; takes over from the active one when it is
	Active  State = "active"  // searched
	Retired State = "retired" // searched before, kept until it is dropped
)

// Identity is what vectors depend on beside the text: those of different identities are never compared.
type Identity struct {
	Model         string `json:"model"`
	Dimensions    int    `json:"dimensions"`
	PrefixVersion int    `json:"prefix_version"`
}

// String names the model and the number of dimensions.
func (i Identity) String() string { return fmt.Sprintf("%s (%d dimensions)", i.Model, i.Dimensions) }

// Space is a set of vectors that can be compared.
type Space struct {
	ID int `json:"id"`
	Identity
	State     State     `json:"state"`
	CreatedAt time.Time `json:"created_at"`
	ActiveAt  time.Time `json:"active_at,omitzero"`
}

// table is the table of the space's vectors.
func (s Space) table() string { return Table(s.ID) }

// Table is the name of the table with a space's vectors.
func Table(space int) string { return "confluence_vectors_" + strconv.Itoa(space) }

const (
	// MostDimensions is where pgvector's index on halfvec ends.
	MostDimensions = 4000
	// composition is the version of Text, part of the prefix version of a space.
	composition = 1
)

// IdentityOf is the identity of a model's vectors; prefixVersion is of what the model itself puts before
// a text.
func IdentityOf(model string, dimensions, prefixVersion int) Identity {
	return Identity{Model: model, Dimensions: dimensions, PrefixVersion: composition*1000 + prefixVersion}
}

// Text is what is embedded of a chunk: the page's title and the headings above it, and its text.
func Text(title string, headings []string, content string) string {
	head := title
	for _, h := range headings {
		if h != "" && h != title {
			head += " › " + h
		}
	}
	return strings.TrimSpace(strings.TrimSpace(head) + "\n\n" + content)
}

// key is the hash by which a text is known in a space.
func (i Identity) key(text string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%d\x00%s", i.Model, i.Dimensions, i.PrefixVersion, text))
	return fmt.Sprintf("%x", sum[:16])
}

// Errors that callers tell apart.
var (
	// ErrPinned says that the active space is another model's.
	ErrPinned = errors.New("the vectors are of another model")
	// ErrUnsupported says that the database has no usable pgvector.
	ErrUnsupported = errors.New("the database cannot search by meaning")
)

// Support says whether the database can keep vectors.
type Support struct {
	Schema  string // of pgvector, quoted; "" without it
	Version string // of pgvector, "" without it
	Advice  string // what to do, "" if it can
}

// leastVersion has iterative scans, without which a filter leaves too few hits. goodVersion is the first
// without known errors that damage an index.
var leastVersion, goodVersion = [3]int{0, 8, 0}, [3]int{0, 8, 4}

// Support looks for pgvector.
func (v *Vectors) Support(ctx context.Context) (Support, error) { return support(ctx, v.pool) }

func support(ctx context.Context, db pg.Querier) (Support, error) {
	var s Support
	var available bool
	err := db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector'),
		coalesce(max(extversion), ''), coalesce(max(extnamespace::regnamespace::text), '') FROM pg_extension WHERE extname = 'vector'`).
		Scan(&available, &s.Version, &s.Schema)
	switch {
	case err != nil:
		return s, fmt.Errorf("look for pgvector: %w", err)
	case s.Version == "" && !available:
		s.Advice = "install pgvector 0.8.4 or newer on the database server (on Debian: postgresql-<version>-pgvector), then run: sluice migrate up"
	case s.Version == "":
		s.Advice = "run: sluice migrate up (or, as a superuser: CREATE EXTENSION vector)"
	case older(s.Version, leastVersion):
		s.Advice = "pgvector " + s.Version + " is too old; update it to 0.8.4 or newer, then as its owner: ALTER EXTENSION vector UPDATE"
	}
	return s, nil
}

// Outdated reports whether the version has known errors that damage indexes.
func (s Support) Outdated() bool { return s.Version != "" && older(s.Version, goodVersion) }

func older(version string, than [3]int) bool {
	for i, part := range strings.SplitN(version, ".", 3) {
		n, _ := strconv.Atoi(part)
		if n != than[i] {
			return n < than[i]
		}
	}
	return false
}

// Spaces lists the spaces, the oldest first.
func (v *Vectors) Spaces(ctx context.Context) ([]Space, error) { return spaces(ctx, v.pool) }

func spaces(ctx context.Context, db pg.Querier) ([]Space, error) {
	rows, _ := db.Query(ctx, `SELECT space_id, model, dimensions, prefix_version, state, created_at, coalesce(active_at, '0001-01-01 00:00:00Z')
		FROM confluence_vector_spaces ORDER BY space_id`)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s Space, err error) {
		return s, row.Scan(&s.ID, &s.Model, &s.Dimensions, &s.PrefixVersion, &s.State, &s.CreatedAt, &s.ActiveAt)
	})
	if err != nil {
		return nil, fmt.Errorf("look for spaces of vectors: %w", err)
	}
	return list, nil
}

// Active returns the space that is searched, and false if there is none.
func (v *Vectors) Active(ctx context.Context) (Space, bool, error) {
	list, err := v.Spaces(ctx)
	for _, s := range list {
		if s.State == Active {
			return s, true, err
		}
	}
	return Space{}, false, err
}

// Open returns the space of a model. The first space is made here and searched at once. If there are
// others, but none of this identity, the error is ErrPinned: Switch makes one. ErrUnsupported says what
// the database needs.
func (v *Vectors) Open(ctx context.Context, i Identity) (Space, error) { return v.open(ctx, i, false) }

// Switch is Open that also makes the space of another model. It fills beside the active one, and takes
// over when it is complete. A retired space that is complete takes over again.
func (v *Vectors) Switch(ctx context.Context, i Identity) (Space, error) { return v.open(ctx, i, true) }

func (v *Vectors) open(ctx context.Context, i Identity, another bool) (Space, error) {
	if i.Dimensions < 1 || i.Dimensions > MostDimensions {
		return Space{}, fmt.Errorf("%w: %s: from 1 to %d dimensions can be searched", ErrUnsupported, i, MostDimensions)
	}
	var s Space
	err := pg.InTx(ctx, v.pool, "open the space of "+i.Model, func(tx pgx.Tx) error {
		// Two processes that start together make one space.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('confluence vector spaces', 0))`); err != nil {
			return err
		}
		list, err := spaces(ctx, tx)
		if err != nil {
			return err
		}
		var active Space
		for _, there := range list {
			if there.State == Active {
				active = there
			}
			if there.Identity == i {
				s = there
			}
		}
		switch {
		case s.ID != 0 && (s.State != Retired || !another):
			return nil
		case s.ID != 0:
			s.State = Filling
			_, err := tx.Exec(ctx, `UPDATE confluence_vector_spaces SET state = $2 WHERE space_id = $1`, s.ID, s.State)
			return err
		case len(list) > 0 && !another:
			return fmt.Errorf("%w: %s; to change to %s: sluice embeddings plan, then sluice embeddings switch", ErrPinned, active, i)
		}
		s, err = create(ctx, tx, i, active.ID == 0)
		return err
	})
	return s, err
}

// create makes a space, its table and its index.
func create(ctx context.Context, tx pgx.Tx, i Identity, first bool) (Space, error) {
	has, err := support(ctx, tx)
	if err != nil {
		return Space{}, err
	}
	if has.Advice != "" {
		return Space{}, fmt.Errorf("%w: %s", ErrUnsupported, has.Advice)
	}
	s := Space{Identity: i, State: Filling}
	if first {
		s.State = Active
	}
	err = tx.QueryRow(ctx, `INSERT INTO confluence_vector_spaces (model, dimensions, prefix_version, state, active_at)
		VALUES ($1, $2, $3, $4, CASE $4 WHEN 'active' THEN now() END) RETURNING space_id, created_at, coalesce(active_at, '0001-01-01 00:00:00Z')`,
		i.Model, i.Dimensions, i.PrefixVersion, s.State).Scan(&s.ID, &s.CreatedAt, &s.ActiveAt)
	if err != nil {
		return s, err
	}
	for _, sql := range []string{
		// A vector stays in the row: the index reads it at every search.
		fmt.Sprintf(`CREATE TABLE %s (key uuid PRIMARY KEY, embedding %s.halfvec(%d) NOT NULL) WITH (toast_tuple_target = 8160)`, s.table(), has.Schema, i.Dimensions),
		fmt.Sprintf(`CREATE INDEX idx_%[1]s ON %[1]s USING hnsw (embedding %[2]s.halfvec_cosine_ops)`, s.table(), has.Schema),
		fmt.Sprintf(`COMMENT ON TABLE %s IS 'The vectors of a space of confluence_vector_spaces'`, s.table()),
		`SELECT confluence_guard()`,
	} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return s, err
		}
	}
	return s, nil
}

// Drop deletes a space with its vectors. The active one is refused unless it is meant: the search then
// goes by words alone.
func (v *Vectors) Drop(ctx context.Context, id int, active bool) error {
	return pg.InTx(ctx, v.pool, fmt.Sprintf("drop space %d", id), func(tx pgx.Tx) error {
		var state State
		err := tx.QueryRow(ctx, `SELECT state FROM confluence_vector_spaces WHERE space_id = $1 FOR UPDATE`, id).Scan(&state)
		if errors.Is(err, pgx.ErrNoRows) {
			return pg.ErrNotFound
		}
		if err != nil {
			return err
		}
		if state == Active && !active {
			return ErrActive
		}
		if _, err := tx.Exec(ctx, `DROP TABLE IF EXISTS `+Table(id)); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM confluence_vector_spaces WHERE space_id = $1`, id)
		return err
	})
}

// ErrActive says that a space is the one that is searched.
var ErrActive = errors.New("the space is searched")

// Promote makes a filling space the active one if it is complete, and reports whether it is active now.
// Texts that failed for good do not hold it up, nor do those that no chunk has any more.
func (v *Vectors) Promote(ctx context.Context, s Space) (bool, error) {
	var now bool
	err := pg.InTx(ctx, v.pool, "take over by space "+strconv.Itoa(s.ID), func(tx pgx.Tx) error {
		var state State
		var open bool
		err := tx.QueryRow(ctx, `SELECT state, EXISTS (SELECT FROM confluence_texts x WHERE space_id = $1 AND state = 'pending'
					AND EXISTS (SELECT FROM confluence_chunk_texts t WHERE t.space_id = $1 AND t.key = x.key))
				OR EXISTS (SELECT FROM archon_crawled_pages c WHERE NOT EXISTS (SELECT FROM confluence_chunk_texts t WHERE t.chunk_id = c.id AND t.space_id = $1))
			FROM confluence_vector_spaces WHERE space_id = $1 FOR UPDATE`, s.ID).Scan(&state, &open)
		now = err == nil && state == Active
		if err != nil || state != Filling || open {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE confluence_vector_spaces SET state = 'retired' WHERE state = 'active'`); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE confluence_vector_spaces SET state = 'active', active_at = now() WHERE space_id = $1`, s.ID)
		now = err == nil
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		err = pg.ErrNotFound
	}
	return now, err
}
