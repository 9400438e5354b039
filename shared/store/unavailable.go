package store

import (
	"errors"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
)

// Unavailable reports whether err means that the database could not be reached, or was starting, stopping, or out of
// connections: the request itself was valid.
func Unavailable(err error) bool {
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		return true
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case "57P01", "57P02", "57P03", // shutting down, crashed, starting
			"53300",                   // too many connections
			"25006", "08000", "08003", // read-only while it fails over; connection exceptions
			"08006", "08001", "08004":
			return true
		}
		return false
	}
	var network *net.OpError
	return pgconn.SafeToRetry(err) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.As(err, &network)
}

// Unstorable reports whether err means that a text contains something that Postgres cannot store: a zero byte, or
// invalid UTF-8. The sender must change the text.
func Unstorable(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "22021" || pg.Code == "22P05") // in a text; in a jsonb
}
