package markdown_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/converter/markdown"
	"github.com/sluicehq/sluice/shared/page"
)

var update = flag.Bool("update", false, "write what Convert gives into the golden files")

// siteFacts are the facts of every golden page.
func siteFacts() page.Facts {
	return page.Facts{
		ID:       "1001",
		Version:  7,
		Title:    "Release Handbook",
		SpaceKey: "OPS",
		BaseURL:  "https://acme.atlassian.net/wiki",
		URL:      "https://acme.atlassian.net/wiki/spaces/OPS/pages/1001/Release+Handbook",
		Status:   "current",
		AuthorID: "557058:ada",
		Labels:   []string{"release", "runbook"},
		Users: map[string]string{
			"557058:ada":  "Ada Lovelace",
			"557058:karl": "Karl Öström",
		},
		Links: map[string]page.Link{
			"On-call Rota": {PageID: "2002", PageTitle: "On-call Rota", PageURL: "https://acme.atlassian.net/wiki/spaces/OPS/pages/2002/On-call+Rota"},
		},
		ModifiedAt: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC),
	}
}

// TestGolden converts testdata/golden/<name>/in.xml and compares the Markdown (out.md), the facts
// that the page mentions (meta.json: metadata, headings and includes) and the losses (losses.json).
// To add a case, add a folder with an in.xml and run the test with -update.
func TestGolden(t *testing.T) {
	t.Parallel()
	cases, err := filepath.Glob("testdata/golden/*/in.xml")
	require.NoError(t, err)
	require.NotEmpty(t, cases)
	for _, in := range cases {
		dir := filepath.Dir(in)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			body, err := os.ReadFile(in)
			require.NoError(t, err)
			result, err := markdown.Convert(string(body), siteFacts())
			require.NoError(t, err)
			golden(t, filepath.Join(dir, "out.md"), []byte(result.Markdown))
			golden(t, filepath.Join(dir, "meta.json"), asJSON(t, map[string]any{
				"metadata": result.Metadata, "headings": result.Headings, "includes": result.Includes,
			}))
			golden(t, filepath.Join(dir, "losses.json"), asJSON(t, result.Losses))
		})
	}
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, got, 0o644))
		return
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run the test with -update to write it")
	require.Equal(t, string(want), string(got))
}

func asJSON(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	require.NoError(t, enc.Encode(v))
	return b.Bytes()
}
