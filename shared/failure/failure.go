// Package failure gives every reason for which a page or a run can fail a short,
// stable code. Codes are stored in Postgres and carried in events, so that "what
// happened to page X" is a query. The list is append-only.
package failure

import (
	"errors"
	"fmt"
	"time"
)

// Code names one kind of failure, for example "not_found". Codes are lower snake
// case and never change their meaning.
type Code string

// The codes. Append only: a released code is never renamed, reused or removed.
const (
	Internal        Code = "internal"          // a defect or an error without a code of its own
	Panic           Code = "panic"             // a handler panicked
	Crashed         Code = "crashed"           // the process died on this message again and again
	Exhausted       Code = "attempts_exceeded" // the last permitted attempt failed
	BadEvent        Code = "bad_event"         // the message does not decode as its type
	BadRequest      Code = "bad_request"       // a sync request that does not say what it must
	UnknownSource   Code = "unknown_source"    // no such source is registered
	SourceGone      Code = "source_gone"       // the source was removed while its run was under way
	RequestIDTaken  Code = "request_id_taken"  // another source already used this request id
	Unauthorized    Code = "unauthorized"      // Confluence refuses the credential or its scope
	SpaceNotFound   Code = "space_not_found"   // the space is missing or not visible
	NotFound        Code = "not_found"         // the page is missing or not visible
	Gone            Code = "endpoint_gone"     // Confluence has removed the endpoint
	Protocol        Code = "protocol"          // Confluence answered something that is no answer
	Unavailable     Code = "unavailable"       // Confluence did not answer, or with errors of its own, however often
	BadListing      Code = "bad_listing"       // the listing cannot be proved complete
	ConvertTooDeep  Code = "convert_too_deep"  // the body nests deeper than the bound
	ConvertTooLarge Code = "convert_too_large" // the body is larger than the bound
	PageIDTaken     Code = "page_id_taken"     // another site's page with the same id was stored; older releases gave it
	ClaimMissing    Code = "claim_missing"     // a body left in the object store is no longer there
	TooManyRemovals Code = "too_many_removals" // the brake held a run that would remove too much
	AddressTaken    Code = "address_taken"     // chunks of something else stand under the page's address
	FolderNotFound  Code = "folder_not_found"  // the folder is missing, is none, or holds no page: it is not mounted, perhaps
	UnknownSystem   Code = "unknown_system"    // the source is of a system that this version does not know
	NotReadable     Code = "not_readable"      // the page's file is there and cannot be read
	NotText         Code = "not_text"          // the page's file holds bytes that are no text
)

// Error is an error with a code. Use New or Wrap to make one and CodeOf to read it.
type Error struct {
	Code Code
	Err  error
}

// New returns an error with the code and a formatted message; %w wraps as usual.
func New(code Code, format string, args ...any) error {
	return &Error{Code: code, Err: fmt.Errorf(format, args...)}
}

// Wrap gives err a code. Wrap(code, nil) is nil.
func Wrap(code Code, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Code: code, Err: err}
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the error that the code was given to.
func (e *Error) Unwrap() error { return e.Err }

// FailureCode returns the code: see CodeOf.
func (e *Error) FailureCode() Code { return e.Code }

// CodeOf returns the outermost code in err's chain, or Internal when there is none. An error
// type of another package has a code when it has a FailureCode method.
func CodeOf(err error) Code {
	var e interface{ FailureCode() Code }
	if errors.As(err, &e) {
		return e.FailureCode()
	}
	return Internal
}

// Doubt says that err may be a mistake although its code is final: it is worth another try.
// The code stays. Doubt(nil) is nil.
func Doubt(err error) error {
	if err == nil {
		return nil
	}
	return &doubt{err}
}

type doubt struct{ error }

func (d *doubt) Unwrap() error { return d.error }

// Doubtful reports whether Doubt was said about err.
func Doubtful(err error) bool {
	var d *doubt
	return errors.As(err, &d)
}

// Final reports whether a repetition cannot mend what failed with this code.
func (c Code) Final() bool {
	switch c {
	case Unauthorized, SpaceNotFound, FolderNotFound, UnknownSystem, NotReadable, NotText, Gone, SourceGone, PageIDTaken, AddressTaken, BadEvent, BadRequest,
		UnknownSource, RequestIDTaken, ConvertTooDeep, ConvertTooLarge, ClaimMissing:
		return true
	default:
		return false
	}
}

// Later says that err passes by itself and is worth another try after d, which is no failure.
// Later(nil, d) is nil.
func Later(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &later{err, time.Now().Add(d)}
}

type later struct {
	error
	at time.Time
}

func (l *later) Unwrap() error { return l.error }

// NotBefore returns the time before which it is no use to try again: see RetryAt.
func (l *later) NotBefore() time.Time { return l.at }

// RetryAt returns the time before which it is no use to try again, where err says one: its
// outermost error with a NotBefore method does, unless that is the zero time.
func RetryAt(err error) (time.Time, bool) {
	var e interface{ NotBefore() time.Time }
	if !errors.As(err, &e) {
		return time.Time{}, false
	}
	at := e.NotBefore()
	return at, !at.IsZero()
}
