package vectors_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/store/storetest"
	"github.com/sluicehq/sluice/shared/store/vectors"
	"github.com/sluicehq/sluice/shared/viewer"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// note notes all chunks.
func note(t *testing.T, v *vectors.Vectors, s vectors.Space) {
	t.Helper()
	for after := int64(-1); after != 0; {
		last, err := v.NoteNext(t.Context(), s, max(after, 0))
		require.NoError(t, err)
		after = last
	}
}

// embed notes and embeds all chunks, each with the first axis as its vector.
func embed(t *testing.T, v *vectors.Vectors, s vectors.Space) {
	t.Helper()
	note(t, v, s)
	list, err := v.Claim(t.Context(), s, 1000, time.Minute)
	require.NoError(t, err)
	var done []vectors.Vector
	for _, p := range list {
		vector := make([]float32, s.Dimensions)
		vector[0] = 1
		done = append(done, vectors.Vector{Key: p.Key, Vector: vector, Tokens: 3})
	}
	require.NoError(t, v.Put(t.Context(), s, done))
}

func scan[T any](t *testing.T, conn *pgx.Conn, sql string) T {
	t.Helper()
	var to T
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&to), sql)
	return to
}

func does(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	_, err := conn.Exec(t.Context(), sql)
	require.NoError(t, err, sql)
}

func TestTheLedgerAddsUpBySource(t *testing.T) {
	s, conn := storetest.OpenVectors(t)
	for _, source := range []string{"docs", "other"} {
		storetest.AddSource(t, s, source)
		storetest.Write(t, s, storetest.Page(source, "", source+"1", 1, "Page of "+source, "one", "two", "three"))
	}
	v := s.Vectors()
	space, err := v.Open(t.Context(), vectors.IdentityOf("m", 4, 0))
	require.NoError(t, err)
	embed(t, v, space)
	storetest.Write(t, s, storetest.Page("docs", "", "2", 1, "Another", "four", "five"))
	note(t, v, space)
	list, err := v.Claim(t.Context(), space, 1, time.Minute)
	require.NoError(t, err)
	require.NoError(t, v.Fail(t.Context(), space, []vectors.Failure{{Key: list[0].Key, Code: failure.EmbeddingTooLong, Final: true}}))
	storetest.Write(t, s, storetest.Page("docs", "", "3", 1, "Not noted", "six"))

	ledger, err := v.Ledger(t.Context(), viewer.All(), space)
	require.NoError(t, err)
	require.Equal(t, map[string]vectors.Count{
		"docs":  {Chunks: 6, Embedded: 3, Pending: 2, Failed: map[failure.Code]int{failure.EmbeddingTooLong: 1}, Tokens: 9},
		"other": {Chunks: 3, Embedded: 3, Tokens: 9},
	}, ledger)
	ledger, err = v.Ledger(t.Context(), viewer.OfSources("other"), space)
	require.NoError(t, err)
	require.Len(t, ledger, 1)
	ledger, err = v.Ledger(t.Context(), viewer.Viewer{}, space)
	require.NoError(t, err)
	require.Empty(t, ledger)

	// What nobody has any more goes after an hour, unless its page came back.
	require.NoError(t, s.RemoveSource(t.Context(), "other"))
	n, err := v.Sweep(t.Context(), space)
	require.NoError(t, err)
	require.Zero(t, n)
	does(t, conn, `UPDATE confluence_texts SET seen_at = now() - interval '2 hours'`)
	n, err = v.Sweep(t.Context(), space)
	require.NoError(t, err)
	require.Equal(t, 3, n)
	require.Equal(t, 3, scan[int](t, conn, `SELECT count(*) FROM `+vectors.Table(space.ID)))
}

func TestNoBadVectorIsStored(t *testing.T) {
	s, conn := storetest.OpenVectors(t)
	storetest.AddSource(t, s, "docs")
	storetest.Write(t, s, storetest.Page("docs", "", "1", 1, "Page", "one"))
	v := s.Vectors()
	space, err := v.Open(t.Context(), vectors.IdentityOf("m", 2, 0))
	require.NoError(t, err)
	note(t, v, space)
	list, err := v.Claim(t.Context(), space, 1, time.Minute)
	require.NoError(t, err)
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, bad := range [][]float32{nil, {1}, {1, 0, 0}, {0, 0}, {nan, 0}, {1, nan}, {inf, 0}, {3, 4}} {
		err := v.Put(t.Context(), space, []vectors.Vector{{Key: list[0].Key, Vector: bad}})
		require.Equal(t, failure.EmbeddingProtocol, failure.CodeOf(err), bad)
	}
	require.Zero(t, scan[int](t, conn, `SELECT count(*) FROM `+vectors.Table(space.ID)))
	for _, dimensions := range []int{0, -1, 4001} {
		_, err := v.Switch(t.Context(), vectors.IdentityOf("m", dimensions, 0))
		require.ErrorIs(t, err, vectors.ErrUnsupported)
	}
	_, err = v.Switch(t.Context(), vectors.IdentityOf("m", vectors.MostDimensions, 0))
	require.NoError(t, err)
}

func TestWithoutPgvectorItIsSaidWhatToDo(t *testing.T) {
	s, conn := storetest.Open(t)
	does(t, conn, `DROP EXTENSION IF EXISTS vector CASCADE`)
	support, err := s.Vectors().Support(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, support.Advice)
	_, err = s.Vectors().Open(t.Context(), vectors.IdentityOf("m", 4, 0))
	require.ErrorIs(t, err, vectors.ErrUnsupported)
	require.ErrorContains(t, err, support.Advice)
}

// An unmodified Archon finds the pages by meaning where it embeds its questions with the same model.
func TestArchonsColumnHasTheVectors(t *testing.T) {
	s, conn := storetest.OpenVectors(t)
	storetest.AddSource(t, s, "docs")
	storetest.Write(t, s, storetest.Page("docs", "", "1", 1, "Page", "one", "two"))
	does(t, conn, `INSERT INTO archon_sources (source_id) VALUES ('web');
		INSERT INTO archon_crawled_pages (url, chunk_number, content, source_id) VALUES ('https://web.example', 0, 'theirs', 'web')`)
	v := s.Vectors()
	space, err := v.Open(t.Context(), vectors.IdentityOf("text-embedding-3-small", 1536, 0))
	require.NoError(t, err)
	embed(t, v, space)
	copied := func(want int, why string) {
		t.Helper()
		n, err := v.CopyToArchon(t.Context(), space)
		require.NoError(t, err)
		require.Equal(t, want, n, why)
	}
	copied(0, "there is no Archon")
	does(t, conn, `CREATE TABLE archon_code_examples (id bigserial);
		INSERT INTO archon_settings (key, value) VALUES ('EMBEDDING_MODEL', 'another')`)
	copied(0, "another model")
	does(t, conn, `UPDATE archon_settings SET value = 'text-embedding-3-small'; INSERT INTO archon_settings (key, value) VALUES ('EMBEDDING_DIMENSIONS', '768')`)
	copied(0, "another length")
	does(t, conn, `DELETE FROM archon_settings WHERE key = 'EMBEDDING_DIMENSIONS'`)
	copied(2, "Sluice's chunks only")
	copied(0, "once")
	const filled = `SELECT count(*) FROM archon_crawled_pages WHERE embedding_1536 IS NOT NULL AND embedding_model = 'text-embedding-3-small' AND embedding_dimension = 1536`
	require.Equal(t, 2, scan[int](t, conn, filled))

	// A chunk with another title has another vector.
	w := storetest.Page("docs", "", "1", 2, "Page", "one", "two")
	w.Chunks[0].Metadata.Title = "Renamed"
	storetest.Write(t, s, w)
	embed(t, v, space)
	copied(1, "the renamed one")
}

func TestArchonsIndexOfAnEmptyTableIsReported(t *testing.T) {
	s, conn := storetest.OpenVectors(t)
	storetest.AddSource(t, s, "docs")
	v := s.Vectors()
	stale, err := v.StaleIndexes(t.Context())
	require.NoError(t, err)
	require.Empty(t, stale, "nothing is in it")
	var texts []string
	for i := range 101 {
		texts = append(texts, fmt.Sprint("text ", i))
	}
	storetest.Write(t, s, storetest.Page("docs", "", "1", 1, "Page", texts...))
	does(t, conn, `UPDATE archon_crawled_pages SET embedding_384 = array_fill(0.1, ARRAY[384])::vector`)
	stale, err = v.StaleIndexes(t.Context())
	require.NoError(t, err)
	require.Equal(t, []vectors.Stale{{Index: "idx_archon_crawled_pages_embedding_384", Column: "embedding_384"}}, stale)
	does(t, conn, `REINDEX INDEX `+stale[0].Index)
	stale, err = v.StaleIndexes(t.Context())
	require.NoError(t, err)
	require.Empty(t, stale)
}

func TestGoingBackTakesTheVectorsAlong(t *testing.T) {
	s, conn := storetest.OpenVectors(t)
	_, err := s.Vectors().Open(t.Context(), vectors.IdentityOf("m", 4, 0))
	require.NoError(t, err)
	require.NoError(t, s.MigrateDown(t.Context()))
	require.Zero(t, scan[int](t, conn, `SELECT count(*) FROM pg_class WHERE relname ~ '^confluence_'`))
}

// A text that was edited before it was embedded is nobody's. It does not keep a complete space waiting.
func TestATextThatNoChunkHasDoesNotHoldUpItsSpace(t *testing.T) {
	s, conn := storetest.OpenVectors(t)
	storetest.AddSource(t, s, "docs")
	storetest.Write(t, s, storetest.Page("docs", "", "1", 1, "One", "a text"))
	v := s.Vectors()
	_, err := v.Open(t.Context(), vectors.IdentityOf("first", 3, 0))
	require.NoError(t, err)
	second, err := v.Switch(t.Context(), vectors.IdentityOf("second", 3, 0))
	require.NoError(t, err)
	note(t, v, second)
	storetest.Write(t, s, storetest.Page("docs", "", "1", 2, "One", "another text"))
	done, err := v.Promote(t.Context(), second)
	require.NoError(t, err)
	require.False(t, done, "the other text is not embedded yet")
	embed(t, v, second)
	does(t, conn, `UPDATE confluence_texts SET state = 'pending' WHERE key NOT IN (SELECT key FROM confluence_chunk_texts)`)
	done, err = v.Promote(t.Context(), second)
	require.NoError(t, err)
	require.True(t, done)
}
