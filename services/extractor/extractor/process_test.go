package extractor

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/services/extractor/extract"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/service"
)

func TestMain(m *testing.M) {
	service.BeChild(service.Stage{Name: name, Child: func(args []string) int {
		if text, err := os.ReadFile("/dev/fd/3"); err == nil && string(text) == "stillborn" {
			return 1 // before it has read an order
		}
		if err := readOrders(args, os.Stdin, os.Stdout, misbehave); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}})
	goleak.VerifyTestMain(m)
}

// misbehave does what a file says.
func misbehave(o order, file io.ReaderAt) answer {
	raw, err := io.ReadAll(io.NewSectionReader(file, 0, o.Size))
	if err != nil {
		return answer{Code: failure.Internal, Error: err.Error()}
	}
	switch text := string(raw); text {
	case "crash":
		panic("a bug in a reader")
	case "hang":
		select {}
	case "grow":
		var all [][]byte
		for {
			all = append(all, []byte(strings.Repeat("x", 16<<20)))
			if len(all) > 1000 {
				return answer{Code: failure.Internal, Error: "nobody limits the memory"}
			}
		}
	case "encrypted":
		return answer{Code: failure.FileEncrypted, Error: "it needs a password"}
	case "":
		return answer{Code: failure.FileNoText, Error: "nothing"}
	case "old":
		return answer{Skipped: &extract.SkippedError{Format: "doc", Reason: "the old format doc is not read"}}
	case "odd":
		return answer{Skipped: &extract.SkippedError{Reason: "no known format"}}
	case "audio":
		return answer{Skipped: &extract.SkippedError{Format: "audio", Reason: "it has no text"}}
	case "environment":
		return answer{Document: said(fmt.Sprint(os.Environ(), os.Getpid()))}
	default:
		return answer{Document: said(text)}
	}
}

func said(text string) extract.Document {
	return extract.Document{Format: "text", Parts: []extract.Part{{Markdown: text + "\n"}}}
}

func testProcesses(t *testing.T, limit time.Duration) *processes {
	t.Helper()
	limits := extract.DefaultLimits()
	limits.Time = limit
	p := newProcesses(limits, 256<<20, 2, zerolog.Nop())
	p.grace = 50 * time.Millisecond
	t.Cleanup(p.close)
	return p
}

// reads puts a text on a desk and has it read.
func reads(t *testing.T, p *processes, text string) (extract.Document, error) {
	t.Helper()
	at, err := p.take(t.Context())
	require.NoError(t, err)
	defer at.leave()
	require.NoError(t, at.file().Truncate(0))
	_, err = at.file().WriteAt([]byte(text), 0)
	require.NoError(t, err)
	return at.read(t.Context(), page.Facts{ID: "att1", Title: "a.txt"})
}

// The place of a file has no name from the beginning, so that a killed program leaves nothing.
func TestNothingIsLeftOfAFile(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	p := testProcesses(t, time.Minute)
	at, err := p.take(t.Context())
	require.NoError(t, err)
	_, err = at.file().WriteString("hello")
	require.NoError(t, err)
	one, err := p.turn(t.Context())
	require.NoError(t, err)
	require.NoError(t, one.put(at.file()))
	left, err := os.ReadDir(os.TempDir())
	require.NoError(t, err)
	require.Empty(t, left)
	at.leave()
	one.leave()
	info, err := p.idle[0].on.Stat()
	require.NoError(t, err)
	require.Zero(t, info.Size())
}

// Files may arrive faster than they are read. There are never more processes than turns.
func TestNoMoreProcessesThanTurns(t *testing.T) {
	p := testProcesses(t, time.Minute)
	var held []*process
	for range cap(p.turns) {
		one, err := p.turn(t.Context())
		require.NoError(t, err)
		held = append(held, one)
	}
	at, err := p.take(t.Context())
	require.NoError(t, err, "a download needs no process")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = at.read(ctx, page.Facts{ID: "att1"})
	require.ErrorIs(t, err, context.Canceled)
	at.leave()
	held[0].leave()
	again, err := p.turn(t.Context())
	require.NoError(t, err)
	require.Same(t, held[0], again)
	again.leave()
	held[1].leave()
}
