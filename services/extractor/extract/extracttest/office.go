package extracttest

import (
	"archive/zip"
	"bytes"
	"fmt"
	"html"
	"strings"
)

// Entry is a file in a container.
type Entry struct{ Name, Content string }

// Zip packs files.
func Zip(entries ...Entry) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, e := range entries {
		w, err := z.Create(e.Name)
		if err != nil {
			panic(err) // a buffer takes everything
		}
		if _, err := w.Write([]byte(e.Content)); err != nil {
			panic(err)
		}
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

const (
	xmlHead  = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n"
	relType  = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
	relSpace = "http://schemas.openxmlformats.org/package/2006/relationships"
	wordNS   = `xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"`
	slideNS  = `xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"`
	sheetNS  = `xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"`
)

func esc(s string) string { return html.EscapeString(s) }

// Rels is a file of relations; each is "id type target", a target outside followed by " External".
func Rels(relations ...string) string {
	var b strings.Builder
	b.WriteString(xmlHead + `<Relationships xmlns="` + relSpace + `">`)
	for _, r := range relations {
		f := strings.Fields(r)
		mode := ""
		if len(f) > 3 {
			mode = ` TargetMode="External"`
		}
		fmt.Fprintf(&b, `<Relationship Id="%s" Type="%s%s" Target="%s"%s/>`, f[0], relType, f[1], f[2], mode)
	}
	return b.String() + `</Relationships>`
}

// Types is the list of content types, with the main part's.
func Types(part, kind string) string {
	return xmlHead + `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/` + part + `" ContentType="application/vnd.openxmlformats-officedocument.` + kind + `.main+xml"/></Types>`
}

// WordFile packs a docx with this body. More files replace those of the same name.
func WordFile(body string, more ...Entry) []byte {
	entries := []Entry{
		{"[Content_Types].xml", Types("word/document.xml", "wordprocessingml.document")},
		{"_rels/.rels", Rels("rId1 officeDocument word/document.xml")},
		{"word/document.xml", xmlHead + `<w:document ` + wordNS + `><w:body>` + body + `</w:body></w:document>`},
		{"word/_rels/document.xml.rels", Rels("rId1 styles styles.xml", "rId2 numbering numbering.xml", "rId3 footnotes footnotes.xml", "rId4 hyperlink https://example.org/bridge External")},
		{"word/styles.xml", xmlHead + `<w:styles ` + wordNS + `>
<w:style w:type="paragraph" w:styleId="Titel"><w:name w:val="Title"/></w:style>
<w:style w:type="paragraph" w:styleId="berschrift1"><w:name w:val="heading 1"/><w:pPr><w:outlineLvl w:val="0"/></w:pPr></w:style>
<w:style w:type="paragraph" w:styleId="berschrift2"><w:name w:val="heading 2"/><w:basedOn w:val="berschrift1"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>
<w:style w:type="paragraph" w:styleId="Meine"><w:name w:val="my heading"/><w:basedOn w:val="berschrift2"/></w:style></w:styles>`},
		{"word/numbering.xml", xmlHead + `<w:numbering ` + wordNS + `>
<w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="bullet"/><w:lvlText w:val="•"/></w:lvl><w:lvl w:ilvl="1"><w:numFmt w:val="bullet"/><w:lvlText w:val="-"/></w:lvl></w:abstractNum>
<w:abstractNum w:abstractNumId="1"><w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl><w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1.%2"/></w:lvl></w:abstractNum>
<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num><w:num w:numId="2"><w:abstractNumId w:val="1"/></w:num></w:numbering>`},
		{"word/footnotes.xml", xmlHead + `<w:footnotes ` + wordNS + `><w:footnote w:type="separator" w:id="-1"><w:p/></w:footnote></w:footnotes>`},
	}
	return Zip(replaced(entries, more)...)
}

func replaced(entries, more []Entry) []Entry {
next:
	for _, m := range more {
		for i := range entries {
			if entries[i].Name == m.Name {
				entries[i] = m
				continue next
			}
		}
		entries = append(entries, m)
	}
	return entries
}

// Para is a paragraph of a docx. Its style may be empty.
func Para(style, text string) string {
	props := ""
	if style != "" {
		props = `<w:pPr><w:pStyle w:val="` + style + `"/></w:pPr>`
	}
	half := len([]rune(text)) / 2 // Word splits text into runs wherever somebody once stopped typing
	r := []rune(text)
	return `<w:p>` + props + `<w:r><w:t xml:space="preserve">` + esc(string(r[:half])) + `</w:t></w:r><w:r><w:rPr><w:b/></w:rPr><w:t xml:space="preserve">` + esc(string(r[half:])) + `</w:t></w:r></w:p>`
}

// Item is an item of a docx's list: 1 has bullets, 2 numbers.
func Item(num, depth int, text string) string {
	return fmt.Sprintf(`<w:p><w:pPr><w:numPr><w:ilvl w:val="%d"/><w:numId w:val="%d"/></w:numPr></w:pPr><w:r><w:t>%s</w:t></w:r></w:p>`, depth, num, esc(text))
}

// Docx writes the content as a docx.
func (c Content) Docx() []byte {
	var b, notes strings.Builder
	b.WriteString(Para("Titel", c.Title))
	notes.WriteString(xmlHead + `<w:footnotes ` + wordNS + `>`)
	for i, s := range c.Sections {
		b.WriteString(Para("berschrift2", s.Heading))
		for _, p := range s.Paragraphs {
			b.WriteString(Para("", p))
		}
		for _, item := range s.List {
			b.WriteString(Item(1, 0, item))
		}
		b.WriteString(`<w:tbl>`)
		for _, row := range s.Table {
			b.WriteString(`<w:tr>`)
			for _, cell := range row {
				b.WriteString(`<w:tc>` + Para("", cell) + `</w:tc>`)
			}
			b.WriteString(`</w:tr>`)
		}
		b.WriteString(`</w:tbl>`)
		fmt.Fprintf(&b, `<w:p><w:r><w:footnoteReference w:id="%d"/></w:r></w:p>`, i+1)
		fmt.Fprintf(&notes, `<w:footnote w:id="%d">%s</w:footnote>`, i+1, Para("", s.Notes))
	}
	return WordFile(b.String(), Entry{"word/footnotes.xml", notes.String() + `</w:footnotes>`})
}

// SlideFile packs a pptx with these slides, each the content of its tree of shapes, and their notes.
func SlideFile(slides, notes []string) []byte {
	var ids strings.Builder
	rels := []string{}
	entries := []Entry{{"[Content_Types].xml", Types("ppt/presentation.xml", "presentationml.presentation")}, {"_rels/.rels", Rels("rId1 officeDocument ppt/presentation.xml")}}
	for i, s := range slides {
		n := len(slides) - i // the order of the files is not that of the slides
		fmt.Fprintf(&ids, `<p:sldId id="%d" r:id="rId%d"/>`, 256+i, n)
		rels = append(rels, fmt.Sprintf("rId%d slide slides/slide%d.xml", n, n))
		entries = append(entries, Entry{fmt.Sprintf("ppt/slides/slide%d.xml", n), xmlHead + `<p:sld ` + slideNS + `><p:cSld><p:spTree>` + s + `</p:spTree></p:cSld></p:sld>`})
		if i < len(notes) {
			entries = append(entries,
				Entry{fmt.Sprintf("ppt/slides/_rels/slide%d.xml.rels", n), Rels(fmt.Sprintf("rId1 notesSlide ../notesSlides/notesSlide%d.xml", n), "rId2 hyperlink https://example.org/slide External")},
				Entry{fmt.Sprintf("ppt/notesSlides/notesSlide%d.xml", n), xmlHead + `<p:notes ` + slideNS + `><p:cSld><p:spTree>` + Shape("sldNum", "7") + Shape("body", notes[i]) + `</p:spTree></p:cSld></p:notes>`})
		}
	}
	entries = append(entries,
		Entry{"ppt/presentation.xml", xmlHead + `<p:presentation ` + slideNS + `><p:sldIdLst>` + ids.String() + `</p:sldIdLst></p:presentation>`},
		Entry{"ppt/_rels/presentation.xml.rels", Rels(rels...)})
	return Zip(entries...)
}

// Shape is a shape of a slide. kind is that of its placeholder; "box" is none.
func Shape(kind string, paragraphs ...string) string {
	ph := ""
	if kind != "box" {
		ph = `<p:ph type="` + kind + `"/>`
	}
	var b strings.Builder
	b.WriteString(`<p:sp><p:nvSpPr><p:cNvPr id="2" name="x"/><p:nvPr>` + ph + `</p:nvPr></p:nvSpPr><p:txBody><a:bodyPr/>`)
	for _, p := range paragraphs {
		b.WriteString(`<a:p><a:r><a:t>` + esc(p) + `</a:t></a:r></a:p>`)
	}
	return b.String() + `</p:txBody></p:sp>`
}

// Pptx writes the content as slides, one a section.
func (c Content) Pptx() []byte {
	var slides, notes []string
	for _, s := range c.Sections {
		var b strings.Builder
		b.WriteString(Shape("box", s.Paragraphs...) + Shape("title", s.Heading) + Shape("body", s.List...))
		b.WriteString(`<p:graphicFrame><a:graphic><a:graphicData uri="t"><a:tbl>`)
		for _, row := range s.Table {
			b.WriteString(`<a:tr>`)
			for _, cell := range row {
				b.WriteString(`<a:tc><a:txBody><a:p><a:r><a:t>` + esc(cell) + `</a:t></a:r></a:p></a:txBody></a:tc>`)
			}
			b.WriteString(`</a:tr>`)
		}
		b.WriteString(`</a:tbl></a:graphicData></a:graphic></p:graphicFrame>`)
		slides, notes = append(slides, b.String()), append(notes, s.Notes)
	}
	return SlideFile(slides, notes)
}

// SheetFile packs an xlsx with these sheets, each "name" and the rows' XML.
func SheetFile(sheets []Entry, more ...Entry) []byte {
	var list, types strings.Builder
	rels := []string{"rId900 styles styles.xml", "rId901 sharedStrings sharedStrings.xml"}
	entries := []Entry{{"_rels/.rels", Rels("rId1 officeDocument xl/workbook.xml")},
		{"xl/styles.xml", xmlHead + `<styleSheet ` + sheetNS + `><fonts count="1"><font/></fonts><fills count="1"><fill/></fills><borders count="1"><border/></borders><cellXfs count="3"><xf numFmtId="0"/><xf numFmtId="14" applyNumberFormat="1"/><xf numFmtId="4" applyNumberFormat="1"/></cellXfs></styleSheet>`},
		{"xl/sharedStrings.xml", xmlHead + `<sst ` + sheetNS + `></sst>`}}
	for i, s := range sheets {
		fmt.Fprintf(&list, `<sheet name="%s" sheetId="%d" r:id="rId%d"/>`, esc(s.Name), i+1, i+1)
		fmt.Fprintf(&types, `<Override PartName="/xl/worksheets/sheet%d.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>`, i+1)
		rels = append(rels, fmt.Sprintf("rId%d worksheet worksheets/sheet%d.xml", i+1, i+1))
		entries = append(entries, Entry{fmt.Sprintf("xl/worksheets/sheet%d.xml", i+1), xmlHead + `<worksheet ` + sheetNS + `><sheetData>` + s.Content + `</sheetData></worksheet>`})
	}
	entries = append(entries,
		Entry{"[Content_Types].xml", strings.Replace(Types("xl/workbook.xml", "spreadsheetml.sheet"), "</Types>", types.String()+"</Types>", 1)},
		Entry{"xl/workbook.xml", xmlHead + `<workbook ` + sheetNS + `><sheets>` + list.String() + `</sheets></workbook>`},
		Entry{"xl/_rels/workbook.xml.rels", Rels(rels...)})
	return Zip(replaced(entries, more)...)
}

// Row is a row of a sheet with text in its cells.
func Row(number int, cells ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<row r="%d">`, number)
	for i, c := range cells {
		if c != "" {
			fmt.Fprintf(&b, `<c r="%c%d" t="inlineStr"><is><t>%s</t></is></c>`, 'A'+i, number, esc(c))
		}
	}
	return b.String() + `</row>`
}

// Xlsx writes the content as sheets, one a section: the paragraphs above the table, the items below it.
func (c Content) Xlsx() []byte {
	var sheets []Entry
	for _, s := range c.Sections {
		var b strings.Builder
		n := 0
		for _, p := range s.Paragraphs {
			n++
			b.WriteString(Row(n, p))
		}
		n++ // an empty row
		for _, row := range s.Table {
			n++
			b.WriteString(Row(n, row...))
		}
		for _, item := range s.List {
			n++
			b.WriteString(Row(n, item))
		}
		sheets = append(sheets, Entry{s.Heading, b.String()})
	}
	return SheetFile(sheets)
}
