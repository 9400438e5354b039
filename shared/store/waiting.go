package store

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	tellAfter   = time.Second      // time to wait before the first report
	tellEvery   = 5 * time.Second  // time between further reports
	unknownHost = 15 * time.Second // a name may be registered a moment after the program starts; after that, it is wrong
)

// Waiting sets how Open and Ready wait: until ctx ends or, if limit is more than 0, at most for limit. After a
// second, and then every few seconds, they call tell with what they wait for and the reason. tell may be nil.
func Waiting(limit time.Duration, tell func(what string, why error)) Option {
	return func(o *opening) { o.waiter = waiter{limit: limit, tell: tell} }
}

// waiter is how long to wait, and where to report it.
type waiter struct {
	limit time.Duration
	tell  func(what string, why error)
}

// errSilent is the reason until the first attempt returns.
var errSilent = errors.New("no answer yet")

// until calls try repeatedly until it returns nil, or an error that waiting does not fix, which until returns. When
// the time is over, it returns the last error.
func (p waiter) until(ctx context.Context, what string, pause time.Duration, try func(context.Context) error) error {
	if p.limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.limit)
		defer cancel()
	}
	var last reason
	last.set(errSilent)
	defer p.reportRegularly(what, &last)()
	var unresolved time.Time // since when the name does not resolve
	for delay := min(pause, 100*time.Millisecond); ; delay = min(2*delay, pause) {
		err := try(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
			last.set(err) // an attempt that was cut short says less than the one before
		}
		var name *net.DNSError
		switch {
		case refused(err):
			return err
		case !errors.As(err, &name):
			unresolved = time.Time{}
		case unresolved.IsZero():
			unresolved = time.Now()
		case time.Since(unresolved) > unknownHost:
			return err
		}
		select {
		case <-ctx.Done():
			if known := last.get(); !errors.Is(known, errSilent) {
				err = known
			}
			return err
		case <-time.After(delay):
		}
	}
}

// reportRegularly reports the reason for the wait regularly until the returned function is called.
func (p waiter) reportRegularly(what string, last *reason) (stop func()) {
	if p.tell == nil {
		return func() {}
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for timer := time.NewTimer(tellAfter); ; timer.Reset(tellEvery) {
			select {
			case <-done:
				timer.Stop()
				return
			case <-timer.C:
				p.tell(what, last.get())
			}
		}
	}()
	return func() { close(done); <-ended }
}

// reason is the last error of a wait. It is safe for concurrent use.
type reason struct {
	mu  sync.Mutex
	err error
}

func (r *reason) set(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

func (r *reason) get() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// connectError explains in one line why there is no connection, and what to do. It names user, database, host and
// port, but never the password.
type connectError struct {
	text string
	err  error
}

func (e *connectError) Error() string { return e.text }

func (e *connectError) Unwrap() error { return e.err }

// explain turns a failure to connect to cfg's server into a connectError, and returns any other error unchanged.
func explain(cfg *pgxpool.Config, err error) error {
	var connect *pgconn.ConnectError
	if !errors.As(err, &connect) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	to := &cfg.ConnConfig.Config
	where := "Postgres at " + hosts(to)
	text := fmt.Sprintf("%s does not answer: %s; is it running, and are host and port in DATABASE_URL right?", where, cause(err))
	var server *pgconn.PgError
	var name *net.DNSError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &server) && refused(err):
		text = fmt.Sprintf("%s refuses user %q on database %q: %s (%s); %s", where, to.User, to.Database, server.Message, server.Code, remedy(server))
	case errors.As(err, &server):
		text = fmt.Sprintf("%s does not accept connections yet (user %q, database %q): %s (%s)", where, to.User, to.Database, server.Message, server.Code)
	case errors.As(err, &name):
		text = fmt.Sprintf("%s cannot be reached: the name %q does not resolve (%s); check the host in DATABASE_URL", where, name.Name, name.Err)
	case errors.As(err, &certificate):
		text = fmt.Sprintf("%s has a certificate that is not trusted: %v; set sslrootcert in DATABASE_URL to the CA certificate file", where, certificate.Err)
	case connect != nil && noTLS(connect):
		text = where + " refuses TLS, which sslmode in DATABASE_URL requires; enable TLS on the server, or set sslmode=prefer if the network is trusted"
	}
	return &connectError{text, err}
}

// remedy returns what to do about a refusal.
func remedy(e *pgconn.PgError) string {
	switch {
	case e.Code == "3D000":
		return "create it, or check the database in DATABASE_URL"
	case e.Code == "42501":
		return "give the user the right to connect: GRANT CONNECT ON DATABASE … TO …"
	case strings.Contains(e.Message, "pg_hba"):
		return "check the user, the database and sslmode in DATABASE_URL, and the server's pg_hba.conf"
	}
	return "check the user and the password in DATABASE_URL"
}

// refused reports whether the server refused the connection for a reason that waiting does not fix.
func refused(err error) bool {
	var connect *pgconn.ConnectError
	if !errors.As(err, &connect) {
		return false
	}
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) || noTLS(connect) {
		return true
	}
	var server *pgconn.PgError
	if !errors.As(err, &server) {
		return false
	}
	switch server.Code {
	case "28P01", "28000", // wrong password; wrong user, or no matching line in pg_hba.conf
		"3D000", "42501": // no such database; no permission to connect
		return true
	}
	// Supabase's pooler reports an unknown project or user with this message.
	return strings.Contains(server.Message, "Tenant or user not found")
}

// noTLS reports whether the server refuses TLS and every way to connect requires it. pgconn has no error type for
// this.
func noTLS(e *pgconn.ConnectError) bool {
	if e.Config.TLSConfig == nil || !strings.Contains(e.Error(), "server refused TLS connection") {
		return false
	}
	for _, other := range e.Config.Fallbacks {
		if other.TLSConfig == nil {
			return false
		}
	}
	return true
}

// cause returns the cause of err in one line.
func cause(err error) string {
	var network *net.OpError
	switch {
	case errors.As(err, &network) && !network.Timeout():
		return network.Err.Error()
	case pgconn.Timeout(err), network != nil, errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		err = connect.Unwrap()
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}

// hosts returns host:port for each host, comma-separated.
func hosts(c *pgconn.Config) string {
	at := net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port)))
	list := []string{at}
	for _, f := range c.Fallbacks {
		if next := net.JoinHostPort(f.Host, strconv.Itoa(int(f.Port))); next != at {
			at, list = next, append(list, next)
		}
	}
	return strings.Join(list, ", ")
}
