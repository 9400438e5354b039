package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/seal"
	"github.com/sluicehq/sluice/shared/store"
)

// reword rewords an error of control in terms of the command line, and adds the command that helps. It returns other
// errors unchanged.
func reword(err error) error {
	var (
		invalid   *control.InvalidError
		reused    *control.KeyReusedError
		ended     *control.EndedError
		tooMany   *control.TooManyRunsError
		notHeld   *control.NotHeldError
		noRun     *control.UnknownRunError
		noPage    *control.UnknownPageError
		several   *store.AmbiguousPageError
		nothing   *control.NothingFailedError
		notFailed *control.NotFailedError
		taken     *control.SpaceTakenError
	)
	switch {
	case errors.As(err, &invalid):
		return usageError{fmt.Errorf("%s %s", fieldFlag(invalid.Field), invalid.Reason)}
	case errors.As(err, &reused), errors.Is(err, control.ErrNoQuery):
		return usageError{err}
	case errors.As(err, &noRun):
		return fmt.Errorf("%w; to list the newest runs: sluice status", noRun)
	case errors.As(err, &tooMany):
		return fmt.Errorf("%w; to cancel them: sluice cancel --all --source %s", tooMany, tooMany.SourceID)
	case errors.As(err, &ended):
		return fmt.Errorf("run %s cannot be cancelled: it ended %s: %s", ended.Run.ID, ago(ended.Run.FinishedAt), words(ended.Run.State))
	case errors.As(err, &notHeld) && notHeld.Decided():
		return fmt.Errorf("%w; to check the pages again: sluice sync %s --mode full", notHeld, notHeld.Run.SourceID)
	case errors.As(err, &notHeld):
		return fmt.Errorf("run %s holds no removals: its state is %s; to list the runs that wait for a decision: sluice removals list", notHeld.Run.ID, words(notHeld.Run.State))
	case errors.As(err, &noPage):
		return fmt.Errorf("%w; find pages with: sluice search WORDS", noPage)
	case errors.As(err, &several):
		return usageError{fmt.Errorf("%w; choose one with --source, for example --source %s", several, several.Sources[0])}
	case errors.As(err, &notFailed):
		return fmt.Errorf("%w; see: sluice failed list --source %s", notFailed, notFailed.SourceID)
	case errors.As(err, &nothing):
		return nothingFailed(nothing)
	case errors.As(err, &taken):
		return errors.Unwrap(taken) // its text contains the other source
	case errors.Is(err, credential.ErrWhose):
		return usageError{errors.New("whose token is it? give the account's e-mail address with --email, or set CONFLUENCE_EMAIL")}
	case errors.Is(err, seal.ErrNoKey):
		return usageError{seal.ErrNoKey}
	}
	return rewordSource(err)
}

func rewordSource(err error) error {
	var unknown *control.UnknownSourceError
	var exists *control.SourceExistsError
	var differs *control.SourceDiffersError
	var running *control.NotPausedError
	var noKey *control.UnknownKeyError
	var noSecret *control.UnknownSecretError
	switch {
	case errors.As(err, &noKey):
		return fmt.Errorf("%w; to list the keys: sluice key list", noKey)
	case errors.As(err, &noSecret):
		return fmt.Errorf("%w; sluice secret list shows the stored ones", noSecret)
	case errors.As(err, &running):
		return fmt.Errorf("%w; to list the sources and their pauses: sluice source list", running)
	case errors.As(err, &unknown) && len(unknown.Known) == 0:
		return fmt.Errorf("%w; add it: sluice source add %s --space KEY", unknown, unknown.ID)
	case errors.As(err, &unknown):
		return fmt.Errorf("%w; existing sources: %s", unknown, strings.Join(unknown.Known, ", "))
	case errors.As(err, &exists):
		return fmt.Errorf("%w; choose another id, or: sluice source remove %s", exists, exists.ID)
	case errors.As(err, &differs):
		src, asked := differs.Source, differs.Asked
		if differs.Field == "blog_posts" {
			return fmt.Errorf("source %s exists already, with another setting; to change it: sluice source set %s --blog-posts=%t", src.ID, src.ID, asked.BlogPosts)
		}
		if differs.Field == "schedule" {
			return fmt.Errorf("source %s exists already, with another schedule; to change it: sluice source set %s --every 5m", src.ID, src.ID)
		}
		if differs.Field == "comments" {
			return fmt.Errorf("source %s exists already, with comments %s; to change it: sluice source set %s --comments %s", src.ID, src.Comments, src.ID, asked.Comments)
		}
		if differs.Field == "attachments" {
			return fmt.Errorf("source %s exists already, with attachments %s; to change it: sluice source set %s --attachments %s", src.ID, src.Attachments, src.ID, asked.Attachments)
		}
		if differs.Field == "permissions" {
			return fmt.Errorf("source %s exists already, with permissions %s; to change it: sluice source set %s --permissions %s", src.ID, src.Permissions, src.ID, asked.Permissions)
		}
		return fmt.Errorf("source %s exists already, with the deletion strategy %s; to change it: sluice source set %s --deletion-strategy %s",
			src.ID, src.DeletionStrategy, src.ID, asked.DeletionStrategy)
	}
	return err
}

// fieldFlag returns a field as it is written on the command line.
func fieldFlag(field string) string {
	switch field {
	case "source_id":
		return "SOURCE"
	case "space_key":
		return "--space"
	default:
		return "--" + strings.ReplaceAll(field, "_", "-")
	}
}

func nothingFailed(e *control.NothingFailedError) error {
	of := ""
	if e.SourceID != "" {
		of = " of " + e.SourceID
	}
	switch {
	case e.About == "":
		return fmt.Errorf("no page%s is failed: there is nothing to retry", of)
	case e.IsRun:
		return fmt.Errorf("no page%s that failed in run %s is failed now", of, e.About)
	default:
		return fmt.Errorf("no failed page%s and no run has the id %q; see: sluice failed list", of, e.About)
	}
}

// words formats a state for people.
func words(s event.State) string { return strings.ReplaceAll(string(s), "_", " ") }
