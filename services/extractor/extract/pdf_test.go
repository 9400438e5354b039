//go:build !race

package extract

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/extractor/extract/extracttest"
)

func TestPDFKeepsPagesHeadingsAndParagraphs(t *testing.T) {
	line := func(text string, size, down int) extracttest.PDFText {
		return extracttest.PDFText{Text: text, Size: size, Down: down}
	}
	d := read(t, "a.pdf", extracttest.PDFFile([][]extracttest.PDFText{
		{line("Brücken", 24, 20), line("Überblick", 16, 40), line("The first line of a paragraph", 11, 30), line("and the second line of it.", 11, 14), line("Another paragraph.", 11, 40)},
		{}, // a page without text
		{line("ends on page three", 11, 20)},
	}))
	require.Equal(t, []Part{
		{"page 1", "### Brücken\n\n#### Überblick\n\nThe first line of a paragraph\nand the second line of it.\n\nAnother paragraph.\n"},
		{"page 3", "ends on page three\n"},
	}, d.Parts)
}

func TestPDFOfOneSizeHasNoHeadings(t *testing.T) {
	var lines []extracttest.PDFText
	for range 20 {
		lines = append(lines, extracttest.PDFText{Text: "all the same", Size: 12, Down: 15})
	}
	require.NotContains(t, read(t, "a.pdf", extracttest.PDFFile([][]extracttest.PDFText{lines})).Markdown(), "### ")
}

func TestPDFsAreReadSideBySide(t *testing.T) {
	content := extracttest.Sample().PDF()
	want := read(t, "a.pdf", content)
	require.Contains(t, want.Markdown(), "## page 3")
	for range 2 * pdfReaders { // each waits for a place, none for ever
		t.Run("", func(t *testing.T) {
			t.Parallel()
			require.Equal(t, want, read(t, "a.pdf", content))
		})
	}
}

func TestPDFHeadingSizes(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("x", 80)
	page := func(lines ...pdfLine) [][]pdfLine { return [][]pdfLine{lines} }
	require.Equal(t, []float64{20, 14}, headingSizes(page(pdfLine{"T", 20, 0}, pdfLine{"A", 14, 0}, pdfLine{body, 10, 0}, pdfLine{body, 10, 0}, pdfLine{body, 11, 0})))
	require.Empty(t, headingSizes(page(pdfLine{body, 10, 0}, pdfLine{body, 10, 0}, pdfLine{body + body, 20, 0})), "a long line is no heading")
	require.Empty(t, headingSizes(nil))
}

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "compiled")
	if err != nil {
		panic(err)
	}
	KeepCompiled(folder)
	code := m.Run()
	_ = os.RemoveAll(folder)
	os.Exit(code)
}

func TestCompiledReaderIsKept(t *testing.T) {
	require.NoError(t, Warm())
	kept, err := filepath.Glob(filepath.Join(*compiledIn.Load(), "*", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, kept)
}

func TestTheNameOfAPDFIsNotInItsText(t *testing.T) {
	content := extracttest.Sample().PDF()
	d := read(t, "zebra.pdf", content)
	require.NotContains(t, d.Markdown(), "zebra")
	require.Equal(t, d, read(t, "heron.PDF", content))
}
