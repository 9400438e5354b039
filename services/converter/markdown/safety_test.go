package markdown_test

import (
	"bytes"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	xhtml "golang.org/x/net/html"

	"github.com/sluicehq/sluice/services/converter/markdown"
)

// hostile are bodies that try to get active content past the converter and into a browser.
var hostile = map[string]string{
	"script element":            `<p>a</p><script>alert(1)</script><p>b</p>`,
	"script as text":            `<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>`,
	"script split by markup":    `<p>&lt;scr<b>i</b>pt&gt;alert(1)&lt;/script&gt;</p><p>&lt;<b></b>script&gt;x</p><p>&lt;<span>script src=x&gt;</span></p>`,
	"tag across pieces":         `<p>&lt;<strong>img src=x onerror=alert(1)&gt;</strong></p><p>&lt;img <em>src=x</em> onerror=alert(1)&gt;</p>`,
	"event handler":             `<p onclick="alert(1)"><img src="x" onerror="alert(1)" alt="y" /></p>`,
	"image as text":             `<p>&lt;img src=x onerror=alert(1)&gt;</p>`,
	"html block at a line":      `<p>&lt;div onmouseover=alert(1)&gt;<br />&lt;/div&gt;</p><p>&lt;!-- x<br />&lt;svg/onload=alert(1)&gt; --&gt;</p>`,
	"comment declaration cdata": `<p>&lt;!DOCTYPE x&gt; &lt;?php x ?&gt; &lt;![CDATA[ &lt;b&gt; ]]&gt;</p>`,
	"javascript link":           `<p><a href="javascript:alert(1)">x</a> <a href="JaVaScRiPt:alert(1)">y</a> <a href=" java&#10;script:alert(1)">z</a> <a href="&#1;javascript:alert(1)">q</a> <a href="java&#9;script&#58;alert(1)">r</a></p>`,
	"javascript named link":     `<p><a href="javascript:alert(1)">javascript:alert(1)</a></p>`,
	"data and vbscript links":   `<p><a href="data:text/html;base64,PHNjcmlwdD4=">x</a><a href="vbscript:x">y</a><a href="\u00a0javascript:alert(1)">z</a></p>`,
	"javascript in link macros": `<ac:link><ri:url ri:value="javascript:alert(1)" /><ac:link-body>x</ac:link-body></ac:link><ac:structured-macro ac:name="widget"><ac:parameter ac:name="url"><ri:url ri:value="javascript:alert(1)" /></ac:parameter></ac:structured-macro><ac:structured-macro ac:name="iframe"><ac:parameter ac:name="src"><ri:url ri:value="data:text/html,x" /></ac:parameter></ac:structured-macro>`,
	"javascript image":          `<ac:image><ri:url ri:value="javascript:alert(1)" /></ac:image><img src="data:image/svg+xml,&lt;svg onload=alert(1)&gt;" alt="p" />`,
	"javascript jira base":      `<ac:structured-macro ac:name="jira"><ac:parameter ac:name="key">AB-1</ac:parameter><ac:parameter ac:name="baseurl">javascript:alert(1)//</ac:parameter></ac:structured-macro><ac:structured-macro ac:name="jira"><ac:parameter ac:name="key">](javascript:alert(1))&lt;script&gt;</ac:parameter></ac:structured-macro>`,
	"autolink as text":          `<p>&lt;javascript:alert(1)&gt; [x](javascript:alert(1)) ![x](javascript:alert(1)) [x]: javascript:alert(1)</p>`,
	"link over pieces":          `<p>[x<b>]</b>(javascript:alert(1)) [x]<b>(javascript:alert(1))</b> [x]<span>(javascript:alert(1))</span> <i>[x]</i>(javascript:alert(1))</p>`,
	"reference definition":      `<p>[x]: javascript:alert(1)</p><p>[x]</p><p>[<b>y</b>]: javascript:alert(1)</p><p><br />[z]: javascript:alert(1) "t"</p><p>[z][]</p><p><a href="http://a">[q]: javascript:alert(1)</a></p>`,
	"link text breaks out":      `<p><a href="http://a">x](javascript:alert(1)) [y</a></p><p><a href="http://a">](javascript:alert(1)"&gt;</a></p>`,
	"link address breaks out":   `<p><a href="http://a) [x](javascript:alert(1)">y</a><a href="http://a&gt; &lt;script&gt;">z</a><a href="http://a&quot; onclick=&quot;alert(1)">q</a></p>`,
	"link title breaks out":     `<p><a href="http://a" title="x&quot;) [y](javascript:alert(1) &quot;">z</a><a href="http://a" title="&lt;script&gt;&#10;&#10;&lt;script&gt;alert(1)&lt;/script&gt;">q</a></p>`,
	"image alt breaks out":      `<ac:image ac:alt="x](javascript:alert(1)) ![y" ac:title="&quot; onerror=&quot;alert(1)"><ri:attachment ri:filename="a.png" /></ac:image><ac:image ac:alt="&lt;img src=x onerror=alert(1)&gt;&#10;&#10;# x"><ri:attachment ri:filename="](javascript:alert(1)).png" /></ac:image>`,
	"fence breaks out":          "<ac:structured-macro ac:name=\"code\"><ac:parameter ac:name=\"language\">js```\n<script>alert(1)</script></ac:parameter><ac:plain-text-body><![CDATA[```\n<script>alert(1)</script>\n````\n~~~]]></ac:plain-text-body></ac:structured-macro>",
	"fence language":            `<ac:structured-macro ac:name="code"><ac:parameter ac:name="language">js" onload="alert(1)</ac:parameter><ac:plain-text-body><![CDATA[x]]></ac:plain-text-body></ac:structured-macro>`,
	"fence title":               "<ac:structured-macro ac:name=\"code\"><ac:parameter ac:name=\"title\"># x\n\n<script>alert(1)</script></ac:parameter><ac:plain-text-body><![CDATA[x]]></ac:plain-text-body></ac:structured-macro>",
	"fence in a quote":          "<blockquote><ac:structured-macro ac:name=\"code\"><ac:plain-text-body><![CDATA[\n```\n> ```\n<script>alert(1)</script>]]></ac:plain-text-body></ac:structured-macro></blockquote>",
	"panel title":               `<ac:structured-macro ac:name="info"><ac:parameter ac:name="title">x&#10;&#10;&lt;script&gt;alert(1)&lt;/script&gt;</ac:parameter><ac:rich-text-body><p>y</p></ac:rich-text-body></ac:structured-macro>`,
	"status title":              `<p><ac:structured-macro ac:name="status"><ac:parameter ac:name="title">**&lt;script&gt;alert(1)&lt;/script&gt;</ac:parameter></ac:structured-macro></p>`,
	"table cell breaks out":     `<table><tbody><tr><th>a|b</th><th>c</th></tr><tr><td>x | y<br />| z |</td><td><code>a | b \| &lt;script&gt;</code></td></tr><tr><td>&lt;/td&gt;&lt;script&gt;alert(1)&lt;/script&gt;</td><td><p>1</p><p>| --- |</p></td></tr></tbody></table>`,
	"inline code":               "<p><code>`<![CDATA[</code><script>alert(1)</script>]]></code> <code>&lt;script&gt;``</code></p>",
	"math":                      "<ac:structured-macro ac:name=\"mathinline\"><ac:parameter ac:name=\"body\">x`$ &lt;script&gt;alert(1)&lt;/script&gt;</ac:parameter></ac:structured-macro><ac:structured-macro ac:name=\"mathblock\"><ac:parameter ac:name=\"body\">```\n&lt;script&gt;</ac:parameter></ac:structured-macro>",
	"html macro":                `<ac:structured-macro ac:name="html"><ac:plain-text-body><![CDATA[<p onclick="x()">Hi <a href="javascript:alert(1)">there</a></p><script>alert(1)</script><iframe src="javascript:alert(1)"></iframe><svg onload="alert(1)"><text>t</text></svg><style>p{}</style><b>bold</b>]]></ac:plain-text-body></ac:structured-macro>`,
	"markdown macro":            `<ac:structured-macro ac:name="markdown"><ac:plain-text-body><![CDATA[<script>alert(1)</script> [x](javascript:alert(1))]]></ac:plain-text-body></ac:structured-macro>`,
	"user name":                 `<p><ac:link><ri:user ri:account-id="&lt;script&gt;alert(1)&lt;/script&gt;" /></ac:link><ac:link><ri:user ri:username="](javascript:alert(1))" /></ac:link></p>`,
	"page title":                `<p><ac:link><ri:page ri:content-title="](javascript:alert(1)) &lt;script&gt;" ri:space-key="../..&quot;" /></ac:link></p><ac:structured-macro ac:name="include"><ac:parameter ac:name=""><ac:link><ri:page ri:content-title="x&#10;&#10;&lt;script&gt;" /></ac:link></ac:parameter></ac:structured-macro>`,
	"date and emoji":            `<p><time datetime="&lt;script&gt;alert(1)&lt;/script&gt;" /><ac:emoticon ac:emoji-fallback="&lt;script&gt;" ac:emoji-shortname=":x:" /><ac:emoticon ac:emoji-id="3c-73-63-72-69-70-74-3e" /><ac:emoticon ac:name="&lt;b&gt;" /></p>`,
	"entities":                  `<p>&amp;lt;script&amp;gt;alert(1)&amp;lt;/script&amp;gt; &amp;#60;b&amp;#62; &am<b>p;</b>lt;script&gt; &amp;<b>lt;</b>script</p>`,
	"malformed":                 `<p>a <b>c</p> </i> <scr<script>ipt>alert(1)</script> <img src=x onerror=alert(1) <p <a href="javascript:alert(1)">x`,
	"unclosed cdata":            `<ac:plain-text-body><![CDATA[<script>alert(1)</script>`,
	"unclosed comment":          `<p>a</p><!-- <script>alert(1)</script>`,
	"alert and task markers":    `<blockquote><p>[!NOTE]<br />x</p></blockquote><ul><li>[x] done?</li></ul>`,
	"front matter":              `<hr /><p>title: x</p><hr />`,
	"setext and tables in text": `<p>a<br />===<br />b<br />---<br />a | b<br />--- | ---<br />c | d</p>`,
	"relative protocol":         `<p><a href="//evil.example/x">x</a> <a href="\\evil">y</a> <a href="/\evil.example">z</a></p>`,
	"unicode tricks":            "<p><a href=\"java\u200bscript:alert(1)\">x</a><a href=\"\ufeffjavascript:alert(1)\">y</a><a href=\"javascript\uff1aalert(1)\">z</a>\u2028&lt;script&gt;</p>",
}

// Everything that a rendered page may be made of.
var (
	safeElements = map[string]string{ // to the attributes that it may have
		"html": "", "head": "", "body": "", "p": "", "br": "", "hr": "", "em": "", "strong": "", "del": "", "sub": "", "sup": "",
		"code": "class", "pre": "", "blockquote": "", "ul": "", "ol": "start", "li": "", "h1": "", "h2": "", "h3": "", "h4": "",
		"h5": "", "h6": "", "table": "", "thead": "", "tbody": "", "tr": "", "th": "style align", "td": "style align",
		"a": "href title", "img": "src alt title", "input": "checked disabled type",
	}
	safeSchemes = map[string]bool{"": true, "http": true, "https": true, "mailto": true, "ftp": true, "xmpp": true} // GitHub links the last two in plain text
)

// requireSafe fails unless the rendered page is made of harmless elements and addresses.
func requireSafe(t testing.TB, md, doc string) {
	t.Helper()
	root, err := xhtml.Parse(strings.NewReader(doc))
	require.NoError(t, err)
	var walk func(*xhtml.Node)
	walk = func(n *xhtml.Node) {
		switch n.Type {
		case xhtml.CommentNode, xhtml.DoctypeNode:
			t.Fatalf("a comment got through: %q\nmarkdown:\n%s", n.Data, md)
		case xhtml.ElementNode:
			attributes, ok := safeElements[n.Data]
			require.True(t, ok, "<%s> got through\nmarkdown:\n%s\nhtml:\n%s", n.Data, md, doc)
			for _, a := range n.Attr {
				require.Contains(t, strings.Fields(attributes), a.Key, "<%s %s=%q> got through\nmarkdown:\n%s", n.Data, a.Key, a.Val, md)
				if a.Key == "href" || a.Key == "src" {
					requireSafeAddress(t, a.Val, md)
				}
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(root)
}

func requireSafeAddress(t testing.TB, address, md string) {
	t.Helper()
	clean := strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f {
			return -1
		}
		return r
	}, address)
	scheme, _, found := strings.Cut(clean, ":")
	if strings.ContainsAny(scheme, "/?#") {
		found = false
	}
	if found {
		require.True(t, safeSchemes[strings.ToLower(scheme)], "%q got through\nmarkdown:\n%s", address, md)
	}
	if u, err := url.Parse(clean); err == nil {
		require.NotEqual(t, "javascript", strings.ToLower(u.Scheme))
	}
}

// What is markup only to some is written so that it is text to all.
func TestTextIsSafeWithoutBackslashes(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`<p>&lt;script&gt; a &lt; b &amp;&amp; c &amp;lt;i&gt; AT&amp;T</p>`:                           "&lt;script> a < b && c &amp;lt;i> AT&T",
		`<p>&lt;<b>i</b>&gt; &lt;/p&gt; &lt;!-- &lt;?x</p>`:                                            "&lt;**i**> &lt;/p> &lt;!-- &lt;?x",
		`<p><a href="http://a" title="&quot;x&quot; [y](z) &lt;b&gt;">t</a></p>`:                       `[t](http://a "&quot;x&quot; &#91;y&#93;(z) &lt;b&gt;")`,
		`<p><a href="http://a/[x](y)">x](y) [z]</a></p>`:                                               `[x&#93;(y) \[z\]](http://a/%5Bx%5D(y))`,
		`<p><a href="http://[::1]/a[b]">x</a></p>`:                                                     `[x](http://[::1]/a%5Bb%5D)`,
		`<p><a href="javascript&amp;colon;alert(1)">x</a></p>`:                                         `[x](./javascript&amp;colon;alert(1))`,
		`<p><a href="ftp://a/b">x</a> <a href="tel:1">tel:1</a> <a href="file:///c">y</a></p>`:         "x (`ftp://a/b`) tel:1 y (`file:///c`)",
		`<ac:image ac:alt="a &quot;b&quot; &lt;c&gt;"><ri:attachment ri:filename="d"/></ac:image>`:     `![a &quot;b&quot; &lt;c&gt;](https://acme.atlassian.net/wiki/download/attachments/1001/d "d")`,
		`<p>http://a/onclick=b/_c_ <a href="http://a/onx=1">http://a/onx=1</a></p>`:                    `http&#58;//a/onclick=b/\_c\_ [http://a/onx=1](http://a/onx=1)`,
		`<p>a {: onclick=x } b {y} {z=1</p>`:                                                           "a \\{: onclick=x } b {y} {z=1",
		"<p><code>`&lt;i&gt;</code> <code>&lt;i&gt; &amp;amp;</code></p>":                              "<code>&#96;&lt;i&gt;</code> `<i> &amp;`",
		`<table><tbody><tr><th>"a"</th><th>b</th></tr><tr><td>"c"</td><td>d</td></tr></tbody></table>`: "| &quot;a&quot; | b |\n| --- | --- |\n| \"c\" | d |",
	} {
		result, err := markdown.Convert(body, siteFacts())
		require.NoError(t, err)
		require.Equal(t, want+"\n", result.Markdown, body)
	}
}

// requireSound checks the invariants of all Markdown that Convert returns.
func requireSound(t testing.TB, body string, result markdown.Result) {
	t.Helper()
	md := result.Markdown
	require.True(t, utf8.ValidString(md))
	require.LessOrEqual(t, len(md), markdown.MaxGrowth*len(body)+(128<<10))
	require.Equal(t, len(md), result.Metadata.ContentLength)
	if md == "" {
		return
	}
	require.True(t, strings.HasSuffix(md, "\n") && !strings.HasSuffix(md, "\n\n"), "ends with one newline: %q", md[max(0, len(md)-20):])
	require.NotContains(t, "\n \t", md[:1], "begins with text")

	doc := renderHTML(t, md)
	requireSafe(t, md, doc)

	// No open construct may swallow text behind the page.
	require.Contains(t, renderHTML(t, md+"\nlast words\n"), "last words</p>", "something swallows the next paragraph\n%s", md)

	// No text of the page may define a link's target.
	context := parser.NewContext()
	gfm.Parser().Parse(text.NewReader([]byte(md)), parser.WithContext(context))
	require.Empty(t, context.References(), "a definition got through\n%s", md)

	// The reported headings are the written headings.
	require.Equal(t, len(result.Headings), bytes.Count([]byte(doc), []byte("</h1>"))+bytes.Count([]byte(doc), []byte("</h2>"))+
		bytes.Count([]byte(doc), []byte("</h3>"))+bytes.Count([]byte(doc), []byte("</h4>"))+
		bytes.Count([]byte(doc), []byte("</h5>"))+bytes.Count([]byte(doc), []byte("</h6>")), "headings\n%s", md)
}

func TestHostileBodiesDoNothing(t *testing.T) {
	t.Parallel()
	for name, body := range hostile {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, wrapped := range []string{
				body,
				"<ul><li>" + body + "</li></ul>",
				"<table><tbody><tr><td>" + body + "</td><td>x</td></tr></tbody></table>",
				"<blockquote>" + body + "</blockquote>",
				"<h2>" + body + "</h2>",
				"<a href=\"https://example.org\">" + body + "</a>",
				`<ac:structured-macro ac:name="expand"><ac:rich-text-body>` + body + "</ac:rich-text-body></ac:structured-macro>",
			} {
				result, err := markdown.Convert(wrapped, siteFacts())
				require.NoError(t, err)
				requireSound(t, wrapped, result)
			}
		})
	}
}

// FuzzConvert looks for bodies that break the invariants.
func FuzzConvert(f *testing.F) {
	for _, body := range hostile {
		f.Add(body)
	}
	golden, err := filepath.Glob("testdata/golden/*/in.xml")
	require.NoError(f, err)
	for _, path := range golden {
		body, err := os.ReadFile(path)
		require.NoError(f, err)
		f.Add(string(body))
	}
	f.Fuzz(func(t *testing.T, body string) {
		result, err := markdown.Convert(body, siteFacts())
		if err != nil {
			return // too deep or too large, both allowed; anything else panics
		}
		again, err := markdown.Convert(body, siteFacts())
		require.NoError(t, err)
		require.Equal(t, result, again, "the same body gives the same result")
		requireSound(t, body, result)
	})
}
