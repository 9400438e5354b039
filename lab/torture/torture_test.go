// Package torture kills every process in the middle of its work, several times, and then compares the database row by
// row with that of an undisturbed run. make torture runs it.
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
	seeds       = flag.Int("seeds", 1, "how many seeds to run, one after the other")
	first       = flag.Int64("seed", 1, "the first seed")
	pages       = flag.Int("pages", 200, "how many pages the site starts with")
	withVectors = flag.Bool("vectors", false, "give the embedders a model, whose server misbehaves too; needs pgvector")
	keep        = flag.Bool("keep", false, "keep the folder with the logs even if a seed passes")
)

// TestMain runs NATS instead of the tests if the environment says so: the broker must be a separate process that can
// be killed.
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

// A seed determines the disturbances; what they interrupt depends on the machine.
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
