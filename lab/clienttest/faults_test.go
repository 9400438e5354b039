package clienttest

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
)

// tally counts how schedules ended.
type tally struct {
	mu   sync.Mutex
	n    int
	hit  int // schedules in which a fault occurred
	ends map[outcome]int
	by   map[string]map[outcome]int // per read
}

func (y *tally) add(read string, r result) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.ends == nil {
		y.ends, y.by = map[outcome]int{}, map[string]map[outcome]int{}
	}
	if y.by[read] == nil {
		y.by[read] = map[outcome]int{}
	}
	y.n++
	if r.hit {
		y.hit++
	}
	y.ends[r.end]++
	y.by[read][r.end]++
}

func (y *tally) String() string {
	line := func(ends map[outcome]int) string {
		var out []string
		for _, o := range slices.Sorted(maps.Keys(ends)) {
			out = append(out, fmt.Sprintf("%s %d", o, ends[o]))
		}
		return strings.Join(out, ", ")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d schedules, %d of them hit by a fault: %s\n", y.n, y.hit, line(y.ends))
	for _, read := range slices.Sorted(maps.Keys(y.by)) {
		fmt.Fprintf(&b, "  %-20s %s\n", read, line(y.by[read]))
	}
	return b.String()
}

// each runs n schedules on a few worlds. A world that a schedule has changed is recreated, so that every schedule
// starts with the same world and can be repeated alone.
func each(t *testing.T, n int, schedule func(w *world, i int) schedule) *tally {
	t.Helper()
	var ends tally
	var next atomic.Int64
	var workers sync.WaitGroup
	for range 2 * runtime.GOMAXPROCS(0) { // they also spend time waiting
		workers.Go(func() {
			w := newWorld(t)
			defer w.close()
			for i := int(next.Add(1)) - 1; i < n && !t.Failed(); i = int(next.Add(1)) - 1 {
				if w.changed {
					w.renew(t)
				}
				s := schedule(w, i)
				end, err := w.run(t, s)
				assert.NoError(t, err, s)
				ends.add(s.read.name, end)
			}
		})
	}
	workers.Wait()
	return &ends
}

// For any mixture of faults: the complete, correct result or an error.
func TestFaultSchedules(t *testing.T) {
	ends := each(t, *schedules, func(w *world, i int) schedule { return scheduled(w, *firstSeed+int64(i)) })
	t.Logf("from seed %d: %s", *firstSeed, ends)
	if *schedules < 1000 { // too few to expect every outcome of each read
		return
	}
	require.Greater(t, ends.hit, *schedules/2)
	for _, r := range reads { // a test in which all fail, or none, proves nothing; a read of one call rarely meets a fault
		require.Greater(t, ends.by[r.name][right], 10, r.name)
		require.GreaterOrEqual(t, len(ends.by[r.name]), 3, r.name)
	}
}

// Every fault alone on every read: always, once at the start, and once in the middle.
func TestEveryFaultOnEveryRead(t *testing.T) {
	var all []func(w *world) schedule
	for _, r := range reads {
		for _, kind := range slices.Concat(troubles, changes) {
			for i, f := range []sandbox.Fault{{}, {Times: 1}, {After: 1, Times: 1}, {After: 2}}[:variants] {
				all = append(all, func(w *world) schedule { return alone(w, r, kind, i, f) })
			}
		}
	}
	ends := each(t, len(all), func(w *world, i int) schedule { return all[i](w) })
	t.Log(ends)
	require.Greater(t, ends.hit, len(all)/3)
}

func alone(w *world, r read, kind sandbox.FaultKind, i int, f sandbox.Fault) schedule {
	f.Kind = kind
	switch kind {
	case sandbox.FaultTooMany:
		f.RetryAfter = []int{0, 1, 1847, 7}[i]
	case sandbox.FaultServer:
		f.Status, f.RetryAfter = []int{500, 502, 503, 504}[i], []int{0, 0, 3, 0}[i]
	case sandbox.FaultSlow:
		f.DelayMS = 2
	case sandbox.FaultOddRow:
		f.Row = oddRow
	case sandbox.FaultGatewayLimits:
		f.MaxLimit = []int{100, 200, 50, 2}[i]
	case sandbox.FaultBurst:
		f.MaxCalls = []int{1, 2, 3, 4}[i]
	case sandbox.FaultLostTree:
		f.PageID = w.chain[deep*2/3]
	case sandbox.FaultEdit, sandbox.FaultMove, sandbox.FaultTrash:
		f.PageID, f.Times = []string{w.leaf(), w.chain[deep/2], w.chain[0], w.leaf()}[i], 1
	}
	return schedule{seed: int64(i), read: r, faults: []sandbox.Fault{f}}
}

// Former bugs: a list was read again from its start, a response with a next page was treated as complete, and
// ancestors ended at a short response.
func TestSchedulesThatFailedOnce(t *testing.T) {
	failed := []struct {
		read  string
		fault sandbox.Fault
	}{
		{"SpacePages", sandbox.Fault{Kind: sandbox.FaultRepeatCursor, Times: 1}},
		{"CQLSearch", sandbox.Fault{Kind: sandbox.FaultRepeatCursor, Times: 1}},
		{"Labels", sandbox.Fault{Kind: sandbox.FaultRepeatCursor, Times: 1}},
		{"Users", sandbox.Fault{Kind: sandbox.FaultEmptyPage, Times: 1}},
		{"Users", sandbox.Fault{Kind: sandbox.FaultEmptyPage, After: 1, Times: 1}},
		{"Ancestors", sandbox.Fault{Kind: sandbox.FaultEmptyPage, Times: 1}},
		{"Ancestors", sandbox.Fault{Kind: sandbox.FaultEmptyPage, After: 1, Times: 1}},
		{"Ancestors", sandbox.Fault{Kind: sandbox.FaultShortPage}},
		{"GetPageByIDWithAll", sandbox.Fault{Kind: sandbox.FaultShortPage, After: 2}},
	}
	ends := each(t, len(failed), func(_ *world, i int) schedule {
		f := failed[i]
		at := slices.IndexFunc(reads, func(r read) bool { return r.name == f.read })
		return schedule{seed: 1, read: reads[at], faults: []sandbox.Fault{f.fault}}
	})
	require.Equal(t, len(failed), ends.hit)
}
