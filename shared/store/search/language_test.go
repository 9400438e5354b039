package search_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/store/storetest"
	"github.com/sluicehq/sluice/shared/viewer"
)

func TestSearchInAnotherLanguage(t *testing.T) {
	t.Parallel()
	s, url := stocked(t, store.SearchLanguage("german"))
	w := storetest.Page("docs", "", "20", 1, "Häuser am Fluss", "## Bäume\n\nDie Bäume vor den Häusern wurden gefällt. Die Anlegestellen bleiben.")
	w.Chunks[0].Metadata.SectionTitle = "Bäume"
	storetest.Write(t, s, w)
	require.Equal(t, []string{"20"}, found(t, s, "haus", search.Filter{}), "another form of a word in the title")
	require.Equal(t, []string{"20"}, found(t, s, "baum gefällt", search.Filter{}))
	require.Equal(t, "20", found(t, s, "Anlegestelen", search.Filter{})[0], "a typo")
	require.Equal(t, "20", found(t, s, "wo wurden die Bäume vor dem Haus gefällt", search.Filter{})[0])
	require.Empty(t, found(t, s, "häuser -baum", search.Filter{}))
	hits, err := s.Searcher().Search(t.Context(), viewer.All(), "bäume", search.Filter{})
	require.NoError(t, err)
	require.Contains(t, hits[0].Snippet, search.MarkStart+"Bäume"+search.MarkEnd)

	english, err := store.Open(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(english.Close)
	require.Equal(t, []string{"20"}, found(t, english, `"haus"`, search.Filter{}), "the words are stored in one language, whoever asks")
	_, err = english.Migrate(t.Context())
	require.NoError(t, err)
	require.Empty(t, found(t, s, `"haus"`, search.Filter{}), "who migrates with another language changes it")
	require.Equal(t, []string{"3"}, found(t, s, "rotating signing keys", search.Filter{Limit: 1}))
}

func TestAnotherLanguageHasIndexesOfItsOwn(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	var group errgroup.Group
	for range 4 {
		group.Go(func() error {
			s, err := store.Open(t.Context(), url, store.SearchLanguage("simple"))
			if err != nil {
				return err
			}
			defer s.Close()
			_, err = s.Migrate(t.Context())
			return err
		})
	}
	require.NoError(t, group.Wait(), "many at once, and again")

	s, err := store.Open(t.Context(), url, store.SearchLanguage("simple"))
	require.NoError(t, err)
	t.Cleanup(s.Close)
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	_, err = conn.Exec(t.Context(), `
		INSERT INTO archon_sources (source_id) VALUES ('big');
		INSERT INTO archon_crawled_pages (url, chunk_number, content, source_id, metadata)
		SELECT 'https://example.com/' || n, 0, 'the sparrow number ' || n, 'big', jsonb_build_object('title', 'Page ' || n) FROM generate_series(1, 20000) n;
		ANALYZE archon_crawled_pages`)
	require.NoError(t, err)
	require.NoError(t, s.Searcher().Build(t.Context()))
	require.Len(t, found(t, s, "the", search.Filter{}), 10, "a word that English leaves out")

	require.NoError(t, s.MigrateDown(t.Context()))
	var left int
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'idx\_confluence%'`).Scan(&left))
	require.Zero(t, left)
	require.NoError(t, s.MigrateDown(t.Context()), "again")
}

func TestALanguageThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	for _, name := range []string{"klingon", "english'; DROP TABLE archon_sources; --", `"`, "pg_catalog.english", "English"} {
		_, err := store.Open(t.Context(), url, store.SearchLanguage(name))
		require.ErrorContains(t, err, "SEARCH_LANGUAGE")
		require.ErrorContains(t, err, "german")
	}
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	const odd = `it's "odd" \`
	_, err = conn.Exec(t.Context(), `CREATE TEXT SEARCH CONFIGURATION `+pgx.Identifier{odd}.Sanitize()+` (COPY = simple)`)
	require.NoError(t, err)
	s, err := store.Open(t.Context(), url, store.SearchLanguage(odd))
	require.NoError(t, err)
	t.Cleanup(s.Close)
	_, err = s.Migrate(t.Context())
	require.NoError(t, err, "a name is quoted wherever it stands")
	storetest.AddSource(t, s, "docs")
	storetest.Write(t, s, storetest.Page("docs", "", "1", 1, "Home", "the walrus"))
	require.Equal(t, []string{"1"}, found(t, s, "the", search.Filter{}))
	require.NoError(t, s.MigrateDown(t.Context()))
}
