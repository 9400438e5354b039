package sandbox

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// One row of a list is odd, and the other rows are unchanged.
func TestFaultOddRow(t *testing.T) {
	c, alpha, beta := small(t, Options{})
	list := "/wiki/api/v2/spaces/" + c.spaceID("ENG") + "/pages"
	before := c.get(200, list).rows()
	set := func(row string) {
		c.post(200, "/_sandbox/faults", `{"faults":[{"kind":"odd-row","page_id":"`+beta.ID+`","route":"/wiki/api/v2/*","row":`+row+`}]}`)
	}
	row := func() map[string]any {
		rows := c.get(200, list).rows()
		require.Len(t, rows, len(before))
		var odd map[string]any
		for i, r := range rows {
			if r["id"] == beta.ID {
				odd = r
			} else {
				require.Equal(t, before[i], r)
			}
		}
		return odd
	}

	set(`{"version":{"createdAt":"the day before yesterday"}}`)
	version := row()["version"].(map[string]any)
	require.Equal(t, "the day before yesterday", version["createdAt"])
	require.EqualValues(t, 1, version["number"], "what is not named stays")
	set(`{"version":{"number":2147483648}}`)
	require.EqualValues(t, 1<<31, row()["version"].(map[string]any)["number"])
	require.EqualValues(t, 1<<31, c.get(200, "/wiki/api/v2/pages/"+beta.ID).body["version"].(map[string]any)["number"], "the page by itself too")
	require.EqualValues(t, 1, c.get(200, "/wiki/api/v2/pages/"+alpha.ID).body["version"].(map[string]any)["number"])
	set(`{"status":null}`)
	require.NotContains(t, row(), "status")
	c.post(400, "/_sandbox/faults", `{"faults":[{"kind":"odd-row"}]}`)

	require.NoError(t, c.site.SetFaults(1, Fault{Kind: FaultOddRow, Row: map[string]any{"id": 7}}))
	require.EqualValues(t, 7, c.get(200, list).rows()[0]["id"], "the first row where none is named")
}

// Confluence keeps a NUL in a text; databases do not.
func TestANULInATitleAndInALinkIsServed(t *testing.T) {
	c, alpha, _ := small(t, Options{})
	odd := c.post(201, "/_sandbox/pages", `{"parent_id":"`+alpha.ID+`","title":"Odd\u0000title","body":"<p><ac:link><ri:page ri:content-title=\"Al\u0000pha\" /></ac:link></p>"}`).page(t)
	got := c.get(200, "/wiki/api/v2/pages/"+odd.ID+"?body-format=storage").body
	require.Equal(t, "Odd\x00title", got["title"])
	require.Contains(t, got["body"].(map[string]any)["storage"].(map[string]any)["value"], "Al\x00pha")
}

func TestFaultForbidden(t *testing.T) {
	c, alpha, _ := small(t, Options{})
	folder := create(t, c.site, Draft{Kind: KindFolder, ParentID: alpha.ID, Title: "Folder"})
	at := "/wiki/api/v2/folders/" + folder.ID
	require.NoError(t, c.site.SetFaults(1,
		Fault{Kind: FaultForbidden, Route: "/wiki/api/v2/folders/{id}", Times: 1},
		Fault{Kind: FaultServer, Route: "/wiki/api/v2/folders/{id}", Times: 1},
		Fault{Kind: FaultForbidden, Route: "/wiki/rest/api/*"},
	))
	require.Contains(t, c.get(403, at).title(), "permission")
	c.get(500, at)
	c.get(200, at)
	c.get(200, "/wiki/api/v2/pages/"+alpha.ID)
	require.Contains(t, c.get(403, "/wiki/rest/api/user/current").body["message"], "not permitted")
}

func TestFaultIPAllowlist(t *testing.T) {
	a := faulty(t, Options{}, Fault{Kind: FaultAllowlist}).get(403, listed)
	require.Contains(t, a.header.Get("Content-Type"), "text/html")
	require.Contains(t, a.raw, "IP address")
}

func TestFaultGone(t *testing.T) {
	c := faulty(t, Options{}, Fault{Kind: FaultGone, Route: "/wiki/*"})
	require.Contains(t, c.get(410, listed).title(), "removed")
	require.Contains(t, c.get(410, "/wiki/rest/api/content/search?cql=type=page").body["message"], "removed")
}

// The label search and the search for changes are one route with other queries.
func TestFaultOfOneQuery(t *testing.T) {
	c := faulty(t, Options{}, Fault{Kind: FaultServer, Status: 503, Route: "/wiki/rest/api/content/search", Query: "expand=metadata.labels"})
	search := "/wiki/rest/api/content/search?cql=type%3Dpage"
	c.get(200, search)
	c.get(200, search+"&expand=version")
	c.get(503, search+"&expand=metadata.labels")
	c.get(200, listed)
}

// References of a page cannot be looked up, and the lists work.
func TestFaultOfSideLookups(t *testing.T) {
	c, alpha, _ := small(t, Options{})
	list := "/wiki/api/v2/spaces/" + c.spaceID("ENG") + "/pages"
	require.NoError(t, c.site.SetFaults(1, Fault{Kind: FaultServer, Route: "/wiki/api/v2/users-bulk"}, Fault{Kind: FaultServer, Route: "/wiki/api/v2/spaces"}))
	c.post(500, "/wiki/api/v2/users-bulk", `{"accountIds":["`+apiUser+`"]}`)
	c.get(500, "/wiki/api/v2/spaces?keys=ENG")
	require.Contains(t, c.get(200, list).column("id"), alpha.ID)
}

func TestFaultRetryAfterOfTenYears(t *testing.T) {
	clk := newClock()
	a := faulty(t, Options{Now: clk.Now}, Fault{Kind: FaultTooMany, RetryAfter: 315_360_000}).get(429, listed)
	require.Equal(t, "315360000", a.header.Get("Retry-After"))
	require.Equal(t, "2036-05-29T12:00:00Z", a.header.Get("X-RateLimit-Reset"))
}

func TestFaultTrickle(t *testing.T) {
	c := faulty(t, Options{}, Fault{Kind: FaultTrickle, DelayMS: 1, Route: "/wiki/rest/api/user/current"})
	began := time.Now()
	_, _, body, err := c.raw("/wiki/rest/api/user/current")
	require.NoError(t, err)
	require.True(t, json.Valid([]byte(body)))
	require.Greater(t, time.Since(began), time.Duration(len(body)/2)*time.Millisecond, "byte by byte")

	slow := faulty(t, Options{}, Fault{Kind: FaultTrickle})
	res, err := http.DefaultClient.Do(slow.request(http.MethodGet, listed, ""))
	require.NoError(t, err, "the head comes immediately")
	first := make([]byte, 64)
	n, err := res.Body.Read(first)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.NoError(t, res.Body.Close())
	require.Eventually(t, func() bool { return slow.site.Stats().Active == 0 }, 5*time.Second, 10*time.Millisecond, "it ends with its caller")
}
