package cli_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/embedding/embeddingtest"
	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/storetest"
	"github.com/sluicehq/sluice/shared/store/vectors"
)

func TestEmbeddingsAreShownAndChanged(t *testing.T) {
	p := newPerson(t)
	p.env["DATABASE_URL"] = pgtest.MigratedVectorURL(t)
	s, err := store.Open(t.Context(), p.env["DATABASE_URL"])
	require.NoError(t, err)
	t.Cleanup(s.Close)
	storetest.AddSource(t, s, "docs")
	storetest.Write(t, s, storetest.Page("docs", "", "1", 1, "Page", "one two", "three"))
	require.Contains(t, p.sees("embeddings", "status"), "Nothing is embedded: search works by words.")
	code, _, said := p.types("embeddings", "plan")
	require.Equal(t, 2, code)
	require.Contains(t, said, "set EMBEDDINGS_URL and EMBEDDINGS_MODEL, or EMBEDDINGS_PATH")

	server := embeddingtest.NewServer(t)
	p.env["EMBEDDINGS_URL"], p.env["EMBEDDINGS_MODEL"], p.env["EMBEDDINGS_PRICE"] = server.URL, "words", "0.5"
	require.Regexp(t, `words \(64 dimensions\): 2 chunks with 2 different texts, about \d+ tokens, which cost 0.00, in about`, p.sees("embeddings", "plan"))
	require.Contains(t, p.sees("search", "one"), "By words alone: nothing is embedded yet.")
	require.Contains(t, p.sees("embeddings", "switch"), "Space 1, words (64 dimensions), is active.")
	require.Regexp(t, `1 +words +64 +active +docs +2 +0 +2 +0`, p.sees("embeddings", "status"))
	p.env["EMBEDDINGS_MODEL"] = "other"
	require.Contains(t, p.sees("embeddings", "switch"), "Space 2, other (64 dimensions), is filling.")
	require.Contains(t, p.sees("embeddings", "retry"), "0 texts will be tried again.")
	code, _, said = p.types("embeddings", "drop", "1")
	require.Equal(t, 1, code)
	require.Contains(t, said, "space 1 is searched: to drop it anyway, stop the embedder and add --active")
	require.Contains(t, p.sees("embeddings", "drop", "2"), "Space 2 is dropped.")
	code, _, said = p.types("embeddings", "drop", "2")
	require.Equal(t, 1, code)
	require.Contains(t, said, "there is no space 2")
	code, _, _ = p.types("embeddings", "drop", "all")
	require.Equal(t, 2, code)
	var spaces struct {
		Spaces []struct{ Total vectors.Count }
	}
	p.reads(&spaces, "embeddings", "status")
	require.Equal(t, 2, spaces.Spaces[0].Total.Pending)
	_, doctor, _ := p.types("doctor")
	require.Contains(t, doctor, "search uses those of words (64 dimensions)")
}
