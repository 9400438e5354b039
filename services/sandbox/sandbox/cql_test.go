package sandbox

import (
	"fmt"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func find(c *caller, status int, cql string, more ...string) answer {
	c.t.Helper()
	q := url.Values{"cql": {cql}}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return c.get(status, "/wiki/rest/api/content/search?"+q.Encode())
}

func TestCQLClauses(t *testing.T) {
	c, ids := treeOf(t)
	require.NoError(t, c.site.SetLabels(ids["side"], "keys", "runbook"))
	quoted := create(t, c.site, Draft{ParentID: ids["top"], Title: `say "hi" \ there`, Body: "<p>The harbour office opens at seven.</p>", AuthorID: "712020:x"})
	for cql, want := range map[string][]string{
		`type = folder`:                                     {"folder"},
		`type in (folder, whiteboard)`:                      {"folder", "board"},
		`space = ENG and type != page`:                      {"folder", "board", "base", "link"},
		`space = "eng" and type not in (page)`:              {"folder", "board", "base", "link"},
		`space.key = 'ENG' AND title = "LEAF"`:              {"leaf"},
		`ancestor = ` + ids["folder"]:                       {"inner", "leaf"},
		`ancestor in (` + ids["folder"] + `, 999)`:          {"inner", "leaf"},
		`parent = ` + ids["folder"]:                         {"inner"},
		`id = ` + ids["leaf"]:                               {"leaf"},
		`id in ("` + ids["leaf"] + `",` + ids["side"] + `)`: {"side", "leaf"},
		`content = ` + ids["leaf"]:                          {"leaf"},
		`label = keys`:                                      {"side"},
		`label in (RUNBOOK, other)`:                         {"side"},
		`creator = "712020:x"`:                              {`say "hi" \ there`},
		`contributor = "712020:x"`:                          {`say "hi" \ there`},
		`creator = currentUser() and title = top`:           {"top"},
		`title = "say \"hi\" \\ there"`:                     {quoted.Title},
		`title = 'say "hi" \\ there'`:                       {quoted.Title},
		`title ~ "hi there"`:                                {quoted.Title},
		`text ~ "office harbour"`:                           {quoted.Title},
		`text ~ "\"harbour office\""`:                       {quoted.Title},
		`text ~ "\"office harbour\""`:                       {},
		`siteSearch ~ "seven"`:                              {quoted.Title},
		`title = leaf or title = side`:                      {"side", "leaf"},
		`title = leaf or title = side and type = folder`:    {"leaf"},
		`(title = leaf or title = side) and type = folder`:  {},
		`type = page and not title in (top, leaf, inner, "Engineering") and not creator = "712020:x"`: {"side"},
		`space = "NOSUCH"`:            {},
		`space.type = personal`:       {},
		`created <= now() and id = 1`: {},
	} {
		require.Equal(t, want, find(c, 200, cql, "limit", "100").column("title"), cql)
	}
}

func TestCQLRefuses(t *testing.T) {
	c, _, _ := small(t, Options{})
	for cql, words := range map[string]string{
		``:                                "the query is empty",
		`status = current`:                "No field exists with the name: 'status'\nDid you mean one of : ancestor, ",
		`type = banana`:                   "not valid for the field 'type'",
		`id = abc`:                        "not valid for the field 'id'",
		`space = "ENG`:                    "a string is not closed",
		`space = AND`:                     "a value was expected",
		`space = ENG type = page`:         `unexpected "type"`,
		`(space = ENG`:                    "a parenthesis is not closed",
		`space in ENG`:                    "a list in parentheses",
		`space in (ENG`:                   "a list is not closed",
		`space > ENG`:                     "does not support the operator",
		`lastModified ~ "2026"`:           "does not support the operator",
		`lastModified > "last tuesday"`:   "Could not parse date",
		`lastModified > now("-90x")`:      "Could not parse the increment",
		`lastModified > yesterday()`:      "not known for a date",
		`space = currentSpaces()`:         "not known for the field",
		`space != ENG`:                    "a negative expression cannot be the first clause",
		`not space = ENG`:                 "a negative expression cannot be the first clause",
		`type = page order by colour`:     "cannot be ordered by",
		`type = page order by`:            "order by needs a field",
		`type = page order by title nope`: "after order by",
		`= x`:                             "a field was expected",
		`space ! x`:                       "an operator was expected",
		`space = ~712020abc`:              "a value was expected", // personal keys must be quoted
	} {
		a := find(c, 400, cql)
		require.Contains(t, a.body["message"], words, cql)
		require.EqualValues(t, 400, a.body["statusCode"])
	}
	require.Contains(t, find(c, 500, `text ~ ""`).body["message"], "NullPointerException: query parameter is required")
}

func TestAnInjectedClauseReallyInjects(t *testing.T) {
	c, ids := treeOf(t)
	title := `leaf" or type = "page`
	require.Len(t, find(c, 200, `title = "`+title+`"`).rows(), 5, "unescaped, it finds every page")
	require.Empty(t, find(c, 200, `title = "leaf\" or type = \"page"`).rows(), "escaped, it is a title that no page has")
	id := ids["leaf"] + " or type = folder"
	require.Len(t, find(c, 200, `id = `+id).rows(), 2)
	find(c, 400, `id = "`+id+`"`)
}

func TestCQLDatesAreMinutesInTheUsersZone(t *testing.T) {
	clk := newClock() // 2026-06-01 12:00 UTC
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	site := New(Options{Now: clk.Now, TimeZone: berlin})
	require.NoError(t, site.AddSpace("ENG", "Engineering"))
	clk.advance(30*time.Minute + 40*time.Second) // 12:30:40 UTC is 14:30:40 in Berlin
	p := create(t, site, Draft{Space: "ENG", Title: "late"})
	clk.advance(10 * time.Minute)
	c := serve(t, site)
	for clause, found := range map[string]bool{
		`lastModified >= "2026-06-01 14:30"`:         true,
		`lastModified > "2026-06-01 14:30"`:          false, // the seconds do not count
		`lastModified = "2026/06/01 14:30"`:          true,
		`lastModified <= "2026-06-01 14:30"`:         true,
		`lastModified < "2026/06/01 14:31"`:          true,
		`lastModified >= "2026-06-01 14:31"`:         false,
		`lastModified >= "2026-06-01"`:               true,
		`lastModified < "2026/06/01"`:                false,
		`lastmodified >= now("-10m")`:                true,
		`lastmodified >= now("-9m")`:                 false,
		`lastmodified >= now("-1h")`:                 true,
		`lastmodified <= now()`:                      true,
		`lastmodified >= startOfDay()`:               true,
		`lastmodified >= startOfDay("+1d")`:          false,
		`created >= startOfMonth("-1M")`:             true,
		`created >= startOfYear() and id != 1`:       true,
		`created > startOfWeek("+2w")`:               false,
		`lastmodified > now("-4w") and id = ` + p.ID: true,
	} {
		require.Equal(t, found, slices.Contains(find(c, 200, clause, "limit", "50").column("id"), p.ID), clause)
	}
	require.Equal(t, "Europe/Berlin", c.get(200, "/wiki/rest/api/user/current").body["timeZone"])
}

func TestCQLOrders(t *testing.T) {
	site := New(Options{})
	site.AddGenerated("GEN", 150, 5)
	c := serve(t, site)
	for _, order := range []string{"lastmodified", "lastmodified desc", "created", "title desc", "id", "type, title asc", "space desc, id desc"} {
		q := url.Values{"cql": {"space = GEN order by " + order}, "limit": {"40"}}
		path, seen := "/wiki/rest/api/content/search?"+q.Encode(), map[string]bool{}
		for path != "" {
			a := c.get(200, path)
			for _, id := range a.column("id") {
				require.False(t, seen[id], "%s: %s twice", order, id)
				seen[id] = true
			}
			if path = a.next(); path != "" {
				path = "/wiki" + path
			}
		}
		require.Len(t, seen, 150, order)
	}
	a := find(c, 200, "space = GEN order by created desc", "limit", "200", "expand", "history")
	var last string
	for i, row := range a.rows() {
		at := fmt.Sprint(row["history"].(map[string]any)["createdDate"])
		if i > 0 {
			require.LessOrEqual(t, at, last)
		}
		last = at
	}
}
