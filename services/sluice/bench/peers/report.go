package peers

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	_ "embed"

	"github.com/sluicehq/sluice/services/converter/fidelity"
)

// report is everything that was measured.
type report struct {
	options Options
	machine string
	loads   []table // the generated space, by size
	macros  table   // the built-in space
	limited table
	// Conversion alone, of both spaces.
	generated, builtin table
}

//go:embed words.md
var words string

// write writes the report: what was measured, and between it the words that explain it.
func (r report) write(w io.Writer) error {
	parts := map[string]string{
		"machine": r.machine, "versions": versions(), "command": r.command(),
		"loads": "", "macros": r.fidelity(r.macros, scored), "limited": "", "settings": settings(),
		"converters": r.speeds(r.generated), "converted": r.fidelity(r.generated, scored[:4]), "convertedmacros": r.fidelity(r.builtin, scored),
		"errors": r.errors(), "macropages": fmt.Sprint(r.macros.pages),
	}
	for _, t := range r.loads {
		parts["loads"] += fmt.Sprintf("### %s pages, %.1f MB in storage format\n\n%s\n%s\n", thousands(t.pages), float64(t.bytes)/1e6, r.speeds(t), ratio(t))
	}
	if len(r.loads) > 0 {
		parts["fidelity"] = r.fidelity(r.loads[0], scored[:4])
	}
	if r.limited.pages > 0 {
		parts["limited"] = fmt.Sprintf("## At %d requests a second\n\nThe site answers 429 with `Retry-After: 1` to more. %s pages.\n\n%s\n%s\n",
			perSecond, thousands(r.limited.pages), r.speeds(r.limited), ratio(r.limited))
	}
	text := words
	for name, part := range parts {
		text = strings.ReplaceAll(text, "{{"+name+"}}", strings.TrimRight(part, "\n"))
	}
	_, err := io.WriteString(w, text)
	return err
}

func (r report) command() string {
	sizes := make([]string, 0, len(r.options.Pages))
	for _, n := range r.options.Pages {
		sizes = append(sizes, fmt.Sprint(n))
	}
	return fmt.Sprintf("make bench-peers PAGES=%s ROUNDS=%d LIMITED=%d", strings.Join(sizes, ","), r.options.Rounds, r.options.Limited)
}

// speeds is the table of what one comparison took.
func (r report) speeds(t table) string {
	calls := false
	for _, x := range t.results {
		calls = calls || x.run.Calls > 0
	}
	head := []string{"", "pages", "seconds", "fastest – slowest", "pages/s", "CPU s per 1,000 pages", "peak MiB"}
	if calls {
		head = append(head, "calls", "calls a page", "the site's CPU s")
	}
	rows := [][]string{}
	for _, x := range t.results {
		row := []string{x.peer.name}
		if x.run.Err != "" {
			row = append(row, "error")
			for len(row) < len(head) {
				row = append(row, "–")
			}
			rows = append(rows, row)
			continue
		}
		n := x.run.Pages
		row = append(row, thousands(n), seconds(x.run.Wall), seconds(x.low)+" – "+seconds(x.top), short(per(n, x.run.Wall)),
			known(x.run.CPU.Seconds()*1000/float64(max(n, 1))), known(float64(x.run.Memory)/(1<<20)))
		if calls {
			row = append(row, thousands(int(x.run.Calls)), fmt.Sprintf("%.3f", float64(x.run.Calls)/float64(max(n, 1))), known(x.run.SiteCPU.Seconds()))
		}
		rows = append(rows, row)
	}
	return markdownTable(head, rows)
}

// fidelity is the table of what was found again.
func (r report) fidelity(t table, features []fidelity.Feature) string {
	head := []string{""}
	for _, f := range features {
		head = append(head, string(f)+", %")
	}
	var rows [][]string
	for _, x := range t.results {
		row := []string{x.peer.name}
		for _, f := range features {
			s := x.scores[f]
			if x.run.Err != "" || s.Total == 0 {
				row = append(row, "–")
				continue
			}
			row = append(row, percent(s))
		}
		rows = append(rows, row)
	}
	return markdownTable(head, rows)
}

// percent never rounds up to 100.
func percent(s fidelity.Score) string {
	if s.Found == s.Total {
		return "100"
	}
	return fmt.Sprintf("%.1f", min(99.9, 100*float64(s.Found)/float64(s.Total)))
}

// ratio says how the first of a table stands to the best of the others.
func ratio(t table) string {
	if len(t.results) == 0 || t.results[0].run.Err != "" {
		return ""
	}
	first := t.results[0]
	var fastest, frugal *result
	for i := range t.results[1:] {
		x := &t.results[i+1]
		if x.run.Err != "" || x.run.Pages == 0 {
			continue
		}
		if fastest == nil || per(x.run.Pages, x.run.Wall) > per(fastest.run.Pages, fastest.run.Wall) {
			fastest = x
		}
		if frugal == nil || callsAPage(*x) < callsAPage(*frugal) {
			frugal = x
		}
	}
	if fastest == nil || first.run.Pages == 0 {
		return ""
	}
	return fmt.Sprintf("%s against the fastest peer (%s): %.1f × the pages a second. Against the one with the fewest calls (%s): %.2f × the calls a page.\n",
		first.peer.name, fastest.peer.name, per(first.run.Pages, first.run.Wall)/per(fastest.run.Pages, fastest.run.Wall),
		frugal.peer.name, callsAPage(first)/callsAPage(*frugal))
}

func callsAPage(r result) float64 { return float64(r.run.Calls) / float64(max(r.run.Pages, 1)) }

// errors lists what could not run, each error once.
func (r report) errors() string {
	var b strings.Builder
	seen := map[string]bool{}
	for _, t := range append([]table{r.macros, r.limited, r.generated, r.builtin}, r.loads...) {
		for _, x := range t.results {
			line := fmt.Sprintf("- %s: `%s`\n", x.peer.name, strings.ReplaceAll(x.run.Err, "`", "'"))
			if x.run.Err != "" && !seen[line] {
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
	var rows [][]string
	for _, p := range append(append([]peer{ours}, loaders...), append([]peer{ourConverter}, converters...)...) {
		rows = append(rows, []string{p.name, p.settings})
	}
	return markdownTable([]string{"", "settings"}, rows)
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

func markdownTable(head []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(head)
	rule := []string{"---"}
	for range head[1:] {
		rule = append(rule, "---:")
	}
	line(rule)
	for _, r := range rows {
		line(r)
	}
	return b.String()
}

// Aligned rewrites the tables of a Markdown text for a terminal.
func Aligned(w io.Writer, text string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, "| ---") {
			continue
		}
		if strings.HasPrefix(line, "| ") {
			line = strings.Join(strings.Split(strings.Trim(line, "| "), " | "), "\t")
		}
		if _, err := fmt.Fprintln(t, line); err != nil {
			return err
		}
	}
	return t.Flush()
}

func per(n int, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()) }

// known is a figure with three digits, or a dash for what the system could not tell.
func known(x float64) string {
	if x == 0 {
		return "–"
	}
	return short(x)
}

func short(x float64) string {
	switch {
	case x >= 1000:
		return thousands(int(x + 0.5))
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	default:
		return fmt.Sprintf("%.2f", x)
	}
}

func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
