package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/store/search"
)

const hitsShown = 10

type searchData struct {
	Query, Source, Space, Under, Label, Since, As string
	Limit                                         int
	LooksFor, ActAs                               bool // people with the key may look as others; programs may
	Asked                                         bool
	Answer                                        search.Answer
	Hits                                          []hit
	API, MCP                                      string // the calls with the same answer
}

// hit is a hit with its ranks.
type hit struct {
	search.Hit
	Legs    []search.Place
	Snippet []piece
}

// piece is a part of a snippet.
type piece struct {
	Text   string
	Marked bool // it matched
}

func (c *Console) search(r *request) (answer, error) {
	q := r.URL.Query()
	d := searchData{
		Query: strings.TrimSpace(q.Get("q")), Source: q.Get("source"), Space: q.Get("space"), Under: q.Get("under"), Label: q.Get("label"),
		Since: q.Get("since"), As: q.Get("as"), Limit: hitsShown, LooksFor: r.caller.Key.LooksFor(), ActAs: r.caller.Key.ActAs,
	}
	if d.Query == "" {
		return show("search", "Search", d)
	}
	if n, err := strconv.Atoi(q.Get("limit")); err == nil {
		d.Limit = max(1, min(n, search.MaxHits))
	}
	v, err := r.caller.Key.ViewerFor(d.As)
	if err != nil {
		return answer{}, &problemError{Problem{http.StatusForbidden, "forbidden", "As whom: " + err.Error() + "."}}
	}
	f := search.Filter{SourceID: d.Source, SpaceKey: d.Space, Under: d.Under, Label: d.Label, Limit: d.Limit}
	if f.ModifiedSince, err = dayOf(d.Since); err != nil {
		return answer{}, err
	}
	d.Asked = true
	var noPage *control.UnknownPageError
	if d.Answer, err = c.Control.Explain(r.Context(), v, d.Query, f); err != nil && !errors.As(err, &noPage) { // no page is below an unknown one
		return answer{}, err
	}
	for i, h := range d.Answer.Hits {
		one := hit{Hit: h, Snippet: pieces(h.Snippet)}
		if i < len(d.Answer.Legs) {
			one.Legs = d.Answer.Legs[i]
		}
		d.Hits = append(d.Hits, one)
	}
	d.API, d.MCP = c.calls(r, d, f)
	return show("search", d.Query, d)
}

// dayOf is the day in a filter of an address; zero for none.
func dayOf(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return day, &problemError{Problem{http.StatusUnprocessableEntity, "invalid", "Changed since needs a day, such as 2026-01-31."}}
	}
	return day, nil
}

// pieces splits a snippet at the marks of what matched.
func pieces(snippet string) []piece {
	var list []piece
	for i, text := range strings.Split(snippet, search.MarkStart) {
		if i == 0 {
			list = append(list, piece{Text: text})
			continue
		}
		marked, rest, _ := strings.Cut(text, search.MarkEnd)
		list = append(list, piece{Text: marked, Marked: true}, piece{Text: rest})
	}
	return list
}

// calls are the calls of the API and of the MCP server that give the same answer, to copy.
func (c *Console) calls(r *request, d searchData, f search.Filter) (api, mcp string) {
	args := map[string]any{"query": d.Query, "limit": d.Limit}
	for name, value := range map[string]string{"source_id": f.SourceID, "space_key": f.SpaceKey, "under": f.Under, "label": f.Label} {
		if value != "" {
			args[name] = value
		}
	}
	if !f.ModifiedSince.IsZero() {
		args["modified_since"] = f.ModifiedSince.Format(time.RFC3339)
	}
	body, err := json.Marshal(args)
	if err != nil {
		return "", ""
	}
	reader := ""
	if d.As != "" {
		reader = " \\\n  -H 'Sluice-Reader: " + d.As + "'"
	}
	api = "curl -sSf " + c.Door.Public(r.Request) + "/api/knowledge/search \\\n  -H \"Authorization: Bearer $SLUICE_KEY\" -H 'Content-Type: application/json'" +
		reader + " \\\n  -d '" + strings.ReplaceAll(string(body), "'", `'\''`) + "'"
	tool := map[string]any{"query": d.Query, "limit": d.Limit}
	for name, value := range map[string]string{"source": f.SourceID, "space": f.SpaceKey, "under": f.Under, "label": f.Label, "since": d.Since} {
		if value != "" {
			tool[name] = value
		}
	}
	params := map[string]any{"name": "search", "arguments": tool}
	if d.As != "" {
		params["_meta"] = map[string]any{"sluice/reader": d.As}
	}
	call, err := json.MarshalIndent(map[string]any{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}, "", "  ")
	if err != nil {
		return "", ""
	}
	return api, string(call)
}
