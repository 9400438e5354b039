package control

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
)

// Errors without further data.
var (
	// ErrNothingToChange says that a change of a source contains no setting.
	ErrNothingToChange = errors.New("the request changes no setting")
	// ErrNoQuery says that a search contains no word.
	ErrNoQuery = errors.New("the query contains no word")
)

// InvalidError says that a value in a request is invalid.
type InvalidError struct {
	Field  string // as in JSON, for example source_id
	Reason string // continues a sentence that begins with the field's name or value
}

func (e *InvalidError) Error() string { return e.Field + " " + e.Reason }

// UnknownSourceError says that there is no such source, or none that the viewer may see.
type UnknownSourceError struct {
	ID    string
	Known []string // the ids of the sources that the viewer may see
}

func (e *UnknownSourceError) Error() string { return fmt.Sprintf("there is no source %q", e.ID) }

// OutOfScopeError says that the viewer must not add or change this source.
type OutOfScopeError struct{ ID string }

func (e *OutOfScopeError) Error() string { return fmt.Sprintf("source %q is outside your scope", e.ID) }

// SourceExistsError says that the id belongs to a different source.
type SourceExistsError struct{ ID string }

func (e *SourceExistsError) Error() string {
	return fmt.Sprintf("a different source %s already exists", e.ID)
}

// SourceDiffersError says that the same source exists with another setting.
type SourceDiffersError struct {
	Source, Asked store.Source // as it is, and as requested
	Field         string       // the field that differs, as in JSON
}

func (e *SourceDiffersError) Error() string {
	return fmt.Sprintf("source %s already exists, with another %s", e.Source.ID, e.Field)
}

// SpaceTakenError says that another source already has the space. Its cause names that source, which the viewer may
// not be allowed to see.
type SpaceTakenError struct {
	What  string // a description, for example "space DOCS"
	cause error
}

func (e *SpaceTakenError) Error() string {
	return e.What + " already belongs to a source"
}

// Unwrap returns the cause.
func (e *SpaceTakenError) Unwrap() error { return e.cause }

// UnknownRunError says that there is no such run, or none that the viewer may see.
type UnknownRunError struct{ ID string }

func (e *UnknownRunError) Error() string { return fmt.Sprintf("there is no run %q", e.ID) }

// RunIDTakenError says that the requested run id belongs to another source's run.
type RunIDTakenError struct{ ID string }

func (e *RunIDTakenError) Error() string {
	return fmt.Sprintf("the id %q belongs to another source's run", e.ID)
}

// KeyReusedError says that the request's key was already used for a different request.
type KeyReusedError struct{ ID string }

func (e *KeyReusedError) Error() string {
	return fmt.Sprintf("the key was already used for run %s, which was a different request", e.ID)
}

// KeyMadeError says that a request has made an API key already: another one, or this one too long ago.
type KeyMadeError struct{ ID string }

func (e *KeyMadeError) Error() string {
	return fmt.Sprintf("this request has made the API key %s already, with other settings or too long ago; a new key needs a new request, and one that nobody uses can be revoked", e.ID)
}

// TooManyRunsError says that so many runs of the source wait already that no other is requested.
type TooManyRunsError struct{ SourceID string }

func (e *TooManyRunsError) Error() string {
	return fmt.Sprintf("%d runs of source %s wait for their turn already", store.MaxWaiting, e.SourceID)
}

// EndedError says that the run has ended and so cannot be cancelled.
type EndedError struct{ Run store.Run }

func (e *EndedError) Error() string {
	return fmt.Sprintf("run %s ended as %s", e.Run.ID, e.Run.State)
}

// NotHeldError says that the run has no removals that wait for a decision.
type NotHeldError struct{ Run store.Run }

// Decided reports whether the run did hold removals, which are already decided.
func (e *NotHeldError) Decided() bool { return e.Run.State == event.StateHeld }

func (e *NotHeldError) Error() string {
	if e.Decided() {
		return fmt.Sprintf("run %s was already %s", e.Run.ID, e.Run.Decision)
	}
	return fmt.Sprintf("run %s holds no removals: it is %s", e.Run.ID, e.Run.State)
}

// NothingFailedError says that there is no page to retry.
type NothingFailedError struct {
	SourceID string // only pages of this source; "" for all
	About    string // only this page, or pages of this run; "" for all
	IsRun    bool   // About is a run's id
}

func (e *NothingFailedError) Error() string { return "there is no such failed page" }

// NotFailedError says that pages are not failed now, so that none was retried: they never failed, a later run has fixed them,
// or there are none such for the viewer.
type NotFailedError struct {
	SourceID string
	Pages    []string // at least one
}

func (e *NotFailedError) Error() string {
	shown, more := e.Pages, ""
	if n := len(shown) - 10; n > 0 {
		shown, more = shown[:10], fmt.Sprintf(" and %d more", n)
	}
	return fmt.Sprintf("nothing was retried: of source %s, these pages are not failed now: %s%s", e.SourceID, strings.Join(shown, ", "), more)
}

// UnknownPageError says that there is no such stored page, or none that the viewer may see.
type UnknownPageError struct{ ID string }

func (e *UnknownPageError) Error() string { return fmt.Sprintf("page %q is not stored", e.ID) }

// PageRemovedError says that the page was removed from its space: its content is not shown.
type PageRemovedError struct{ ID string }

func (e *PageRemovedError) Error() string {
	return fmt.Sprintf("page %s is no longer in its space", e.ID)
}

// NotPausedError says that the site of a source has not asked for a pause that lasts still and that can be ended.
type NotPausedError struct{ ID string }

func (e *NotPausedError) Error() string {
	return fmt.Sprintf("the site of source %s is not paused, or for no longer than %d seconds, which end by themselves", e.ID, int(store.WaitedInPlace.Seconds()))
}

// UnknownKeyError says that there is no such API key. It does not repeat what may be the text of a key.
type UnknownKeyError struct{}

func (*UnknownKeyError) Error() string { return "this API key does not exist" }

// UnknownSecretError says that no API token is stored under the name.
type UnknownSecretError struct{ Name string }

func (e *UnknownSecretError) Error() string { return fmt.Sprintf("no token is stored for %q", e.Name) }
