package confluence

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/shared/failure"
)

// Exchange says which call an error is about. It never holds a token or a body.
type Exchange struct {
	Method  string
	Route   string // the template, for example /wiki/api/v2/pages/{id}
	Status  int    // of the answer; 0 when there was none
	TraceID string // Atlassian's name for the exchange, for their support; may be empty
	Reason  string // short
}

func (e Exchange) text(what string) string {
	var b strings.Builder
	if e.Method != "" {
		b.WriteString(e.Method + " " + e.Route + ": ")
	}
	b.WriteString(what)
	if e.Status != 0 {
		b.WriteString(" (" + strconv.Itoa(e.Status) + ")")
	}
	if e.Reason != "" {
		b.WriteString(": " + e.Reason)
	}
	if e.TraceID != "" {
		b.WriteString(" [trace " + e.TraceID + "]")
	}
	return b.String()
}

// AuthError says that the credential does not count: 401, 403, an anonymous answer, and the
// 404 that names no object, which is how v2 answers a wrong or revoked credential.
type AuthError struct {
	Exchange
	ByAddress bool // the address that the call came from is refused, not the credential
}

func (e *AuthError) Error() string { return e.text("not authorized") }

// FailureCode returns failure.Unauthorized.
func (*AuthError) FailureCode() failure.Code { return failure.Unauthorized }

// RateLimitError says that Confluence wants no call before RetryAt: a 429, or a 503 with a
// Retry-After, whose wait is longer than the client waits in place, or a 429 that stayed
// after every retry. It is worth trying again, so it has no failure code of its own.
type RateLimitError struct {
	Exchange
	RetryAt time.Time     // by this machine's clock; never zero
	Asked   time.Duration // the wait that Confluence asked for, where RetryAt comes before its end; see WithLongestPause
	asked   bool          // Confluence named the time itself
	wait    time.Duration
}

func (e *RateLimitError) Error() string {
	what := "rate limited until " + e.RetryAt.UTC().Format(time.RFC3339)
	if e.Asked > 0 {
		what += fmt.Sprintf(", although the wait asked for is %d seconds", int64(e.Asked/time.Second))
	}
	return e.text(what)
}

// NotBefore returns RetryAt; see failure.RetryAt.
func (e *RateLimitError) NotBefore() time.Time { return e.RetryAt }

// NotFoundError says that one object is missing or hidden from this credential; the two
// cannot be told apart.
type NotFoundError struct {
	Exchange
	Kind string // page, space, folder, …
	ID   string // the id or key that was asked for
}

func (e *NotFoundError) Error() string { return e.text(fmt.Sprintf("no %s %q", e.Kind, e.ID)) }

// FailureCode returns failure.SpaceNotFound for a space and failure.NotFound for the rest.
func (e *NotFoundError) FailureCode() failure.Code {
	if e.Kind == kindSpace {
		return failure.SpaceNotFound
	}
	return failure.NotFound
}

// GoneError says that Atlassian removed the endpoint (410): no repetition helps, a newer
// client does.
type GoneError struct{ Exchange }

func (e *GoneError) Error() string { return e.text("endpoint removed") }

// FailureCode returns failure.Gone.
func (*GoneError) FailureCode() failure.Code { return failure.Gone }

// ServerError is a 5xx that stayed after every retry, or, with Status 0, a circuit that is
// open after many of them. It is worth trying again.
type ServerError struct {
	Exchange
	RetryAt time.Time // not before; zero when nothing is known
	wait    time.Duration
	asked   bool
	halve   bool // the caller asks for less instead
}

func (e *ServerError) Error() string { return e.text("server error") }

// FailureCode returns failure.Unavailable.
func (*ServerError) FailureCode() failure.Code { return failure.Unavailable }

// NotBefore returns RetryAt; see failure.RetryAt.
func (e *ServerError) NotBefore() time.Time { return e.RetryAt }

// ProtocolError says that an answer is no answer: malformed, truncated, HTML where JSON
// belongs, too large, or a listing that cannot be followed to its end.
type ProtocolError struct {
	Exchange
	ObjectID string // the page or other object whose data is wrong, where it is one
	Listing  bool   // the listing cannot be proved complete
	MovedTo  string // the site's new address, with /wiki, where the answer is that the site is there now
	tooLarge bool   // more than one answer may hold
	garbled  bool   // not what Confluence said, but what came of it on its way
}

func (e *ProtocolError) Error() string { return e.text("unusable answer") }

// FailureCode returns failure.BadListing for a listing that cannot be proved complete and
// failure.Protocol for the rest.
func (e *ProtocolError) FailureCode() failure.Code {
	if e.Listing {
		return failure.BadListing
	}
	return failure.Protocol
}

// RowError says that one row of a listing is no use. The listing goes on after it: who passes it
// over has all the other rows, and knows which one is missing. It is a *ProtocolError too, whose
// ObjectID is the row's.
type RowError struct {
	ID    string // of the row's object
	Kind  string // KindPage or KindBlogPost, or the type that a search gives; "" where it is not known
	cause *ProtocolError
}

func (e *RowError) Error() string { return e.cause.text("row " + e.ID + " is no use") }

// FailureCode returns failure.Protocol.
func (*RowError) FailureCode() failure.Code { return failure.Protocol }

// Unwrap returns the *ProtocolError.
func (e *RowError) Unwrap() error { return e.cause }

// StatusError is a 4xx that is none of the others, such as 400 for a CQL query that
// Confluence does not understand. It has no failure code of its own.
type StatusError struct{ Exchange }

func (e *StatusError) Error() string { return e.text("refused") }

// TransportError says that no whole answer arrived: no connection, a broken one, or a
// timeout. It wraps the cause. It is worth trying again.
type TransportError struct {
	Exchange
	cause error
	final bool // a repetition cannot help: a certificate, say
}

func (e *TransportError) Error() string { return e.text("no whole answer") }

// FailureCode returns failure.Unavailable.
func (*TransportError) FailureCode() failure.Code { return failure.Unavailable }

// Unwrap returns the cause.
func (e *TransportError) Unwrap() error { return e.cause }

// Errors of arguments: no call was made.
var (
	// ErrInvalidSpaceKey says that a text cannot be a space key.
	ErrInvalidSpaceKey = errors.New("invalid space key")
	// ErrInvalidID says that a text cannot be a Confluence id, which is a string of digits.
	ErrInvalidID = errors.New("invalid id")
	// ErrInvalidArgument says that another argument cannot be sent to Confluence.
	ErrInvalidArgument = errors.New("invalid argument")
)
