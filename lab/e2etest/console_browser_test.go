//go:build browser

package e2etest

import (
	"flag"
	"fmt"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

var screenshots = flag.String("screenshots", "", "folder for a picture of each view of the console, light and dark, desktop and phone")

// hostile is a title that would run a script wherever it is not escaped.
const hostile = `"'></title></td><script>window.owned=1</script><img src=x onerror="window.owned=1">`

// The walk of a person: log in, add a source, watch its run, retry a failed page, approve removals, search, and be logged
// out when the key is revoked.
func TestAPersonWalksThroughTheConsole(t *testing.T) {
	site := sandbox.New(sandbox.Options{})
	site.AddBuiltin()
	site.AddGenerated("GEN", 60, 1)
	w := newWorld(t, sandbox.BuiltinSpace, site)
	w.startAll()
	odd, err := site.CreatePage(sandbox.Draft{Space: "GEN", Title: "The odd page", Body: "<p>A heron sleeps.</p>"})
	require.NoError(t, err)
	id, key := w.newKey("a person", apikey.Admin)
	c := w.serveConsole()
	b := newBrowser(t, c.url)

	b.open("/search?q=heron")
	b.see("Log in")
	b.logIn(key)
	require.Equal(t, "/console/search?q=heron", b.path(), "where one wanted to go")

	// Add a source and watch its first run to its end. The bodies are slow, and the network breaks meanwhile.
	require.NoError(t, site.SetFaults(1,
		sandbox.Fault{Kind: sandbox.FaultOddRow, Route: "/wiki/api/v2/*", PageID: odd.ID, Row: map[string]any{"version": map[string]any{"createdAt": "yesterday"}}},
		sandbox.Fault{Kind: sandbox.FaultSlow, Query: "body-format", DelayMS: 1500}))
	b.open("")
	b.press("Add a source")
	b.fill("base_url", "https://evil.example")
	b.press("Test it and list the spaces")
	b.see("is not an allowed host")
	b.fill("base_url", w.served.URL+"/wiki")
	b.press("Test it and list the spaces")
	b.see("may read 2 spaces")
	b.fill("q", "gen")
	b.press("Search")
	b.see("1 space of 2")
	b.press("Generated space GEN")
	b.see("The credential may read the space")
	b.fill("display_name", "Generated")
	_ = value[bool](b, `["permissions", "permissions_confirmed"].map(n => [...document.getElementsByName(n)].pop().click()).length > 0`)
	b.press("Add it and start the first sync")
	b.see("pages done")
	b.see("Calls that wait for the budget") // the live part came
	c.line.cut.Store(true)
	c.srv.CloseClientConnections()
	c.line.cut.Store(false)
	b.see("completed with failures")
	b.see("Where the time went") // the page went on to the report by itself
	run := b.path()
	b.press("failed")
	b.see(odd.ID) // its row could not be read, so its title is not known
	require.Equal(t, run+"/pages?outcome=failed", b.path())

	// Open the failed page and retry it.
	require.NoError(t, site.SetFaults(0))
	b.press(odd.ID)
	b.see("The page is not stored")
	b.press("Retry")
	b.see("Where the time went")
	b.open("/sources/gen/failures")
	b.see("No page is failed")
	b.open("/sources/gen/pages/" + odd.ID)
	b.see("A heron sleeps.")

	// Many pages leave: the run is held, and a person approves.
	home, err := site.Page(odd.ID)
	require.NoError(t, err)
	gone := 0
	for _, p := range site.Pages("GEN") {
		if p.ID != odd.ID && p.ID != home.ParentID && gone < 25 && site.TrashPage(p.ID) == nil {
			gone++
		}
	}
	b.open("/sources/gen")
	b.press("Sync everything")
	b.see("Where the time went")
	b.see("held")
	b.open("")
	b.press("Removals of gen wait")
	b.see("held back")
	b.press("Approve")
	b.see("It carries out the removals")
	b.see("Where the time went")
	b.open("/removals?source=gen")
	b.see("No removals wait for a decision")
	b.see("trashed")

	// Search and open a hit.
	b.open("/search")
	b.fill("q", "heron sleeps")
	b.press("Search")
	b.see("Why it is here")
	b.press("The odd page")
	b.see("Its journey")
	require.Contains(t, b.path(), "/console/sources/gen/pages/"+odd.ID+"#chunk-")

	// Revoke the own key: it is logged out at once, and logs in no more.
	b.open("/system/keys")
	b.press("Revoke the key of a person")
	b.see("Log in")
	b.open("/sources/gen")
	b.see("Log in")
	b.fill("key", key)
	b.press("Log in")
	b.see("wrong or revoked")
	revoked, err := w.store.Vault().APIKey(t.Context(), id)
	require.NoError(t, err)
	require.False(t, revoked.RevokedAt.IsZero())
	b.clean()
}

// Every view shows hostile titles and texts as text, is accessible in light and dark, on a desktop and a phone, loads
// nothing from elsewhere, and breaks no rule of its own content security policy.
func TestEveryViewOfTheConsoleInABrowser(t *testing.T) {
	site := sandbox.New(sandbox.Options{})
	site.AddBuiltin()
	evil, err := site.CreatePage(sandbox.Draft{Space: sandbox.BuiltinSpace, Title: hostile, Labels: []string{"x"},
		Body: `<h1>&lt;script&gt;window.owned=1&lt;/script&gt;</h1><p>ibis &lt;img src=x onerror=window.owned=1&gt; <a href="javascript:window.owned=1">press</a> <a href="https://evil.example/">go</a></p>` +
			`<ac:image><ri:url ri:value="https://evil.example/x.png" /></ac:image><p>![x](https://evil.example/y.png) [y](javascript:window.owned=1)</p><table><tbody><tr><th>a</th><th>b</th></tr><tr><td>1</td><td><code>&lt;/pre&gt;&lt;script&gt;</code></td></tr></tbody></table>`})
	require.NoError(t, err)
	bad, err := site.CreatePage(sandbox.Draft{Space: sandbox.BuiltinSpace, Title: hostile + "2", Body: "<p>x</p>"})
	require.NoError(t, err)
	w := newWorld(t, sandbox.BuiltinSpace, site)
	name := "Handbook"
	if *screenshots == "" {
		name = hostile
	}
	require.NoError(t, w.store.UpdateSource(t.Context(), source, store.SourceChange{DisplayName: name, Tags: []string{"policy"}}))
	w.startAll()
	require.NoError(t, site.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultOddRow, Route: "/wiki/api/v2/*", PageID: bad.ID, Row: map[string]any{"version": map[string]any{"createdAt": "yesterday"}}}))
	require.Equal(t, event.StateCompletedWithFailures, w.sync(event.Full).State)
	require.NoError(t, site.SetFaults(0))
	pages, err := w.store.Reader().Pages(t.Context(), viewer.All(), source, store.PageFilter{Part: store.Whole()})
	require.NoError(t, err)
	gone := 0
	for _, p := range pages {
		if p.ID != evil.ID && gone < 25 && site.TrashPage(p.ID) == nil {
			gone++
		}
	}
	require.NoError(t, site.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultOddRow, Route: "/wiki/api/v2/*", PageID: bad.ID, Row: map[string]any{"version": map[string]any{"createdAt": "yesterday"}}}))
	held := w.sync(event.Full)
	require.Equal(t, event.StateHeld, held.State, "%d of %d pages left: %+v", gone, len(pages), held)
	_, key := w.newKey("A. Person", apikey.Admin)
	c := w.serveConsole()
	b := newBrowser(t, c.url)

	views := []struct{ name, path, shows string }{
		{"overview", "", "Waits for you"},
		{"source", "/sources/docs", "Sync what changed"},
		{"pages", "/sources/docs/pages", "Labels"},
		{"page", "/sources/docs/pages/" + evil.ID, "ibis"},
		{"access", "/sources/docs/pages/" + evil.ID + "/access?account=ann", "to ann"},
		{"failures", "/sources/docs/failures", "Retry all"},
		{"losses", "/sources/docs/losses", "Macro or element"},
		{"settings", "/sources/docs/settings", "Delete the source"},
		{"run", "/runs/run-1", "Where the time went"},
		{"run-pages", "/runs/run-1/pages?outcome=created", "created"},
		{"run-failed", "/runs/run-1/pages?outcome=failed", "Attempts"},
		{"removals", "/removals", "held back"},
		{"removals-run", "/removals/" + held.RunID, "Approve"},
		{"search", "/search?q=ibis", "Why it is here"},
		{"search-empty", "/search", "What for"},
		{"add", "/add", "Test it and list the spaces"},
		{"add-space", "/add/space?site=" + url.QueryEscape(w.served.URL+"/wiki"), "may read"},
		{"add-settings", "/add/settings?site=" + url.QueryEscape(w.served.URL+"/wiki") + "&space=" + sandbox.BuiltinSpace, "may read the space"},
		{"add-wrong", "/add/settings?site=" + url.QueryEscape("https://evil.example") + "&space=X", "is not an allowed host"},
		{"system", "/system", "Request budgets"},
		{"vectors", "/system/embeddings", "Nothing is embedded"},
		{"doctor", "/system/doctor", "Examine again"},
		{"keys", "/system/keys", "Make the key"},
		{"credentials", "/system/credentials", "Store or replace a token"},
		{"error", "/nothing", "Not found"},
	}
	if *screenshots != "" { // a page that people would have, too
		views = append(views, struct{ name, path, shows string }{"page-usual", "/sources/docs/pages/" + usual(t, pages), "Its journey"},
			struct{ name, path, shows string }{"search-usual", "/search?q=rotate+the+signing+keys", "Why it is here"})
	}
	b.open("")
	b.screen(true, true)
	b.accessible("login")
	b.screen(false, false)
	b.accessible("login")
	b.logIn(key)
	for _, form := range []struct{ phone, dark bool }{{false, false}, {true, true}, {false, true}, {true, false}} {
		if form.phone != form.dark && *screenshots == "" {
			continue // each size and each colour was seen
		}
		b.screen(form.phone, form.dark)
		for _, v := range views {
			b.open(v.path)
			b.see(v.shows)
			_ = value[int](b, `[...document.querySelectorAll("details")].map(d => d.open = true).length`)
			what := fmt.Sprintf("%s, phone %t, dark %t", v.name, form.phone, form.dark)
			b.accessible(what)
			require.False(t, value[bool](b, `!!window.owned || !!document.querySelector("main script, main img, main [onerror], main a[href^='javascript']")`), what)
			if *screenshots != "" {
				b.shoot(*screenshots, v.name+map[bool]string{true: "-phone", false: "-desktop"}[form.phone]+map[bool]string{true: "-dark", false: "-light"}[form.dark])
			}
		}
	}
	b.clean()
}

// usual is a stored page that is as pages are.
func usual(t *testing.T, pages []store.PageInfo) string {
	t.Helper()
	best := pages[0]
	for _, p := range pages {
		if p.WordCount > best.WordCount {
			best = p
		}
	}
	return best.ID
}
