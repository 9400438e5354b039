//go:build !race

package fidelity

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/extractor/extract"
	"github.com/sluicehq/sluice/services/extractor/extract/extracttest"
)

// The race detector makes reading a PDF many times slower.

// TestExtractedFilesKeepEverything writes the same content in every format and scores what is extracted from it.
func TestExtractedFilesKeepEverything(t *testing.T) {
	t.Parallel()
	c := extracttest.Sample()
	var b strings.Builder
	fmt.Fprintf(&b, "%-8s %10s %10s %10s %10s\n", "format", Words, Headings, Cells, Places)
	for _, f := range formats(c) {
		d, err := extract.Extract(t.Context(), extract.File{Name: "a." + f.name, Content: bytes.NewReader(f.content), Size: int64(len(f.content))}, extract.Limits{})
		require.NoError(t, err)
		require.Equal(t, f.name, d.Format)
		p, err := Extracted(f.name, c, d)
		require.NoError(t, err)
		fmt.Fprintf(&b, "%-8s %10s %10s %10s %10s\n", f.name, share(p.Scores[Words]), share(p.Scores[Headings]), share(p.Scores[Cells]), share(p.Scores[Places]))
		for feature, s := range p.Scores {
			require.GreaterOrEqual(t, float64(s.Found), f.least*float64(s.Total), "%s: %s lost %q", f.name, feature, s.Lost)
		}
	}
	t.Logf("\n%s", &b) // make fidelity shows it
}
