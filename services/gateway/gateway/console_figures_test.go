package gateway

import (
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/gateway/console"
)

// ofTheAPI has the routes whose answers have the figures of a view. A view that is not here fails the test.
var ofTheAPI = map[string][]string{
	"":                                  {"/api/confluence/sources", "/api/confluence/docs/status", "/api/confluence/hr/status", "/api/confluence/docs/runs", "/api/confluence/hr/runs", "/api/embeddings"},
	"/sources/{source_id}":              {"/api/confluence/docs", "/api/confluence/docs/status", "/api/confluence/docs/runs"},
	"/sources/{source_id}/pages":        {"/api/confluence/docs/pages", "/api/confluence/docs"},
	"/sources/{source_id}/pages/{page}": {"/api/pages/12", "/api/pages/12/chunks", "/api/confluence/docs", "/api/confluence/docs/runs/first-docs"},
	"/sources/{source_id}/pages/{page}/access": {"/api/pages/12/access?account=ann"},
	"/sources/{source_id}/failures":            {"/api/confluence/docs/failures"},
	"/sources/{source_id}/losses":              {"/api/confluence/docs/losses"},
	"/sources/{source_id}/settings":            {"/api/confluence/docs"},
	"/runs/{run}":                              {"/api/progress/second", "/api/confluence/docs/runs/second"},
	"/runs/{run}/events":                       nil, // a part of the view of the run
	"/runs/{run}/pages":                        {"/api/confluence/docs/failures"},
	"/removals":                                {"/api/confluence/docs/removals"},
	"/removals/{run}":                          {"/api/confluence/docs/removals"},
	"/search":                                  nil, // its figures explain the order, which the API does not
	"/system":                                  {"/api/system"},
	"/system/embeddings":                       {"/api/embeddings"},
	"/system/doctor":                           {"/api/doctor"},
	"/system/keys":                             {"/api/keys"},
	"/system/credentials":                      {"/api/credentials"},
	"/add":                                     nil, // forms, and what a site says
	"/add/space":                               nil,
	"/add/settings":                            nil,
}

// figuresAt has other addresses than viewPaths, where there is more to see.
var figuresAt = map[string]string{"/runs/{run}": "/runs/second", "/runs/{run}/pages": "/runs/second/pages?outcome=failed"}

// derived are figures that the console makes of several ones of the API, and those that only the console has, by their names.
var derived = map[string]string{
	"Pages a second": "pages by time", "Took": "the time between two times", "Half within": "rounded", "95% within": "rounded", "Full": "a share", "Embedded": "a share",
	"Vectors": "a share", "Oldest change that waits": "the console's own", "Attempts": "of a page's journey, the console's own", "From fetched to stored": "rounded",
	"Dead rows": "of a moment", "Rows, about": "of a moment", "Data": "of a moment", "Indexes": "of a moment", "Size": "of a moment", "Connections": "of a moment",
	"Messages": "of a moment, walked in TestTheSystemIsForThoseWhoRunIt", "Waiting": "of a moment, walked there too", "In work": "the same", "Redelivered": "the same", "Free workers": "the same",
	"Listing": "rounded", "From listed to the last page": "rounded", "Read from the site": "rounded", "Body": "rounded", "Bodies": "rounded",
}

// figure is a number or a time that a view shows under a name.
type figure struct{ name, text string }

var leadingNumber = regexp.MustCompile(`^-?[\d,]+(\.\d+)?`)

// figuresOf are the figures of a page: in the cells of its tables, in its lists of facts, and in balances.
func figuresOf(doc *goquery.Document) []figure {
	var list []figure
	add := func(name string, of *goquery.Selection) {
		if at, ok := of.Find("time").First().Attr("datetime"); ok {
			list = append(list, figure{name, at})
		} else if n := leadingNumber.FindString(strings.TrimSpace(of.Text())); n != "" {
			list = append(list, figure{name, strings.ReplaceAll(n, ",", "")})
		}
	}
	doc.Find("table").Each(func(_ int, table *goquery.Selection) {
		heads := table.Find("thead th")
		table.Find("tbody tr").Each(func(_ int, row *goquery.Selection) {
			row.Children().Each(func(i int, cell *goquery.Selection) {
				if cell.HasClass("n") || cell.Find("time").Length() > 0 {
					add(strings.TrimSpace(heads.Eq(i).Text()), cell)
				}
			})
		})
	})
	doc.Find(".facts > div").Each(func(_ int, fact *goquery.Selection) { add(strings.TrimSpace(fact.Find("dt").Text()), fact.Find("dd")) })
	doc.Find(".balance small").Each(func(_ int, name *goquery.Selection) { add(name.Text(), name.Parent().Find("b")) })
	return list
}

// told are the numbers and times in an answer of the API, as the console writes them.
func told(v any, into map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for _, one := range v {
			told(one, into)
		}
	case []any:
		into[strconv.Itoa(len(v))] = true
		for _, one := range v {
			told(one, into)
		}
	case float64:
		into[strconv.FormatFloat(v, 'f', -1, 64)] = true
	case string:
		if at, err := time.Parse(time.RFC3339, v); err == nil {
			into[at.UTC().Format(time.RFC3339)] = true
		}
		into[leadingNumber.FindString(v)] = true // versions of programs
	}
}

// everyFigure walks through all views: whatever number or time one shows is in the API's answers for the same, or has a
// reason not to be.
func (w *world) everyFigure(key string) {
	w.t.Helper()
	v := w.loggedIn(key)
	walked := map[string]bool{}
	for pattern, role := range console.Views() {
		view, get := strings.CutPrefix(pattern, "GET /console")
		if !get {
			continue
		}
		routes, known := ofTheAPI[view]
		require.True(w.t, known, "a new view: say which routes of the API have its figures: %s (%s)", view, role)
		if routes == nil {
			continue
		}
		path := viewPaths[view]
		if at := figuresAt[view]; at != "" {
			path = at
		}
		from := map[string]bool{"0": true}
		for _, route := range routes {
			var body any
			w.wants(http.StatusOK, key, http.MethodGet, route, "").into(&body)
			told(body, from)
		}
		for _, f := range figuresOf(v.document(path)) {
			if derived[f.name] != "" {
				continue
			}
			walked[f.name] = true
			assert.True(w.t, from[f.text], "%s shows %q under %q, which none of %v has", path, f.text, f.name, routes)
		}
	}
	for _, name := range []string{"Pages", "Chunks", "Failed", "Failed pages", "listed", "created", "Version", "Times", "Words", "Migration", "Listed", "Changed", "Complete up to", "Created"} {
		require.True(w.t, walked[name], "no view shows %q: %v", name, slices.Sorted(maps.Keys(walked)))
	}
}

func TestFiguresAreFoundInAPage(t *testing.T) {
	t.Parallel()
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(`<table><thead><tr><th>Page</th><th>Version</th><th>Changed</th></tr></thead><tbody><tr><th>12</th><td class="n">1,234</td><td><time datetime="2026-01-02T03:04:05Z">x</time></td></tr></tbody></table>
		<dl class="facts"><div><dt>Chunks</dt><dd>7 of 9</dd></div></dl><div class="balance"><span><b>3</b><small>listed</small></span></div>`))
	require.NoError(t, err)
	require.Equal(t, []figure{{"Version", "1234"}, {"Changed", "2026-01-02T03:04:05Z"}, {"Chunks", "7"}, {"listed", "3"}}, figuresOf(doc))
	var body any
	require.NoError(t, json.Unmarshal([]byte(`{"a": [1234, {"at": "2026-01-02T04:04:05.9+01:00"}]}`), &body))
	from := map[string]bool{}
	told(body, from)
	require.True(t, from["1234"] && from["2026-01-02T03:04:05Z"])
}
