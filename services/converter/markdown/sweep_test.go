package markdown_test

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/converter/markdown"
	"github.com/sluicehq/sluice/shared/page"
)

// sweeps is the number of bodies in TestSweepOfApps: few in every test run, many before a change of
// the converter lands.
var sweeps = flag.Uint64("sweeps", 3_000, "how many random bodies of apps' macros are swept")

// sweep writes random bodies as apps and editors write them. Every visible text is a unique word,
// so that the test can find it.
type sweep struct {
	*rand.Rand
	strings.Builder
	words  []string // all generated words; not all of them are in the body
	packed []string // words that the body holds only in packed form
	next   int
}

// word is a new visible word.
func (s *sweep) word() string {
	s.next++
	w := fmt.Sprintf("word%dq", s.next)
	s.words = append(s.words, w)
	return w
}

func (s *sweep) pick(from ...string) string { return from[s.IntN(len(from))] }

func (s *sweep) param(name, value string) string {
	return fmt.Sprintf(`<ac:parameter ac:name="%s">%s</ac:parameter>`, name, value)
}

func (s *sweep) macroOf(name, inside string) string {
	return fmt.Sprintf(`<ac:structured-macro ac:name="%s">%s</ac:structured-macro>`, name, inside)
}

// settings are parameters without text for readers.
func (s *sweep) settings() string {
	return s.pick("", s.param("width", "300"), s.param("border", "true"), s.param("color", "#ff0000"), s.param("theme", "default"))
}

// pack is a diagram's source, packed as an app packs it.
func (s *sweep) pack() string {
	w := s.word()
	s.packed = append(s.packed, w)
	code := "@startuml\n" + w + "\n@enduml"
	var b bytes.Buffer
	f, _ := flate.NewWriter(&b, flate.BestCompression)
	_, _ = f.Write([]byte(url.PathEscape(code)))
	_ = f.Close()
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

// inline are elements inside a sentence.
func (s *sweep) inline(depth int) string {
	known := []string{"status", "mathinline", "excerpt", "multiexcerpt", "jira", "profile", "kbd-x", "tip-x", "anchor", "include", "multiexcerpt-include-macro", "ref-x", "emoji-x"}
	switch k := s.IntN(17); {
	case k < 4:
		return s.word()
	case k == 4:
		return "<strong>" + s.inline(depth-1) + "</strong>"
	case k == 5:
		return fmt.Sprintf(`<span style="%s">%s</span>`, s.pick("text-decoration: line-through", "font-weight:bold", "color: white", "display:none", "font-size:0"), s.word())
	case k == 6:
		return fmt.Sprintf(`<a href="https://example.org/x"%s>%s</a>`, s.pick("", ` title="t"`), s.word())
	case k == 7:
		return s.macroOf("status", s.param("title", s.word()))
	case k == 8:
		return s.macroOf(s.pick("mathinline", "easy-math-inline", "latex-x"), s.param(s.pick("body", "latex"), s.word()))
	case k == 9:
		return s.macroOf(s.pick("excerpt", "multiexcerpt", "tip-x", "span"), "<ac:rich-text-body><p>"+s.word()+"</p></ac:rich-text-body>")
	case k == 10:
		return s.macroOf(s.pick("kbd-x", "label-x"), s.param(s.pick("key", "text", "label", "date", "tooltip"), s.word())+s.settings())
	case k == 11:
		return s.macroOf(s.pick("include", "acme-include-x", "multiexcerpt-include-macro", "page-x"), s.param(s.pick("page", ""), `<ac:link><ri:page ri:content-title="`+s.word()+`"/></ac:link>`))
	case k == 12:
		return s.forge("inline-extension", s.pick("mathinline", "chip-x"), s.pick("latex", "text"), s.word())
	case k == 13:
		return fmt.Sprintf(`<span class="katex"><math><mi>x</mi><annotation encoding="application/x-tex">%s</annotation></math></span>`, s.word())
	case k == 14:
		return fmt.Sprintf(`<abbr title="%s">%s</abbr>`, s.word(), s.word())
	case k == 15:
		return s.macroOf(known[s.IntN(len(known))], s.settings()) // without content
	default:
		return "<br/>" + s.word()
	}
}

func (s *sweep) forge(kind, key, param, value string) string {
	node := fmt.Sprintf(`<ac:adf-node type="%s"><ac:adf-attribute key="extension-key">a/b/static/%s</ac:adf-attribute><ac:adf-attribute key="parameters"><ac:adf-parameter key="guest-params"><ac:adf-parameter key="%s">%s</ac:adf-parameter></ac:adf-parameter></ac:adf-attribute></ac:adf-node>`, kind, key, param, value)
	return `<ac:adf-extension>` + node + s.pick("", "<ac:adf-fallback>"+node+"</ac:adf-fallback>") + `</ac:adf-extension>`
}

// block are block elements, which contain others.
func (s *sweep) block(depth int) string {
	if depth <= 0 {
		return "<p>" + s.inline(1) + "</p>"
	}
	body := func() string {
		if s.IntN(8) == 0 {
			return "<ac:rich-text-body>" + s.pick("", "<p/>", " ", "<p><br/></p>") + "</ac:rich-text-body>"
		}
		return "<ac:rich-text-body>" + s.blocks(depth-1) + "</ac:rich-text-body>"
	}
	switch s.IntN(22) {
	case 0, 1, 2:
		return "<p>" + s.inline(2) + " " + s.inline(2) + "</p>"
	case 3:
		return "<ul><li>" + s.inline(1) + "</li><li>" + s.block(depth-1) + "</li></ul>"
	case 4:
		return fmt.Sprintf("<h%d>%s</h%d>", 2+s.IntN(3), s.inline(1), 2) // the wrong end, sometimes
	case 5:
		return s.macroOf(s.pick("info", "note", "warning", "tip"), s.pick("", s.param("title", s.word()))+body())
	case 6:
		return s.macroOf("panel", s.pick("", s.param("panelIconText", "✅"), s.param("title", s.word()))+body())
	case 7:
		return s.macroOf(s.pick("expand", "card", "tab-pane", "ui-tab", "tab-x", "step-x"), s.param(s.pick("title", "label"), s.word())+body())
	case 8:
		return s.macroOf(s.pick("deck", "tabs-group", "section", "column", "details", "quote", "mystery"), body())
	case 9:
		return s.macroOf(s.pick("drawio", "inc-drawio", "gliffy", "x-diagram"), s.param("diagramName", s.word()+".drawio")+s.pick("", s.param("pageId", "77"))+s.settings())
	case 10:
		return s.macroOf(s.pick("mermaid-cloud", "mermaid", "plantuml"), s.param("filename", s.word()))
	case 11:
		return s.macroOf("plantumlcloud", s.param("data", s.pack())+s.param("filename", "x"))
	case 12:
		return s.macroOf(s.pick("board-x", "film-x", "widget"), s.param(s.pick("accessLink", "uri", "url"), "https://example.org/"+s.word())+s.settings())
	case 13:
		return s.macroOf("roadmap", s.param("source", url.PathEscape(`{"lanes":[{"title":"`+s.word()+`","bars":[{"title":"`+s.word()+`"}]}],"markers":[{"title":"`+s.word()+`"}]}`)))
	case 14:
		return s.forge("extension", s.pick("drawio", "app-x"), s.pick("diagram-name", "title", "text"), s.word())
	case 15:
		return `<ac:adf-extension><ac:adf-node type="decision-list"><ac:adf-node type="decision-item"><ac:adf-attribute key="state">` + s.pick("DECIDED", "UNDECIDED") + `</ac:adf-attribute><ac:adf-content>` + s.inline(1) + `</ac:adf-content></ac:adf-node></ac:adf-node></ac:adf-extension>`
	case 16:
		return `<ac:adf-extension><ac:adf-node type="panel"><ac:adf-attribute key="panel-type">note</ac:adf-attribute><ac:adf-content>` + s.block(depth-1) + `</ac:adf-content></ac:adf-node></ac:adf-extension>`
	case 17, 18:
		cell := func() string { return s.pick("<p>"+s.inline(1)+"</p>", s.inline(1), s.block(depth-1)) }
		return `<table><tbody><tr><th rowspan="2"><p>` + s.word() + `</p></th><th colspan="2">` + s.word() + `</th></tr><tr><th>` + s.word() + `</th><th><p>` + s.word() + `</p></th></tr><tr><td>` + cell() + `</td><td>` + cell() + `</td><td><p>` + s.word() + `</p></td></tr></tbody></table>`
	case 19:
		return s.macroOf(s.pick("code", "noformat", "mystery"), `<ac:plain-text-body><![CDATA[`+s.word()+s.pick("", "\nx")+`]]></ac:plain-text-body>`)
	case 20:
		return s.macroOf(s.pick("code", "info", "expand", "html", "jira", "view-file", "contentbylabel", "toc", "widget", "mathblock", "unheard-of", "chart"), s.settings())
	default:
		return "<blockquote>" + s.block(depth-1) + "</blockquote>"
	}
}

func (s *sweep) blocks(depth int) string {
	var b strings.Builder
	for range 1 + s.IntN(2) {
		b.WriteString(s.block(depth))
	}
	return b.String()
}

// TestSweepOfApps converts random bodies of apps' macros, extensions, tables and styles: every text
// appears in the output, and every element reported as rendered has written something.
func TestSweepOfApps(t *testing.T) {
	t.Parallel()
	for seed := range *sweeps {
		s := &sweep{Rand: rand.New(rand.NewPCG(seed, 22))}
		body := s.blocks(3)
		result, err := markdown.Convert(body, siteFacts())
		require.NoError(t, err)
		for _, w := range s.words {
			if !strings.Contains(body, w) {
				continue
			}
			require.Contains(t, result.Markdown, w, "seed %d\n%s\n%s", seed, body, result.Markdown)
		}
		for _, w := range s.packed {
			if strings.Contains(body, "plantumlcloud") && strings.Count(body, `"data"`) == len(s.packed) {
				require.Contains(t, result.Markdown, w, "seed %d\n%s\n%s", seed, body, result.Markdown)
			}
		}
		if seed%10 == 0 {
			requireSound(t, body, result)
		}
		// A macro alone shows everything that it writes.
		s = &sweep{Rand: s.Rand}
		if body = s.block(1); s.IntN(2) == 0 {
			body = s.inline(1)
		}
		result, err = markdown.Convert(body, siteFacts())
		require.NoError(t, err)
		if result.Markdown == "" {
			for _, l := range result.Losses {
				if l.Element == "storage-format" {
					continue // about the body, not about what it shows
				}
				require.Equal(t, page.Dropped, l.Fate, "seed %d\n%s\n%+v", seed, body, l)
			}
		}
	}
}
