package store

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A pooler (PgBouncer, Supabase's port 6543) may run each transaction in another session of the server. Session state
// is then lost, or visible to another client: prepared statements, settings, locks that outlast their transaction.
// Through a pooler, the store therefore sends statements without preparing them by name, and changes no session
// settings. Nothing in the store needs a connection of its own: every lock and every setting ends with its
// transaction.

// modeSetting is the parameter of DATABASE_URL for how statements are sent; pgx reads it.
const modeSetting = "default_query_exec_mode"

// poolerState records whether the server is behind a pooler, and how statements are sent.
type poolerState struct {
	mode    pgx.QueryExecMode
	modeSet bool // the address sets the mode

	mu     sync.Mutex
	known  bool
	pooled bool
}

// detectPooler configures every new connection for a pooler if there is one. This is detected once, before the first
// connection.
func detectPooler(cfg *pgxpool.Config, url string) *poolerState {
	w := &poolerState{mode: cfg.ConnConfig.DefaultQueryExecMode, modeSet: strings.Contains(url, modeSetting)}
	cfg.BeforeConnect = func(ctx context.Context, c *pgx.ConnConfig) error {
		_, mode, err := w.detect(ctx, c)
		c.DefaultQueryExecMode = mode
		return err
	}
	cfg.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if pooled, _ := w.get(); pooled {
			return nil
		}
		return tuneSession(ctx, conn)
	}
	return w
}

// get returns what is known so far: whether there is a pooler, and how statements are sent.
func (w *poolerState) get() (pooled bool, mode pgx.QueryExecMode) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pooled, w.mode
}

// detect compares the process id that the connection reports with the one of the server process that runs the
// statement: a pooler invents the ids that it gives to its clients.
func (w *poolerState) detect(ctx context.Context, c *pgx.ConnConfig) (pooled bool, mode pgx.QueryExecMode, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.known {
		return w.pooled, w.mode, nil
	}
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return false, w.mode, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	var pid uint32
	if err := conn.QueryRow(ctx, `SELECT pg_backend_pid()`, pgx.QueryExecModeSimpleProtocol).Scan(&pid); err != nil {
		return false, w.mode, fmt.Errorf("detect a pooler: %w", err)
	}
	w.known, w.pooled = true, pid != conn.PgConn().PID()
	if w.pooled && !w.modeSet {
		w.mode = pgx.QueryExecModeCacheDescribe
	}
	return w.pooled, w.mode, nil
}

// tuneSession sets options of the session only, so that Archon's tables and the server stay unchanged. All of them
// improve speed.
//
// Large values are compressed with lz4 if the server supports it: writing chunks then takes 5% less server time than
// with pglz, and reading them takes less too. The pending list of a GIN index is limited to 1 MB instead of 4 MB:
// each search reads the whole list, and emptying it more often takes no measurable time. The index that every search
// reads has that limit itself, since a session behind a pooler keeps none.
func tuneSession(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `SELECT set_config(name, CASE name WHEN 'default_toast_compression' THEN 'lz4' ELSE '1MB' END, false)
		FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals) OR name = 'gin_pending_list_limit'`)
	if err != nil {
		return fmt.Errorf("configure a session: %w", err)
	}
	return nil
}
