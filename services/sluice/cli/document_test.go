package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/extractor/extract/extracttest"
)

type addedDocument struct {
	URL       string  `json:"url"`
	Format    string  `json:"format"`
	Unchanged bool    `json:"unchanged"`
	IDs       []int64 `json:"chunk_ids"`
}

// addsDocument adds one file to the source files.
func (p *person) addsDocument(file string, more ...string) (d addedDocument) {
	p.t.Helper()
	require.NoError(p.t, json.Unmarshal([]byte(p.sees(append([]string{"document", "add", file, "--source", "files", "-o", "json"}, more...)...)), &d))
	return d
}

func TestADocumentBesideThePages(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	_, stop := p.up()
	t.Cleanup(stop)
	dir := t.TempDir()
	put := func(name, content string) string {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
		return file
	}
	runbook := "# Runbook\n\nTurn the valve.\n\n## Later\n\n" + strings.Repeat("Wait for the pressure to fall. ", 60) + "\n"
	file := put("runbook.md", runbook)
	first := p.addsDocument(file)
	require.Equal(t, []any{"file://" + file, "markdown", false}, []any{first.URL, first.Format, first.Unchanged})
	require.Greater(t, len(first.IDs), 1)
	require.True(t, p.addsDocument(file).Unchanged)
	require.Equal(t, first.IDs, p.addsDocument(file, "--tag", "ops").IDs, "unchanged chunks keep their rows")
	put("runbook.md", strings.Replace(runbook, "valve", "lever", 1))
	again := p.addsDocument(file)
	require.Len(t, again.IDs, len(first.IDs))
	require.Equal(t, first.IDs[1:], again.IDs[1:])
	require.NotEqual(t, first.IDs[0], again.IDs[0])
	require.Contains(t, p.sees("search", "lever"), "Runbook")

	// Other formats, several at a time, each cited by its place.
	docx := put("Übergabe.docx", string(extracttest.WordFile(extracttest.Para("berschrift1", "Handover")+extracttest.Para("", "The walrus has the keys."))))
	sheet := put("prices.csv", "Ware,Price\nWalrus,12\nSea cow,14\n")
	require.Contains(t, p.sees("document", "add", docx, sheet, "--source", "files"), "prices.csv is stored in source files: 1 chunk.\n")
	found := p.sees("search", "walrus", "--kind", "document", "-o", "json")
	require.Contains(t, found, "%C3%9Cbergabe.docx")
	require.Contains(t, found, "rows ")
	require.NotContains(t, p.sees("search", "walrus", "--kind", "document", "--file-type", "csv"), "Handover")
	require.Contains(t, p.sees("search", "walrus", "--kind", "page"), "Nothing found")
	require.Regexp(t, `files +\d+ +docx +Handover`, p.sees("document", "list", "--source", "files"))
	require.Contains(t, p.sees("document", "list", "--source", "docs"), "No document")

	p.in = "# Read from a pipe\n"
	require.Equal(t, "markdown", p.addsDocument("-", "--url", "https://example.com/piped.md").Format)
	p.in = ""
	p.refusesDocuments(put, first.URL)

	require.Contains(t, p.sees("document", "remove", "runbook.md", "--source", "files"), "removed")
	require.Contains(t, p.sees("search", "lever"), "Nothing found")
	code, _, said := p.types("document", "remove", "runbook.md", "--source", "files")
	require.Equal(t, 1, code)
	require.Contains(t, said, "no document")
}

// refusesDocuments adds what cannot be added. Each is told with the way out.
func (p *person) refusesDocuments(put func(name, content string) string, taken string) {
	p.t.Helper()
	file := put("runbook.md", "\n")
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{1, "--url", []string{put("other.md", "Other\n"), "--source", "others", "--url", taken}},
		{1, "document remove", []string{file, "--source", "files"}},
		{1, "is empty", []string{put("empty.pdf", ""), "--source", "files"}},
		{1, "save it as docx", []string{put("old.rtf", `{\rtf1 old}`), "--source", "files"}},
		{1, "archives are not opened", []string{put("all.zip", string(extracttest.Zip(extracttest.Entry{Name: "a", Content: "b"}))), "--source", "files"}},
		{1, "no known format", []string{put("noise.bin", "\x00\x01\x02\x03"), "--source", "files"}},
		{1, "save it again", []string{put("broken.docx", "PK\x03\x04"), "--source", "files"}},
		{1, "source add SOURCE --folder", []string{filepath.Dir(file), "--source", "files"}},
		{1, "no such file", []string{filepath.Join(filepath.Dir(file), "none.md"), "--source", "files"}},
		{2, "--source", []string{file}},
		{2, "one file at a time", []string{file, file, "--source", "files", "--title", "T"}},
		{2, "--url", []string{"-", "--source", "files"}},
	} {
		code, _, said := p.types(append([]string{"document", "add"}, c.args...)...)
		require.Equal(p.t, c.code, code, "%v: %s", c.args, said)
		require.Contains(p.t, said, c.says, "%v", c.args)
	}
	p.env["ATTACHMENT_MAX_BYTES"] = "3"
	code, _, said := p.types("document", "add", put("large.txt", "large"), "--source", "files")
	delete(p.env, "ATTACHMENT_MAX_BYTES")
	require.Equal(p.t, 1, code)
	require.Contains(p.t, said, "ATTACHMENT_MAX_BYTES raises the limit")

	// The others of the same command are added.
	code, out, said := p.types("document", "add", put("noise.bin", "\x00\x01"), put("fine.md", "# Fine\n"), "--source", "files")
	require.Equal(p.t, 1, code)
	require.Contains(p.t, said, "noise.bin is not stored")
	require.Contains(p.t, out, "fine.md is stored")
}
