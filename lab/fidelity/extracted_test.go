package fidelity

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/extractor/extract"
	"github.com/sluicehq/sluice/services/extractor/extract/extracttest"
)

// PDFium drops a single wide letter that stands alone, as cells of a Chinese table may.
const leastPDF = 0.95

type file struct {
	name    string
	content []byte
	least   float64
}

func formats(c extracttest.Content) []file {
	return []file{
		{"docx", c.Docx(), 1}, {"pptx", c.Pptx(), 1}, {"xlsx", c.Xlsx(), 1}, {"html", c.HTML(), 1},
		{"drawio", c.Drawio(), 1}, {"svg", c.SVG(), 1}, {"pdf", c.PDF(), leastPDF},
	}
}

// TestDamageOfExtractedFilesIsSeen takes a right extraction, damages it, and requires a lower score.
func TestDamageOfExtractedFilesIsSeen(t *testing.T) {
	t.Parallel()
	c := extracttest.Sample()
	content := c.Pptx()
	for name, tc := range map[string]struct {
		old, new string
		hit      Feature
	}{
		"a word":    {"Prüfung", "", Words},
		"a heading": {"### Limits", "Limits", Headings},
		"a cell":    {"| retry\\* | 3 |", "|  | retry 3 |", Cells},
	} {
		d, err := extract.Extract(t.Context(), extract.File{Name: "a.pptx", Content: bytes.NewReader(content), Size: int64(len(content))}, extract.Limits{})
		require.NoError(t, err)
		for i := range d.Parts {
			d.Parts[i].Markdown = strings.Replace(d.Parts[i].Markdown, tc.old, tc.new, 1)
		}
		p, err := Extracted(name, c, d)
		require.NoError(t, err)
		require.Less(t, p.Scores[tc.hit].Found, p.Scores[tc.hit].Total, name)
	}
	d, err := extract.Extract(t.Context(), extract.File{Name: "a.pptx", Content: bytes.NewReader(content), Size: int64(len(content))}, extract.Limits{})
	require.NoError(t, err)
	d.Parts[0].Place, d.Parts[1].Place = d.Parts[1].Place, d.Parts[0].Place
	p, err := Extracted("a place", c, d)
	require.NoError(t, err)
	require.Equal(t, 1, p.Scores[Places].Found)
}
