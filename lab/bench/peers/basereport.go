package peers

import (
	_ "embed"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/lab/bench/figure"
	"github.com/sluicehq/sluice/lab/bench/table"
	"github.com/sluicehq/sluice/lab/bench/versus"
)

// baseReport is what was measured of the bases.
type baseReport struct {
	machine              string
	pages, rounds, edits int
	bases                []filled
}

//go:embed bases.md
var baseWords string

func (r baseReport) write(w io.Writer) error {
	var list []string
	for _, p := range bases {
		if !p.isOurs() {
			list = append(list, p.of+" "+pinned(p.file, p.of))
		}
	}
	list = append(list, "langchain-openai "+pinned("langchain.txt", "langchain-openai"), "langchain-text-splitters "+pinned("langchain.txt", "langchain-text-splitters"),
		"langchain-community "+pinned("langchain.txt", "langchain-community"), "llama-index-core "+pinned("llamaindex.txt", "llama-index-core"),
		"llama-index-readers-confluence "+pinned("llamaindex.txt", "llama-index-readers-confluence"))
	settings := table.Table{Head: []string{"", "settings"}}
	for _, p := range bases {
		settings.Row(p.name, p.settings)
	}
	whole := strings.NewReplacer(
		"{{machine}}", r.machine, "{{versions}}", strings.Join(list, ", "),
		"{{command}}", fmt.Sprintf("make bench-peers ONLY=vectors PAGES=%d ROUNDS=%d", r.pages, r.rounds),
		"{{pages}}", thousands(r.pages), "{{edits}}", fmt.Sprint(r.edits),
		"{{first}}", strings.TrimRight(r.firsts(), "\n"), "{{again}}", strings.TrimRight(r.repeats(), "\n"),
		"{{settings}}", strings.TrimRight(text(settings), "\n"), "{{errors}}", strings.TrimRight(r.errors(), "\n"),
		"{{batch}}", fmt.Sprint(modelBatch), "{{parallel}}", fmt.Sprint(modelParallel), "{{call}}", modelCall.String(), "{{word}}", modelWord.String(),
	).Replace(baseWords)
	_, err := io.WriteString(w, whole)
	return err
}

// median is the sync with the median time; if one ended in an error, that one.
func median(syncs []pass) pass {
	row := versus.Row{}
	for _, s := range syncs {
		row.Rounds = append(row.Rounds, s.Run)
	}
	m := row.Median()
	if i := slices.IndexFunc(syncs, func(s pass) bool { return s.Wall == m.Wall && s.Err == m.Err }); i >= 0 {
		return syncs[i]
	}
	return pass{}
}

// rows is a table with a row for each base, of its cells or of its error.
func (r baseReport) rows(head []string, of func(filled) []pass, cells func(pass) []string) string {
	t := table.Table{Head: head}
	for _, b := range r.bases {
		m := median(of(b))
		row := []string{b.name}
		switch {
		case m.Err != "":
			row = append(row, "error")
		case m.Stopped:
			row = append(row, "stopped after "+seconds(m.Wall))
		default:
			row = append(row, cells(m)...)
		}
		for len(row) < len(head) {
			row = append(row, "–")
		}
		t.Row(row...)
	}
	return text(t)
}

func (r baseReport) firsts() string {
	return r.rows([]string{
		"", "pages with vectors:", "chunks:", "without a vector:", "seconds:", "pages/s:", "CPU s per 1,000 pages:", "peak MiB:", "calls to the site:",
		"to the model:", "texts:", "words embedded:",
	}, func(f filled) []pass { return f.first }, func(s pass) []string {
		return []string{
			thousands(s.Pages), thousands(s.rows.Chunks), thousands(s.rows.Bare), seconds(s.Wall), figure.Number(s.Speed()),
			known(s.CPU.Seconds() * 1000 / float64(max(s.Pages, 1))), known(float64(s.Memory) / (1 << 20)), thousands(int(s.Calls)),
			thousands(s.asked.Calls), thousands(s.asked.Texts), thousands(s.asked.Words),
		}
	})
}

func (r baseReport) repeats() string {
	return r.rows([]string{
		"", "edits found:", "seconds:", "CPU s:", "calls to the site:", "to the model:", "chunks embedded again:", "words embedded:", "old texts left over:", "chunks:",
	}, func(f filled) []pass { return f.again }, func(s pass) []string {
		return []string{
			fmt.Sprintf("%d of %d", s.rows.Fresh, r.edits), seconds(s.Wall), known(s.CPU.Seconds()), thousands(int(s.Calls)), thousands(s.asked.Calls),
			thousands(s.asked.Texts), thousands(s.asked.Words), thousands(s.rows.Stale), thousands(s.rows.Chunks),
		}
	})
}

// errors lists the bases that could not be filled, or brought into step.
func (r baseReport) errors() string {
	var b strings.Builder
	for _, f := range r.bases {
		seen := ""
		for _, s := range slices.Concat(f.first, f.again) {
			if s.Err != "" && s.Err != seen {
				seen = s.Err
				fmt.Fprintf(&b, "- %s: `%s`\n", f.name, strings.ReplaceAll(s.Err, "`", "'"))
			}
		}
	}
	if b.Len() == 0 {
		return "None."
	}
	return b.String()
}
