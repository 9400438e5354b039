package store

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A pooler (PgBouncer, Supabase's port 6543) may give each transaction to another session of the
// server. What a session keeps is lost there, or found by somebody else: prepared statements,
// settings, locks that outlast their transaction. Through one, statements are sent without being
// prepared by name, and sessions are left as they are. Nothing of ours needs a connection of its own:
// every lock and every setting ends with its transaction.

// modeSetting is the parameter of DATABASE_URL that says how statements are sent; pgx reads it.
const modeSetting = "default_query_exec_mode"

// way is how the server is reached.
type way struct {
	mode  pgx.QueryExecMode
	named bool // the mode stands in the address

	mu     sync.Mutex
	known  bool
	pooled bool
}

// throughPoolers has every new connection work through a pooler where there is one. That is found out
// once, before the first connection.
func throughPoolers(cfg *pgxpool.Config, url string) *way {
	w := &way{mode: cfg.ConnConfig.DefaultQueryExecMode, named: strings.Contains(url, modeSetting)}
	cfg.BeforeConnect = func(ctx context.Context, c *pgx.ConnConfig) error {
		_, mode, err := w.find(ctx, c)
		c.DefaultQueryExecMode = mode
		return err
	}
	cfg.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if pooled, _ := w.get(); pooled {
			return nil
		}
		return prepare(ctx, conn)
	}
	return w
}

// get returns what is known: whether there is a pooler, and how statements are sent.
func (w *way) get() (pooled bool, mode pgx.QueryExecMode) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pooled, w.mode
}

// find looks whether who answers a connection is who does its work: a pooler makes up the process id
// that it gives its clients.
func (w *way) find(ctx context.Context, c *pgx.ConnConfig) (pooled bool, mode pgx.QueryExecMode, err error) {
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
		return false, w.mode, fmt.Errorf("look for a pooler: %w", err)
	}
	w.known, w.pooled = true, pid != conn.PgConn().PID()
	if w.pooled && !w.named {
		w.mode = pgx.QueryExecModeCacheDescribe
	}
	return w.pooled, w.mode, nil
}

// prepare sets what a session has its own way of, so that Archon's tables and the server stay as they
// are. All of it is about speed.
//
// Large values are compressed with lz4 where the server has it: to write chunks then takes a twentieth
// less of the server's time than with its own pglz, and reading them less too. What waits to be sorted
// into a GIN index is kept to 1 MB in place of 4: each search reads all of it, and sorting it in more
// often takes no measurable time.
func prepare(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `SELECT set_config(name, CASE name WHEN 'default_toast_compression' THEN 'lz4' ELSE '1MB' END, false)
		FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals) OR name = 'gin_pending_list_limit'`)
	if err != nil {
		return fmt.Errorf("prepare a session: %w", err)
	}
	return nil
}
