package markdown_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	htmltomarkdown "github.com/JohannesKaufmann/html-to-markdown/v2/converter"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/base"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/commonmark"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/table"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/converter/markdown"
)

// samplePage is a page of at least size bytes with the content of real pages: headings, prose with
// links and formats, nested lists, tables, code, panels, tasks and images.
func samplePage(size int) string {
	var b strings.Builder
	for n := 1; b.Len() < size; n++ {
		fmt.Fprintf(&b, `<h2 local-id="4f4e4fcb-27%04d">Deploying service %d</h2>`, n, n)
		fmt.Fprintf(&b, `<p local-id="8c0dd4a1-0f4e-4c5e-9d3a-11f3d1%06d">Before the roll-out, <strong>read the change log</strong> and tell <ac:link><ri:user ri:account-id="557058:ada" /></ac:link>; see <ac:link><ri:page ri:content-title="On-call Rota" ri:version-at-save="3" /><ac:link-body>the rota</ac:link-body></ac:link> and <a href="https://example.org/runbooks/%d?x=1&amp;y=2">the runbook</a>. Nothing may be left running &ndash; not even a <code>screen</code> session.</p>`, n, n)
		b.WriteString(`<ul><li><p>Stop the queue</p><ul><li><p>wait for <em>drain</em></p></li><li><p>check the backlog of OPS-421</p></li></ul></li><li><p>Take a backup</p></li></ul>`)
		b.WriteString(`<table data-layout="default" ac:local-id="6cd8ad46-e91c-41ec-bf4b-44468b71894c"><colgroup><col style="width: 170.0px;" /><col style="width: 170.0px;" /><col style="width: 340.0px;" /></colgroup><tbody><tr><th><p><strong>Step</strong></p></th><th><p><strong>Owner</strong></p></th><th><p><strong>What to look at</strong></p></th></tr>`)
		for row := range 6 {
			fmt.Fprintf(&b, `<tr><td><p>%d</p></td><td><p>Platform team</p></td><td><p>Latency stays below <code>%d ms</code>, errors below 0.1&nbsp;%%.</p><ul><li><p>dashboards</p></li><li><p>logs</p></li></ul></td></tr>`, row+1, 100*row+150)
		}
		b.WriteString(`</tbody></table>`)
		fmt.Fprintf(&b, `<ac:structured-macro ac:name="code" ac:schema-version="1" ac:macro-id="feb5daa0-a0b4-49a0-b0de-%012d"><ac:parameter ac:name="language">bash</ac:parameter><ac:plain-text-body><![CDATA[for host in $(cat hosts); do
  ssh "$host" 'systemctl restart app && journalctl -u app -n 20'
done]]></ac:plain-text-body></ac:structured-macro>`, n)
		b.WriteString(`<ac:structured-macro ac:name="note" ac:schema-version="1"><ac:rich-text-body><p>Only during the maintenance window.</p></ac:rich-text-body></ac:structured-macro>`)
		b.WriteString(`<ac:task-list><ac:task><ac:task-id>1</ac:task-id><ac:task-status>incomplete</ac:task-status><ac:task-body>announce it in the channel</ac:task-body></ac:task></ac:task-list>`)
		fmt.Fprintf(&b, `<ac:image ac:align="center" ac:alt="dashboard-%d.png" ac:width="760"><ri:attachment ri:filename="dashboard-%d.png" ri:version-at-save="1" /><ac:caption><p>The dashboard after a deployment</p></ac:caption></ac:image>`, n, n)
	}
	return b.String()
}

func BenchmarkConvert(b *testing.B) {
	for _, size := range []int{5 << 10, 75 << 10, 1200 << 10} {
		body, facts := samplePage(size), siteFacts()
		b.Run(fmt.Sprintf("%dKB", size>>10), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := markdown.Convert(body, facts); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLibrary converts the same page with html-to-markdown, the library that ADR 0004 compares
// with. Its input is HTML, so it loses Confluence's own elements.
func BenchmarkLibrary(b *testing.B) {
	body := samplePage(75 << 10)
	conv := htmltomarkdown.NewConverter(htmltomarkdown.WithPlugins(base.NewBasePlugin(), commonmark.NewCommonmarkPlugin(), table.NewTablePlugin()))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := conv.ConvertString(body); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEncodingXML only reads the tokens of the same page, the first step of any converter on
// top of encoding/xml.
func BenchmarkEncodingXML(b *testing.B) {
	body := "<root>" + samplePage(75<<10) + "</root>"
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		d := xml.NewDecoder(strings.NewReader(body))
		d.Strict, d.Entity = false, xml.HTMLEntity
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

// TestSamplePageIsWholesome keeps the benchmark honest: the page converts without a loss.
func TestSamplePageIsWholesome(t *testing.T) {
	t.Parallel()
	result, err := markdown.Convert(samplePage(5<<10), siteFacts())
	require.NoError(t, err)
	for _, l := range result.Losses {
		require.Equal(t, "rendered", string(l.Fate), "%+v", l)
	}
	require.Contains(t, result.Markdown, "| 2 | Platform team | Latency stays below `250 ms`, errors below 0.1 %.<br>- dashboards<br>- logs |")
}
