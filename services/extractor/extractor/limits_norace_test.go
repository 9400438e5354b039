//go:build !race

package extractor

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/extractor/extract"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
)

// The race detector needs more address space than a process that reads files may have.

// Whatever a file does to its process, it fails with its own code, and the next one is read.
func TestAFileDisturbsNoOther(t *testing.T) {
	t.Setenv("CONFLUENCE_API_TOKEN", "a secret")
	p := testProcesses(t, time.Minute)
	for _, c := range []struct {
		text string
		code failure.Code
	}{
		{"crash", failure.FileCrashed}, {"grow", failure.FileTooLarge}, {"encrypted", failure.FileEncrypted}, {"crash", failure.FileCrashed},
	} {
		_, err := reads(t, p, c.text)
		require.Equal(t, c.code, failure.CodeOf(err), "%s: %v", c.text, err)
		require.True(t, failure.CodeOf(err).Final())
		require.NotContains(t, err.Error(), "att1", "others have the same bytes")
		doc, err := reads(t, p, "after "+c.text)
		require.NoError(t, err)
		require.Equal(t, "after "+c.text+"\n", doc.Markdown())
	}
	_, err := reads(t, p, "audio")
	require.True(t, extract.Skipped(err))
	doc, err := reads(t, p, "environment")
	require.NoError(t, err)
	require.NotContains(t, doc.Markdown(), "CONFLUENCE")
	again, err := reads(t, p, "environment")
	require.NoError(t, err)
	require.Equal(t, doc, again, "the same process")
	require.Len(t, p.idle, 1)
}

// A process that dies while it has nothing to do accuses no file: another one reads the next.
func TestAnIdleProcessThatDied(t *testing.T) {
	p := testProcesses(t, time.Minute)
	for _, text := range []string{"first", "second", "third"} {
		doc, err := reads(t, p, text)
		require.NoError(t, err)
		require.Equal(t, text+"\n", doc.Markdown())
		require.Len(t, p.idle, 1)
		require.NoError(t, p.idle[0].cmd.Process.Kill())
	}
	// If no process can look at the file, the file is tried again later.
	_, err := reads(t, testProcesses(t, time.Minute), "stillborn")
	require.ErrorIs(t, err, errStillborn)
	require.False(t, failure.CodeOf(err).Final())
}

func TestAFileThatTakesTooLongIsKilled(t *testing.T) {
	p := testProcesses(t, 50*time.Millisecond)
	_, err := reads(t, p, "hang")
	require.Equal(t, failure.FileTooSlow, failure.CodeOf(err))

	p = testProcesses(t, time.Minute)
	at, err := p.take(t.Context())
	require.NoError(t, err)
	_, err = at.file().WriteAt([]byte("hang"), 0)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err = at.read(ctx, page.Facts{ID: "att1"})
	require.ErrorIs(t, err, context.Canceled, "the program stops")
	at.leave()
}
