// Package failure gives every reason why a page or a run can fail a short, stable code. Codes are stored
// in Postgres and sent in events, so that "what happened to page X" is a query. The list is append-only.
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
	Internal        Code = "internal"          // a bug, or an error without a code
	Panic           Code = "panic"             // a handler panicked
	Crashed         Code = "crashed"           // the process died on this message again and again
	Exhausted       Code = "attempts_exceeded" // the last permitted attempt failed
	BadEvent        Code = "bad_event"         // the message does not decode as its type
	BadRequest      Code = "bad_request"       // a sync request without a required field
	UnknownSource   Code = "unknown_source"    // no such source is registered
	SourceGone      Code = "source_gone"       // the source was removed during its run
	RequestIDTaken  Code = "request_id_taken"  // another source already used this request id
	TooManyRuns     Code = "too_many_runs"     // as many runs of the source wait already as may
	Unauthorized    Code = "unauthorized"      // Confluence rejects the credential or its scope
	SpaceNotFound   Code = "space_not_found"   // the space is missing or not visible
	NotFound        Code = "not_found"         // the page is missing or not visible
	Gone            Code = "endpoint_gone"     // Confluence has removed the endpoint
	Protocol        Code = "protocol"          // Confluence's answer is unusable
	Unavailable     Code = "unavailable"       // Confluence did not answer, or only with errors, after every retry
	BadListing      Code = "bad_listing"       // the listing cannot be proved complete
	ConvertTooDeep  Code = "convert_too_deep"  // the body nests deeper than the limit
	ConvertTooLarge Code = "convert_too_large" // the body is larger than the limit
	PageIDTaken     Code = "page_id_taken"     // another site's page with the same id is stored; used by older releases
	ClaimMissing    Code = "claim_missing"     // a body is no longer in the object store
	TooManyRemovals Code = "too_many_removals" // the brake held a run that would remove too much
	AddressTaken    Code = "address_taken"     // the page's address belongs to the chunks of another document
	FolderNotFound  Code = "folder_not_found"  // the folder is missing, not a folder, or without pages: perhaps it is not mounted
	UnknownSystem   Code = "unknown_system"    // this version does not know the source's system
	NotReadable     Code = "not_readable"      // the page's file exists but cannot be read
	NotText         Code = "not_text"          // the page's file is not text
	OtherSite       Code = "other_site"        // another site answers at the source's address than the one it is of
	SiteMoved       Code = "site_moved"        // the site is at another address now
	SpaceTaken      Code = "space_taken"       // another source is the same space of the same site

	EmbeddingUnavailable  Code = "embedding_unavailable"  // the embedding server did not answer, or only with errors, after every retry
	EmbeddingUnauthorized Code = "embedding_unauthorized" // the embedding server rejects the key
	EmbeddingNoModel      Code = "embedding_no_model"     // the embedding server does not have the model, or the local model cannot be loaded
	EmbeddingProtocol     Code = "embedding_protocol"     // the embedding server's answer is unusable: a missing vector, one of another length, zeros, no numbers
	EmbeddingTooLong      Code = "embedding_too_long"     // the text is longer than the model reads, and cannot be split further
	EmbeddingRefused      Code = "embedding_refused"      // the embedding server refuses this text

	FileTooLarge         Code = "file_too_large"        // the file, what it unpacks to, or its text is larger than the limit
	FileTooManyParts     Code = "file_too_many_parts"   // the file has more pages, sheets, cells or inner files than the limit
	FileTooDeep          Code = "file_too_deep"         // the file's content nests deeper than the limit
	FileEncrypted        Code = "file_encrypted"        // the file needs a password
	FileDamaged          Code = "file_damaged"          // the file is cut off or not what its format demands
	FileTooSlow          Code = "file_too_slow"         // reading the file takes longer than the limit
	FileNoText           Code = "file_no_text"          // the file was read and has no text
	FileCrashed          Code = "file_crashed"          // the process that read the file died
	ExtractorUnavailable Code = "extractor_unavailable" // the extraction server did not answer, or only with errors
)

// Error is an error with a code. New and Wrap make one, CodeOf reads it.
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

// Unwrap returns the error without the code.
func (e *Error) Unwrap() error { return e.Err }

// FailureCode returns the code; see CodeOf.
func (e *Error) FailureCode() Code { return e.Code }

// CodeOf returns the outermost code in err's chain, or Internal if there is none. Error types of other
// packages carry a code if they have a FailureCode method.
func CodeOf(err error) Code {
	var e interface{ FailureCode() Code }
	if errors.As(err, &e) {
		return e.FailureCode()
	}
	return Internal
}

// Doubt marks err as possibly temporary although its code is final: a retry is worthwhile. The code
// stays. Doubt(nil) is nil.
func Doubt(err error) error {
	if err == nil {
		return nil
	}
	return &doubt{err}
}

type doubt struct{ error }

func (d *doubt) Unwrap() error { return d.error }

// Doubtful reports whether err was marked by Doubt.
func Doubtful(err error) bool {
	var d *doubt
	return errors.As(err, &d)
}

// Final reports whether a retry cannot help after a failure with this code.
func (c Code) Final() bool {
	switch c {
	case Unauthorized, SpaceNotFound, OtherSite, SiteMoved, SpaceTaken, FolderNotFound, UnknownSystem, NotReadable, NotText, Gone, SourceGone, PageIDTaken, AddressTaken, BadEvent, BadRequest,
		UnknownSource, RequestIDTaken, TooManyRuns, ConvertTooDeep, ConvertTooLarge, ClaimMissing,
		EmbeddingTooLong, EmbeddingRefused,
		FileTooLarge, FileTooManyParts, FileTooDeep, FileEncrypted, FileDamaged, FileTooSlow, FileNoText, FileCrashed:
		return true
	default:
		return false
	}
}

// Later marks err as temporary: a retry after d is worthwhile, and err does not count as a failure.
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

// NotBefore returns the time of the earliest useful retry; see RetryAt.
func (l *later) NotBefore() time.Time { return l.at }

// RetryAt returns the time of the earliest useful retry, if err has one: the outermost error with a
// NotBefore method determines it, unless that returns the zero time.
func RetryAt(err error) (time.Time, bool) {
	var e interface{ NotBefore() time.Time }
	if !errors.As(err, &e) {
		return time.Time{}, false
	}
	at := e.NotBefore()
	return at, !at.IsZero()
}
