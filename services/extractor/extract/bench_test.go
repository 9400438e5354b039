package extract

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/extractor/extract/extracttest"
)

// BenchmarkExtract reads a file of each format, about as long as a report of thirty pages.
func BenchmarkExtract(b *testing.B) {
	c := extracttest.Sample()
	for range 9 {
		c.Sections = append(c.Sections, extracttest.Sample().Sections...)
	}
	for i := range c.Sections {
		c.Sections[i].Heading = strings.Repeat("I", i/10) + c.Sections[i].Heading // a sheet needs a name of its own
		for range 10 {
			c.Sections[i].Paragraphs = append(c.Sections[i].Paragraphs, extracttest.Sample().Sections[0].Paragraphs...)
		}
	}
	var names = []string{"a.pdf", "a.docx", "a.pptx", "a.html", "a.csv", "a.drawio"}
	content := map[string][]byte{"a.pdf": c.PDF(), "a.docx": c.Docx(), "a.pptx": c.Pptx(), "a.html": c.HTML(),
		"a.csv": bytes.Repeat(c.Sections[0].CSV(','), 500), "a.drawio": c.Drawio()}
	for _, name := range names {
		b.Run(name, func(b *testing.B) {
			file := fileOf(name, content[name])
			_, err := Extract(b.Context(), file, Limits{}) // PDFium is compiled once
			require.NoError(b, err)
			b.SetBytes(file.Size)
			b.ReportAllocs()
			for b.Loop() {
				_, err := Extract(b.Context(), file, Limits{})
				require.NoError(b, err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "files/s")
		})
	}
}
