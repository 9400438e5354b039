package sandbox

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestV1ListsAnswerWhereTheyAreLeft(t *testing.T) {
	for _, path := range []string{"/wiki/rest/api/content?spaceKey=ENG", "/wiki/rest/api/space", "/wiki/rest/api/content/1/child/attachment"} {
		gone, _, _ := small(t, Options{})
		require.Contains(t, gone.get(410, path).body["message"], "GoneException")
		both, _, _ := small(t, Options{V1Lists: true, V1Gone: true})
		both.get(410, path)
	}
	c, alpha, _ := small(t, Options{V1Lists: true})
	a := c.get(200, "/wiki/rest/api/content?spaceKey=ENG")
	require.Equal(t, "Wed, 1 Mar 2023", a.header.Get("Deprecation"))
	c.get(410, "/ex/confluence/"+c.site.opt.CloudID+"/wiki/rest/api/content?spaceKey=ENG")
	c.get(410, "/wiki/rest/api/content/"+alpha.ID+"/child/page")
}

func TestV1ContentIsListedFromStart(t *testing.T) {
	site := New(Options{V1Lists: true})
	site.AddGenerated("GEN", 60, 1)
	c := serve(t, site)
	seen := map[string]bool{}
	path := "/wiki/rest/api/content?spaceKey=gen&limit=100&expand=body.view,version"
	for _, want := range []int{50, 10} {
		a := c.get(200, path)
		require.Len(t, a.rows(), want, "the limit is lowered where bodies are expanded")
		require.EqualValues(t, 50, a.body["limit"])
		for _, id := range a.column("id") {
			require.False(t, seen[id])
			seen[id] = true
		}
		require.Contains(t, a.rows()[0]["body"].(map[string]any)["view"].(map[string]any)["value"], "This is generated page")
		path = "/wiki" + a.next()
	}
	require.Equal(t, "/wiki", path, "the last page has no next")
	require.Len(t, c.get(200, "/wiki/rest/api/content?spaceKey=GEN&start=55").rows(), 5)
	require.Empty(t, c.get(200, "/wiki/rest/api/content?spaceKey=GEN&start=60").rows())
	require.Len(t, c.get(200, "/wiki/rest/api/content?spaceKey=GEN&limit=500&expand=body.export_view.value").rows(), 25)
	for _, bad := range []string{"start=-1", "start=x", "limit=0", "type=folder"} {
		c.get(400, "/wiki/rest/api/content?spaceKey=GEN&"+bad)
	}
	c.get(404, "/wiki/rest/api/content?spaceKey=NONE")
}

func TestV1ContentIsListedByStatusAndTitle(t *testing.T) {
	c, alpha, beta := small(t, Options{V1Lists: true})
	titles := func(query string) []string {
		return c.get(200, "/wiki/rest/api/content?spaceKey=ENG"+query).column("title")
	}
	require.Equal(t, []string{"Engineering", "Alpha", "Beta"}, titles(""))
	require.Equal(t, []string{"Beta"}, titles("&title=beta"))
	require.Empty(t, titles("&type=blogpost"))
	require.NoError(t, c.site.TrashPage(beta.ID))
	require.Equal(t, []string{"Engineering", "Alpha"}, titles(""))
	require.Equal(t, []string{"Beta"}, titles("&status=trashed"))
	require.Len(t, titles("&status=any"), 3)
	require.NoError(t, c.site.ArchivePage(alpha.ID))
	require.Equal(t, []string{"Engineering"}, titles("&status=current"))
	require.NoError(t, c.site.RestorePage(alpha.ID))
	require.NoError(t, c.site.Restrict(alpha.ID, nil, nil))
	require.Equal(t, []string{"Engineering"}, titles(""), "what is hidden is left out")
	require.NoError(t, c.site.HideSpace("ENG", true))
	c.get(404, "/wiki/rest/api/content?spaceKey=ENG")
}

func TestV1SpacesAreListed(t *testing.T) {
	c, _, _ := small(t, Options{V1Lists: true})
	require.NoError(t, c.site.AddSpace("OPS", "Operations"))
	a := c.get(200, "/wiki/rest/api/space?limit=1&expand=homepage")
	require.Len(t, a.rows(), 1)
	require.NotEmpty(t, a.rows()[0]["homepage"].(map[string]any)["id"])
	b := c.get(200, "/wiki"+a.next())
	require.Len(t, unique(a.column("key"), b.column("key")), 2)
	require.NotContains(t, b.body["_links"], "next")
	require.NotContains(t, b.rows()[0]["_expandable"], "homepage", "next keeps what is expanded")
	require.Equal(t, []string{"OPS"}, c.get(200, "/wiki/rest/api/space?spaceKey=ops").column("key"))
	require.Empty(t, c.get(200, "/wiki/rest/api/space?type=personal").rows())
	plain := c.get(200, "/wiki/rest/api/space/OPS").body
	require.NotContains(t, plain, "homepage")
	require.Contains(t, plain["_expandable"].(map[string]any)["homepage"], "/rest/api/content/")
	require.Equal(t, "Operations", c.get(200, "/wiki/rest/api/space/OPS?expand=homepage").body["homepage"].(map[string]any)["title"])
}

func TestV1AttachmentsAreListed(t *testing.T) {
	site := New(Options{V1Lists: true})
	site.AddBuiltin()
	c := serve(t, site)
	var page string
	for _, p := range site.Pages(BuiltinSpace) {
		if n := site.nodes[parseID(p.ID)]; len(n.files) > 1 && !p.Hidden {
			page = p.ID
		}
	}
	require.NotEmpty(t, page)
	path := "/wiki/rest/api/content/" + page + "/child/attachment"
	all := c.get(200, path+"?expand=container.ancestors,version")
	require.Greater(t, len(all.rows()), 1)
	row := all.rows()[0]
	require.Equal(t, page, row["container"].(map[string]any)["id"])
	require.Contains(t, row["container"], "ancestors")
	require.EqualValues(t, 1, row["version"].(map[string]any)["number"])
	require.Contains(t, row["_links"].(map[string]any)["download"], "/download/attachments/"+page+"/")
	require.NotContains(t, c.get(200, path).rows()[0], "container")
	one := c.get(200, path+"?limit=1&start=1")
	require.Equal(t, all.column("id")[1], one.column("id")[0])
	c.get(404, "/wiki/rest/api/content/1/child/attachment")
	c.get(400, path+"?limit=0")
}

// Fields that are not requested are only named in _expandable: clients read the space's key from
// there.
func TestV1ContentExpandsWhatIsAskedFor(t *testing.T) {
	c, alpha, _ := small(t, Options{})
	path := "/wiki/rest/api/content/" + alpha.ID
	require.Contains(t, c.get(200, path).body, "space", "what is expanded when nothing is asked for")
	asked := c.get(200, path+"?expand=version").body
	require.Contains(t, asked, "version")
	require.NotContains(t, asked, "space")
	require.Equal(t, "/rest/api/space/ENG", asked["_expandable"].(map[string]any)["space"])
	require.Contains(t, c.get(200, path+"?expand=body.view.value").raw, `"value":"<p>first</p>"`)
}

func TestTheViewIsInConfluencesMarkup(t *testing.T) {
	c := builtin(t)
	p := create(t, c.site, Draft{Space: "DEMO", Title: "Tasks and titles", Body: `<ac:task-list><ac:task><ac:task-id>1</ac:task-id>` +
		`<ac:task-status>complete</ac:task-status><ac:task-body>pack</ac:task-body></ac:task></ac:task-list>` +
		`<ac:structured-macro ac:name="info"><ac:parameter ac:name="title">Know &amp; do</ac:parameter><ac:rich-text-body><p>x</p></ac:rich-text-body></ac:structured-macro>` +
		`<ac:structured-macro ac:name="noformat"><ac:plain-text-body><![CDATA[a < b]]></ac:plain-text-body></ac:structured-macro>` +
		`<ac:structured-macro ac:name="expand"><ac:rich-text-body><p>more</p></ac:rich-text-body></ac:structured-macro>` +
		`<ac:structured-macro ac:name="panel"><ac:parameter ac:name="title">Side</ac:parameter><ac:rich-text-body><p>y</p></ac:rich-text-body></ac:structured-macro>`})
	for id, wants := range map[string][]string{
		"65666": {`class="codeHeader panelHeader pdl"><b>Who still signs with the old key</b>`, `data-syntaxhighlighter-params="brush: sql;`, "received_at &gt; now()",
			`confluence-information-macro-warning`, `<a href="/browse/SEC-412" class="jira-issue-key">SEC-412</a>`},
		"65701": {`<a href="/issues/?jql=project+`},
		"65707": {`href="/wiki/download/attachments/65707/halifax-notes.pdf?api=v2">halifax-notes.pdf</a>`},
		"65611": {`<div class="table-wrap"><table class="confluenceTable">`, `<th rowspan="2" class="confluenceTh">`, `<td class="confluenceTd">`},
		"65681": {`<span class="status-macro aui-lozenge conf-macro output-inline" data-hasbody="false" data-macro-name="status">SEV1</span>`},
		p.ID: {`<li class="checked" data-inline-task-id="1"><span>pack</span></li>`, `<p class="title">Know &amp; do</p>`, `<pre>a &lt; b</pre>`,
			`<span class="expand-control-text">Click here to expand...</span>`, `<div class="panelHeader"><b>Side</b></div><div class="panelContent"><p>y</p></div>`},
	} {
		for _, format := range []string{"view", "export_view"} {
			page := c.get(200, "/wiki/rest/api/content/"+id+"?expand=body."+format).body["body"].(map[string]any)[format].(map[string]any)["value"]
			for _, want := range wants {
				require.Contains(t, page, want, id)
			}
		}
	}
}
