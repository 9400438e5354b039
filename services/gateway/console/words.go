package console

import (
	"fmt"
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/shared/event"
)

// words are the functions of the templates: how numbers, times and states are written.
var words = template.FuncMap{
	"ago":    func(t time.Time) string { return ago(t, time.Now()) },
	"when":   func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") },
	"stamp":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"count":  grouped,
	"took":   took,
	"secs":   func(s float64) string { return took(time.Duration(s * float64(time.Second))) },
	"size":   size,
	"state":  stateName,
	"tone":   tone,
	"words":  func(s string) string { return strings.ReplaceAll(s, "_", " ") },
	"query":  url.QueryEscape,
	"under":  func(path, item string) bool { return path == item || item != "" && strings.HasPrefix(path, item+"/") },
	"share":  share,
	"many":   many,
	"joined": func(list []string) string { return strings.Join(list, ", ") },
	"pairs":  pairs,
	"field":  fieldOf,
	"root":   func() string { return Root },
}

// pairs makes a map of names and values, to give a part of a page several values.
func pairs(list ...any) (map[string]any, error) {
	m := map[string]any{}
	for i := 0; i+1 < len(list); i += 2 {
		name, ok := list[i].(string)
		if !ok {
			return nil, fmt.Errorf("%v is no name", list[i])
		}
		m[name] = list[i+1]
	}
	return m, nil
}

// grouped writes a number as people read it: 12,345.
func grouped(n any) string {
	text := fmt.Sprint(n)
	if _, err := strconv.ParseInt(text, 10, 64); err != nil {
		return text
	}
	sign := ""
	if strings.HasPrefix(text, "-") {
		sign, text = "-", text[1:]
	}
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return sign + text
}

func many(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + more
}

// share is a part of a whole in percent. Only the whole is 100, and only nothing is 0.
func share(part, whole int) int {
	if whole <= 0 {
		return 0
	}
	p := part * 100 / whole
	if p == 0 && part > 0 {
		return 1
	}
	return p
}

func ago(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	d := now.Sub(t)
	if d < 0 {
		return "in " + span(-d)
	}
	if d < 5*time.Second {
		return "now"
	}
	return span(d) + " ago"
}

// span is a duration in its largest unit.
func span(d time.Duration) string {
	for _, u := range []struct {
		of        time.Duration
		one, more string
	}{{24 * time.Hour, "day", "days"}, {time.Hour, "hour", "hours"}, {time.Minute, "minute", "minutes"}} {
		if d >= u.of {
			return many(int(d/u.of), u.one, u.more)
		}
	}
	return many(int(d/time.Second), "second", "seconds")
}

// took is a duration to the precision that people read.
func took(d time.Duration) string {
	switch {
	case d < time.Second:
		return strconv.Itoa(int(d/time.Millisecond)) + " ms"
	case d < time.Minute:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	default:
		return d.Round(time.Second).String()
	}
}

func size(n any) string {
	v, err := strconv.ParseFloat(fmt.Sprint(n), 64)
	if err != nil {
		return fmt.Sprint(n)
	}
	for _, unit := range []string{"B", "KiB", "MiB", "GiB"} {
		if v < 1024 || unit == "GiB" {
			if unit == "B" {
				return strconv.Itoa(int(v)) + " B"
			}
			return strconv.FormatFloat(v, 'f', 1, 64) + " " + unit
		}
		v /= 1024
	}
	return ""
}

func stateName(s event.State) string { return strings.ReplaceAll(string(s), "_", " ") }

// tone is how a state is coloured; the words say the same.
func tone(s event.State) string {
	switch s {
	case event.StateCompleted:
		return "good"
	case event.StateCompletedWithFailures, event.StateHeld:
		return "warn"
	case event.StateFailed:
		return "bad"
	case event.StateCancelled:
		return "calm"
	default:
		return "busy"
	}
}
