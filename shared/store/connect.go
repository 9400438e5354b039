package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A connection whose other end is gone without a word must not hold anybody. A new one has
// connectWithin to be made. One that was idle for a second is asked first and answers within
// pingWithin, or another one is made. What is sent is acknowledged by the other side's kernel, and
// a side that says nothing answers its probes, within about deadAfter. No statement has a deadline:
// some rightly take long.
const (
	connectWithin = 10 * time.Second
	pingWithin    = 3 * time.Second
	answerWithin  = 15 * time.Second // for Ping in all: it may have to drop a connection and make one
	deadAfter     = 30 * time.Second
	idleFor       = 2 * time.Minute // shorter than any firewall forgets
	lookEvery     = 15 * time.Second
)

// poolConfig reads a postgres:// address and sets what it leaves open.
func poolConfig(url string) (*pgxpool.Config, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		// pgx's own error would quote the address, password included.
		return nil, errors.New("DATABASE_URL is not a Postgres address; it looks like postgres://user:password@host:5432/database")
	}
	cfg.MaxConns = max(cfg.MaxConns, 8)
	conn := cfg.ConnConfig
	if conn.ConnectTimeout == 0 {
		conn.ConnectTimeout = connectWithin
	}
	conn.DialFunc = dialer(conn.ConnectTimeout).DialContext
	for _, set := range []struct {
		parameter string
		value     *time.Duration
		to        time.Duration
	}{
		{"pool_max_conn_idle_time", &cfg.MaxConnIdleTime, idleFor},
		{"pool_health_check_period", &cfg.HealthCheckPeriod, lookEvery},
		{"pool_ping_timeout", &cfg.PingTimeout, pingWithin},
	} {
		if !strings.Contains(url, set.parameter) {
			*set.value = set.to
		}
	}
	return cfg, nil
}

// newPool makes the pool. When a connection turns out to be dead that was idle, so are those that
// were idle with it, most likely: all are made anew, rather than each waited for.
func newPool(ctx context.Context, cfg *pgxpool.Config) (*pgxpool.Pool, error) {
	var pool *pgxpool.Pool
	var asked sync.Map // the connections that have yet to answer a ping
	cfg.ShouldPing = func(_ context.Context, p pgxpool.ShouldPingParams) bool {
		if p.IdleDuration < time.Second {
			return false
		}
		asked.Store(p.Conn, true)
		return true
	}
	cfg.PrepareConn = func(_ context.Context, conn *pgx.Conn) (bool, error) {
		asked.Delete(conn)
		return true, nil
	}
	cfg.BeforeClose = func(conn *pgx.Conn) {
		if _, dead := asked.LoadAndDelete(conn); dead {
			pool.Reset()
		}
	}
	var err error
	pool, err = pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open database pool: %w", err)
	}
	return pool, nil
}

// dialer makes connections of which the kernel finds out when the other side is gone.
func dialer(timeout time.Duration) *net.Dialer {
	return &net.Dialer{
		Timeout:         timeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: deadAfter / 2, Interval: deadAfter / 6, Count: 3},
		Control:         userTimeout,
	}
}
