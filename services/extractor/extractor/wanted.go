package extractor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/services/extractor/extract"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/store"
)

// The reasons for which the settings leave out a file.
const (
	otherType = "type_left_out"
	tooMany   = "too_many_on_page"
)

// wanted says which files are read.
type wanted struct {
	types   []string // sorted; empty: all
	perPage int
	bounds  string // all on which it depends whether a file is read
}

func wantedBy(c config.Files) wanted {
	types := c.FileTypes()
	return wanted{types: types, perPage: c.PerPage, bounds: fmt.Sprintf("%s %d bytes %v %d memory %s %s", version, c.MaxBytes, c.Time, c.Memory, strings.Join(types, ","), c.URL)}
}

// leavesOut reports whether files of the format are not wanted.
func (w wanted) leavesOut(format string) bool {
	return len(w.types) > 0 && !slices.Contains(w.types, format)
}

// skippedError ends a file as skipped.
type skippedError struct {
	reason string
	why    string // for the log
	keep   bool   // the next version or other settings may end otherwise, and nothing else
}

func (e *skippedError) Error() string { return e.reason + ": " + e.why }

// wantedText is the text of a file, if the settings want it. What was decided before of the same version is not found out again,
// unless a person asks for the file.
func (x *Extractor) wantedText(ctx context.Context, run store.Run, in event.FileFound) (text, error) {
	as := reader(in.Page)
	if format := extract.Format(in.Page.Title, in.Page.File.MediaType); format != "" && x.wanted.leavesOut(format) {
		return text{}, &skippedError{reason: otherType, why: format, keep: true}
	}
	before, err := x.ledger.FilesBefore(ctx, in.SourceID, in.Page)
	if err != nil {
		return text{}, err
	}
	if before >= x.wanted.perPage {
		return text{}, &skippedError{reason: tooMany, why: fmt.Sprintf("%d files of the page are older", before)}
	}
	if run.OnlyPages == nil {
		known, err := x.ledger.Unread(ctx, in.SourceID, in.Page, as, x.wanted.bounds)
		if err == nil && known.Skipped {
			return text{}, &skippedError{reason: known.Reason, why: "known of this version"}
		}
		if code := failure.Code(known.Reason); err == nil && lasting(code, known.Times) {
			return text{}, failure.New(code, "%s", known.Message)
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return text{}, err
		}
	}
	t, err := x.text(ctx, in)
	var unread *extract.SkippedError
	switch {
	case errors.As(err, &unread):
		return text{}, &skippedError{reason: "format_" + cmp.Or(unread.Format, "unknown"), why: unread.Reason, keep: true}
	case err == nil && x.wanted.leavesOut(t.file.Format):
		return text{}, &skippedError{reason: otherType, why: t.file.Format, keep: true}
	case err != nil && slices.Contains(decided, failure.CodeOf(err)):
		kept := x.ledger.KeepUnread(ctx, in.SourceID, in.Page, as, x.wanted.bounds, store.Unread{Reason: string(failure.CodeOf(err)), Message: err.Error()})
		return text{}, cmp.Or(kept, err)
	}
	return t, err
}

// decided are the failures that are about a file's version alone.
var decided = []failure.Code{
	failure.FileTooLarge, failure.FileTooManyParts, failure.FileTooDeep, failure.FileEncrypted, failure.FileDamaged, failure.FileNoText,
	failure.FileTooSlow, failure.FileCrashed,
}

// timesUnlucky is how often a file must fail in ways that a busy machine may cause before it is not tried again.
const timesUnlucky = 3

// lasting reports whether a file that failed so, so often, would fail again.
func lasting(code failure.Code, times int) bool {
	return code != failure.FileTooSlow && code != failure.FileCrashed || times >= timesUnlucky
}

// skip ends a file as skipped. The text of an earlier version leaves: the file does not say it any more.
func (x *Extractor) skip(ctx context.Context, run store.Run, in event.FileFound, why *skippedError) error {
	x.log.Info().Str("run", in.RunID).Str("page", in.Page.ID).Str("reason", why.reason).Str("why", why.why).Msg("file skipped")
	if why.keep {
		err := x.ledger.KeepUnread(ctx, in.SourceID, in.Page, reader(in.Page), x.wanted.bounds, store.Unread{Skipped: true, Reason: why.reason})
		if err != nil {
			return err
		}
	}
	if err := x.ledger.LeaveExcluded(ctx, run, []string{in.Page.ID}, why.reason); err != nil {
		return err
	}
	return x.announce(ctx, in)
}

// announce says that a file was removed, if it was. It is repeated when the message comes again.
func (x *Extractor) announce(ctx context.Context, in event.FileFound) error {
	removed, err := x.ledger.Removals(ctx, in.RunID)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(removed, func(r store.Removal) bool { return r.PageID == in.Page.ID })
	if i < 0 {
		return nil
	}
	return x.bus.Publish(ctx, event.PageRemoved{
		SourceID: in.SourceID, RunID: in.RunID, PageID: in.Page.ID, Title: removed[i].Title, Reason: removed[i].Reason, At: time.Now().UTC(),
	})
}
