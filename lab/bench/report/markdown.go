package report

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sluicehq/sluice/lab/bench/figure"
	"github.com/sluicehq/sluice/lab/bench/table"
)

// Markdown writes the report. The error is w's.
func Markdown(w io.Writer, r Results) error {
	var b bytes.Buffer
	b.WriteString("# How fast Sluice is\n\n" + intro + "\n")
	machine(&b, r)
	aims(&b, r)
	for _, s := range []func(*bytes.Buffer, Results){
		full, limits, memory, stages, incremental, latency, rate, scaling, search, embeds, meaning, durations,
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
	"behind it; from 20,000 pages on there is one round. Settings are the defaults, but for\n" +
	"`CONFLUENCE_REQUESTS_PER_SECOND`, which is 1000 where nothing else is said: with the default of 10 the\n" +
	"waiting would be measured. Everything has been up for some seconds when a sync is asked for. The store\n" +
	"alone is measured [elsewhere](benchmarks-store.md), and so is [what others do](benchmarks-peers.md).\n"

func machine(b *bytes.Buffer, r Results) {
	m := r.Machine
	t := table.Table{Head: []string{"", ""}}
	t.Row("CPU", cmp.Or(m.CPU, "unknown"))
	t.Row("cores", fmt.Sprint(m.Cores))
	t.Row("memory", size(float64(m.Memory)))
	t.Row("kernel", cmp.Or(m.Kernel, "unknown"))
	t.Row("file system of the data", cmp.Or(m.FileSystem, "unknown"))
	for _, v := range r.Versions {
		t.Row(v.Of, v.Is)
	}
	t.Row("measured", r.Began.Format("2006-01-02"))
	t.Row("command", "`make bench`, which runs `"+r.Command+"`")
	t.Write(b)
}

// spread shows a median and, if there is more than one value, the smallest and largest.
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

func whole(v float64) string { return figure.Thousands(v) }

func seconds(v float64) string { return figure.Number(v) + " s" }

func millis(v float64) string { return figure.Number(v) + " ms" }

func times(v float64) string { return fmt.Sprintf("%.2f ×", v) }

func percent(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) }

// size shows bytes in a suitable unit.
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
