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

// inWords says what is wrong as the person typed it, with the command that leads out. What it
// does not know it returns as it is.
func inWords(err error) error {
	var (
		invalid *control.InvalidError
		reused  *control.KeyReusedError
		ended   *control.EndedError
		notHeld *control.NotHeldError
		noRun   *control.UnknownRunError
		noPage  *control.UnknownPageError
		several *store.AmbiguousPageError
		nothing *control.NothingFailedError
		taken   *control.SpaceTakenError
	)
	switch {
	case errors.As(err, &invalid):
		return usageError{fmt.Errorf("%s %s", typed(invalid.Field), invalid.Reason)}
	case errors.As(err, &reused), errors.Is(err, control.ErrNoQuery):
		return usageError{err}
	case errors.As(err, &noRun):
		return fmt.Errorf("%w; the newest are shown by: sluice status", noRun)
	case errors.As(err, &ended):
		return fmt.Errorf("run %s cannot be cancelled: it ended %s as %s", ended.Run.ID, ago(ended.Run.FinishedAt), words(ended.Run.State))
	case errors.As(err, &notHeld) && notHeld.Decided():
		return fmt.Errorf("%w; to look at the pages again: sluice sync %s --mode full", notHeld, notHeld.Run.SourceID)
	case errors.As(err, &notHeld):
		return fmt.Errorf("run %s holds nothing back: it is %s; what waits for a decision: sluice removals list", notHeld.Run.ID, words(notHeld.Run.State))
	case errors.As(err, &noPage):
		return fmt.Errorf("%w; find pages with: sluice search WORDS", noPage)
	case errors.As(err, &several):
		return usageError{fmt.Errorf("%w; say which with --source, for example --source %s", several, several.Sources[0])}
	case errors.As(err, &nothing):
		return nothingFailed(nothing)
	case errors.As(err, &taken):
		return errors.Unwrap(taken) // which names the other source
	case errors.Is(err, credential.ErrWhose):
		return usageError{errors.New("whose token is it? give the account's e-mail address with --email, or set CONFLUENCE_EMAIL")}
	case errors.Is(err, seal.ErrNoKey):
		return usageError{seal.ErrNoKey}
	}
	return sourceInWords(err)
}

func sourceInWords(err error) error {
	var unknown *control.UnknownSourceError
	var exists *control.SourceExistsError
	var differs *control.SourceDiffersError
	switch {
	case errors.As(err, &unknown) && len(unknown.Known) == 0:
		return fmt.Errorf("%w; add it: sluice source add %s --space KEY", unknown, unknown.ID)
	case errors.As(err, &unknown):
		return fmt.Errorf("%w; there are: %s", unknown, strings.Join(unknown.Known, ", "))
	case errors.As(err, &exists):
		return fmt.Errorf("%w; choose another id, or: sluice source remove %s", exists, exists.ID)
	case errors.As(err, &differs):
		src, asked := differs.Source, differs.Asked
		if differs.Field == "blog_posts" {
			return fmt.Errorf("source %s is there already, with another setting; to change it: sluice source set %s --blog-posts=%t", src.ID, src.ID, asked.BlogPosts)
		}
		return fmt.Errorf("source %s is there already, with the deletion strategy %s; to change it: sluice source set %s --deletion-strategy %s",
			src.ID, src.DeletionStrategy, src.ID, asked.DeletionStrategy)
	}
	return err
}

// typed is how a person types a field.
func typed(field string) string {
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
		return fmt.Errorf("no page%s is failed: there is nothing to try again", of)
	case e.IsRun:
		return fmt.Errorf("no page%s that failed in run %s is still failed", of, e.About)
	default:
		return fmt.Errorf("no page%s is failed that has the id %q, and no run has it; see: sluice failed list", of, e.About)
	}
}

// words is a state as people read it.
func words(s event.State) string { return strings.ReplaceAll(string(s), "_", " ") }
