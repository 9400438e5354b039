package pgtest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/sluicehq/sluice/shared/localpg"
)

// VectorServerVariable is ServerVariable for VectorURL: its server must have pgvector. Platforms without
// a download need it.
const VectorServerVariable = "SLUICE_TEST_VECTOR_DATABASE_URL"

// VectorURL is URL on a server that supports CREATE EXTENSION vector: PostgreSQL 18 with pgvector,
// downloaded once (25 MB) into localpg's download folder. It has no other extension, not even pg_trgm.
// There are downloads for Linux and macOS, on amd64 and arm64.
func VectorURL(tb testing.TB) string {
	tb.Helper()
	return newDatabase(tb, &tests.vector, "PostgreSQL with pgvector", openVector, empty)
}

// MigratedVectorURL is MigratedURL on the server of VectorURL.
func MigratedVectorURL(tb testing.TB) string {
	tb.Helper()
	return newDatabase(tb, &tests.vector, "PostgreSQL with pgvector", openVector, (*server).migrated)
}

func openVector() (*server, error) { return open(VectorServerVariable, vectorBinaries) }

// VectorBinDir is the folder of the programs of VectorURL's server, including pg_dump.
func VectorBinDir(tb testing.TB) string {
	tb.Helper()
	dir, err := vectorBinaries()
	if err != nil {
		tb.Fatalf("pgtest: these tests need PostgreSQL with pgvector: %v", err)
	}
	return dir
}

// vectorBinaries downloads the server with pgvector and returns its bin folder.
func vectorBinaries() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	dir, err := localpg.FetchVector(ctx, localpg.Options{Notice: notice})
	if err != nil {
		return "", fmt.Errorf("%w; or let %s name a server that has it", err, VectorServerVariable)
	}
	return dir, nil
}
