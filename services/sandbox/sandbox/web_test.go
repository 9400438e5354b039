package sandbox

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// browse opens a page like a person, without a credential.
func (c *caller) browse(path string) answer {
	c.t.Helper()
	req := c.request(http.MethodGet, path, "")
	req.Header.Del("Authorization")
	a := c.do(req)
	require.Contains(c.t, a.header.Get("Content-Type"), "text/html")
	return a
}

func TestEveryAddressOfAPageOpens(t *testing.T) {
	c := builtin(t)
	for _, row := range c.get(200, "/wiki/api/v2/pages?limit=250").rows() {
		a := c.browse("/wiki" + row["_links"].(map[string]any)["webui"].(string))
		require.Equal(t, 200, a.status, row["title"])
		require.Contains(t, a.raw, escapeTitle(row["title"].(string)))
	}
	for _, path := range []string{"/", "/wiki/", "/wiki/spaces/DEMO", "/wiki/spaces/DEMO/folder/65665"} {
		require.Equal(t, 200, c.browse(path).status, path)
	}
	for _, row := range c.get(200, "/wiki/api/v2/blogposts").rows() {
		require.Equal(t, 200, c.browse("/wiki"+row["_links"].(map[string]any)["webui"].(string)).status)
	}
}

func escapeTitle(s string) string { return strings.NewReplacer("&", "&amp;", "+", "&#43;").Replace(s) }

func TestBrowsablePagesHideWhatTheAPIHides(t *testing.T) {
	c := builtin(t)
	for _, path := range []string{"/wiki/spaces/DEMO/pages/65729/Salary+bands", "/wiki/spaces/DEMO/pages/65730/x", "/wiki/spaces/NO/overview", "/wiki/spaces/DEMO/pages/1/x"} {
		a := c.browse(path)
		require.Equal(t, 404, a.status, path)
		require.NotContains(t, a.raw, "58,000")
	}
	require.NotContains(t, c.browse("/wiki/spaces/DEMO/pages/65720/People").raw, "Salary bands")
}

func TestHeadingIDs(t *testing.T) {
	c, _, _ := small(t, Options{})
	p := create(t, c.site, Draft{Space: "ENG", Title: "Headings", Body: "<h2>Before you begin</h2><h3>Step</h3><h2>Step</h2><h2>Step</h2>" +
		"<h2>Größe &amp; <em>Gewicht</em></h2><h2> </h2>" +
		`<ac:structured-macro ac:name="expand"><ac:rich-text-body><h2>Inside a macro</h2></ac:rich-text-body></ac:structured-macro>`})
	page := c.browse("/wiki/spaces/ENG/pages/" + p.ID + "/Headings").raw
	for _, id := range []string{"Before-you-begin", "Step", "Step.1", "Step.2", "Größe-&amp;-Gewicht", "Inside-a-macro"} {
		require.Equal(t, 1, strings.Count(page, ` id="`+id+`"`), id)
	}
}

func TestRenderedElements(t *testing.T) {
	c := builtin(t)
	for path, wants := range map[string][]string{
		"65666": {`<div class="title">Who still signs with the old key</div>`, "received_at &gt; now()", `<div class="panel warning">`,
			`<a href="/wiki/spaces/DEMO/pages/65690/Shared+maintenance+window">neap window</a>`, "SEC-412", `id="If-it-goes-wrong"`},
		"65672": {`href="/wiki/spaces/DEMO/pages/65666/Rotate+the+signing+keys#If-it-goes-wrong">re-admit it</a>`},
		"65661": {`<span class="mention">@Jonas Brandt</span>`, "☐ Shadow", "☑ Break-glass", "<time>2026-01-05</time>"},
		"65614": {`<span id="layout"></span>`, `<a href="#layout">layout</a>`},
		"65611": {`<li class="level2"><a href="#Regions">Regions</a></li>`, `<th rowspan="2">`, "<figcaption>"},
		"65691": {"Planned work happens on Wednesdays", "We change nothing in production"},
		"65702": {"two days around the first and third quarter"},
		"65754": {"We are sorry about your night", "[send-button]"},
		"65681": {`<span class="status red">SEV1</span>`},
	} {
		page := c.browse("/wiki/spaces/DEMO/pages/" + path + "/x").raw
		for _, want := range wants {
			require.Contains(t, page, want, path)
		}
	}
	require.Equal(t, 1, strings.Count(c.browse("/wiki/spaces/DEMO/pages/65681/x").raw, "Rank does not count"), "the node or its fallback, not both")
}

func TestRenderedPagesRunNothing(t *testing.T) {
	c, _, _ := small(t, Options{})
	p := create(t, c.site, Draft{Space: "ENG", Title: `<img src=x onerror=alert(1)>`, Body: `<script>alert(2)</script><p onclick="x()">a</p>` +
		`<a href="javascript:alert(3)">b</a><ac:structured-macro ac:name="status"><ac:parameter ac:name="colour">"><script>4</script></ac:parameter>` +
		`<ac:parameter ac:name="title">&lt;script&gt;5</ac:parameter></ac:structured-macro><iframe src="https://x.example"></iframe>`})
	a := c.browse("/wiki/spaces/ENG/pages/" + p.ID)
	for _, bad := range []string{"<script", "onclick=", "javascript:", "<img", "<iframe"} {
		require.NotContains(t, a.raw, bad)
	}
	require.Equal(t, "default-src 'none'; style-src 'unsafe-inline'", a.header.Get("Content-Security-Policy"))
}

func TestIncludesDoNotTurnInCircles(t *testing.T) {
	c, _, _ := small(t, Options{})
	p := create(t, c.site, Draft{Space: "ENG", Title: "Loop", Body: `<p>round</p><ac:structured-macro ac:name="include"><ac:parameter ac:name="">` +
		`<ac:link><ri:page ri:content-title="Loop" /></ac:link></ac:parameter></ac:structured-macro>`})
	require.Equal(t, 4, strings.Count(c.browse("/wiki/spaces/ENG/pages/"+p.ID).raw, "<p>round</p>"))
}
