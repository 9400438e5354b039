package extractor

import (
	"context"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/extractor/extract"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
)

func (p *place) LeaveExcluded(_ context.Context, _ store.Run, _ []string, reason string) error {
	p.skipped <- reason
	return nil
}
func (*place) Removals(context.Context, string) ([]store.Removal, error) { return nil, nil }

func (p *place) FilesBefore(context.Context, string, page.Facts) (int, error) { return p.before, nil }

func (p *place) Unread(_ context.Context, _ string, of page.Facts, _, bounds string) (store.Unread, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if u, ok := p.unread[of.ID+bounds]; ok {
		return u, nil
	}
	return store.Unread{}, store.ErrNotFound
}

func (p *place) KeepUnread(_ context.Context, _ string, of page.Facts, _, bounds string, u store.Unread) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.unread == nil {
		p.unread = map[string]store.Unread{}
	}
	u.Times = p.unread[of.ID+bounds].Times + 1
	p.unread[of.ID+bounds] = u
	return nil
}

// all is a setting that wants every file.
var all = wantedBy(config.Files{PerPage: 10})

// decides has the extractor decide on a file, and returns the failure code, or the reason of the skip.
func decides(t *testing.T, p *place, w wanted, run store.Run, in event.FileFound) string {
	t.Helper()
	x := newExtractor(p, nil, p, p, 100, w, zerolog.Nop())
	p.skipped = make(chan string, 1)
	_, err := x.wantedText(t.Context(), run, in)
	if err == nil {
		return ""
	}
	skipped, ok := err.(*skippedError) //nolint:errorlint // it is this very error
	if !ok {
		return string(failure.CodeOf(err))
	}
	require.NoError(t, x.skip(t.Context(), run, in, skipped))
	require.Equal(t, skipped.reason, <-p.skipped)
	return skipped.reason
}

// What was decided of a version is not found out again, unless the settings change or a person asks for it.
func TestAFileThatIsNotReadIsFetchedOnce(t *testing.T) {
	for _, c := range []struct {
		err       error
		ends      string
		downloads int64 // of four attempts
	}{
		{&extract.SkippedError{Format: "audio", Reason: "it has no text"}, "format_audio", 1},
		{failure.New(failure.FileEncrypted, "it needs a password"), "file_encrypted", 1},
		{failure.New(failure.FileTooSlow, "it takes too long"), "file_too_slow", timesUnlucky},
		{failure.New(failure.FileCrashed, "its process died"), "file_crashed", timesUnlucky},
		{failure.New(failure.Unavailable, "the media host is away"), "unavailable", 4},
	} {
		p := &place{readErr: c.err}
		for range 4 {
			require.Equal(t, c.ends, decides(t, p, all, store.Run{}, found(1)))
		}
		require.Equal(t, c.downloads, p.downloads.Load(), c.ends)

		p.downloads.Store(0)
		require.Equal(t, c.ends, decides(t, p, all, store.Run{OnlyPages: []string{"att1"}}, found(1)))
		require.Equal(t, c.ends, decides(t, p, wantedBy(config.Files{PerPage: 10, MaxBytes: 1}), store.Run{}, found(1)))
		require.EqualValues(t, 2, p.downloads.Load(), c.ends)
	}
}

func TestTheSettingsSayWhichFilesAreRead(t *testing.T) {
	words := found(2)
	words.Page.Title, words.Page.File.MediaType = "words", ""
	p := new(place)
	w := wantedBy(config.Files{PerPage: 10, Types: "docx, Text"})
	require.Equal(t, otherType, decides(t, p, w, store.Run{}, found(1)), "by its name")
	require.Zero(t, p.downloads.Load())
	for range 2 {
		require.Equal(t, otherType, decides(t, p, w, store.Run{}, words), "the name does not tell")
	}
	require.EqualValues(t, 1, p.downloads.Load())
	require.Empty(t, decides(t, p, wantedBy(config.Files{PerPage: 10, Types: "docx,pdf"}), store.Run{}, words))

	p.before, p.unread = 9, nil
	require.Empty(t, decides(t, p, all, store.Run{}, words))
	p.before = 10
	require.Equal(t, tooMany, decides(t, p, all, store.Run{}, words))
	p.before = 9
	require.Empty(t, decides(t, p, all, store.Run{}, words), "an older one was deleted")
}
