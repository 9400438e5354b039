package store_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/pgtest"
)

var update = flag.Bool("update", false, "write migrations/schema.sql anew")

const schemaHeader = `-- What a database of Sluice's own holds once every migration is applied. Written from such a
-- database by "make docs", for readers; it is never applied.
--
-- Beside an existing Archon the archon_* tables are Archon's own and stay as they are.
--
-- Left out is what depends on the server. Where it has pgvector, archon_crawled_pages has
-- embedding_384, embedding_768, embedding_1024, embedding_1536 and embedding_3072, all but the
-- last with an ivfflat index; where it has lz4, confluence_page_content.markdown is compressed
-- with it; where Archon's roles exist
-- (Supabase), confluence_guard() keeps its public roles away from Sluice's tables and rows.
`

func TestTheSchemaFileIsInStep(t *testing.T) {
	t.Parallel()
	address := pgtest.URL(t)
	_, err := opened(t, address).Migrate(t.Context())
	require.NoError(t, err)
	does(t, connect(t, address), `DROP EXTENSION IF EXISTS vector CASCADE; DROP EXTENSION IF EXISTS pg_trgm CASCADE`)

	var b strings.Builder
	b.WriteString(schemaHeader)
	seen := map[string]bool{}
	kind := ""
	for _, o := range schema(t, address) {
		require.False(t, seen[o.Name], "%s is there twice", o.Name)
		seen[o.Name] = true
		k, _, _ := strings.Cut(o.Name, " ")
		if k == "storage" || k == "sequence" {
			continue
		}
		if k != kind || k == "table" || k == "function" {
			b.WriteByte('\n')
		}
		kind = k
		b.WriteString(strings.TrimRight(o.SQL, "\n") + "\n")
	}
	file := filepath.Join("..", "..", "migrations", "schema.sql")
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o644))
	}
	there, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, b.String(), string(there), "migrations/schema.sql is not what the migrations make; run: make docs")
}
