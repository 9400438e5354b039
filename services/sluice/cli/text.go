package cli

import (
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/sluicehq/sluice/shared/terminal"
)

// ago formats how long ago t was: "5 minutes ago", and after a month its date.
func ago(t time.Time) string {
	switch d := time.Since(t); {
	case d < 2*time.Second: // the database's clock may be ahead of this machine's
		return "just now"
	case d < humanize.Month:
		return humanize.Time(t)
	default:
		return t.Local().Format(time.DateOnly)
	}
}

// plural returns a number and its noun: "1 page", "2 pages".
func plural(n int, one, many string) string { return english.Plural(n, one, many) }

// orEmpty returns an empty list for nil, so that JSON has [] instead of null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// indent puts margin before each line of s.
func indent(s, margin string) string {
	return margin + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n"+margin)
}

// cut shortens text to one line of at most n characters.
func cut(s string, n int) string {
	return text.Snip(terminal.Line(strings.Join(strings.Fields(s), " ")), n, "…")
}

// size formats a number of bytes: "82 kB".
func size(n int64) string { return humanize.Bytes(uint64(max(n, 0))) }

// lasted formats a duration.
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
