//go:build !race

// The stages run as processes of this test binary, and the race detector uses many times their memory: "make test"
// runs this file once more without it.

package e2etest

import (
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/lab/bench/proc"
	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/services/stages"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
)

// The memory that compose gives each service, and Go's memory limit in it.
const (
	mostMemory  = 256 << 20
	memoryLimit = "GOMEMLIMIT=192MiB"
)

// Pages that need much memory, and many large pages at a time, stop no stage with the memory that compose gives it:
// each such page fails alone or is stored, and so are all others.
func TestStagesKeepToTheirMemory(t *testing.T) {
	t.Parallel()
	const space, small, large, body = "POISON", 40, 8, 15 << 20
	site := sandbox.New(sandbox.Options{})
	require.NoError(t, site.AddSpace(space, "Poison"))
	add := func(title, body string) string {
		p, err := site.CreatePage(sandbox.Draft{Space: space, Title: title, Body: body})
		require.NoError(t, err)
		return p.ID
	}
	bad := map[string]bool{
		add("Breaks", strings.Repeat("x<br/>", 833_000)):                  true,
		add("Attributes", "<p "+strings.Repeat("a ", 2_500_000)+">x</p>"): true,
	}
	add("Quotes", strings.Repeat("‹", 1_000_000))
	comment := "<p>Little is seen of this.</p><!-- " + strings.Repeat("words ", body/6) + " -->"
	for i := range large {
		add(fmt.Sprint("Large ", i), comment)
	}
	add("Larger still", "<p>"+strings.Repeat("The same words again and again. ", 3<<20/32)+"</p>")
	bad[add("Too large", "<p>"+strings.Repeat("words ", 17<<20/6)+"</p>")] = true
	for i := range small {
		add(fmt.Sprint("Small ", i), "<p>Words.</p>")
	}
	w := newWorld(t, space, site)
	running := map[string]*program{}
	for _, name := range []string{"fetcher", "converter", "chunk-writer", "deletion-detector", "progress"} {
		require.Contains(t, stages.Names(), name)
		running[name] = w.start(name, memoryLimit)
	}
	last := w.sync(event.Full)
	require.Equal(t, event.StateCompletedWithFailures, last.State, last.Message)
	rows, err := w.db.Query(t.Context(), `SELECT page_id, reason FROM confluence_sync_pages WHERE outcome = 'failed'`)
	require.NoError(t, err)
	for rows.Next() {
		var id, reason string
		require.NoError(t, rows.Scan(&id, &reason))
		require.True(t, bad[id], id)
		require.Equal(t, string(failure.ConvertTooLarge), reason)
	}
	require.NoError(t, rows.Err())
	require.Equal(t, len(bad), last.Counts.Failed)
	for name, p := range running {
		held := proc.Of(p.cmd.Process.Pid).Memory
		p.terminate(t)
		if runtime.GOOS != "linux" { // on Linux, an ended process's usage includes what its parent held when it began
			usage, ok := p.cmd.ProcessState.SysUsage().(*syscall.Rusage)
			require.True(t, ok)
			held = usage.Maxrss
		}
		require.Positive(t, held, name)
		t.Logf("%s used %d MiB", name, held>>20)
		require.Less(t, held, int64(mostMemory), name)
	}
}
