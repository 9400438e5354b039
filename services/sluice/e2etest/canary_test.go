package e2etest

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/event"
)

// lines keeps what several goroutines log.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// A good run and one that Confluence refuses: the token shows in no log line, no message of
// the bus that travels as plain JSON, and no row.
func TestTheTokenStaysOutOfLogsEventsAndTables(t *testing.T) {
	const canary = "canary-5d41402abc4b2a76"
	site := sandbox.New(sandbox.Options{Token: canary})
	site.AddBuiltin()
	w := newWorld(t, sandbox.BuiltinSpace, site)
	var log lines
	w.token, w.log = canary, &log
	s := w.stranger()
	s.send("SUB sluice.> 1\r\n")
	w.startAll()
	require.Equal(t, event.StateCompleted, w.sync(event.Full).State)
	require.NoError(t, site.HideSpace(sandbox.BuiltinSpace, true))
	require.Equal(t, event.StateFailed, w.sync(event.Full).State)

	require.NoError(t, s.conn.SetReadDeadline(time.Now().Add(500*time.Millisecond)))
	var heard bytes.Buffer
	_, err := heard.ReadFrom(s.in)
	require.True(t, errors.Is(err, os.ErrDeadlineExceeded), err)
	require.Contains(t, heard.String(), "completed", "the bus was heard")
	log.mu.Lock()
	said := log.buf.String()
	log.mu.Unlock()
	require.Contains(t, said, "listing complete", "the stages' log was kept")
	encoded := base64.StdEncoding.EncodeToString([]byte(sandbox.DefaultEmail + ":" + canary))
	for _, secret := range []string{canary, encoded} {
		require.NotContains(t, heard.String(), secret)
		require.NotContains(t, said, secret)
	}
	rows, err := w.db.Query(t.Context(), `SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'`)
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Contains(t, tables, "confluence_sync_runs")
	for _, table := range tables {
		require.Zero(t, w.count(`SELECT count(*) FROM `+pgx.Identifier{table}.Sanitize()+` r WHERE r::text LIKE '%' || $1 || '%'`, canary), table)
	}
}
