package extract

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/extractor/extract/extracttest"
	"github.com/sluicehq/sluice/shared/failure"
)

func read(t *testing.T, name string, content []byte) Document {
	t.Helper()
	d, err := Extract(t.Context(), fileOf(name, content), Limits{})
	require.NoError(t, err)
	return d
}

func fileOf(name string, content []byte) File {
	return File{Name: name, Content: bytes.NewReader(content), Size: int64(len(content))}
}

func TestDocxKeepsWhatWordShows(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ body, want string }{
		"a heading by its style's name":           {extracttest.Para("berschrift1", "Größe"), "# Größe\n"},
		"a heading by what its style is based on": {extracttest.Para("Meine", "Own"), "## Own\n"},
		"a heading by its level":                  {`<w:p><w:pPr><w:outlineLvl w:val="2"/></w:pPr><w:r><w:t>Deep</w:t></w:r></w:p>`, "### Deep\n"},
		"bullets":                                 {extracttest.Item(1, 0, "a") + extracttest.Item(1, 1, "b") + extracttest.Item(1, 0, "c"), "- a\n    - b\n- c\n"},
		"numbers":                                 {extracttest.Item(2, 0, "a") + extracttest.Item(2, 0, "b"), "1. a\n2. b\n"},
		"a numbered heading":                      {`<w:p><w:pPr><w:pStyle w:val="berschrift1"/><w:numPr><w:ilvl w:val="0"/><w:numId w:val="2"/></w:numPr></w:pPr><w:r><w:t>Scope</w:t></w:r></w:p>`, "# 1. Scope\n"},
		"a link":                                  {`<w:p><w:hyperlink r:id="rId4"><w:r><w:t>the bridge</w:t></w:r></w:hyperlink></w:p>`, "[the bridge](https://example.org/bridge)\n"},
		"a link that is a field":                  {`<w:p><w:r><w:t xml:space="preserve">see </w:t></w:r><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText> HYPERLINK "https://example.org/f" </w:instrText></w:r><w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>it</w:t></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>`, "see [it](https://example.org/f)\n"},
		"no link to a script":                     {`<w:p><w:fldSimple w:instr="HYPERLINK &quot;javascript:alert(1)&quot;"><w:r><w:t>it</w:t></w:r></w:fldSimple></w:p>`, "it\n"},
		"tracked changes as accepted":             {`<w:p><w:ins><w:r><w:t>new</w:t></w:r></w:ins><w:del><w:r><w:delText>old</w:delText></w:r></w:del></w:p>`, "new\n"},
		"hidden text is left out":                 {`<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>secret</w:t></w:r><w:r><w:t>open</w:t></w:r></w:p>`, "open\n"},
		"a picture's description":                 {`<w:p><w:r><w:drawing><wp:inline><wp:docPr id="1" name="x" descr="A bridge"/></wp:inline></w:drawing></w:r></w:p>`, "A bridge\n"},
		"a text box once":                         {`<w:p><w:r><w:t>a</w:t></w:r><w:r><mc:AlternateContent><mc:Choice><w:drawing><w:txbxContent>` + extracttest.Para("", "boxed") + `</w:txbxContent></w:drawing></mc:Choice><mc:Fallback><w:pict><w:txbxContent>` + extracttest.Para("", "boxed") + `</w:txbxContent></w:pict></mc:Fallback></mc:AlternateContent></w:r></w:p>`, "a\n\nboxed\n"},
		"a formula":                               {`<w:p><m:oMath><m:r><m:t>a=b</m:t></m:r></m:oMath></w:p>`, "a=b\n"},
		"cells merged down and across": {`<w:tbl><w:tr><w:tc><w:tcPr><w:vMerge w:val="restart"/></w:tcPr>` + extracttest.Para("", "one") + `</w:tc><w:tc>` + extracttest.Para("", "two") + `</w:tc><w:tc>` + extracttest.Para("", "three") + `</w:tc></w:tr>` +
			`<w:tr><w:tc><w:tcPr><w:vMerge/></w:tcPr><w:p/></w:tc><w:tc><w:tcPr><w:gridSpan w:val="2"/></w:tcPr>` + extracttest.Para("", "a|b") + extracttest.Para("", "c") + `</w:tc></w:tr></w:tbl>`,
			"| one | two | three |\n| --- | --- | --- |\n| one | a\\|b c |  |\n"},
		"what would be Markdown": {extracttest.Para("", "# no *heading* <b>"), "\\# no \\*heading\\* \\<b>\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, read(t, "a.docx", extracttest.WordFile(tc.body)).Markdown())
		})
	}
}

func TestDocxTellsWhatItLeavesOut(t *testing.T) {
	t.Parallel()
	d := read(t, "a.docx", extracttest.WordFile(extracttest.Para("", "a")+`<w:p><w:del><w:r/></w:del><w:del><w:r/></w:del></w:p>`))
	require.Len(t, d.Losses, 1)
	require.Equal(t, "docx:deleted", d.Losses[0].Element)
	require.Equal(t, 2, d.Losses[0].Count)
}

func TestSlidesHaveTheirNumbersTitlesAndNotes(t *testing.T) {
	t.Parallel()
	link := `<p:sp><p:txBody><a:p><a:r><a:rPr><a:hlinkClick r:id="rId2"/></a:rPr><a:t>a slide</a:t></a:r></a:p></p:txBody></p:sp>`
	merged := `<p:graphicFrame><a:graphic><a:graphicData><a:tbl><a:tr><a:tc rowSpan="2"><a:txBody><a:p><a:r><a:t>x</a:t></a:r></a:p></a:txBody></a:tc><a:tc><a:txBody><a:p><a:r><a:t>y</a:t></a:r></a:p></a:txBody></a:tc></a:tr>` +
		`<a:tr><a:tc vMerge="1"><a:txBody><a:p/></a:txBody></a:tc><a:tc><a:txBody><a:p><a:r><a:t>z</a:t></a:r></a:p></a:txBody></a:tc></a:tr></a:tbl></a:graphicData></a:graphic></p:graphicFrame>`
	d := read(t, "a.pptx", extracttest.SlideFile([]string{
		`<p:grpSp>` + extracttest.Shape("body", "first", "second") + `</p:grpSp>` + extracttest.Shape("title", "One") + extracttest.Shape("sldNum", "1"),
		extracttest.Shape("box"), // nothing on it
		link + merged,
	}, []string{"say hello", "", "say bye"}))
	require.Len(t, d.Parts, 2)
	require.Equal(t, Part{"slide 1", "### One\n\n- first\n- second\n\nNotes:\n\nsay hello\n"}, d.Parts[0])
	require.Equal(t, Part{"slide 3", "[a slide](https://example.org/slide)\n\n| x | y |\n| --- | --- |\n| x | z |\n\nNotes:\n\nsay bye\n"}, d.Parts[1])
}

func TestSheetsShowValuesAndRanges(t *testing.T) {
	t.Parallel()
	rows := extracttest.Row(2, "", "Prices of 2026") + extracttest.Row(4, "", "Part", "Price", "Since") +
		`<row r="6"><c r="B6" t="inlineStr"><is><t>Bolt</t></is></c><c r="C6" s="2"><v>1234.5</v></c><c r="D6" s="1"><v>45000</v></c></row>`
	d := read(t, "a.xlsx", extracttest.SheetFile([]extracttest.Entry{{Name: "Prices", Content: rows}, {Name: "Empty"}, {Name: "It's 2", Content: extracttest.Row(1, "x")}}))
	require.Equal(t, []Part{
		{"Prices!B2:D6", "Prices of 2026\n\n| Part | Price | Since |\n| --- | --- | --- |\n| Bolt | 1,234.50 | 03-15-23 |\n"},
		{"'It''s 2'!A1", "| x |\n| --- |\n"},
	}, d.Parts)
}

func TestLongSheetsAreManyPartsWithTheHeader(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("name;value\n")
	for range 150 {
		b.WriteString("a;1\n")
	}
	d := read(t, "a.csv", []byte(b.String()))
	require.Equal(t, "csv", d.Format)
	require.Len(t, d.Parts, 3)
	for i, place := range []string{"rows 1-61", "rows 62-121", "rows 122-151"} {
		require.Equal(t, place, d.Parts[i].Place)
		require.True(t, strings.HasPrefix(d.Parts[i].Markdown, "| name | value |\n| --- | --- |\n| a | 1 |\n"))
	}
}

func TestTextsInEveryEncoding(t *testing.T) {
	t.Parallel()
	little := []byte{}
	for _, u := range utf16.Encode([]rune("Größe: 橋 des Weges über den Fluss")) {
		little = append(little, byte(u), byte(u>>8))
	}
	for name, tc := range map[string]struct{ content, want string }{
		"UTF-8":                   {"Größe", "Größe\n"},
		"UTF-8 with a mark":       {"\xef\xbb\xbfGröße", "Größe\n"},
		"UTF-16":                  {"\xff\xfe" + string(little), "Größe: 橋 des Weges über den Fluss\n"},
		"UTF-16 without a mark":   {string(little), "Größe: 橋 des Weges über den Fluss\n"},
		"Latin-1":                 {"Gr\xf6\xdfe", "Größe\n"},
		"Windows-1252":            {"5 \x80", "5 €\n"},
		"lines of Windows":        {"a\r\nb", "a\nb\n"},
		"what would be a heading": {"# a\n- b", "\\# a\n\\- b\n"},
	} {
		require.Equal(t, tc.want, read(t, "a.txt", []byte(tc.content)).Markdown(), name)
	}
}

func TestPlainFormats(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ content, format, want string }{
		"a.md":     {"---\ntitle: x\n---\n# A\n", "markdown", "# A\n"},
		"a.go":     {"package a\n", "code", "```go\npackage a\n```\n"},
		"a.sh":     {"echo '```'\n", "code", "````bash\necho '```'\n````\n"},
		"a.json":   {`{"a": 1}`, "json", "```json\n{\"a\": 1}\n```\n"},
		"a.xml":    {`<?xml version="1.0"?><a/>`, "code", "```xml\n<?xml version=\"1.0\"?><a/>\n```\n"},
		"a.csv":    {"a,b\n1,\"x|y\"\n", "csv", "## rows 1-2\n\n| a | b |\n| --- | --- |\n| 1 | x\\|y |\n"},
		"a.html":   {`<html><head><title>&#0;</title></head><body><p>a_b &lt; 2 <script>x</script><table><tr><td colspan=2>m</td></tr><tr><td>1</td><td>2</td></tr></table>`, "html", "a_b < 2\n\n| m | m |\n|---|---|\n| 1 | 2 |\n"},
		"page.xyz": {"<!DOCTYPE html><title>T</title><p>x", "html", "# T\n\nx\n"},
		"a.svg":    {`<svg><title>T</title><text>one <tspan>two</tspan> three</text></svg>`, "svg", "- T\n- one two three\n"},
		"a.png":    {"\x89PNG\r\n\x1a\n", "image", "Image\n"},
	} {
		d := read(t, name, []byte(tc.content))
		require.Equal(t, tc.format, d.Format, name)
		require.Equal(t, tc.want, d.Markdown(), name)
	}
	f := fileOf("p.jpg", []byte("\xff\xd8\xff\xe0"))
	f.Alt, f.Caption = "A bridge", "Opened in 1999"
	d, err := Extract(t.Context(), f, Limits{})
	require.NoError(t, err)
	require.Equal(t, "Image\n\nA bridge\n\nOpened in 1999\n", d.Markdown())
}

// What a file says is shared by all that have its bytes, under whatever name: the name is no part of it.
func TestTheNameOfAFileIsNotInItsText(t *testing.T) {
	t.Parallel()
	c := extracttest.Sample()
	for ext, content := range map[string][]byte{
		"docx": c.Docx(), "pptx": c.Pptx(), "xlsx": c.Xlsx(), "html": c.HTML(), "svg": c.SVG(), "drawio": c.Drawio(),
		"md": []byte("# A\n"), "txt": []byte("a"), "csv": []byte("a,b\n"), "json": []byte("{}"), "go": []byte("package a\n"), "odd": []byte("a"),
		"png": []byte("\x89PNG\r\n\x1a\n"), "jpg": []byte("\xff\xd8\xff"), "gif": []byte("GIF89a"), "tif": []byte("II*\x00"),
	} {
		d := read(t, "zebra."+ext, content)
		require.NotContains(t, d.Markdown(), "zebra")
		require.Equal(t, d, read(t, "heron."+strings.ToUpper(ext), content), ext)
		require.Equal(t, Claim("zebra."+ext, ""), Claim("heron."+strings.ToUpper(ext), ""))
		require.NotContains(t, Claim("zebra."+ext, ""), "zebra")
	}
}

// Nor is it in an error, which is shared in the same way.
func TestTheNameOfAFileIsNotInItsError(t *testing.T) {
	t.Parallel()
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for _, c := range []struct {
		ctx     context.Context
		content string
		limits  Limits
	}{
		{t.Context(), "", Limits{}}, {t.Context(), "PK\x03\x04", Limits{}}, {t.Context(), "text", Limits{}}, {t.Context(), "text", Limits{Bytes: 1}},
		{t.Context(), "\x00\x01\x02", Limits{}}, {t.Context(), string(extracttest.Sample().Docx()), Limits{Time: 1}}, {stopped, string(extracttest.Sample().Docx()), Limits{}},
	} {
		_, err := Extract(c.ctx, fileOf("zebra.docx", []byte(c.content)), c.limits)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "zebra")
	}
}

// The same bytes are another text if their name or media type says so, and then the claim is another one.
func TestClaimsThatMakeAnotherText(t *testing.T) {
	t.Parallel()
	type named struct{ name, mediaType string }
	claims := map[string]named{}
	for _, n := range []named{
		{"Dockerfile", ""}, {"Makefile", ""}, {"LICENSE", ""}, {"a.go", ""}, {"a.py", ""}, {"a.csv", ""}, {"a", "text/html"}, {"a", "application/json"},
		{"a", "text/markdown"}, {"LICENSE", "text/plain; charset=koi8-r"}, {"a.csv", "text/csv; charset=koi8-r"},
	} {
		c := Claim(n.name, n.mediaType)
		require.Empty(t, claims[c], "%v: %q", n, c)
		claims[c] = n
	}
	require.Equal(t, Claim("a.md", "text/plain"), Claim("b.markdown", ""), "read in the same way")
}

func TestSkippedFormatsSayWhy(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"a.zip": string(extracttest.Zip(extracttest.Entry{Name: "a"})), "a.mp3": "ID3\x03\x00", "a.mp4": "\x00\x00\x00\x20ftypisom", "a.gz": "\x1f\x8b\x08",
		"a.exe": "MZ\x90\x00", "a.rtf": `{\rtf1 a}`, "a.odt": string(extracttest.Zip(extracttest.Entry{Name: "mimetype"}, extracttest.Entry{Name: "content.xml"})),
	} {
		_, err := Extract(t.Context(), fileOf(name, []byte(content)), Limits{})
		require.True(t, Skipped(err), "%s: %v", name, err)
		require.Greater(t, len(err.Error()), 20)
	}
}

func TestLimitsOfOneFile(t *testing.T) {
	t.Parallel()
	docx := extracttest.Sample().Docx()
	for name, tc := range map[string]struct {
		limits Limits
		code   failure.Code
	}{
		"bytes":    {Limits{Bytes: 10}, failure.FileTooLarge},
		"unpacked": {Limits{Unpacked: 100}, failure.FileTooLarge},
		"entries":  {Limits{Entries: 3}, failure.FileTooManyParts},
		"depth":    {Limits{Depth: 3}, failure.FileTooDeep},
		"cells":    {Limits{Cells: 3}, failure.FileTooManyParts},
		"markdown": {Limits{Markdown: 100}, failure.FileTooLarge},
		"time":     {Limits{Time: 1}, failure.FileTooSlow},
	} {
		_, err := Extract(t.Context(), fileOf("a.docx", docx), tc.limits)
		require.Equal(t, tc.code, failure.CodeOf(err), "%s: %v", name, err)
		require.True(t, tc.code.Final(), name)
	}
	_, err := Extract(t.Context(), fileOf("a.pptx", extracttest.Sample().Pptx()), Limits{Parts: 2})
	require.Equal(t, failure.FileTooManyParts, failure.CodeOf(err))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Extract(ctx, fileOf("a.docx", docx), Limits{})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, failure.Internal, failure.CodeOf(err), "a shutdown is not the file's fault")
}
