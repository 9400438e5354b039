// Package torture kills everything in the middle, several times, and then compares the
// database row by row with that of a run that nothing disturbed. make torture runs it.
package torture

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/lab/bench/table"
)

var (
	seeds = flag.Int("seeds", 1, "how many seeds are run, one after the other")
	first = flag.Int64("seed", 1, "the first of them")
	pages = flag.Int("pages", 200, "how many pages the site begins with")
	keep  = flag.Bool("keep", false, "keep the folder with the logs of a seed that passes too")
)

// TestMain serves NATS instead where the environment says so: the broker has to be a process
// of its own to be killed.
func TestMain(m *testing.M) {
	if os.Getenv(natsStore) != "" {
		os.Exit(serveNats())
	}
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "torture:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// What a seed does to the pipeline follows from the seed; when it hits what is under way
// depends on the machine.
func TestTorture(t *testing.T) {
	var all []result
	for i := range *seeds {
		p := newPlan(*first+int64(i), *pages)
		t.Run(fmt.Sprint("seed=", p.seed), func(t *testing.T) {
			r := torment(t, p)
			all = append(all, r)
			fmt.Println(r)
		})
	}
	fmt.Print("\n")
	report := table.Table{Head: []string{
		"seed:", "killed stages:", "frozen:", "NATS:", "Postgres:", "wipes:", "calls:", "faults:", "changes:", "copies:", "runs:",
		"created:", "updated:", "removed:", "failed on the way:", "of them refused:", "minutes:", "result",
	}}
	for _, r := range all {
		report.Row(r.cells()...)
	}
	var out bytes.Buffer
	report.Write(&out)
	fmt.Print(out.String())
}
