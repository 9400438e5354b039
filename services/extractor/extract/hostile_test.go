//go:build !race

package extract

import (
	"bytes"
	"flag"
	"fmt"
	"runtime"
	"runtime/metrics"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/extractor/extract/extracttest"
	"github.com/sluicehq/sluice/shared/failure"
)

// cost is what a file took.
type cost struct {
	name   string
	size   int
	code   failure.Code
	took   time.Duration
	memory int64 // the most that was in use at once beyond the file
}

// each says how many of the hostile files are read: every so-many-th. make hostile reads all of them.
var each = flag.Int("each", 3, "read every so-many-th hostile file")

// TestHostileFilesAreBounded reads hostile files within the limits that are in force: it ends with
// the right code, soon, and in bounded memory. The worst are printed: make hostile.
func TestHostileFilesAreBounded(t *testing.T) {
	require.NoError(t, Warm())
	files := extracttest.HostileFiles()
	require.Greater(t, len(files), 40)
	var all []cost
	for i, f := range files {
		if i%*each != 0 {
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			c := measure(t, f)
			all = append(all, c)
			assert.Contains(t, f.Want, c.code)
			assert.Less(t, c.took, hostileTime+2*time.Second)
			assert.Less(t, c.memory, int64(512<<20))
		})
	}
	t.Logf("%d files", len(all))
	for name, by := range map[string]func(a, b cost) int{
		"slowest": func(a, b cost) int { return int(b.took - a.took) },
		"largest": func(a, b cost) int { return int(b.memory - a.memory) },
	} {
		slices.SortStableFunc(all, by)
		report := ""
		for _, c := range all[:8] {
			report += fmt.Sprintf("\n%-28s %10d bytes  %-22s %8s  %6d MiB", c.name, c.size, c.code, c.took.Round(time.Millisecond), c.memory>>20)
		}
		t.Logf("%s%s", name, report)
	}
}

// The time that a file may take in this test. It is less than in force, so that the test ends.
const hostileTime = 20 * time.Second

func measure(t *testing.T, f extracttest.Hostile) cost {
	content := f.Make()
	runtime.GC()
	before := heap()
	stop, peak := make(chan struct{}), make(chan int64)
	go func() {
		most := int64(0)
		for tick := time.NewTicker(2 * time.Millisecond); ; {
			select {
			case <-tick.C:
				most = max(most, heap()-before)
			case <-stop:
				tick.Stop()
				peak <- max(most, heap()-before)
				return
			}
		}
	}()
	start := time.Now()
	_, err := Extract(t.Context(), File{Name: f.Name, Content: bytes.NewReader(content), Size: int64(len(content))}, Limits{Time: hostileTime})
	took := time.Since(start)
	close(stop)
	c := cost{name: f.Name, size: len(content), took: took, memory: <-peak}
	switch {
	case Skipped(err):
		c.code = extracttest.Skipped
	case err != nil:
		c.code = failure.CodeOf(err)
		assert.NotEqual(t, failure.Internal, c.code, "%v", err)
	}
	return c
}

// heap returns the bytes of the heap that are in use or not collected yet.
func heap() int64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64())
}
