package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// table prints rows in columns; the first row is the heading.
func (a *app) table(rows [][]string) {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	_ = w.Flush()
}

// ago says how long ago t was, in the largest unit that tells something.
func ago(t time.Time) string {
	switch d := time.Since(t); {
	case d < 2*time.Second:
		return "just now"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d seconds ago", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours ago", int(d.Hours()))
	default:
		return t.Local().Format(time.DateOnly)
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, one)
	}
	return fmt.Sprintf("%d %s", n, many)
}

// orEmpty makes a nil list an empty one, so that JSON shows [] and not null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// indent puts each line of text behind a margin.
func indent(text, margin string) string {
	return margin + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+margin)
}

// cut shortens text to one line of at most n characters.
func cut(text string, n int) string {
	runes := []rune(strings.Join(strings.Fields(text), " "))
	if len(runes) <= n {
		return string(runes)
	}
	return strings.TrimRight(string(runes[:n-1]), " ") + "…"
}

// size says how much n bytes are.
func size(n int64) string {
	value, units := float64(n), []string{"bytes", "kB", "MB", "GB", "TB"}
	for value >= 1000 && len(units) > 1 {
		value /= 1000
		units = units[1:]
	}
	if units[0] == "bytes" {
		return plural(int(n), "byte", "bytes")
	}
	return fmt.Sprintf("%.1f %s", value, units[0])
}

// lasted says how long something took.
func lasted(seconds float64) string {
	switch d := time.Duration(seconds * float64(time.Second)); {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	default:
		return d.Round(time.Second).String()
	}
}
