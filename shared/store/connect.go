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

// These limits make sure that a connection whose other end has disappeared blocks nobody. A new connection must be
// ready within connectWithin. A connection that was idle for a second is tested first: it must answer within
// pingWithin, or it is replaced. The other side's kernel must acknowledge sent data, and answer keepalive probes,
// within about deadAfter. Statements have no deadline: some of them rightly take long.
const (
	connectWithin    = 10 * time.Second
	pingWithin       = 3 * time.Second
	answerWithin     = 15 * time.Second // for Ping in total, which may have to replace a connection
	deadAfter        = 30 * time.Second
	idleFor          = 2 * time.Minute // shorter than the idle timeout of common firewalls
	healthCheckEvery = 15 * time.Second
)

// poolConfig parses a postgres:// address and sets defaults for what it leaves open.
func poolConfig(url string) (*pgxpool.Config, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		// Do not wrap pgx's error: it quotes the address, including the password.
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
		{"pool_health_check_period", &cfg.HealthCheckPeriod, healthCheckEvery},
		{"pool_ping_timeout", &cfg.PingTimeout, pingWithin},
	} {
		if !strings.Contains(url, set.parameter) {
			*set.value = set.to
		}
	}
	return cfg, nil
}

// newPool creates the pool. When an idle connection turns out to be dead, the others that were idle most likely are
// too: it replaces all of them instead of waiting for each.
func newPool(ctx context.Context, cfg *pgxpool.Config) (*pgxpool.Pool, error) {
	var pool *pgxpool.Pool
	var asked sync.Map // the connections that have not answered a ping yet
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

// dialer returns a dialer whose connections let the kernel detect when the other side has disappeared.
func dialer(timeout time.Duration) *net.Dialer {
	return &net.Dialer{
		Timeout:         timeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: deadAfter / 2, Interval: deadAfter / 6, Count: 3},
		Control:         userTimeout,
	}
}
