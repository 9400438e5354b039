package sandbox

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func generatedSite(t *testing.T, pages int) *caller {
	t.Helper()
	site := New(Options{})
	site.AddGenerated("GEN", pages, 1)
	return serve(t, site)
}

func TestSearchNextIsWithoutWiki(t *testing.T) {
	c := generatedSite(t, 60)
	a := find(c, 200, "type = page", "limit", "25")
	require.True(t, strings.HasPrefix(a.next(), "/rest/api/content/search?next=true&"), a.next())
	next, err := url.Parse(a.next())
	require.NoError(t, err)
	require.NotEmpty(t, next.Query().Get("cursor"))
	require.Equal(t, "type = page", next.Query().Get("cql"))
	second := c.get(200, "/wiki"+a.next())
	third := c.get(200, "/wiki"+second.next())
	require.Len(t, third.rows(), 10)
	require.NotContains(t, third.body["_links"], "next")
	require.Len(t, unique(a.column("id"), second.column("id"), third.column("id")), 60)
}

func unique(lists ...[]string) map[string]bool {
	out := map[string]bool{}
	for _, l := range lists {
		for _, s := range l {
			out[s] = true
		}
	}
	return out
}

func TestSearchIgnoresStart(t *testing.T) {
	c := generatedSite(t, 60)
	first := find(c, 200, "type = page")
	require.Equal(t, first.column("id"), find(c, 200, "type = page", "start", "25").column("id"))
	require.EqualValues(t, 0, first.body["start"])
}

func TestSearchCursorBelongsToItsQuery(t *testing.T) {
	c := generatedSite(t, 60)
	next, err := url.Parse(find(c, 200, "type = page").next())
	require.NoError(t, err)
	find(c, 400, "type = folder", "cursor", next.Query().Get("cursor"))
	find(c, 400, "type = page", "cursor", "nonsense")
	find(c, 400, "type = page", "limit", "0")
}

func TestSearchLowersTheLimitWithoutAWord(t *testing.T) {
	c := generatedSite(t, 260)
	for expand, rows := range map[string]int{"": 260, "version,space": 200, "version,body.storage": 50, "body.export_view": 25} {
		a := find(c, 200, "type = page", "limit", "500", "expand", expand)
		require.Len(t, a.rows(), rows, expand)
		require.EqualValues(t, min(rows, 500), a.body["size"])
		if rows < 260 {
			require.EqualValues(t, rows, a.body["limit"], "the limit that was used is in the answer")
			require.NotEmpty(t, a.next())
		}
	}
}

func TestSearchExpands(t *testing.T) {
	c, alpha, beta := small(t, Options{})
	require.NoError(t, c.site.SetLabels(beta.ID, "keys"))
	row := find(c, 200, "title = Beta", "expand", "version,space,history,ancestors,metadata.labels,body.storage,body.view").rows()[0]
	require.EqualValues(t, 1, row["version"].(map[string]any)["number"])
	require.Equal(t, "ENG", row["space"].(map[string]any)["key"])
	require.Equal(t, alpha.ID, row["ancestors"].([]any)[1].(map[string]any)["id"])
	require.Equal(t, "<p>second</p>", row["body"].(map[string]any)["storage"].(map[string]any)["value"])
	require.Equal(t, "<p>second</p>", row["body"].(map[string]any)["view"].(map[string]any)["value"])
	require.Contains(t, fmt.Sprint(row["metadata"]), "keys")
	require.Equal(t, "/spaces/ENG/pages/"+beta.ID+"/Beta", row["_links"].(map[string]any)["webui"])
	plain := find(c, 200, "title = Beta").rows()[0]
	for _, key := range []string{"version", "space", "body", "ancestors"} {
		require.NotContains(t, plain, key)
		require.Contains(t, plain["_expandable"], key)
	}
}

func TestSearchRows(t *testing.T) {
	c, _, _ := small(t, Options{})
	p := create(t, c.site, Draft{Space: "ENG", Title: "Salt & <Pepper>", Body: "<p>Passes the table.</p>"})
	for i := range 70 {
		create(t, c.site, Draft{Space: "ENG", Title: fmt.Sprint("more ", i)})
	}
	a := c.get(200, "/wiki/rest/api/search?expand=content.version&cql="+url.QueryEscape(`title ~ "pepper"`))
	row := a.rows()[0]
	require.Equal(t, "Salt &amp; &lt;Pepper&gt;", row["title"], "escaped, unlike content.title")
	content := row["content"].(map[string]any)
	require.Equal(t, "Salt & <Pepper>", content["title"])
	require.Equal(t, p.ID, content["id"])
	require.Contains(t, content, "version")
	require.Equal(t, "Passes the table.", row["excerpt"])
	require.Equal(t, "content", row["entityType"])

	all := c.get(200, "/wiki/rest/api/search?limit=10&excerpt=none&cql="+url.QueryEscape(`type = page`))
	require.EqualValues(t, 75, all.body["totalSize"], "an estimate: there are 74")
	require.True(t, strings.HasPrefix(all.next(), "/rest/api/search?next=true&"), all.next())
	require.NotContains(t, all.next(), "excerpt", "next loses it")
}

func TestSearchSeesWhatIsCurrentOnly(t *testing.T) {
	c, alpha, beta := small(t, Options{})
	require.Len(t, find(c, 200, "space = ENG").rows(), 3)
	require.NoError(t, c.site.ArchivePage(beta.ID))
	require.Len(t, find(c, 200, "space = ENG").rows(), 2)
	require.NoError(t, c.site.TrashPage(alpha.ID))
	require.Len(t, find(c, 200, "space = ENG").rows(), 1)
	require.NoError(t, c.site.RestorePage(alpha.ID))
	require.NoError(t, c.site.Restrict(alpha.ID, nil, nil))
	require.Len(t, find(c, 200, "space = ENG").rows(), 1)
}

func TestSearchIndexLagsBehindWrites(t *testing.T) {
	clk := newClock()
	c, alpha, beta := small(t, Options{Now: clk.Now, IndexLag: time.Minute})
	require.Len(t, find(c, 200, "space = ENG").rows(), 1, "only the homepage is known yet")
	clk.advance(2 * time.Minute)
	require.Len(t, find(c, 200, "space = ENG").rows(), 3)

	title := "Omega"
	_, err := c.site.EditPage(alpha.ID, Edit{Title: &title})
	require.NoError(t, err)
	require.NoError(t, c.site.TrashPage(beta.ID))
	require.Len(t, find(c, 200, "title = Alpha").rows(), 1)
	require.Empty(t, find(c, 200, "title = Omega").rows())
	require.Empty(t, find(c, 200, `lastmodified > now("-1m")`).rows())
	require.Len(t, find(c, 200, "title = Beta").rows(), 1, "the trashed page is still found")
	clk.advance(30 * time.Second)
	require.NoError(t, c.site.SetLabels(alpha.ID, "x"))
	clk.advance(31 * time.Second)
	require.Len(t, find(c, 200, "title = Omega").rows(), 1)
	require.Empty(t, find(c, 200, "label = x").rows())
	require.Empty(t, find(c, 200, "title = Beta").rows())
	clk.advance(30 * time.Second)
	require.Len(t, find(c, 200, "label = x").rows(), 1)
}

func TestAWalkSurvivesChanges(t *testing.T) {
	clk := newClock()
	site := New(Options{Now: clk.Now})
	site.AddGenerated("GEN", 100, 1)
	c := serve(t, site)
	a := find(c, 200, "space = GEN order by lastmodified", "limit", "60")
	moved := a.column("id")[0]
	_, err := site.EditPage(moved, Edit{})
	require.NoError(t, err)
	b := c.get(200, "/wiki"+a.next())
	require.Len(t, unique(a.column("id"), b.column("id")), 100, "nothing is lost")
	require.Contains(t, b.column("id"), moved, "what was edited comes a second time")
}

func TestIndexedTimeIsNotTheVersionsTime(t *testing.T) {
	c := generatedSite(t, 20)
	a := c.get(200, "/wiki/rest/api/search?expand=content.version&cql=type%3Dpage")
	differ := 0
	for _, row := range a.rows() {
		if row["lastModified"] != row["content"].(map[string]any)["version"].(map[string]any)["when"] {
			differ++
		}
	}
	require.Positive(t, differ)
}

func TestRemovedV1Routes(t *testing.T) {
	c, alpha, _ := small(t, Options{})
	a := c.get(200, "/wiki/rest/api/content/"+alpha.ID+"?expand=body.storage")
	require.Equal(t, "Alpha", a.body["title"])
	require.Contains(t, a.raw, "<p>first</p>")
	require.Equal(t, "Wed, 1 Mar 2023", a.header.Get("Deprecation"))
	require.Contains(t, a.header.Get("Warning"), "299")
	require.Equal(t, "ENG", c.get(200, "/wiki/rest/api/space/ENG").body["key"])
	c.get(404, "/wiki/rest/api/space/NO")
	require.Contains(t, c.get(404, "/wiki/rest/api/content/1").body["message"], "Cannot find content")
	require.Contains(t, c.get(410, "/wiki/rest/api/content/"+alpha.ID+"/child/page").body["message"], "GoneException")
	c.get(410, "/ex/confluence/"+c.site.opt.CloudID+"/wiki/rest/api/content/"+alpha.ID)

	gone, alpha, _ := small(t, Options{V1Gone: true})
	gone.get(410, "/wiki/rest/api/content/"+alpha.ID)
	gone.get(410, "/wiki/rest/api/space/ENG")
	gone.get(200, "/wiki/rest/api/content/search?cql=type%3Dpage")
}
