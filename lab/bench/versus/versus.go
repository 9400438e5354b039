// Package versus stores the measurements of the comparison with the peers, and compares Sluice with
// them.
package versus

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/sluicehq/sluice/lab/bench/figure"
)

// Run is one run of one compared tool.
type Run struct {
	Pages    int           // that it handed over
	Wall     time.Duration // from the word to begin to the last page
	CPU      time.Duration // of all its processes
	SiteCPU  time.Duration // of the stand-in meanwhile
	Memory   int64         // the peak of all its processes together, bytes
	Calls    int64
	Statuses map[int]int64
	Stopped  bool   // it did not end within its time; Pages counts the pages until then
	Err      string // its error, if it failed
}

// Speed is the pages per second.
func (r Run) Speed() float64 { return figure.Ratio(float64(r.Pages), r.Wall.Seconds()) }

// CallsAPage is the calls per page, 0 without pages.
func (r Run) CallsAPage() float64 { return figure.Ratio(float64(r.Calls), float64(r.Pages)) }

// Row is one compared tool.
type Row struct {
	Name   string
	Ours   bool
	Rounds []Run
}

// Median is the round with the median time. If a round ended in an error, Median is that round.
func (r Row) Median() Run {
	if i := slices.IndexFunc(r.Rounds, func(r Run) bool { return r.Err != "" }); i >= 0 {
		return r.Rounds[i]
	}
	if len(r.Rounds) == 0 {
		return Run{}
	}
	return r.sorted()[(len(r.Rounds)-1)/2]
}

// Between returns the times of the fastest and the slowest round.
func (r Row) Between() (least, most time.Duration) {
	if len(r.Rounds) == 0 {
		return 0, 0
	}
	all := r.sorted()
	return all[0].Wall, all[len(all)-1].Wall
}

func (r Row) sorted() []Run {
	return slices.SortedFunc(slices.Values(r.Rounds), func(a, b Run) int { return cmp.Compare(a.Wall, b.Wall) })
}

// Table is one comparison.
type Table struct {
	Site  string // the site's behaviour; "" for one that answers immediately
	Pages int    // that it has
	Rows  []Row
}

// The aims.
const (
	AimSpeed = 10  // times the fastest peer's pages a second
	AimCalls = 0.1 // of its calls a page
)

// MostPages is the largest number of pages per call: Confluence's REST API v2 documents a limit of 250.
const MostPages = 250

// Standing compares one of Sluice's rows with the fastest peer, or with the peer with the fewest calls.
type Standing struct {
	Name, Peer string
	Speed      float64 // pages a second, in times of the peer's
	Calls      float64 // calls a page, in times of the peer's
}

func (s Standing) String() string {
	return fmt.Sprintf("%.2f × the pages a second, %.2f × the calls a page", s.Speed, s.Calls)
}

// Met reports whether both aims are met.
func (s Standing) Met() bool { return s.Speed >= AimSpeed && s.Calls <= AimCalls }

// Fastest is the peer with the most pages per second. The bool is false if no peer returned any.
func (t Table) Fastest() (Row, bool) {
	return t.best(func(a, b Run) bool { return a.Speed() > b.Speed() })
}

// Frugal is the peer with the fewest calls per page.
func (t Table) Frugal() (Row, bool) {
	return t.best(func(a, b Run) bool { return a.CallsAPage() < b.CallsAPage() })
}

func (t Table) best(better func(a, b Run) bool) (best Row, found bool) {
	for _, row := range t.Rows {
		m := row.Median()
		if row.Ours || m.Err != "" || m.Pages == 0 {
			continue
		}
		if !found || better(m, best.Median()) {
			best, found = row, true
		}
	}
	return best, found
}

// Standings compare each of Sluice's rows that returned pages with the peer.
func (t Table) Standings(peer Row) []Standing {
	var list []Standing
	its := peer.Median()
	for _, row := range t.Rows {
		m := row.Median()
		if !row.Ours || m.Err != "" || m.Pages == 0 {
			continue
		}
		list = append(list, Standing{row.Name, peer.Name, figure.Ratio(m.Speed(), its.Speed()), figure.Ratio(m.CallsAPage(), its.CallsAPage())})
	}
	return list
}

// WithinReach reports whether any client can make a tenth of the peer's calls, if every call returns the
// maximum of pages and there are no other calls.
func WithinReach(peer Row) bool { return peer.Median().CallsAPage()*AimCalls >= 1.0/MostPages }

// Results are all comparisons of a run.
type Results struct {
	Began   time.Time
	Machine string
	Command string
	Tables  []Table
}

// Whole is the comparison over a site that answers immediately, with that many pages or, if there is
// none, with the most pages.
func (r Results) Whole(pages int) (Table, bool) {
	var best Table
	found := false
	for _, t := range r.Tables {
		if t.Site != "" || found && best.Pages == pages {
			continue
		}
		if !found || t.Pages == pages || t.Pages > best.Pages {
			best, found = t, true
		}
	}
	return best, found
}

// Save writes the results to the file.
func (r Results) Save(file string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return fmt.Errorf("save the comparison: %w", err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return fmt.Errorf("save the comparison: %w", err)
	}
	return nil
}

// Read reads the results that Save wrote; nil if there is no such file.
func Read(file string) (*Results, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the file that the person at the prompt names
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the comparison: %w", err)
	}
	r := &Results{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("read the comparison in %s: %w", file, err)
	}
	return r, nil
}
