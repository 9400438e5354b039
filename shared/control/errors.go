package control

import (
	"errors"
	"fmt"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
)

// Errors of which there is nothing more to say.
var (
	// ErrNothingToChange says that a change of a source names no setting.
	ErrNothingToChange = errors.New("nothing is to be changed")
	// ErrNoQuery says that a search has no word to look for.
	ErrNoQuery = errors.New("the query holds no word")
)

// InvalidError says that what was asked for cannot be done as it was given.
type InvalidError struct {
	Field  string // as JSON has it, such as source_id
	Reason string // goes on where the field's name or value ends
}

func (e *InvalidError) Error() string { return e.Field + " " + e.Reason }

// UnknownSourceError says that there is no such source, or none that the viewer sees.
type UnknownSourceError struct {
	ID    string
	Known []string // the ids of the sources that the viewer sees
}

func (e *UnknownSourceError) Error() string { return fmt.Sprintf("there is no source %q", e.ID) }

// OutOfScopeError says that the viewer may not add a source of this id.
type OutOfScopeError struct{ ID string }

func (e *OutOfScopeError) Error() string { return fmt.Sprintf("source %q is out of reach", e.ID) }

// SourceExistsError says that the id is that of another source.
type SourceExistsError struct{ ID string }

func (e *SourceExistsError) Error() string {
	return fmt.Sprintf("source %s is there already and is something else", e.ID)
}

// SourceDiffersError says that the same source is there, with another setting than was asked for.
type SourceDiffersError struct {
	Source, Asked store.Source // as it is, and as it was to be added
	Field         string       // that differs, as JSON has it
}

func (e *SourceDiffersError) Error() string {
	return fmt.Sprintf("source %s is there already, with another %s", e.Source.ID, e.Field)
}

// SpaceTakenError says that the space is a source already. Its cause names that one, which the
// viewer may not see.
type SpaceTakenError struct {
	What  string // in words: "space DOCS"
	cause error
}

func (e *SpaceTakenError) Error() string {
	return e.What + " is a source already"
}

// Unwrap returns the cause.
func (e *SpaceTakenError) Unwrap() error { return e.cause }

// UnknownRunError says that there is no such run, or none that the viewer sees.
type UnknownRunError struct{ ID string }

func (e *UnknownRunError) Error() string { return fmt.Sprintf("there is no run %q", e.ID) }

// RunIDTakenError says that the id of the run to be is that of another source's run.
type RunIDTakenError struct{ ID string }

func (e *RunIDTakenError) Error() string {
	return fmt.Sprintf("the id %q is that of another source's run", e.ID)
}

// KeyReusedError says that the key of the request was used for a sync that was asked for
// differently.
type KeyReusedError struct{ Run store.Run }

func (e *KeyReusedError) Error() string {
	return fmt.Sprintf("the key was used for run %s, which was asked for differently", e.Run.ID)
}

// EndedError says that the run cannot be cancelled, since it has ended.
type EndedError struct{ Run store.Run }

func (e *EndedError) Error() string {
	return fmt.Sprintf("run %s ended as %s", e.Run.ID, e.Run.State)
}

// NotHeldError says that there is nothing to decide on in the run.
type NotHeldError struct{ Run store.Run }

// Decided reports whether the run did hold removals back, on which it was decided.
func (e *NotHeldError) Decided() bool { return e.Run.State == event.StateHeld }

func (e *NotHeldError) Error() string {
	if e.Decided() {
		return fmt.Sprintf("run %s was %s already", e.Run.ID, e.Run.Decision)
	}
	return fmt.Sprintf("run %s holds nothing back: it is %s", e.Run.ID, e.Run.State)
}

// NothingFailedError says that there is no page to try again.
type NothingFailedError struct {
	SourceID string // of this source; "" of any
	About    string // of this page or run; "" of any
	IsRun    bool   // About is a run's id
}

func (e *NothingFailedError) Error() string { return "no such page is failed now" }

// UnknownPageError says that no such page is stored, or none that the viewer sees.
type UnknownPageError struct{ ID string }

func (e *UnknownPageError) Error() string { return fmt.Sprintf("page %q is not stored", e.ID) }

// PageRemovedError says that the page left its space: nothing of it is shown.
type PageRemovedError struct{ ID string }

func (e *PageRemovedError) Error() string { return fmt.Sprintf("page %s left its space", e.ID) }
