package extracttest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/sluicehq/sluice/shared/failure"
)

// Hostile is a file that tries to break or to exhaust its reader.
type Hostile struct {
	Name string
	Make func() []byte
	// Want are the codes with which it may fail. "skipped" is that it is not read, "" that it is read.
	Want []failure.Code
}

// What a hostile file may come to besides a code.
const (
	Read    failure.Code = ""
	Skipped failure.Code = "skipped"
)

// HostileFiles returns the suite. All of it is made by rules, the same each time.
func HostileFiles() []Hostile {
	var all []Hostile
	add := func(name string, f func() []byte, want ...failure.Code) { all = append(all, Hostile{name, f, want}) }
	addMislabelled(add)
	addContainers(add)
	addWord(add)
	addSheets(add)
	addPDFs(add)
	addTexts(add)
	addDamaged(add)
	return all
}

type adder = func(name string, f func() []byte, want ...failure.Code)

func text(s string) func() []byte { return func() []byte { return []byte(s) } }

func noise(n int, seed uint64) []byte {
	r := rand.NewPCG(seed, 1)
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint64() & 0xff)
	}
	return b
}

func addMislabelled(add adder) {
	add("empty.pdf", text(""), failure.FileNoText)
	add("space.txt", text(strings.Repeat(" \n", 1000)), failure.FileNoText)
	add("zero.bin", text("\x00"), Skipped)
	add("noise.bin", func() []byte { return noise(64<<10, 1) }, Skipped)
	add("noise.pdf", func() []byte { return noise(64<<10, 2) }, failure.FileDamaged)
	add("noise.txt", func() []byte { return noise(64<<10, 3) }, failure.FileDamaged)
	add("text.pdf", text("this is no PDF"), failure.FileDamaged)
	add("text.docx", text("this is no docx"), failure.FileDamaged)
	add("a pdf called.txt", Sample().PDF, Read)
	add("a docx called.png", Sample().Docx, Read)
	add("a picture called.docx", text("\x89PNG\r\n\x1a\n0000"), Read)
	add("a program called.docx", text("MZ\x90\x00\x03\x00\x00\x00\x04"+strings.Repeat("\x00", 100)), Skipped)
	add("an archive called.docx", func() []byte { return Zip(Entry{"a.txt", "a"}) }, failure.FileDamaged)
	add("an old document.doc", func() []byte { return compound("WordDocument") }, Skipped)
	add("a password.docx", func() []byte { return compound("EncryptedPackage") }, failure.FileEncrypted)
}

// compound is the beginning of a file in Microsoft's compound format, with the name of a stream.
func compound(stream string) []byte {
	b := make([]byte, 70<<10)
	copy(b, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
	for i, c := range []byte(stream) {
		b[65500+2*i] = c // over the edge of a block of its reader
	}
	return b
}

func addContainers(add adder) {
	add("bomb.docx", func() []byte { return WordFile(Para("", strings.Repeat("a", 48<<20))) }, failure.FileTooLarge)
	add("bomb of spaces.docx", func() []byte { return WordFile(strings.Repeat(" ", 48<<20)) }, failure.FileTooLarge)
	add("bomb in a picture.xlsx", func() []byte {
		return SheetFile([]Entry{{"A", Row(1, "a")}}, Entry{"xl/media/a.png", strings.Repeat("\x00", 48<<20)})
	}, failure.FileTooLarge)
	add("bomb of many parts.xlsx", func() []byte {
		piece := strings.Repeat("<a/>", 1<<20) + string(noise(64<<10, 9)) // below the ratio
		var more []Entry
		for i := range 64 {
			more = append(more, Entry{fmt.Sprintf("xl/media/%d.bin", i), piece})
		}
		return SheetFile([]Entry{{"A", Row(1, "a")}}, more...)
	}, failure.FileTooLarge)
	add("many entries.docx", func() []byte {
		var more []Entry
		for i := range 60_000 {
			more = append(more, Entry{Name: fmt.Sprintf("word/%d", i)})
		}
		return WordFile(Para("", "a"), more...)
	}, failure.FileTooManyParts)
	add("nested.zip", func() []byte {
		b := []byte("deep")
		for range 50 {
			b = Zip(Entry{"inner.zip", string(b)})
		}
		return b
	}, Skipped)
	add("nested called.docx", func() []byte { return Zip(Entry{"inner.zip", string(Zip(Entry{"inner.zip", "x"}))}) }, failure.FileDamaged)
	add("lying sizes.docx", func() []byte {
		b := WordFile(Para("", strings.Repeat("word ", 1000)))
		at := bytes.LastIndex(b, []byte("word/document.xml")) // in the directory: the size stands 22 bytes before the name
		copy(b[at-22:], "\x01\x00\x00\x00")
		return b
	}, failure.FileDamaged)
	add("locked entry.docx", func() []byte {
		b := WordFile(Para("", "secret"))
		at := bytes.LastIndex(b, []byte("word/document.xml"))
		b[at-38] |= 1 // the flag of the directory's entry
		return b
	}, failure.FileEncrypted)
	add("no document.docx", func() []byte {
		return Zip(Entry{"[Content_Types].xml", Types("word/gone.xml", "wordprocessingml.document")}, Entry{"_rels/.rels", Rels("rId1 officeDocument word/gone.xml")})
	}, failure.FileDamaged)
	add("way out.docx", func() []byte {
		return Zip(Entry{"[Content_Types].xml", Types("word/gone.xml", "wordprocessingml.document")}, Entry{"_rels/.rels", Rels("rId1 officeDocument ../../../etc/passwd")})
	}, failure.FileDamaged)
}

const laughs = `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;">]>`

func addWord(add adder) {
	document := func(head, body string) []byte {
		return WordFile("", Entry{"word/document.xml", head + `<w:document ` + wordNS + `><w:body>` + body + `</w:body></w:document>`})
	}
	add("billion laughs.docx", func() []byte { return document(laughs, `<w:p><w:r><w:t>&d;</w:t></w:r></w:p>`) }, failure.FileDamaged)
	add("foreign entity.docx", func() []byte {
		return document(`<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>`, `<w:p><w:r><w:t>&f;</w:t></w:r></w:p>`)
	}, failure.FileDamaged)
	add("deep.docx", func() []byte { return WordFile(strings.Repeat("<w:sdt>", 200_000)) }, failure.FileTooDeep)
	add("deep tables.docx", func() []byte {
		return WordFile(strings.Repeat("<w:tbl><w:tr><w:tc>", 80) + Para("", "a") + strings.Repeat("</w:tc></w:tr></w:tbl>", 80))
	}, Read)
	add("large attribute.docx", func() []byte {
		return WordFile(`<w:p a="` + strings.Repeat("x", 30<<20) + `"/>` + Para("", "a"))
	}, failure.FileTooLarge)
	add("many attributes.docx", func() []byte {
		var b strings.Builder
		for i := range 300_000 {
			fmt.Fprintf(&b, ` a%d="1"`, i)
		}
		return WordFile(`<w:p` + b.String() + `/>` + Para("", "a"))
	}, Read)
	add("empty paragraphs.docx", func() []byte { return WordFile(strings.Repeat("<w:p/>", 1_000_000)) }, failure.FileNoText, failure.FileTooLarge)
	add("runs.docx", func() []byte {
		return WordFile("<w:p>" + strings.Repeat("<w:r><w:t>a</w:t></w:r>", 600_000) + "</w:p>")
	}, failure.FileTooManyParts, failure.FileTooLarge)
	add("cells.docx", func() []byte {
		return WordFile("<w:tbl>" + strings.Repeat(`<w:tr><w:tc><w:tcPr><w:gridSpan w:val="199"/></w:tcPr></w:tc></w:tr>`, 20_000) + "</w:tbl>")
	}, failure.FileTooManyParts)
	add("style circle.docx", func() []byte {
		return WordFile(Para("A", "a"), Entry{"word/styles.xml", `<w:styles ` + wordNS + `><w:style w:styleId="A"><w:basedOn w:val="B"/></w:style><w:style w:styleId="B"><w:basedOn w:val="A"/></w:style></w:styles>`})
	}, Read)
	add("absurd numbers.docx", func() []byte { return WordFile(Item(1, 99, "a") + Item(99, -5, "b") + Item(2, 8, "c")) }, Read)
	add("note in itself.docx", func() []byte {
		self := `<w:p><w:r><w:t>a</w:t></w:r><w:r><w:footnoteReference w:id="1"/></w:r></w:p>`
		return WordFile(self, Entry{"word/footnotes.xml", `<w:footnotes ` + wordNS + `><w:footnote w:id="1">` + self + `</w:footnote></w:footnotes>`})
	}, Read)
	add("deep.pptx", func() []byte { return SlideFile([]string{strings.Repeat("<p:grpSp>", 100_000)}, nil) }, failure.FileTooDeep)
	add("slides.pptx", func() []byte {
		var ids strings.Builder
		for range 100_000 {
			ids.WriteString(`<p:sldId id="1" r:id="rId1"/>`)
		}
		return Zip(Entry{"ppt/presentation.xml", `<p:presentation ` + slideNS + `><p:sldIdLst>` + ids.String() + `</p:sldIdLst></p:presentation>`},
			Entry{"ppt/_rels/presentation.xml.rels", Rels("rId1 slide slides/slide1.xml")},
			Entry{"ppt/slides/slide1.xml", `<p:sld ` + slideNS + `><p:cSld><p:spTree>` + Shape("title", "a") + `</p:spTree></p:cSld></p:sld>`})
	}, failure.FileTooManyParts)
}

func addSheets(add adder) {
	sheet := func(rows string, more ...Entry) func() []byte {
		return func() []byte { return SheetFile([]Entry{{"A", rows}}, more...) }
	}
	add("a million empty rows.xlsx", func() []byte {
		var b strings.Builder
		for i := range 1_000_000 {
			fmt.Fprintf(&b, `<row r="%d"/>`, i+1)
		}
		return sheet(b.String())()
	}, failure.FileNoText)
	add("last row.xlsx", sheet(Row(1, "a")+`<row r="1048576"><c r="XFD1048576" t="inlineStr"><is><t>z</t></is></c></row>`), Read)
	add("wide rows.xlsx", func() []byte {
		var b strings.Builder
		for i := range 100_000 {
			fmt.Fprintf(&b, `<row r="%d"><c r="XFD%d"><v>1</v></c></row>`, i+1, i+1)
		}
		return sheet(b.String())()
	}, failure.FileTooManyParts)
	add("absurd reference.xlsx", sheet(`<row r="99999999999"><c r="ZZZZZZZZ99999999999"><v>1</v></c></row>`), failure.FileDamaged, failure.FileNoText)
	add("row backwards.xlsx", sheet(`<row r="5"><c r="A5"><v>5</v></c></row><row r="-3"><c r="A1"><v>1</v></c></row>`), failure.FileDamaged, Read)
	add("shared strings.xlsx", func() []byte {
		return sheet(Row(1, "a"), Entry{"xl/sharedStrings.xml", `<sst ` + sheetNS + `>` + strings.Repeat("<si><t/></si>", 1_000_000) + `</sst>`})()
	}, failure.FileTooManyParts, failure.FileTooLarge)
	add("string out of range.xlsx", sheet(`<row r="1"><c r="A1" t="s"><v>99999999</v></c><c r="B1" t="s"><v>-1</v></c></row>`), failure.FileDamaged, failure.FileNoText, Read)
	add("billion laughs.xlsx", sheet(Row(1, "a"), Entry{"xl/sharedStrings.xml", laughs + `<sst ` + sheetNS + `><si><t>&d;</t></si></sst>`}), failure.FileDamaged, Read)
	add("deep.xlsx", func() []byte {
		return sheet(Row(1, "a"), Entry{"xl/workbook.xml", `<workbook ` + sheetNS + `>` + strings.Repeat("<a>", 500_000)})()
	}, failure.FileDamaged, failure.FileTooDeep)
	add("formula circle.xlsx", sheet(`<row r="1"><c r="A1"><f>B1</f><v>1</v></c><c r="B1"><f>A1</f><v>1</v></c></row>`), Read)
	add("a million cells.xlsx", func() []byte {
		var b strings.Builder
		for i := range 2_100 {
			fmt.Fprintf(&b, `<row r="%d">`, i+1)
			for range 500 {
				b.WriteString(`<c><v>1</v></c>`)
			}
			b.WriteString(`</row>`)
		}
		return sheet(b.String())()
	}, failure.FileTooManyParts)
}
