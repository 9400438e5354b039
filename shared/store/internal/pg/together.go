package pg

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Pool is a pool of connections. Query, QueryRow, Snapshot and Together with the context of Together ask the server
// together. Everything else, such as Begin, Exec, SendBatch and Acquire, goes to a connection of its own also there: it sees
// another moment, and may wait for a connection while Together holds one. So reads that run together must not use it.
type Pool struct{ *pgxpool.Pool }

// Query reads rows.
func (p Pool) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if g := gatheringOf(ctx); g != nil {
		if rows := g.ask(sql, args); rows != nil {
			return rows, rows.err
		}
	}
	return p.Pool.Query(ctx, sql, args...)
}

// QueryRow reads one row.
func (p Pool) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if g := gatheringOf(ctx); g != nil {
		if rows := g.ask(sql, args); rows != nil {
			return firstRow{rows}
		}
	}
	return p.Pool.QueryRow(ctx, sql, args...)
}

// readOnly are the options of transactions that read several times.
var readOnly = pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}

// Snapshot runs reads that see the database as it is at one moment.
func (p Pool) Snapshot(ctx context.Context, read func(Querier) error) error {
	if gatheringOf(ctx) != nil { // it is one snapshot already
		return read(p)
	}
	return pgx.BeginTxFunc(ctx, p.Pool, readOnly, func(tx pgx.Tx) error { return read(tx) })
}

// errElsewhere is the error of the reads that come after one that failed.
var errElsewhere = errors.New("another read of the same request failed")

// Together runs reads at the same time, all of which see the database as it is at one moment. Whatever they ask while
// none of them can go on without an answer goes to the server at once: it costs one round trip, however many questions
// that are. The same question is asked once. A read may call Together itself, with its context. All results are in
// memory: it is for reads of a view, not for many rows.
//
// It returns the first error, in the order of reads, that is not the consequence of another one. If a read panics, so does
// Together, with a *PanicError.
func (p Pool) Together(ctx context.Context, reads ...func(context.Context) error) error {
	if len(reads) == 0 {
		return nil
	}
	if g := gatheringOf(ctx); g != nil {
		return g.within(ctx, reads)
	}
	g := &gathering{answered: map[string]*keptRows{}, woken: make(chan struct{}, 1)}
	group := &readers{left: len(reads), errs: make([]error, len(reads))}
	g.running = len(reads)
	g.start(context.WithValue(ctx, gatheringKey{}, g), group, reads)
	g.serve(ctx, p, group)
	return group.result()
}

type gatheringKey struct{}

func gatheringOf(ctx context.Context) *gathering {
	g, _ := ctx.Value(gatheringKey{}).(*gathering)
	if g == nil || g.over.Load() {
		return nil
	}
	return g
}

// gathering are reads that ask together. It has one transaction, which begins with the first question.
type gathering struct {
	woken chan struct{} // when no read goes on without an answer

	mu       sync.Mutex
	running  int // reads that wait for nothing
	asked    []*question
	answered map[string]*keptRows // by question: in one snapshot, the answer stays the same
	unlike   int                  // questions that are like no others
	err      error                // the first error of the server; the transaction is useless since

	over atomic.Bool // set under mu; all reads have ended; what is asked with their contexts later asks the pool
	conn *pgxpool.Conn
}

// question is a statement with its arguments.
type question struct {
	sql  string
	args []any
	key  string
	to   []chan *keptRows // the same question may be asked several times
}

// readers are the reads of one call of Together.
type readers struct {
	left  int
	errs  []error
	panic *PanicError
	done  chan struct{} // nil for the outermost
}

// PanicError is a panic of a read. It is raised anew where Together was called.
type PanicError struct {
	Value any
	Stack []byte // where the read panicked
}

// Error implements error.
func (p *PanicError) Error() string {
	return fmt.Sprintf("%v\n\nThe read panicked at:\n%s", p.Value, p.Stack)
}

// caughtPanic is a recovered value with the stack of the goroutine, nil for none. One of a read within keeps its own.
func caughtPanic(value any) *PanicError {
	if value == nil {
		return nil
	}
	if p, ok := value.(*PanicError); ok {
		return p
	}
	return &PanicError{value, debug.Stack()}
}

func (r *readers) result() error {
	if r.panic != nil {
		panic(r.panic) // where the caller expects it, and not in a goroutine of its own
	}
	var other error
	for _, err := range r.errs {
		if err != nil && !errors.Is(err, errElsewhere) {
			return err
		}
		other = errors.Join(other, err)
	}
	return other
}

func (g *gathering) start(ctx context.Context, group *readers, reads []func(context.Context) error) {
	for i, read := range reads {
		go func() {
			defer func() {
				caught := caughtPanic(recover())
				if caught != nil {
					group.errs[i] = errElsewhere
				}
				g.ended(group, caught)
			}()
			group.errs[i] = read(ctx)
		}()
	}
}

// ended notes that a read has ended. The last one of a group lets the read go on that waits for them.
func (g *gathering) ended(group *readers, caught *PanicError) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running--
	group.left--
	if caught != nil {
		group.panic = caught
	}
	if group.left == 0 && group.done != nil {
		g.running++
		close(group.done)
	}
	g.wake()
}

// wake wakes serve if every read waits. The caller holds the lock.
func (g *gathering) wake() {
	if g.running == 0 {
		select {
		case g.woken <- struct{}{}:
		default:
		}
	}
}

// within runs the reads of a read.
func (g *gathering) within(ctx context.Context, reads []func(context.Context) error) error {
	group := &readers{left: len(reads), errs: make([]error, len(reads)), done: make(chan struct{})}
	g.mu.Lock()
	g.running += len(reads) - 1 // the caller waits for them
	g.mu.Unlock()
	g.start(ctx, group, reads)
	<-group.done
	return group.result()
}

// ask returns the answer to a question, once all reads that can ask something have done so; nil if nobody answers any more.
func (g *gathering) ask(sql string, args []any) *keptRows {
	g.mu.Lock()
	if g.over.Load() {
		g.mu.Unlock()
		return nil
	}
	key := g.keyOf(sql, args)
	if known, ok := g.answered[key]; ok {
		g.mu.Unlock()
		return known.again()
	}
	answer := make(chan *keptRows, 1)
	same := false
	for _, q := range g.asked {
		if same = q.key == key; same {
			q.to = append(q.to, answer)
			break
		}
	}
	if !same {
		g.asked = append(g.asked, &question{sql: sql, args: args, key: key, to: []chan *keptRows{answer}})
	}
	g.running--
	g.wake()
	g.mu.Unlock()
	return <-answer
}

// keyOf tells questions apart. Arguments that refer to something else are like no others.
func (g *gathering) keyOf(sql string, args []any) string {
	unlike := false
	for _, a := range args {
		switch v := reflect.ValueOf(a); v.Kind() {
		case reflect.Invalid, reflect.Bool, reflect.Int, reflect.Int32, reflect.Int64, reflect.String:
		case reflect.Slice:
			if k := v.Type().Elem().Kind(); k != reflect.String && k != reflect.Int32 && k != reflect.Int64 && k != reflect.Uint8 {
				unlike = true
			}
		default:
			unlike = true
		}
	}
	if unlike {
		g.unlike++
		return fmt.Sprintf("%s\x00%d", sql, g.unlike)
	}
	return fmt.Sprintf("%s\x00%#v", sql, args)
}

// serve answers questions until all reads of the group have ended.
func (g *gathering) serve(ctx context.Context, p Pool, group *readers) {
	for {
		<-g.woken
		g.mu.Lock()
		asked := g.asked
		g.asked = nil
		ended := group.left == 0
		g.over.Store(ended)
		for _, q := range asked {
			g.running += len(q.to)
		}
		g.mu.Unlock()
		if len(asked) > 0 {
			g.answer(ctx, p, asked)
		}
		if ended {
			break
		}
	}
	if g.conn == nil {
		return
	}
	// The reader need not wait for the end of the transaction.
	go func(conn *pgxpool.Conn) {
		defer conn.Release()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
		defer cancel()
		_, _ = conn.Exec(ctx, "rollback") // it has only read; a connection that fails here is closed
	}(g.conn)
}

// endWithin limits the end of a transaction that has only read.
const endWithin = 5 * time.Second

// answer sends questions in one round trip, and their answers to who has asked.
func (g *gathering) answer(ctx context.Context, p Pool, asked []*question) {
	rows := make([]*keptRows, len(asked))
	if g.err == nil {
		g.err = g.send(ctx, p, asked, rows)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, q := range asked {
		if rows[i] == nil {
			rows[i] = &keptRows{err: fmt.Errorf("%w: %w", errElsewhere, g.err)}
		}
		g.answered[q.key] = rows[i]
		for _, to := range q.to {
			to <- rows[i].again()
		}
	}
}

func (g *gathering) send(ctx context.Context, p Pool, asked []*question, rows []*keptRows) (err error) {
	batch := &pgx.Batch{}
	begins := g.conn == nil
	if begins {
		if g.conn, err = p.Acquire(ctx); err != nil {
			rows[0] = &keptRows{err: err}
			return err
		}
		batch.Queue("begin isolation level repeatable read read only")
	}
	for _, q := range asked {
		batch.Queue(q.sql, q.args...)
	}
	answers := g.conn.SendBatch(ctx, batch)
	defer func() { err = errors.Join(err, answers.Close()) }()
	if begins {
		if _, err := answers.Exec(); err != nil {
			rows[0] = &keptRows{err: err}
			return err
		}
	}
	for i := range asked {
		got, err := answers.Query()
		rows[i] = keep(got, err)
		if rows[i].err != nil {
			return rows[i].err
		}
	}
	return nil
}
