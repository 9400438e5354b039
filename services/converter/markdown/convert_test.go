package markdown_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/converter/markdown"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
)

func convert(t testing.TB, body string) markdown.Result {
	t.Helper()
	result, err := markdown.Convert(body, siteFacts())
	require.NoError(t, err)
	return result
}

func TestBounds(t *testing.T) {
	t.Parallel()
	nested := func(n int) string { return strings.Repeat("<div>", n) + "deep" + strings.Repeat("</div>", n) }

	require.Equal(t, "deep\n", convert(t, nested(markdown.MaxDepth)).Markdown)
	_, err := markdown.Convert(nested(markdown.MaxDepth+1), page.Facts{})
	require.Equal(t, failure.ConvertTooDeep, failure.CodeOf(err))

	_, err = markdown.Convert(strings.Repeat("x", markdown.MaxBody+1), page.Facts{})
	require.Equal(t, failure.ConvertTooLarge, failure.CodeOf(err))
	require.Len(t, convert(t, strings.Repeat("x", markdown.MaxBody)).Markdown, markdown.MaxBody+1)

	// Every list around a code block indents each of its lines: 30 levels turn one empty byte into
	// 60.
	lists := strings.Repeat("<ul><li>x", 30) + `<ac:structured-macro ac:name="code"><ac:plain-text-body><![CDATA[` +
		strings.Repeat("y\n", 200_000) + `]]></ac:plain-text-body></ac:structured-macro>` + strings.Repeat("</li></ul>", 30)
	_, err = markdown.Convert(lists, page.Facts{})
	require.Equal(t, failure.ConvertTooLarge, failure.CodeOf(err))
}

func TestNothingGivesNothing(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "  \n", "<p />", "<p>&nbsp;</p>", "<ul><li></li></ul>", "<table><tbody><tr><td /></tr></tbody></table>", "<h2> </h2>", "<blockquote><p /></blockquote>", "<p><strong> </strong><br /></p>", "<!-- x -->"} {
		result := convert(t, body)
		require.Empty(t, result.Markdown, "%q", body)
		require.Empty(t, result.Headings, "%q", body)
		require.NotNil(t, result.Headings)
		require.NotNil(t, result.Losses)
		require.NotNil(t, result.Includes)
		require.NotNil(t, result.Metadata.InternalLinks)
		require.NotNil(t, result.Metadata.Labels)
	}
}

func TestFactsMayBeMissing(t *testing.T) {
	t.Parallel()
	body := `<p><ac:link><ri:page ri:content-title="A" /></ac:link> <ac:link><ri:user ri:account-id="u" /></ac:link> ABC-1 <a href="/x">y</a></p><h2>H</h2>`
	result, err := markdown.Convert(body, page.Facts{})
	require.NoError(t, err)
	require.Equal(t, "[A](/display//A) @u ABC-1 [y](/x)\n\n## H\n", result.Markdown)
	require.Nil(t, result.Metadata.CreatedBy)
}

// TestIDsDoNotMatter: Confluence writes new ids on each save; the Markdown must not change.
func TestIDsDoNotMatter(t *testing.T) {
	t.Parallel()
	body := `<p local-id="A">x</p><ac:structured-macro ac:name="info" ac:schema-version="1" ac:local-id="A" ac:macro-id="A"><ac:rich-text-body><p>y <ac:link ac:local-id="A"><ri:page ri:content-title="Z" ri:version-at-save="1" /></ac:link></p></ac:rich-text-body></ac:structured-macro><p />`
	again := strings.NewReplacer(`"A"`, `"B"`, `"1"`, `"2"`, " />", "/>").Replace(body)
	require.NotEqual(t, body, again)
	require.Equal(t, convert(t, body), convert(t, again))
}

func TestHeadingAnchors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ body, anchors string }{
		{"<h1>Getting Started</h1>", "Getting-Started"},
		{"<h2>Café (v2.0): what's new?</h2>", "Caf%C3%A9-(v2.0)%3A-what's-new%3F"},
		{"<h2>운영 환경 설정</h2>", "%EC%9A%B4%EC%98%81-%ED%99%98%EA%B2%BD-%EC%84%A4%EC%A0%95"},
		{"<h2> spaced   out\n text </h2>", "spaced-out-text"},
		{"<h2>no&nbsp;break</h2>", "no-break"},
		{"<h2>A</h2><h3>A</h3><h2>A</h2>", "A A.1 A.2"},
		{"<h2>A</h2><h2>A.1</h2><h2>A</h2>", "A A.1 A.2"},
		{"<h2><br />2. After a break</h2>", "2.-After-a-break"},
		{"<h2>one<br />two</h2>", "one-two"},
		{"<h2><strong>bold</strong> and <code>code</code></h2>", "bold-and-code"},
		{`<h2>On <time datetime="2026-01-02" /></h2>`, "On-%5Bdate%5D"},
		{`<h2>Is <ac:structured-macro ac:name="status"><ac:parameter ac:name="title">DONE</ac:parameter></ac:structured-macro></h2>`, "Is-DONE"},
		{`<h2>By <ac:link><ri:user ri:account-id="557058:ada" /></ac:link></h2>`, "By-%40Ada-Lovelace"},
		{`<h2><ac:emoticon ac:emoji-shortname=":rocket:" ac:emoji-id="1f680" ac:emoji-fallback="🚀" /> Go</h2>`, "%F0%9F%9A%80-Go"},
		{`<h2>See <a href="https://example.org" data-card-appearance="inline">https://example.org</a></h2>`, "See-%5BinlineCard%5D"},
		// A heading in a cell is not a heading in the Markdown, but it takes its id.
		{"<table><tbody><tr><th><h2>A</h2></th><th>x</th></tr><tr><td>1</td><td>2</td></tr></tbody></table><h2>A</h2>", "A.1"},
	} {
		var got []string
		for _, h := range convert(t, tc.body).Headings {
			got = append(got, h.Anchor)
		}
		require.Equal(t, tc.anchors, strings.Join(got, " "), tc.body)
	}
}

func TestIssueKeys(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"OPS-1":                               "OPS-1",
		"OPS-1, OPS-2; OPS-1":                 "OPS-1 OPS-2",
		"(OPS-1) [OPS-2] OPS-3. OPS-4: OPS-5": "OPS-1 OPS-2 OPS-3 OPS-4 OPS-5",
		"A2B-12 와 OPS-7은 OPS-8的":              "A2B-12 OPS-7 OPS-8",
		"UTF-8 SHA-256 ISO-8601 RFC-2119 AES-128 HTTP-2 CVE-2024-1 COVID-19 UTC-5 Q1-2026": "",
		"X-1 ops-1 1OPS-1 OPS-0 OPS-01 OPS- -1 OPS-1a OPS-1_x aOPS-1 _OPS-1":               "",
		"OPS-1.5 OPS-1-2 OPS-12345678901 A-OPS-1":                                          "",
		"feature/OPS-9-login":    "OPS-9",
		"<strong>OPS</strong>-5": "OPS-5",
		"<code>OPS-5</code>":     "",
		"OPS-<code>5</code>":     "",
		"<p>OPS-</p><p>5</p>":    "",
		`<a href="https://acme.atlassian.net/browse/OPS-3">x</a> OPS-4`:          "OPS-3 OPS-4",
		`OPS-4 <a href="https://acme.atlassian.net/x?selectedIssue=OPS-3">x</a>`: "OPS-4 OPS-3",
		`<a href="https://example.org/notes/UTF-8/OPS-3">x</a>`:                  "",
	} {
		var got []string
		for _, i := range convert(t, "<p>"+text+"</p>").Metadata.JiraIssueLinks {
			got = append(got, i.IssueKey)
		}
		require.Equal(t, want, strings.Join(got, " "), text)
	}
}

func TestWordCount(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int{
		"<p>one two</p><p>three</p>":            3,
		"<p>don't re-use v1.2.3 snake_case</p>": 4,
		"<p>half<strong>bold</strong>word</p>":  1,
		"<p>日本語</p>":                            3,
		"<p>한국어 단어</p>":                         2,
		"<p>Ünïcode’s naïve</p>":                2,
		"<p>— … &amp; 🙂</p>":                    0,
		"<p><code>a b</code></p>":               2,
		`<ac:structured-macro ac:name="code"><ac:plain-text-body><![CDATA[x = y1]]></ac:plain-text-body></ac:structured-macro>`:                                   2,
		`<p><a href="https://example.org/not/counted">one</a></p>`:                                                                                                1,
		"<table><tbody><tr><td rowspan=\"2\">once</td><td>a</td></tr><tr><td>b</td></tr></tbody></table>":                                                         3,
		`<ac:structured-macro ac:name="info"><ac:parameter ac:name="title">T</ac:parameter><ac:rich-text-body><p>b</p></ac:rich-text-body></ac:structured-macro>`: 2,
	} {
		require.Equal(t, want, convert(t, body).Metadata.WordCount, body)
	}
}

// macroOf returns a macro; params alternate name and value.
func macroOf(name string, params ...string) string {
	var b strings.Builder
	b.WriteString(`<ac:structured-macro ac:name="` + name + `">`)
	for i := 0; i < len(params); i += 2 {
		b.WriteString(`<ac:parameter ac:name="` + params[i] + `">` + params[i+1] + `</ac:parameter>`)
	}
	return b.String() + "</ac:structured-macro>"
}

func codeOf(code string) string {
	return `<ac:structured-macro ac:name="code"><ac:plain-text-body><![CDATA[` + code + `]]></ac:plain-text-body></ac:structured-macro>`
}

const site = "https://acme.atlassian.net/wiki"

// TestOddForms converts rare, old and incomplete forms.
func TestOddForms(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		// Code keeps its bytes, except those that no text file holds.
		codeOf("a\r\nb\rc"):     "```\na\nb\nc\n```\n",
		codeOf("a\x00\x1bb\tc"): "```\nab\tc\n```\n",
		codeOf("\n\n"):          "```\n\n\n\n```\n",
		codeOf("~~~\n```"):      "````\n~~~\n```\n````\n",
		"<pre>\na<br />b</pre>": "```\na\nb\n```\n",
		"<p><code>a  b</code> <code> </code><code>``</code></p>": "`a  b` ``` `` ```\n",

		// Character references.
		"<p>&#65;&#x42;&euro;&#0;&#xD800;&#99999999;&unknown;&amp;amp;</p>": "AB€\uFFFD\uFFFD\uFFFD&unknown;&amp;amp;\n",
		"<p title='a&gt;b'>x &semi; &NotEqualTilde;</p>":                    "x ; ≂̸\n",

		// Nothing to read, or nothing that readers see.
		"<p>a<script>x < y</script>b<style>p{}</style>c</p>": "abc\n",
		"<script>never closed":                               "",
		"<p>a<at:var at:name=\"x\" />b</p>":                  "ab\n",
		macroOf("jira") + macroOf("include") + macroOf("view-file") + macroOf("drawio") + macroOf("iframe") + macroOf("img") +
			macroOf("profile") + macroOf("mathinline") + macroOf("html") + macroOf("status") + macroOf("code"): "",

		// Old forms.
		`<ac:macro ac:name="info"><ac:rich-text-body>x</ac:rich-text-body></ac:macro>`:                                                   "> [!NOTE]\n> x\n",
		macroOf("include", "", "HR:Glossary"):                                                                                            "Included page: [Glossary](" + site + "/display/HR/Glossary)\n",
		macroOf("include", "", "Glossary"):                                                                                               "Included page: [Glossary](" + site + "/display/OPS/Glossary)\n",
		macroOf("multiexcerpt-include", "Space", "HR", "PageTitle", "Terms"):                                                             "Excerpt of [Terms](" + site + "/display/HR/Terms)\n",
		macroOf("include", "", `<ri:content-entity ri:content-id="77" />`):                                                               "Included page: [page 77](" + site + "/pages/viewpage.action?pageId=77)\n",
		macroOf("include", "", `<ri:blog-post ri:content-title="B" ri:posting-day="/2026/01/02/" />`):                                    "Included page: [B](" + site + "/display/OPS/2026/01/02/B)\n",
		macroOf("viewpdf", "name", "old name.pdf"):                                                                                       "[old name.pdf](" + site + "/download/attachments/1001/old%20name.pdf)\n",
		macroOf("jira", "", "OPS-3"):                                                                                                     "[OPS-3](https://acme.atlassian.net/browse/OPS-3)\n",
		macroOf("jiraissues", "url", "https://jira.example.org/search?jql=project%3DX&amp;x=1"):                                          "[Jira issues](https://acme.atlassian.net/issues/?jql=project%3DX): `project=X`\n",
		macroOf("jira", "key", "OPS-3", "baseurl", "https://jira.example.org/"):                                                          "[OPS-3](https://jira.example.org/browse/OPS-3)\n",
		macroOf("mermaid-cloud", "filename", `<ri:attachment ri:filename="d.mmd" />`):                                                    "[d.mmd](" + site + "/download/attachments/1001/d.mmd)\n",
		macroOf("iframe", "src", "javascript:alert(1)"):                                                                                  "javascript:alert(1)\n",
		`<p>x <ri:page ri:content-title="On-call Rota" /> <ri:url ri:value="javascript:x" /></p>`:                                        "x [On-call Rota](" + site + "/spaces/OPS/pages/2002/On-call+Rota) javascript:x\n",
		`<p><input type="checkbox" /> a <input type="checkbox" checked="checked" /> b <input type="text" /></p>`:                         "☐ a ☑ b\n",
		`<ac:adf-extension>loose</ac:adf-extension>`:                                                                                     "loose\n",
		`<ac:adf-extension><ac:adf-node type="new-thing"><ac:adf-content><p>in it</p></ac:adf-content></ac:adf-node></ac:adf-extension>`: "in it\n",
		`<ac:adf-extension><ac:adf-node type="panel"><ac:adf-attribute key="panel-type">tip</ac:adf-attribute><ac:adf-content><p>t</p></ac:adf-content></ac:adf-node></ac:adf-extension>`: "> [!TIP]\n> t\n",

		// Lists and tables out of place.
		"<li>alone</li><li>again</li>":                            "- alone\n- again\n",
		"<ul>loose<li>item</li></ul>":                             "- loose\n- item\n",
		"<ol start='x'><li>a</li></ol>":                           "1. a\n",
		"<ol start='0'><li>a</li></ol>":                           "0. a\n",
		"<dl><dd>no term</dd></dl>":                               "- no term\n",
		"<ac:task><ac:task-body>t</ac:task-body></ac:task>":       "- [ ] t\n",
		"<table>text<tr><td>a</td><td>b</td></tr></table>":        "text\n\n| | |\n| --- | --- |\n| a | b |\n",
		"<table><caption>C</caption><td>a</td><td>b</td></table>": "C\n\n| |\n| --- |\n| a |\n| b |\n",
		"<table><tr><th style='text-align:right'>r</th><th style='text-align: justify'>j</th></tr></table>": "| r | j |\n| ---: | --- |\n",
		"<table><tr><td colspan='x'>a</td><td rowspan='-1'>b</td></tr></table>":                             "| | |\n| --- | --- |\n| a | b |\n",
		"<table><tr>loose<td>b</td></tr></table>":                                                           "| | |\n| --- | --- |\n| loose | b |\n",
		"<h2>One <ul><li>item</li></ul></h2>":                                                               "## One\n\n- item\n",
		"<p>text<ul><li>item</li></ul>more</p>":                                                             "text\n\n- item\n\nmore\n",
		"<strong>bold <p>over</p> blocks</strong>":                                                          "**bold**\n\n**over**\n\n**blocks**\n",
		"<a href='https://example.org'><p>one</p><p>two</p></a>":                                            "[one](https://example.org)\n\n[two](https://example.org)\n",
	} {
		assert.Equal(t, want, convert(t, body).Markdown, "%q", body)
	}
}

// TestDeepListsKeepTheirText: no reader counts beyond 32 levels, and indenting every level would
// make the output grow with the square of the body.
func TestDeepListsKeepTheirText(t *testing.T) {
	t.Parallel()
	const depth = 80
	body := strings.Repeat("<ul><li>x", depth) + strings.Repeat("</li></ul>", depth)
	result := convert(t, body)
	require.Equal(t, depth, strings.Count(result.Markdown, "- x\n"))
	require.Contains(t, result.Markdown, "\n"+strings.Repeat(" ", 64)+"- x\n")
	require.NotContains(t, result.Markdown, strings.Repeat(" ", 65))
	require.Equal(t, []page.Loss{{Element: "nesting", Fate: page.Rendered, Count: depth - 32, Reason: "lists and quotes below the deepest level that is indented"}}, result.Losses)
	requireSound(t, body, result)
}

func TestFilesOnTheSiteAreAssets(t *testing.T) {
	t.Parallel()
	meta := convert(t, `<p><a href="/wiki/download/attachments/7/plan.png?version=2">plan</a> <a href="/wiki/search?text=x">search</a> <a href="`+site+`/x/AbC">tiny</a></p>`).Metadata
	require.Equal(t, []page.Asset{{Title: "plan.png", Type: "image", DownloadURL: site + "/download/attachments/7/plan.png?version=2"}}, meta.AssetLinks)
	require.Equal(t, []page.Link{{PageTitle: "tiny", PageURL: site + "/x/AbC"}}, meta.InternalLinks)
	require.Empty(t, meta.ExternalLinks)
}

// A blog post's address has the day before the id.
func TestBlogPostsAreInternalLinks(t *testing.T) {
	t.Parallel()
	blog := site + "/spaces/OPS/blog/2026/04/30/65780/"
	meta := convert(t, `<p><a href="`+blog+`Pelagia+5.2+is+out">new</a> <a href="`+site+`/spaces/OPS/pages/77/A+page">old</a></p>`).Metadata
	require.Equal(t, []page.Link{
		{PageID: "65780", PageTitle: "Pelagia 5.2 is out", PageURL: blog + "Pelagia+5.2+is+out"},
		{PageID: "77", PageTitle: "A page", PageURL: site + "/spaces/OPS/pages/77/A+page"},
	}, meta.InternalLinks)
	require.Empty(t, meta.ExternalLinks)

	// A page may have the same title as the blog post; the link means the page.
	twin := `<p><ac:link><ri:page ri:content-title="Release Handbook" /></ac:link></p>`
	facts := siteFacts()
	own, err := markdown.Convert(twin, facts)
	require.NoError(t, err)
	require.Contains(t, own.Markdown, facts.URL)
	facts.Kind = page.BlogPost
	other, err := markdown.Convert(twin, facts)
	require.NoError(t, err)
	require.Contains(t, other.Markdown, site+"/display/OPS/Release+Handbook")
}

// TestMalformedBodiesStayReadable: malformed markup is repaired and recorded; it never becomes an
// empty page without a loss.
func TestMalformedBodiesStayReadable(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"<p>a <b>b</p><p>c":               "a **b**\n\nc\n",
		"a < b > c & d &copy e":           "a < b > c & d &copy e\n",
		"</p>text</div>":                  "text\n",
		"<p>one<p>two":                    "one\n\ntwo\n",
		"<ul><li>one<li>two</ul>after":    "- one\n  - two\n\nafter\n",
		"<p class=x title='y>z'>text</p>": "text\n",
		"<p><![CDATA[rest <b>":            "rest &lt;b>\n",
		"<p>x</p><!-- y":                  "x\n\ny\n",
		"<P>Upper <B>case</B></P>":        "Upper **case**\n",
		"<ac:link><ri:page ri:content-title=\"On-call Rota\">x":                  "[On-call Rota](https://acme.atlassian.net/wiki/spaces/OPS/pages/2002/On-call+Rota)\n",
		"<ac:structured-macro ac:name=\"code\"><ac:plain-text-body><![CDATA[x]]": "```\nx]]\n```\n",
		"<p>bad \xff byte</p>": "bad \uFFFD byte\n",
		"<p>a\x00\x07b</p>":    "ab\n",
	} {
		result := convert(t, body)
		require.Equal(t, want, result.Markdown, "%q", body)
	}
	losses := convert(t, "<p>a <b>b</p>").Losses
	require.Equal(t, []page.Loss{{Element: "storage-format", Fate: page.Rendered, Count: 1, Reason: "element not closed"}}, losses)
}

// TestTimeIsLinear converts bodies that provoke quadratic time. At a quarter of a megabyte,
// quadratic time takes minutes; linear time takes a fraction of a second.
func TestTimeIsLinear(t *testing.T) {
	t.Parallel()
	const size = 256 << 10
	of := func(part string) string { return strings.Repeat(part, size/len(part)) }
	bodies := map[string]string{
		"comments not closed":   of("<!--"),
		"end tags not closed":   of("</x"),
		"end tags alone":        of("</p>"),
		"bare angle brackets":   of("<"),
		"ampersands":            of("&"),
		"attributes not closed": of("<a b='"),
		"attributes":            "<p " + of("a ") + ">x</p>",
		"stars":                 "<p>" + of("*") + "</p>",
		"stars between words":   "<p>" + of("*a") + "</p>",
		"underscores":           "<p>" + of("_") + " _a</p>",
		"backticks":             "<p>" + of("`") + "</p>",
		"backslashes":           "<p>" + of(`\`) + "</p>",
		"brackets":              "<p>" + of("[](") + "</p>",
		"addresses":             "<p>" + of("http://a.b") + "</p>",
		"odd addresses":         "<p>" + of("http://a.b/_") + "</p>",
		"www":                   "<p>" + of("www.") + "_</p>",
		"at signs":              "<p>" + of("<b>a@</b>") + "</p>",
		"issue keys":            "<p>" + of("AB-1 ") + "</p>",
		"hyphens":               "<p>" + of("A-") + "</p>",
		"capitals":              "<p>" + of("A") + "-1</p>",
		"formats in turn":       "<p>" + of("<b>a</b><i>b</i>") + "</p>",
		"formats nested":        "<p>" + of("<b>a<i>b<s>c</s></i></b>") + "</p>",
		"links":                 "<p>" + of(`<a href="/x">a</a>`) + "</p>",
		"breaks":                "<p>a" + of("<br/>") + "b</p>",
		"lines":                 "<p>" + of("a<br/>") + "b</p>",
		"equal headings":        of("<h1>a</h1>"),
		"list items":            "<ul>" + of("<li>a</li>") + "</ul>",
		"lists":                 of("<ul><li>a</li></ul>"),
		"rows":                  "<table>" + of("<tr><td>a</td></tr>") + "</table>",
		"merged columns":        "<table>" + of(`<tr><td colspan="1000">a</td></tr>`) + "</table>",
		"merged rows":           "<table>" + of(`<tr><td rowspan="1000">a</td></tr>`) + "</table>",
		"merged both":           "<table>" + of(`<tr><td rowspan="0" colspan="200">a</td><td>b</td></tr>`) + "</table>",
		"cells":                 "<table><tr>" + of("<td>a</td>") + "</tr></table>",
		"row lists":             "<table><tr><td><pre>a\nb</pre></td></tr>" + of(`<tr><td rowspan="9" colspan="99">a</td></tr>`) + "</table>",
		"macros":                of(`<ac:structured-macro ac:name="x"/>`),
		"code parts":            `<ac:structured-macro ac:name="code"><ac:plain-text-body>` + of("<![CDATA[x]]>") + "</ac:plain-text-body></ac:structured-macro>",
		"no-break spaces":       "<p>" + of("&nbsp;") + "</p>",
		"one long word":         "<p>" + of("語") + "</p>",
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := markdown.Convert(body, siteFacts())
			if err != nil {
				require.Contains(t, []failure.Code{failure.ConvertTooLarge, failure.ConvertTooDeep}, failure.CodeOf(err))
			}
			require.Less(t, time.Since(start), 10*time.Second)
		})
	}
}
