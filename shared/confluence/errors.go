package confluence

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/shared/failure"
)

// Exchange says which call an error is about. It never contains a token or a body.
type Exchange struct {
	Method  string
	Route   string // the template, for example /wiki/api/v2/pages/{id}
	Status  int    // of the answer; 0 when there was none
	TraceID string // Atlassian's id of the exchange, for their support; may be empty
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

// AuthError says that the credential is not accepted: 401, 403, an anonymous answer, or the 404 that
// names no object, with which v2 answers a wrong or revoked credential.
type AuthError struct {
	Exchange
	ByAddress bool // the caller's address is rejected, not the credential
}

func (e *AuthError) Error() string {
	if e.ByAddress {
		return e.text("not authorized")
	}
	return e.text("not authorized") + "; check the account's e-mail address, its API token and what it may see"
}

// FailureCode returns failure.Unauthorized.
func (*AuthError) FailureCode() failure.Code { return failure.Unauthorized }

// RateLimitError says that Confluence accepts no call before RetryAt: a 429, or a 503 with a
// Retry-After, whose wait is longer than the client waits in place, or a 429 after every retry. A later
// retry may succeed, so it has no failure code of its own.
type RateLimitError struct {
	Exchange
	RetryAt time.Time     // by this machine's clock; never zero
	Asked   time.Duration // the wait that Confluence requested, if RetryAt is earlier; see WithLongestPause
	asked   bool          // Confluence named the time itself
	wait    time.Duration
}

func (e *RateLimitError) Error() string {
	what := "rate limited until " + e.RetryAt.UTC().Format(time.RFC3339)
	if e.Asked > 0 {
		what += fmt.Sprintf(", although the requested wait is %d seconds", int64(e.Asked/time.Second))
	}
	return e.text(what)
}

// NotBefore returns RetryAt; see failure.RetryAt.
func (e *RateLimitError) NotBefore() time.Time { return e.RetryAt }

// Requested reports whether Confluence named the time itself, so that all calls of the site wait for it.
func (e *RateLimitError) Requested() bool { return e.asked }

// NotFoundError says that one object is missing or hidden from this credential; the API does not
// distinguish the two.
type NotFoundError struct {
	Exchange
	Kind string // page, space, folder, …
	ID   string // the requested id or key
}

func (e *NotFoundError) Error() string { return e.text(fmt.Sprintf("no %s %q", e.Kind, e.ID)) }

// FailureCode returns failure.SpaceNotFound for a space and failure.NotFound for the rest.
func (e *NotFoundError) FailureCode() failure.Code {
	if e.Kind == kindSpace {
		return failure.SpaceNotFound
	}
	return failure.NotFound
}

// GoneError says that Atlassian removed the endpoint (410): a retry does not help, only a newer client
// does.
type GoneError struct {
	Exchange
	For string // what fails without it
}

func (e *GoneError) Error() string {
	text := e.text("endpoint removed")
	if e.For != "" {
		text += "; it is needed for: " + e.For
	}
	return text
}

// FailureCode returns failure.Gone.
func (*GoneError) FailureCode() failure.Code { return failure.Gone }

// ServerError is a 5xx after every retry, or, with Status 0, an open circuit after many of them. A later
// retry may succeed.
type ServerError struct {
	Exchange
	RetryAt time.Time // the earliest retry; zero when unknown
	wait    time.Duration
	asked   bool
	halve   bool // the caller requests less instead
}

func (e *ServerError) Error() string { return e.text("server error") }

// FailureCode returns failure.Unavailable.
func (*ServerError) FailureCode() failure.Code { return failure.Unavailable }

// NotBefore returns RetryAt; see failure.RetryAt.
func (e *ServerError) NotBefore() time.Time { return e.RetryAt }

// ProtocolError is an unusable answer: malformed, truncated, HTML instead of JSON, too large, or a
// listing that cannot be followed to its end.
type ProtocolError struct {
	Exchange
	ObjectID string // the page or other object whose data is wrong, where it is one
	Listing  bool   // the listing cannot be proved complete
	MovedTo  string // the site's new address, with /wiki, if the answer says that the site has moved
	tooLarge bool   // larger than the limit of one answer
	garbled  bool   // the answer was damaged on its way
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

// RowError is one unusable row of a listing. The listing continues after it: a caller that skips it gets
// all the other rows and knows which one is missing. It is a *ProtocolError too, whose ObjectID is the
// row's.
type RowError struct {
	ID    string // of the row's object; may be "" if On is known
	Kind  string // KindPage or KindBlogPost, or the type from a search; "" if unknown
	On    string // of a comment in a list of the site: the page or blog post that it is on; "" if unknown
	cause *ProtocolError
}

func (e *RowError) Error() string { return e.cause.text("row " + e.ID + " is unusable") }

// FailureCode returns failure.Protocol.
func (*RowError) FailureCode() failure.Code { return failure.Protocol }

// Unwrap returns the *ProtocolError.
func (e *RowError) Unwrap() error { return e.cause }

// StatusError is any other 4xx, such as 400 for a CQL query that Confluence does not understand. It has
// no failure code of its own.
type StatusError struct{ Exchange }

func (e *StatusError) Error() string { return e.text("refused") }

// TransportError says that no complete answer arrived: no connection, a broken one, or a timeout. It
// wraps the cause. A later retry may succeed.
type TransportError struct {
	Exchange
	cause error
	final bool // a retry cannot help, for example after a certificate error
}

func (e *TransportError) Error() string { return e.text("no complete answer") }

// FailureCode returns failure.Unavailable.
func (*TransportError) FailureCode() failure.Code { return failure.Unavailable }

// Unwrap returns the cause.
func (e *TransportError) Unwrap() error { return e.cause }

// Errors of arguments; no call was made.
var (
	// ErrInvalidSpaceKey says that a text cannot be a space key.
	ErrInvalidSpaceKey = errors.New("invalid space key")
	// ErrInvalidID says that a text cannot be a Confluence id, which is a string of digits.
	ErrInvalidID = errors.New("invalid id")
	// ErrInvalidArgument says that another argument cannot be sent to Confluence.
	ErrInvalidArgument = errors.New("invalid argument")
)
