package store_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/store/internal/pg"
)

// trips counts the batches that are sent.
type trips struct{ batches, statements atomic.Int64 }

func (c *trips) TraceBatchStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceBatchStartData) context.Context {
	c.batches.Add(1)
	c.statements.Add(int64(d.Batch.Len()))
	return ctx
}
func (*trips) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (*trips) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}
func (*trips) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}
func (*trips) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func panicsHere(context.Context) error { panic("mine") }

func TestReadsTogether(t *testing.T) {
	t.Parallel()
	cfg, err := pgxpool.ParseConfig(pgtest.URL(t))
	require.NoError(t, err)
	var sent trips
	cfg.ConnConfig.Tracer, cfg.MaxConns = &sent, 2
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	p := pg.Pool{Pool: pool}
	_, err = pool.Exec(t.Context(), `CREATE TABLE n (i int); INSERT INTO n VALUES (1), (2), (3)`)
	require.NoError(t, err)
	numbers := func(ctx context.Context, above int) ([]int, error) {
		rows, _ := p.Query(ctx, `SELECT i FROM n WHERE i > $1 ORDER BY i`, above)
		return pgx.CollectRows(rows, pgx.RowTo[int])
	}
	cost := func(batches, statements int64, reads ...func(context.Context) error) error {
		t.Helper()
		sent.batches.Store(0)
		sent.statements.Store(0)
		err := p.Together(t.Context(), reads...)
		require.Equal(t, []int64{batches, statements}, []int64{sent.batches.Load(), sent.statements.Load()}, "round trips, and statements with the one that begins")
		return err
	}
	read := func(above int, want ...int) func(context.Context) error {
		return func(ctx context.Context) error {
			list, err := numbers(ctx, above)
			if err == nil && len(want) > 0 {
				require.Equal(t, want, list)
			}
			return err
		}
	}

	require.NoError(t, cost(0, 0))
	require.NoError(t, cost(0, 0, func(context.Context) error { return nil }))
	require.NoError(t, cost(1, 3, read(0, 1, 2, 3), read(1, 2, 3), read(0, 1, 2, 3)), "the same question is asked once")
	require.NoError(t, cost(2, 5, func(ctx context.Context) error { // one after the other, beside another read, and within
		if err := read(0, 1, 2, 3)(ctx); err != nil {
			return err
		}
		return p.Together(ctx, read(2, 3), read(1, 2, 3), read(0, 1, 2, 3))
	}, read(5)), "they share trips")

	// All see one moment, whatever is written meanwhile; a row may be missing; many columns and NULL arrive as from the pool.
	require.NoError(t, p.Together(t.Context(), func(ctx context.Context) error {
		require.NoError(t, read(0, 1, 2, 3)(ctx))
		_, err := pool.Exec(ctx, `INSERT INTO n VALUES (4)`)
		require.NoError(t, err)
		require.NoError(t, read(-1, 1, 2, 3)(ctx))
		var none int
		require.ErrorIs(t, p.QueryRow(ctx, `SELECT i FROM n WHERE i = 9`).Scan(&none), pgx.ErrNoRows)
		var text *string
		var list []string
		var raw map[string]any
		require.NoError(t, p.QueryRow(ctx, `SELECT NULL::text, '{a,b}'::text[], '{"x": 1}'::jsonb`).Scan(&text, &list, &raw))
		require.Nil(t, text)
		require.Equal(t, []string{"a", "b"}, list)
		require.Equal(t, map[string]any{"x": 1.0}, raw)
		return p.Snapshot(ctx, func(q pg.Querier) error {
			rows, err := q.Query(ctx, `SELECT i, 'x' AS t FROM n ORDER BY i`)
			require.NoError(t, err)
			values, err := pgx.CollectRows(rows, pgx.RowToMap)
			require.Equal(t, map[string]any{"i": int32(1), "t": "x"}, values[0])
			require.Len(t, values, 3)
			return err
		})
	}))
	require.NoError(t, read(3, 4)(t.Context()))

	// The error is that of the read that failed, not of those that failed with it; and nothing waits for ever.
	broken := func(ctx context.Context) error {
		var n int
		return p.QueryRow(ctx, `SELECT 1 / $1::int`, 0).Scan(&n)
	}
	for range 3 { // the connections are usable afterwards
		err = p.Together(t.Context(), read(0), broken, read(1), func(ctx context.Context) error {
			_ = broken(ctx)
			return read(7)(ctx)
		})
		require.Equal(t, "22012", pg.State(err), "%v", err)
	}
	mine := errors.New("mine")
	require.ErrorIs(t, p.Together(t.Context(), read(0), func(context.Context) error { return mine }), mine)
	for _, panics := range []func(context.Context) error{panicsHere, func(ctx context.Context) error { return p.Together(ctx, read(0), panicsHere) }} {
		var raised *pg.PanicError
		func() {
			defer func() { raised, _ = recover().(*pg.PanicError) }()
			_ = p.Together(t.Context(), read(0), panics)
		}()
		require.NotNil(t, raised)
		require.Equal(t, "mine", raised.Value)
		require.Contains(t, raised.Error(), "panicsHere", "where the read panicked")
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, p.Together(gone, read(0), read(1)), context.Canceled)

	// A context that outlives its reads asks the pool.
	var later context.Context
	require.NoError(t, p.Together(t.Context(), func(ctx context.Context) error { later = ctx; return read(0)(ctx) }))
	require.NoError(t, read(3, 4)(later))
}
