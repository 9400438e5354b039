package markdown

import (
	"encoding/json"
	"net/url"
	"strings"

	"github.com/sluicehq/sluice/shared/page"
)

// roadmap renders the planner macro, which stores its lanes, bars and markers in a parameter.
func (r *renderer) roadmap(n *node, name string, st style) {
	var plan struct {
		Title string
		Lanes []struct {
			Title string
			Bars  []struct{ Title, Description, StartDate string }
		}
		Markers []struct{ Title, MarkerDate string }
	}
	p := n.paramNode("source")
	if p == nil {
		r.query(n, name, st)
		return
	}
	source := textOf(p, MaxBody)
	if plain, err := url.PathUnescape(source); err == nil {
		source = plain
	}
	if err := json.Unmarshal([]byte(source), &plan); err != nil {
		r.query(n, name, st)
		r.tell(page.Placeholder, "its plan cannot be read")
		return
	}
	var items [][2]string // a lane and its content
	for _, lane := range plan.Lanes {
		for _, bar := range lane.Bars {
			items = append(items, [2]string{lane.Title, dated(join(": ", bar.Title, bar.Description), bar.StartDate)})
		}
		if len(lane.Bars) == 0 {
			items = append(items, [2]string{lane.Title})
		}
	}
	for _, m := range plan.Markers {
		items = append(items, [2]string{"", dated(m.Title, m.MarkerDate)})
	}
	r.asBlock(func() {
		r.titleLine(first(n.param("title"), plan.Title), st)
		l := &listWriter{kind: bulletBlock}
		if r.w.lastBlock() == l.kind {
			l.kind = starBlock
		}
		for _, it := range items {
			r.listItem(l, func() { r.text(join(": ", it[0], it[1]), st) })
		}
	})
}

// dated appends the day of a time to a text.
func dated(text, when string) string {
	day, _, _ := strings.Cut(strings.TrimSpace(when), " ")
	day, _, _ = strings.Cut(day, "T")
	if day == "" {
		return text
	}
	return join(" ", text, "("+day+")")
}

// join joins the texts that are not empty.
func join(between string, texts ...string) string {
	var some []string
	for _, t := range texts {
		if t = strings.TrimSpace(t); t != "" {
			some = append(some, t)
		}
	}
	return strings.Join(some, between)
}

// listItem writes an item of a list that is not in the body; in a cell, as a line.
func (r *renderer) listItem(l *listWriter, body func()) {
	if r.flat {
		r.flatItemOf("- ", 0, body)
		return
	}
	r.item(l, "", body)
}
