package search_test

import (
	"testing"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/migrations"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/store/storetest"
	"github.com/sluicehq/sluice/shared/viewer"
)

// The database's parser takes what stands in angle brackets for tags, and keeps no word of them.
func TestWordsInAngleBracketsAreFound(t *testing.T) {
	t.Parallel()
	s, _ := storetest.Open(t)
	storetest.AddSource(t, s, "docs")
	for id, text := range map[string]string{
		"1": "Call it as deploy <kestrel> [options]",
		"2": "A List<Falcon> holds them all",
		"3": "if a < merlin and harrier > b",
		"4": "before <!-- osprey --> after",
		"5": "see <https://goshawk.example.com/nest>",
		"6": "<buzzard name=\"hobby\"/> and </caracara>, /etc/ and ./puffin",
		"7": "an unclosed <condor",
		"8": "<a><b>vulture</b></a>",
	} {
		storetest.Write(t, s, storetest.Page("docs", "", id, 1, "Page "+id, text))
	}
	storetest.Write(t, s, storetest.Page("docs", "", "9", 1, "The type Map<Eagle>", "nothing"))
	for query, page := range map[string]string{
		"kestrel": "1", "<kestrel>": "1", `"deploy <kestrel>"`: "1", "falcon": "2", "List<Falcon>": "2", `"List<Falcon> holds"`: "2",
		"merlin": "3", "harrier": "3", "osprey": "4", "goshawk.example.com": "5", "goshawk": "5", "buzzard": "6", "hobby": "6",
		"caracara": "6", "etc": "6", "puffin": "6", "condor": "7", "vulture": "8", "<b>vulture</b>": "8", "eagle": "9", `"Map<Eagle>"`: "9",
	} {
		require.Equal(t, []string{page}, found(t, s, query, search.Filter{Limit: 1}), query)
	}
	require.Equal(t, []string{"2"}, found(t, s, `falcon kestrel -"<kestrel>"`, search.Filter{}))
	hits, err := s.Searcher().Search(t.Context(), viewer.All(), "kestrel", search.Filter{})
	require.NoError(t, err)
	require.Contains(t, hits[0].Snippet, "Call it as deploy <"+search.MarkStart+"kestrel"+search.MarkEnd+"> [options")
}

// What the releases before stored lacks those words.
func TestTheMigrationFindsWordsInAngleBrackets(t *testing.T) {
	t.Parallel()
	s, conn := storetest.Open(t)
	storetest.AddSource(t, s, "docs")
	storetest.Write(t, s, storetest.Page("docs", "", "1", 1, "One", "Call it as deploy <kestrel> [options]"))
	storetest.Write(t, s, storetest.Page("docs", "", "2", 1, "Map<Eagle>", "nothing"))
	storetest.Write(t, s, storetest.Page("docs", "", "3", 1, "Three", "1 < 2 and 3 > 2"))
	_, err := conn.Exec(t.Context(), `UPDATE confluence_chunk_words SET words = ''`)
	require.NoError(t, err)
	db := stdlib.OpenDB(*conn.Config())
	t.Cleanup(func() { _ = db.Close() })
	require.NoError(t, migrations.DownTo(t.Context(), db, 40))
	_, err = s.Migrate(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"1"}, found(t, s, "kestrel", search.Filter{}))
	require.Equal(t, []string{"2"}, found(t, s, "eagle", search.Filter{}))
	require.Empty(t, found(t, s, "3", search.Filter{}), "untouched")
}
