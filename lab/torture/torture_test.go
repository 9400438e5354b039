// Package torture kills everything in the middle, several times, and then compares the
// database row by row with that of a run that nothing disturbed. make torture runs it.
package torture

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"text/tabwriter"

	"go.uber.org/goleak"
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
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprintln(out, "| seed\t| killed: stages\t| frozen\t| NATS\t| Postgres\t| wipes\t| calls\t| faults\t| changes\t| copies\t| runs\t| created\t| updated\t| removed\t| failed on the way\t| of them refused\t| minutes\t| result\t|")
	fmt.Fprintln(out, "| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t|")
	for _, r := range all {
		fmt.Fprintln(out, r.row())
	}
	_ = out.Flush()
}
