package extracttest

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf16"
)

// PDFText is a line of a page of a PDF.
type PDFText struct {
	Text    string
	Size, X int
	Down    int // points below the line before
}

// PDFFile writes a PDF with these pages. Its letters are those of a font that is not there, mapped to
// Unicode as writers do.
func PDFFile(pages [][]PDFText) []byte {
	var objects []string
	add := func(s string) int {
		objects = append(objects, s)
		return len(objects)
	}
	add("<< /Type /Catalog /Pages 2 0 R >>")
	add("") // the pages, later
	cmap := "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def\n1 begincodespacerange <0000> <FFFF> endcodespacerange\n"
	for i := 0; i < 256; i += 64 {
		cmap += "64 beginbfrange\n"
		for k := i; k < i+64; k++ {
			cmap += fmt.Sprintf("<%02X00> <%02XFF> <%02X00>\n", k, k, k)
		}
		cmap += "endbfrange\n"
	}
	unicode := add(Stream("", cmap+"endcmap end end"))
	descriptor := add("<< /Type /FontDescriptor /FontName /Known /Flags 4 /FontBBox [0 -200 1000 900] /ItalicAngle 0 /Ascent 800 /Descent -200 /CapHeight 700 /StemV 80 >>")
	inner := add(fmt.Sprintf("<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Known /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> /FontDescriptor %d 0 R /DW 500 >>", descriptor))
	font := add(fmt.Sprintf("<< /Type /Font /Subtype /Type0 /BaseFont /Known /Encoding /Identity-H /DescendantFonts [%d 0 R] /ToUnicode %d 0 R >>", inner, unicode))
	var kids []string
	for _, lines := range pages {
		var b strings.Builder
		y := 800
		for _, l := range lines {
			y -= l.Down
			fmt.Fprintf(&b, "BT /F1 %d Tf 1 0 0 1 %d %d Tm <", l.Size, 50+l.X, y)
			for _, u := range utf16.Encode([]rune(l.Text)) {
				fmt.Fprintf(&b, "%04X", u)
			}
			b.WriteString("> Tj ET\n")
		}
		content := add(Stream("", b.String()))
		kids = append(kids, fmt.Sprintf("%d 0 R", add(fmt.Sprintf("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 1200 842] /Contents %d 0 R /Resources << /Font << /F1 %d 0 R >> >> >>", content, font))))
	}
	objects[1] = fmt.Sprintf("<< /Type /Pages /Kids [%s] /Count %d >>", strings.Join(kids, " "), len(kids))
	return Objects(objects, "")
}

// Stream is an object with content. dict is more of its dictionary.
func Stream(dict, content string) string {
	return fmt.Sprintf("<< %s /Length %d >>\nstream\n%s\nendstream", dict, len(content), content)
}

// Objects writes a PDF of these objects, of which the first is the catalog. trailer is more of the trailer.
func Objects(objects []string, trailer string) []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	offsets := make([]int, len(objects))
	for i, o := range objects {
		offsets[i] = b.Len()
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	start := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, off := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n \n", off)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, trailer, start)
	return b.Bytes()
}

// PDF writes the content as a PDF, a page for each section.
func (c Content) PDF() []byte {
	var pages [][]PDFText
	for i, s := range c.Sections {
		var lines []PDFText
		if i == 0 {
			lines = append(lines, PDFText{c.Title, 24, 0, 10})
		}
		lines = append(lines, PDFText{s.Heading, 18, 0, 40})
		for _, p := range s.Paragraphs {
			lines = append(lines, PDFText{p, 11, 0, 30})
		}
		for k, item := range s.List {
			lines = append(lines, PDFText{"• " + item, 11, 10, 14 + 16*max(0, 1-k)})
		}
		for k, row := range s.Table {
			for col, cell := range row {
				down := 0
				if col == 0 {
					down = 14 + 16*max(0, 1-k)
				}
				if cell != "" {
					lines = append(lines, PDFText{cell, 11, 150 * col, down})
				}
			}
		}
		lines = append(lines, PDFText{s.Notes, 9, 0, 40})
		pages = append(pages, lines)
	}
	return PDFFile(pages)
}
