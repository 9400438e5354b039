package markdown_test

import (
	"html"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/converter/markdown"
)

// containers hold anything, valid or not.
var containers = [][2]string{
	{"<p>", "</p>"}, {"<div>", "</div>"}, {"<span>", "</span>"}, {"<strong>", "</strong>"}, {"<em>", "</em>"}, {"<del>", "</del>"},
	{"<code>", "</code>"}, {"<sub>", "</sub>"}, {"<h1>", "</h1>"}, {"<h3>", "</h3>"}, {"<h6>", "</h6>"},
	{"<ul>", "</ul>"}, {"<ol>", "</ol>"}, {`<ol start="0">`, "</ol>"}, {`<ol start="99">`, "</ol>"}, {"<li>", "</li>"}, {"<ul><li>", "</li></ul>"}, {"<ol><li>", "</li></ol>"},
	{"<dl><dt>", "</dt></dl>"}, {"<dl><dt>t</dt><dd>", "</dd></dl>"}, {"<blockquote>", "</blockquote>"}, {"<pre>", "</pre>"},
	{"<table><tbody><tr><td>", "</td></tr></tbody></table>"}, {"<table><thead><tr><th>h</th><th>", "</th></tr></thead><tbody><tr><td>x</td></tr></tbody></table>"},
	{`<table><tbody><tr><th>a</th><th>b</th></tr><tr><td rowspan="2">m</td><td>`, `</td></tr><tr><td colspan="2">y</td></tr></tbody></table>`},
	{"<table>", "</table>"}, {"<tr>", "</tr>"}, {"<td>", "</td>"}, {"<tbody>", "</tbody>"},
	{"<ac:task-list>", "</ac:task-list>"}, {"<ac:task-list><ac:task><ac:task-status>complete</ac:task-status><ac:task-body>", "</ac:task-body></ac:task></ac:task-list>"},
	{"<ac:task><ac:task-body>", "</ac:task-body></ac:task>"}, {"<ac:layout><ac:layout-section><ac:layout-cell>", "</ac:layout-cell></ac:layout-section></ac:layout>"},
	{`<ac:structured-macro ac:name="info"><ac:rich-text-body>`, "</ac:rich-text-body></ac:structured-macro>"},
	{`<ac:structured-macro ac:name="panel"><ac:parameter ac:name="title">T</ac:parameter><ac:rich-text-body>`, "</ac:rich-text-body></ac:structured-macro>"},
	{`<ac:structured-macro ac:name="expand"><ac:parameter ac:name="title">T</ac:parameter><ac:rich-text-body>`, "</ac:rich-text-body></ac:structured-macro>"},
	{`<ac:structured-macro ac:name="quote"><ac:rich-text-body>`, "</ac:rich-text-body></ac:structured-macro>"},
	{`<ac:structured-macro ac:name="mystery"><ac:rich-text-body>`, "</ac:rich-text-body></ac:structured-macro>"},
	{`<ac:structured-macro ac:name="code"><ac:rich-text-body>`, "</ac:rich-text-body></ac:structured-macro>"},
	{`<ac:structured-macro ac:name="status"><ac:parameter ac:name="title">`, "</ac:parameter></ac:structured-macro>"},
	{`<ac:adf-extension><ac:adf-node type="panel"><ac:adf-content>`, "</ac:adf-content></ac:adf-node></ac:adf-extension>"},
	{`<ac:adf-extension><ac:adf-fallback>`, "</ac:adf-fallback></ac:adf-extension>"},
	{`<a href="https://example.org">`, "</a>"}, {`<ac:link><ri:page ri:content-title="P" /><ac:link-body>`, "</ac:link-body></ac:link>"},
	{`<ac:image><ri:attachment ri:filename="i.png" /><ac:caption>`, "</ac:caption></ac:image>"}, {"<ac:inline-comment-marker>", "</ac:inline-comment-marker>"},
	{"<x:y>", "</x:y>"}, {"<ac:rich-text-body>", "</ac:rich-text-body>"}, {"<ac:plain-text-body>", "</ac:plain-text-body>"}, {"<ac:link>", "</ac:link>"},
}

// leaves hold a text: § marks it in an attribute, ¶ in CDATA.
var leaves = []string{
	"<br />", "<hr />", "<p />", "<ac:link />", `<time datetime="§" />`, `<img src="§" alt="§" title="§" />`, `<a href="§">§</a>`, `<a href="§" title="§">x</a>`,
	`<a href="https://example.org/§" data-card-appearance="inline">https://example.org/§</a>`,
	`<ac:image ac:alt="§" ac:title="§"><ri:attachment ri:filename="§" /></ac:image>`, `<ac:image><ri:url ri:value="§" /></ac:image>`,
	`<ac:link><ri:user ri:account-id="§" /></ac:link>`, `<ac:link ac:anchor="§"><ri:page ri:content-title="§" ri:space-key="§" /></ac:link>`,
	`<ac:link ac:anchor="§" />`, `<ac:link><ri:shortcut ri:key="§" ri:parameter="§" /></ac:link>`, `<ac:link><ri:attachment ri:filename="§"><ri:page ri:content-title="§" /></ri:attachment></ac:link>`,
	`<ac:link ac:tooltip="§"><ri:url ri:value="§" /><ac:plain-text-link-body><![CDATA[¶]]></ac:plain-text-link-body></ac:link>`,
	`<ac:emoticon ac:emoji-fallback="§" />`, `<ac:emoticon ac:name="§" ac:emoji-shortname="§" />`,
	`<ac:structured-macro ac:name="code"><ac:parameter ac:name="language">§</ac:parameter><ac:parameter ac:name="title">§</ac:parameter><ac:plain-text-body><![CDATA[¶]]></ac:plain-text-body></ac:structured-macro>`,
	"<ac:structured-macro ac:name=\"code\"><ac:plain-text-body><![CDATA[¶\n¶\n]]></ac:plain-text-body></ac:structured-macro>",
	`<ac:structured-macro ac:name="mystery"><ac:plain-text-body><![CDATA[¶]]></ac:plain-text-body></ac:structured-macro>`,
	`<ac:structured-macro ac:name="html"><ac:plain-text-body><![CDATA[<p>¶<b>x</b>]]></ac:plain-text-body></ac:structured-macro>`,
	`<ac:structured-macro ac:name="jira"><ac:parameter ac:name="key">§</ac:parameter></ac:structured-macro>`,
	`<ac:structured-macro ac:name="jira"><ac:parameter ac:name="jqlQuery">§</ac:parameter></ac:structured-macro>`,
	`<ac:structured-macro ac:name="include"><ac:parameter ac:name=""><ac:link><ri:page ri:content-title="§" /></ac:link></ac:parameter></ac:structured-macro>`,
	`<ac:structured-macro ac:name="widget"><ac:parameter ac:name="url"><ri:url ri:value="§" /></ac:parameter></ac:structured-macro>`,
	`<ac:structured-macro ac:name="view-file"><ac:parameter ac:name="name"><ri:attachment ri:filename="§" /></ac:parameter></ac:structured-macro>`,
	`<ac:structured-macro ac:name="drawio"><ac:parameter ac:name="diagramName">§</ac:parameter></ac:structured-macro>`,
	`<ac:structured-macro ac:name="mathinline"><ac:parameter ac:name="body">§</ac:parameter></ac:structured-macro>`,
	`<ac:structured-macro ac:name="mathblock"><ac:parameter ac:name="body">§</ac:parameter></ac:structured-macro>`,
	`<ac:structured-macro ac:name="status"><ac:parameter ac:name="title">§</ac:parameter></ac:structured-macro>`,
	`<ac:structured-macro ac:name="attachments"><ac:parameter ac:name="title">§</ac:parameter></ac:structured-macro>`,
	`<ac:structured-macro ac:name="detailssummary"><ac:parameter ac:name="cql">§</ac:parameter></ac:structured-macro>`,
	`<ac:structured-macro ac:name="toc" />`, `<input type="checkbox" checked="" />`,
}

// wicked are hostile texts for attributes and parameters.
var wicked = append([]string{
	"javascript:alert(1)", "</a><script>alert(1)</script>", "x](javascript:alert(1))", `" onerror="alert(1)`, "a\n\n# b", "a|b\n|---|\n",
	"```\n<script>", "[x]: javascript:alert(1)", "ABC-1", "https://example.org/a b(c", "&lt;b&gt;", "1f600", "\\", "<", "`", "  ",
}, tricky...)

type builder struct {
	*rand.Rand
	strings.Builder
}

func (b *builder) pick(from []string) string { return from[b.IntN(len(from))] }

func (b *builder) grow(depth int) {
	for range 1 + b.IntN(3) {
		switch k := b.IntN(8); {
		case k < 3 && depth > 0:
			c := containers[b.IntN(len(containers))]
			b.WriteString(c[0])
			b.grow(depth - 1)
			b.WriteString(c[1])
		case k < 5:
			leaf := b.pick(leaves)
			for strings.Contains(leaf, "§") {
				leaf = strings.Replace(leaf, "§", html.EscapeString(b.pick(wicked)), 1)
			}
			for strings.Contains(leaf, "¶") {
				leaf = strings.Replace(leaf, "¶", b.pick(wicked), 1)
			}
			b.WriteString(leaf)
		default:
			for range 1 + b.IntN(4) {
				b.WriteString(html.EscapeString(b.pick(wicked)))
				b.WriteString(b.pick([]string{"", " ", "\n"}))
			}
		}
	}
}

// TestRandomStructuresAreSound nests everything in everything, with hostile texts in every
// attribute, and requires sound and harmless Markdown.
func TestRandomStructuresAreSound(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2000) {
		b := &builder{Rand: rand.New(rand.NewPCG(seed, 3))}
		b.grow(6)
		body := b.String()
		result, err := markdown.Convert(body, siteFacts())
		require.NoError(t, err)
		if !t.Run("", func(t *testing.T) { requireSound(t, body, result) }) {
			t.Fatalf("seed %d\n%s", seed, body)
		}
	}
}
