//go:build foreign

package markdown_test

import (
	"bytes"
	"context"
	"encoding/json"
	"html"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	xhtml "golang.org/x/net/html"

	"github.com/sluicehq/sluice/services/converter/markdown"
)

// TestForeignRenderers converts hostile and random bodies, renders the Markdown with popular
// renderers that deviate from CommonMark, and requires that no output contains active content. It
// installs the renderers itself, at pinned versions.
func TestForeignRenderers(t *testing.T) {
	documents := foreignDocuments(t)
	asked, err := json.Marshal(documents)
	require.NoError(t, err)
	for name, render := range map[string]func(*testing.T, []byte) []byte{
		"npm": renderWithNode, "PyPI": renderWithPython, "Go": renderWithGo,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var rendered map[string][]string
			require.NoError(t, json.Unmarshal(render(t, asked), &rendered))
			require.NotEmpty(t, rendered)
			for renderer, pages := range rendered {
				require.Len(t, pages, len(documents))
				failures := 0
				for i, page := range pages {
					if live := liveParts(t, page); len(live) > 0 && failures < 5 {
						failures++
						t.Errorf("%s: %q is live\nmarkdown:\n%s\nhtml:\n%s", renderer, live, documents[i], page)
					}
				}
			}
		})
	}
}

// foreignDocuments is the Markdown of every hostile body, and of random bodies. Code is left out:
// it is written byte for byte, and a renderer without support for fences, or for fences inside a
// list, takes it for text.
func foreignDocuments(t *testing.T) []string {
	t.Helper()
	var bodies []string
	for _, body := range hostile {
		bodies = append(bodies, body)
	}
	for _, text := range append(slices.Clone(foreignTexts), tricky...) {
		for _, around := range foreignPlaces {
			escaped := html.EscapeString(text)
			bodies = append(bodies, strings.ReplaceAll(around, "§", escaped), strings.ReplaceAll(around, "§", html.EscapeString(escaped)))
		}
	}
	for seed := range uint64(6000) {
		b := &builder{Rand: rand.New(rand.NewPCG(seed, 5))}
		b.grow(4)
		bodies = append(bodies, b.String())
	}
	documents := make([]string, 0, len(bodies))
	for _, body := range bodies {
		if strings.Contains(body, "plain-text-body") || strings.Contains(body, "<pre") || strings.Contains(body, `"code"`) || strings.Contains(body, `"math`) {
			continue
		}
		result, err := markdown.Convert(body, siteFacts())
		require.NoError(t, err)
		documents = append(documents, result.Markdown)
	}
	slices.Sort(documents)
	return slices.Compact(documents)
}

// foreignTexts are attempts to get active content past a converter; foreignPlaces are the contexts
// for them, at §.
var (
	foreignTexts = []string{
		`<script>alert(1)</script>`, `<img src=x onerror=alert(1)>`, `<svg/onload=alert(1)>`, `<iframe src=javascript:alert(1)>`,
		`<a href="javascript:alert(1)">x</a>`, `</a><script>alert(1)</script>`, `<b onmouseover=alert(1)>x</b>`, `<!--><script>alert(1)</script>-->`,
		`<x onclick=alert(1)>x`, `<<script>script>alert(1)</script>`, `<scr<script>ipt>alert(1)</script>`, `<?php alert(1) ?><b onclick=alert(1)>`,
		`[x](javascript:alert(1))`, `[x](JaVaScRiPt:alert(1))`, `![x](javascript:alert(1))`, `[x](<javascript:alert(1)>)`, `[x]( javascript:alert(1))`,
		`[x](javascript&colon;alert(1))`, `[x](&#106;avascript:alert(1))`, `[x](java&Tab;script:alert(1))`, `[x](data:text/html;base64,PHNjcmlwdD4=)`,
		`[x](http://a "b" onclick="alert(1))`, `[x](http://a"onmouseover="alert(1))`, `![x](http://a" onerror="alert(1))`, `![" onerror="alert(1)](http://a)`,
		`[x]: javascript:alert(1)`, `[x][y]`, `[x]`, `[x][]`, `<javascript:alert(1)>`, `<http://a/onclick=alert(1)//>`, `http://a/onclick=alert(1)/_x_`,
		`<http://a"onclick="alert(1)>`, `http://a"onclick="alert(1)"_`, `javascript:alert(1)`, `www.a.b"onclick="alert(1)`, `a@b.c"onclick="alert(1)`,
		"`<script>alert(1)</script>", "``<script>alert(1)</script>`", "`` `<img src=x onerror=alert(1)> ``", "```<script>alert(1)</script>```", "~~~<script>",
		`\<script>alert(1)</script>`, `\\<script>alert(1)</script>`, `\[x](javascript:alert(1))`, `\](javascript:alert(1))`, `](javascript:alert(1))`,
		`](javascript:alert(1)) [x`, `x](javascript:alert(1)) ![y`, `"](javascript:alert(1)) [y](x "`, `") [y](javascript:alert(1) "`, `' onclick='alert(1)`,
		`&lt;script&gt;alert(1)&lt;/script&gt;`, `&#60;img src=x onerror=alert(1)&#62;`, `&amp;lt;script&amp;gt;`, `&lt`, `&ltscript>alert(1)`, `javascript&colon;alert(1)`,
		`javascript&#58;alert(1)`, `javascript&#x3a;alert(1)`, `&#106;avascript&colon;alert(1)`, `<script`, `<`, `<a`, `</`, `<!`, `<!DOCTYPE html><script>alert(1)</script>`, `<![CDATA[<script>alert(1)</script>]]>`,
		`{onclick=alert(1)}`, `{: onclick=alert(1)}`, `x{: href="javascript:alert(1)" }`, `# x {#a onclick=alert(1)}`, `[^1]: <script>alert(1)</script>`, `[^1]`, `*[x]: <script>`,
		`| a | <script>alert(1)</script> |`, `$<script>alert(1)</script>$`, `**<script>alert(1)</script>**`, `<script>*alert(1)*</script>`, `: <script>alert(1)</script>`,
	}
	foreignPlaces = []string{
		`<p>§</p>`, `<p>a § b</p>`, `<p>a<br/>§<br/>§</p>`, `<p>§<strong>§</strong>§<em>§</em></p>`, `<h2>§</h2><p>§</p>`, `<ul><li>§</li><li><p>§</p><ul><li>§</li></ul></li></ul>`, `<ol><li>§</li></ol>`,
		`<blockquote><p>§</p></blockquote>`, `<table><tbody><tr><th>§</th><th>b</th></tr><tr><td>§</td><td><p>§</p><p>§</p></td></tr></tbody></table>`, `<p>[x] and [x\] §</p><p>§</p><p>[x][x]</p>`,
		`<p><code>§</code></p>`, `<p>a <code>§</code>§<code>§</code></p>`, `<p><a href="§">x</a></p>`, `<p><a href="http://a/§">§</a></p>`, `<p><a href="http://a/§">http://a/§</a></p>`, `<p><a href="http://a" title="§">§</a></p>`, `<p>http://a/§</p>`, `<p><a href="mailto:§">x</a></p>`,
		`<p><a href="/§">x</a><a href="#§">§</a><a href="?§">x</a><a href="./§">x</a></p>`, `<p><img src="§" alt="§" title="§"/></p>`, `<p><img src="http://a/§" alt="§" title="§"/></p>`,
		`<ac:image ac:alt="§" ac:title="§"><ri:attachment ri:filename="§"/></ac:image>`, `<ac:image><ri:url ri:value="§"/><ac:caption><p>§</p></ac:caption></ac:image>`,
		`<p><ac:link ac:anchor="§" ac:tooltip="§"><ri:page ri:content-title="§" ri:space-key="§"/></ac:link></p>`, `<p><ac:link><ri:user ri:account-id="§"/></ac:link></p>`, `<p><ac:link><ri:url ri:value="§"/><ac:link-body>§</ac:link-body></ac:link></p>`,
		`<ac:structured-macro ac:name="info"><ac:parameter ac:name="title">§</ac:parameter><ac:rich-text-body><p>§</p></ac:rich-text-body></ac:structured-macro>`,
		`<ac:structured-macro ac:name="expand"><ac:parameter ac:name="title">§</ac:parameter><ac:rich-text-body><p>§</p></ac:rich-text-body></ac:structured-macro>`,
		`<p><ac:structured-macro ac:name="status"><ac:parameter ac:name="title">§</ac:parameter></ac:structured-macro></p>`, `<ac:structured-macro ac:name="widget"><ac:parameter ac:name="url"><ri:url ri:value="§"/></ac:parameter></ac:structured-macro>`,
		`<ac:structured-macro ac:name="jira"><ac:parameter ac:name="key">§</ac:parameter></ac:structured-macro>`, `<ac:structured-macro ac:name="jira"><ac:parameter ac:name="jqlQuery">§</ac:parameter></ac:structured-macro>`,
		`<ac:structured-macro ac:name="drawio"><ac:parameter ac:name="diagramName">§</ac:parameter></ac:structured-macro>`, `<ac:structured-macro ac:name="mystery"><ac:parameter ac:name="url">§</ac:parameter><ac:parameter ac:name="title">§</ac:parameter></ac:structured-macro>`,
		`<ac:task-list><ac:task><ac:task-status>complete</ac:task-status><ac:task-body>§</ac:task-body></ac:task></ac:task-list>`, `<p><time datetime="§"/><ac:emoticon ac:emoji-fallback="§"/></p>`,
	}
)

// foreignElements are what harmless pages of these renderers are made of.
const foreignElements = " html head body p br hr em strong b i u s del sub sup code pre blockquote ul ol li dl dt dd h1 h2 h3 h4 h5 h6" +
	" table thead tbody tfoot tr th td colgroup col a img input div span section abbr "

// harmlessStyle are the styles that renderers give to tables and to lists of tasks.
var harmlessStyle = regexp.MustCompile(`^(text-align: *(left|center|right);?|list-style-type: none;|margin: [-0-9. pxem]+; vertical-align: middle;)$`)

// liveParts is what of a rendered page could act: elements, attributes and addresses.
func liveParts(t *testing.T, doc string) []string {
	t.Helper()
	root, err := xhtml.Parse(strings.NewReader(doc))
	require.NoError(t, err)
	var live []string
	var walk func(*xhtml.Node)
	walk = func(n *xhtml.Node) {
		if n.Type == xhtml.ElementNode {
			// A renderer that does not know <https://…> leaves a tag, which does nothing.
			if !strings.Contains(foreignElements, " "+n.Data+" ") && !strings.HasPrefix(n.Data, "http") {
				live = append(live, "<"+n.Data+">")
			}
			for _, a := range n.Attr {
				name := strings.ToLower(a.Key)
				switch {
				case strings.HasPrefix(name, "on"), name == "srcdoc", name == "formaction", name == "style" && !harmlessStyle.MatchString(a.Val):
					live = append(live, name+"="+a.Val)
				case name == "href" || name == "src":
					if !harmlessAddress(a.Val) || !harmlessAddress(html.UnescapeString(a.Val)) {
						live = append(live, name+"="+a.Val)
					}
				}
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(root)
	return live
}

// harmlessAddress reports whether an address leads to the web, to a mailbox or to a path.
func harmlessAddress(address string) bool {
	clean := strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f {
			return -1
		}
		return r
	}, address)
	scheme, _, found := strings.Cut(strings.ToLower(clean), ":")
	if !found || strings.Trim(scheme, "abcdefghijklmnopqrstuvwxyz0123456789+-.") != "" {
		return true
	}
	switch scheme {
	case "http", "https", "mailto", "ftp", "xmpp": // the last two by GitHub's own linking of text
		return true
	}
	return false
}

func renderWithNode(t *testing.T, documents []byte) []byte {
	dir := installed(t, "node")
	said(t, dir, nil, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--engine-strict=false")
	return said(t, dir, documents, "node", "render.js")
}

func renderWithPython(t *testing.T, documents []byte) []byte {
	dir := installed(t, "python")
	said(t, dir, nil, "python3", "-m", "venv", "venv")
	bin := filepath.Join(dir, "venv", "bin")
	if runtime.GOOS == "windows" {
		bin = filepath.Join(dir, "venv", "Scripts")
	}
	said(t, dir, nil, filepath.Join(bin, "pip"), "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r", "requirements.txt")
	return said(t, dir, documents, filepath.Join(bin, "python"), "render.py")
}

func renderWithGo(t *testing.T, documents []byte) []byte {
	return said(t, installed(t, "go"), documents, "go", "run", ".")
}

// installed copies a folder of testdata/renderers to where its tools may write.
func installed(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "renderers", name))))
	return dir
}

// said runs a program to its end and returns what it wrote.
func said(t *testing.T, dir string, input []byte, program string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod"), bytes.NewReader(input), &out, &errs
	require.NoError(t, cmd.Run(), "%s %v: %s", program, args, errs.String())
	return out.Bytes()
}
