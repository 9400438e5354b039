package extract

import (
	"bytes"
	"fmt"
	"os"
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
	names := []string{"a.pdf", "a.docx", "a.pptx", "a.xlsx", "a.html", "a.csv", "a.drawio"}
	content := map[string][]byte{"a.pdf": c.PDF(), "a.docx": c.Docx(), "a.pptx": c.Pptx(), "a.xlsx": c.Xlsx(), "a.html": c.HTML(),
		"a.csv": bytes.Repeat(c.Sections[0].CSV(','), 500), "a.drawio": c.Drawio()}
	for _, name := range names {
		b.Run(name, func(b *testing.B) {
			file := fileOf(name, content[name])
			_, err := Extract(b.Context(), file, Limits{}) // PDFium is compiled once
			require.NoError(b, err)
			b.SetBytes(file.Size)
			b.ReportAllocs()
			_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // the peak is then this format's
			for b.Loop() {
				_, err := Extract(b.Context(), file, Limits{})
				require.NoError(b, err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "files/s")
			b.ReportMetric(peak(), "MiB-peak")
		})
	}
}

// peak is the most memory that this process had resident, in MiB; 0 where the system does not say.
func peak() float64 {
	status, _ := os.ReadFile("/proc/self/status")
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	var kib float64
	_, _ = fmt.Sscan(after, &kib)
	return kib / 1024
}
