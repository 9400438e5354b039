package report

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sluicehq/sluice/services/sluice/bench/figure"
)

// Markdown writes the report. The error is w's.
func Markdown(w io.Writer, r Results) error {
	var b bytes.Buffer
	b.WriteString("# How fast Sluice is\n\n" + intro + "\n")
	machine(&b, r)
	aims(&b, r)
	for _, s := range []func(*bytes.Buffer, Results){
		full, limits, memory, stages, incremental, latency, rate, scaling, search, durations,
	} {
		s(&b, r)
	}
	_, err := w.Write(append(bytes.TrimRight(b.Bytes(), "\n"), '\n'))
	return err
}

const intro = "`make bench` measures this and writes this page; nothing in it is typed by hand. Every stage, the\n" +
	"broker, the database and the stand-in of Confluence Cloud are processes of their own on one machine,\n" +
	"which they share: what the stand-in needs is taken from Sluice. Postgres and NATS write to disk as they\n" +
	"do for a user, with fsync. A figure is the median of all rounds, with the least and the most of them\n" +
	"behind it. Settings are the defaults, but for `CONFLUENCE_REQUESTS_PER_SECOND`, which is 1000 where\n" +
	"nothing else is said: with the default of 10 the waiting would be measured. The store alone is measured\n" +
	"[elsewhere](benchmarks-store.md), and so is [what others do](benchmarks-peers.md).\n"

func machine(b *bytes.Buffer, r Results) {
	m := r.Machine
	t := table{head: []string{"", ""}}
	t.row("CPU", cmp.Or(m.CPU, "unknown"))
	t.row("cores", fmt.Sprint(m.Cores))
	t.row("memory", size(float64(m.Memory)))
	t.row("kernel", cmp.Or(m.Kernel, "unknown"))
	t.row("file system of the data", cmp.Or(m.FileSystem, "unknown"))
	for _, v := range r.Versions {
		t.row(v.Of, v.Is)
	}
	t.row("measured", r.Began.Format("2006-01-02"))
	t.row("command", "`make bench`, which runs `"+r.Command+"`")
	t.write(b)
}

// table is a Markdown table. Columns after the first few words are figures: those whose head
// ends with a colon stand to the right.
type table struct {
	head []string
	rows [][]string
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

// write writes the table with its columns lined up.
func (t *table) write(b *bytes.Buffer) {
	widths := make([]int, len(t.head))
	for i, h := range t.head {
		widths[i] = max(3, utf8.RuneCountInString(strings.TrimSuffix(h, ":")))
	}
	for _, row := range t.rows {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	line := func(cell func(i int) string) {
		for i := range t.head {
			text := cell(i)
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(text))
			if strings.HasSuffix(t.head[i], ":") {
				text = pad + text
			} else {
				text += pad
			}
			b.WriteString("| " + text + " ")
		}
		b.WriteString("|\n")
	}
	line(func(i int) string { return strings.TrimSuffix(t.head[i], ":") })
	line(func(i int) string {
		if strings.HasSuffix(t.head[i], ":") {
			return strings.Repeat("-", widths[i]-1) + ":"
		}
		return strings.Repeat("-", widths[i])
	})
	for _, row := range t.rows {
		line(func(i int) string { return row[i] })
	}
	b.WriteByte('\n')
}

// spread shows a median and, where there is more than one value, between what it lies.
func spread(s figure.Spread, show func(float64) string) string {
	switch {
	case s.N == 0:
		return "–"
	case show(s.Min) == show(s.Max):
		return show(s.Median)
	}
	least, unit, _ := strings.Cut(show(s.Min), " ")
	most, other, _ := strings.Cut(show(s.Max), " ")
	if unit != other { // the unit is said once, with the median, unless there are two
		least, most = show(s.Min), show(s.Max)
	}
	return fmt.Sprintf("%s (%s–%s)", show(s.Median), least, most)
}

// number shows three digits that count, or all of a whole number.
func number(v float64) string {
	switch {
	case math.Abs(v) >= 100:
		return thousands(math.Round(v))
	case math.Abs(v) >= 10:
		return fmt.Sprintf("%.1f", v)
	case v == math.Trunc(v):
		return fmt.Sprintf("%.0f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

func whole(v float64) string { return thousands(math.Round(v)) }

// thousands shows a whole number with a comma after every three digits.
func thousands(v float64) string {
	text := fmt.Sprintf("%.0f", math.Abs(v))
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	if v < 0 {
		text = "-" + text
	}
	return text
}

func seconds(v float64) string { return number(v) + " s" }

func millis(v float64) string { return number(v) + " ms" }

func times(v float64) string { return fmt.Sprintf("%.2f ×", v) }

func percent(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) }

// size shows bytes in the unit that fits.
func size(v float64) string {
	switch {
	case v >= 1<<30:
		return fmt.Sprintf("%.1f GiB", v/(1<<30))
	case v >= 1<<20:
		return fmt.Sprintf("%.0f MiB", v/(1<<20))
	default:
		return fmt.Sprintf("%.0f KiB", v/(1<<10))
	}
}

func took(d time.Duration) float64 { return d.Seconds() }
