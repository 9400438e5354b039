package folder

import (
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// front is the content of a file's front matter: the lines between --- and --- at its beginning.
type front struct {
	Title string
	Tags  []string
	Dates map[string]time.Time
}

// maxFront is the longest front matter in bytes.
const maxFront = 64 << 10

// cutFront separates a file's front matter from its body. Text that is not front matter stays in the
// body.
func cutFront(content string) (front, string) {
	first, rest, ok := strings.Cut(content, "\n")
	if !ok || strings.TrimRight(first, " \t\r") != "---" {
		return front{}, content
	}
	end := 0
	for line := range strings.Lines(rest) {
		switch strings.TrimRight(line, " \t\r\n") {
		case "---", "...":
			if f, ok := parseFront(rest[:end]); ok {
				return f, rest[end+len(line):]
			}
			return front{}, content
		}
		if end += len(line); end > maxFront {
			break
		}
	}
	return front{}, content
}

func parseFront(text string) (front, bool) {
	var says map[string]any
	if yaml.Unmarshal([]byte(text), &says) != nil {
		return front{}, false
	}
	f := front{Dates: map[string]time.Time{}}
	for key, value := range says {
		switch key = strings.ToLower(key); key {
		case "title":
			f.Title, _ = value.(string)
		case "tags", "labels", "keywords":
			f.Tags = append(f.Tags, words(value)...)
		default:
			if at := moment(value); !at.IsZero() {
				f.Dates[key] = at
			}
		}
	}
	return f, true
}

// words reads a list, or comma-separated text.
func words(value any) []string {
	switch value := value.(type) {
	case string:
		return strings.Split(value, ",")
	case []any:
		var list []string
		for _, v := range value {
			if s, ok := v.(string); ok {
				list = append(list, s)
			}
		}
		return list
	}
	return nil
}

func moment(value any) time.Time {
	switch value := value.(type) {
	case time.Time:
		return value.UTC()
	case string:
		for _, layout := range []string{time.RFC3339, time.DateOnly, time.DateTime, "2006-01-02 15:04:05 -0700"} {
			if at, err := time.Parse(layout, value); err == nil {
				return at.UTC()
			}
		}
	}
	return time.Time{}
}

// labels are the tags in the form of labels: small letters, no spaces, no duplicates.
func (f front) labels() []string {
	labels := []string{}
	for _, tag := range f.Tags {
		if label := text(strings.ReplaceAll(oneLine(strings.ToLower(tag)), " ", "-")); label != "" {
			labels = append(labels, label)
		}
	}
	slices.Sort(labels)
	return slices.Compact(labels)
}

func (f front) created() time.Time  { return f.date("date", "created") }
func (f front) modified() time.Time { return f.date("lastmod", "updated", "modified", "last_updated") }

func (f front) date(keys ...string) time.Time {
	for _, key := range keys {
		if at := f.Dates[key]; !at.IsZero() {
			return at
		}
	}
	return time.Time{}
}
