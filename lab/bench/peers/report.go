package peers

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	_ "embed"

	"github.com/sluicehq/sluice/lab/bench/figure"
	"github.com/sluicehq/sluice/lab/bench/table"
	"github.com/sluicehq/sluice/lab/bench/versus"
	"github.com/sluicehq/sluice/lab/fidelity"
)

// report is all measurements.
type report struct {
	options       Options
	machine       string
	loads         []comparison // the generated space, by size
	macros        comparison   // the built-in space
	slow, limited comparison
	// Conversion alone, of both spaces.
	generated, builtin comparison
}

//go:embed words.md
var words string

// write writes the report: the measurements with explanations between them.
func (r report) write(w io.Writer) error {
	parts := map[string]string{
		"machine": r.machine, "versions": versions(), "command": r.command(),
		"loads": "", "macros": r.fidelity(r.macros, scored), "limited": "", "slow": "", "settings": settings(),
		"converters": speeds(r.generated), "converted": r.fidelity(r.generated, scored[:4]), "convertedmacros": r.fidelity(r.builtin, scored),
		"errors": r.errors(), "macropages": fmt.Sprint(r.macros.pages), "mostpages": fmt.Sprint(versus.MostPages),
		"patience": minutes(atOnce.patience),
	}
	for _, t := range r.loads {
		parts["loads"] += fmt.Sprintf("### %s pages, %.1f MB in storage format\n\n%s%s\n", thousands(t.pages), float64(t.bytes)/1e6, speeds(t), standings(t))
	}
	if len(r.loads) > 0 {
		parts["fidelity"] = r.fidelity(r.loads[0], scored[:4])
	}
	if r.slow.pages > 0 {
		parts["slow"] = fmt.Sprintf("## At %s\n\nThe same over a site that takes as long for every call as a real one does, and allows any number of\n"+
			"them: this is what users live with. Who makes one call after the other waits for each; Sluice and\n"+
			"confluence-markdown-exporter make several at once. %s pages, one round; what is not done after %s\n"+
			"is stopped.\n\n%s%s\n",
			slow.name, thousands(r.slow.pages), minutes(slow.patience), speeds(r.slow), standings(r.slow))
	}
	if r.limited.pages > 0 {
		parts["limited"] = fmt.Sprintf("## At %s\n\nThe site answers 429 with `Retry-After: 1` to more. %s pages, one round.\n\n%s%s\n",
			limited.name, thousands(r.limited.pages), speeds(r.limited), standings(r.limited))
	}
	text := words
	for name, part := range parts {
		text = strings.ReplaceAll(text, "{{"+name+"}}", strings.TrimRight(part, "\n"))
	}
	_, err := io.WriteString(w, blanks.ReplaceAllString(text, "\n\n"))
	return err
}

// blanks remain where a part is left out.
var blanks = regexp.MustCompile(`\n{3,}`)

func (r report) command() string {
	sizes := make([]string, 0, len(r.options.Pages))
	for _, n := range r.options.Pages {
		sizes = append(sizes, fmt.Sprint(n))
	}
	return fmt.Sprintf("make bench-peers PAGES=%s ROUNDS=%d SLOW=%d LIMITED=%d", strings.Join(sizes, ","), r.options.Rounds, r.options.Slow, r.options.Limited)
}

// speeds is the table of one comparison's times.
func speeds(t comparison) string {
	calls := false
	for _, x := range t.results {
		calls = calls || x.row().Median().Calls > 0
	}
	head := []string{"", "pages:", "seconds:", "fastest – slowest:", "pages/s:", "CPU s per 1,000 pages:", "peak MiB:"}
	if calls {
		head = append(head, "calls:", "calls a page:", "the site's CPU s:")
	}
	out := table.Table{Head: head}
	for _, x := range t.results {
		m := x.row().Median()
		cells := []string{x.peer.name}
		if m.Err != "" {
			cells = append(cells, "error")
			for len(cells) < len(head) {
				cells = append(cells, "–")
			}
			out.Row(cells...)
			continue
		}
		least, most := x.row().Between()
		n := thousands(m.Pages)
		if m.Stopped {
			n = "stopped, " + n + " by then"
		}
		cells = append(cells, n, seconds(m.Wall), seconds(least)+" – "+seconds(most), figure.Number(m.Speed()),
			known(m.CPU.Seconds()*1000/float64(max(m.Pages, 1))), known(float64(m.Memory)/(1<<20)))
		if calls {
			cells = append(cells, thousands(int(m.Calls)), fmt.Sprintf("%.3f", m.CallsAPage()), known(m.SiteCPU.Seconds()))
		}
		out.Row(cells...)
	}
	return text(out)
}

// fidelity is the table of the content that was found again.
func (r report) fidelity(t comparison, features []fidelity.Feature) string {
	head := []string{""}
	for _, f := range features {
		head = append(head, string(f)+", %:")
	}
	out := table.Table{Head: head}
	for _, x := range t.results {
		cells := []string{x.peer.name}
		for _, f := range features {
			s := x.scores[f]
			if x.row().Median().Err != "" || s.Total == 0 {
				cells = append(cells, "–")
				continue
			}
			cells = append(cells, percent(s))
		}
		out.Row(cells...)
	}
	return text(out)
}

// percent never rounds up to 100.
func percent(s fidelity.Score) string {
	if s.Found == s.Total {
		return "100"
	}
	return fmt.Sprintf("%.1f", min(99.9, 100*float64(s.Found)/float64(s.Total)))
}

// standings compare each of Sluice's rows with the fastest peer, and say whether the aims are met, and
// whether they can be met.
func standings(t comparison) string {
	its := t.plain()
	fastest, found := its.Fastest()
	if !found {
		return ""
	}
	var b strings.Builder
	for _, s := range its.Standings(fastest) {
		fmt.Fprintf(&b, "- %s against the fastest peer (%s): %s. The aim, %d × the pages a second with a tenth of the calls: **%s**.\n",
			s.Name, s.Peer, s, versus.AimSpeed, map[bool]string{true: "met", false: "not met"}[s.Met()])
	}
	if !versus.WithinReach(fastest) {
		fmt.Fprintf(&b, "- A tenth of that peer's calls would be %s pages a call, and Confluence gives at most %d: no client can do that.\n",
			thousands(int(math.Round(1/(fastest.Median().CallsAPage()*versus.AimCalls)))), versus.MostPages)
	}
	if frugal, _ := its.Frugal(); frugal.Name != fastest.Name {
		for _, s := range its.Standings(frugal) {
			fmt.Fprintf(&b, "- %s against the peer with the fewest calls (%s): %s.\n", s.Name, s.Peer, s)
		}
	}
	return b.String()
}

// errors lists the peers that could not run, each error once.
func (r report) errors() string {
	var b strings.Builder
	seen := map[string]bool{}
	for _, t := range append([]comparison{r.macros, r.slow, r.limited, r.generated, r.builtin}, r.loads...) {
		for _, x := range t.results {
			wrong := x.row().Median().Err
			line := fmt.Sprintf("- %s: `%s`\n", x.peer.name, strings.ReplaceAll(wrong, "`", "'"))
			if wrong != "" && !seen[line] {
				seen[line] = true
				b.WriteString(line)
			}
		}
	}
	if b.Len() == 0 {
		return "None."
	}
	return b.String()
}

func settings() string {
	out := table.Table{Head: []string{"", "settings"}}
	for _, p := range slices.Concat(ours, loaders, []peer{ourConverter}, converters) {
		out.Row(p.name, p.settings)
	}
	return text(out)
}

// versions are those that are pinned, each package once.
func versions() string {
	var list []string
	seen := map[string]bool{}
	add := func(file, of string) {
		entry := of + " " + pinned(file, of)
		if !seen[entry] {
			seen[entry] = true
			list = append(list, entry)
		}
	}
	for _, p := range append(append([]peer{}, loaders...), converters...) {
		add(p.file, p.of)
	}
	add("package.json", "turndown-plugin-gfm")
	add("langchain.txt", "atlassian-python-api")
	add("langchain-newest-client.txt", "atlassian-python-api")
	return strings.Join(list, ", ")
}

func text(t table.Table) string {
	var b bytes.Buffer
	t.Write(&b)
	return b.String()
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()) }

func minutes(d time.Duration) string { return fmt.Sprintf("%.0f minutes", d.Minutes()) }

// known is a figure, or a dash for what the system could not tell.
func known(x float64) string {
	if x == 0 {
		return "–"
	}
	return figure.Number(x)
}

func thousands(n int) string { return figure.Thousands(float64(n)) }
