package store_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
)

// touchedSQL records every write of a chunk's row, and adds a column in place of an embedding, because the test's
// server may not have the type.
const touchedSQL = `
	CREATE TABLE touched (what text);
	CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		IF TG_OP = 'UPDATE' AND NEW.metadata ? '_pending_deletion' THEN
			INSERT INTO touched VALUES ('marked');
		ELSE
			INSERT INTO touched VALUES (lower(TG_OP));
		END IF;
		RETURN NULL;
	END $$;
	CREATE TRIGGER touch AFTER INSERT OR UPDATE OR DELETE ON archon_crawled_pages FOR EACH ROW EXECUTE FUNCTION touch();
	ALTER TABLE archon_crawled_pages ADD COLUMN embedding_0 real[];`

// rowsTouched counts the rows of chunks that a write has changed.
type rowsTouched struct{ Inserted, Marked, Updated, Deleted int }

func touchedBy(t testing.TB, conn *pgx.Conn, write func()) (n rowsTouched) {
	t.Helper()
	_, err := conn.Exec(t.Context(), `TRUNCATE touched`)
	require.NoError(t, err)
	write()
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT count(*) FILTER (WHERE what = 'insert'), count(*) FILTER (WHERE what = 'marked'),
		count(*) FILTER (WHERE what = 'update'), count(*) FILTER (WHERE what = 'delete') FROM touched`).
		Scan(&n.Inserted, &n.Marked, &n.Updated, &n.Deleted))
	return n
}

// chunkRow is what shows whether a chunk's row is still the same.
type chunkRow struct {
	ID        int64
	Xmin      uint32
	Number    int
	Content   string
	Embedding []float32
	Model     *string
}

func chunkRows(t *testing.T, conn *pgx.Conn) []chunkRow {
	t.Helper()
	rows, _ := conn.Query(t.Context(), `SELECT id, xmin, chunk_number, content, embedding_0, embedding_model
		FROM archon_crawled_pages ORDER BY chunk_number`)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[chunkRow])
	require.NoError(t, err)
	for i, c := range list {
		require.Equal(t, i, c.Number)
	}
	return list
}

// paged returns a page of such chunks.
func paged(version int, title string, texts []string) store.PageWrite {
	w := write("docs", "", "1", version, title, texts...)
	for i := range w.Chunks {
		sum := sha256.Sum256([]byte(w.Chunks[i].Content))
		w.Chunks[i].Metadata.ContentHash = hex.EncodeToString(sum[:16])
	}
	return w
}

// An unchanged chunk keeps its row: its id, its embedding and, if it has not moved, exactly the same tuple.
func TestRowsThatAnEditTouches(t *testing.T) {
	t.Parallel()
	const chunks = 40
	texts := make([]string, chunks)
	for i := range texts {
		texts[i] = fmt.Sprintf("## Section %d\n\n%s", i, strings.Repeat(fmt.Sprintf("Word %d of it. ", i), 80))
	}
	edit := func(f func(texts []string) []string) []string { return f(slices.Clone(texts)) }
	for _, c := range []struct {
		name  string
		title string
		texts []string
		want  rowsTouched
		still int // number of rows that are not touched
	}{
		{"nothing", "Home", texts, rowsTouched{}, chunks},
		{"one word edited", "Home", edit(func(s []string) []string {
			s[17] = strings.Replace(s[17], "Word", "Phrase", 1)
			return s
		}), rowsTouched{Inserted: 1, Marked: 1, Deleted: 1}, chunks - 1},
		{"a paragraph inserted at the top", "Home", edit(func(s []string) []string {
			return slices.Insert(s, 0, "New here.")
		}), rowsTouched{Inserted: 1, Updated: chunks}, 0},
		{"a paragraph added at the end", "Home", edit(func(s []string) []string {
			return append(s, "New here.")
		}), rowsTouched{Inserted: 1}, chunks},
		{"the first one deleted", "Home", edit(func(s []string) []string {
			return s[1:]
		}), rowsTouched{Marked: 1, Updated: chunks - 1, Deleted: 1}, 0},
		{"two sections of five swapped", "Home", edit(func(s []string) []string {
			return slices.Concat(s[:10], s[15:20], s[10:15], s[20:])
		}), rowsTouched{Updated: 10 + 5}, chunks - 10}, // five of them first move out of the way
		{"the same text once more", "Home", edit(func(s []string) []string {
			return append(s, s[3])
		}), rowsTouched{Inserted: 1}, chunks},
		{"another title", "House", texts, rowsTouched{Updated: chunks}, 0},
		{"everything", "Home", edit(func(s []string) []string {
			for i := range s {
				s[i] += "!"
			}
			return s
		}), rowsTouched{Inserted: chunks, Marked: chunks, Deleted: chunks}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, conn := open(t)
			addSource(t, s, "docs")
			_, err := conn.Exec(t.Context(), touchedSQL)
			require.NoError(t, err)
			n := touchedBy(t, conn, func() { store1(t, s, paged(1, "Home", texts)) })
			require.Equal(t, rowsTouched{Inserted: chunks}, n, "a new page is written once")
			_, err = conn.Exec(t.Context(), `UPDATE archon_crawled_pages SET embedding_0 = ARRAY[id, 0.5], embedding_model = 'model ' || id`)
			require.NoError(t, err)
			before := chunkRows(t, conn)

			n = touchedBy(t, conn, func() { require.Equal(t, event.Updated, store1(t, s, paged(2, c.title, c.texts))) })
			require.Equal(t, c.want, n)
			after := chunkRows(t, conn)
			require.Len(t, after, len(c.texts))
			still, fresh := 0, 0
			for i, row := range after {
				require.Equal(t, c.texts[i], row.Content)
				at := slices.IndexFunc(before, func(b chunkRow) bool { return b.ID == row.ID })
				if at < 0 {
					fresh++
					continue
				}
				old := before[at]
				if old.Xmin == row.Xmin {
					still++
				}
				require.NotEmpty(t, row.Embedding)
				old.Number, old.Xmin = row.Number, row.Xmin
				require.Equal(t, old, row, "the text and its embedding stay together")
			}
			require.Equal(t, c.want.Inserted, fresh)
			require.Equal(t, c.still, still)
		})
	}
}

// Writing an unchanged page again writes no row of any table.
func TestAnUnchangedPageTouchesNoRow(t *testing.T) {
	t.Parallel()
	s, conn := open(t)
	addSource(t, s, "docs")
	run := fullRun(t, s, "docs", "r1", listed("1", 1, "Home"))
	w := paged(1, "Home", []string{"alpha", "beta", "gamma"})
	w.RunID = run.ID
	store1(t, s, w)
	before := dump(t, conn)
	require.Equal(t, event.Created, store1(t, s, w), "in the same run")
	w.RunID = ""
	require.Equal(t, event.Unchanged, store1(t, s, w))
	require.Equal(t, before, dump(t, conn))
}
