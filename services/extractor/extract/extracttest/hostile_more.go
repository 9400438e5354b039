package extracttest

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/sluicehq/sluice/shared/failure"
)

func addPDFs(add adder) {
	const catalog = "<< /Type /Catalog /Pages 2 0 R >>"
	page := func(contents, resources string) []string {
		return []string{catalog, "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
			"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R /Resources << " + resources + " >> >>", contents}
	}
	const helvetica = "/Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>"
	objects := func(trailer string, o ...string) func() []byte {
		return func() []byte { return Objects(o, trailer) }
	}
	add("100,000 pages.pdf", func() []byte {
		return Objects([]string{catalog, "<< /Type /Pages /Kids [" + strings.Repeat("3 0 R ", 100_000) + "] /Count 100000 >>",
			"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] >>"}, "")
	}, failure.FileTooManyParts)
	add("pages that are not.pdf", objects("", catalog, "<< /Type /Pages /Kids [3 0 R] /Count 2147483647 >>", "<< /Type /Page /Parent 2 0 R >>"),
		failure.FileTooManyParts, failure.FileDamaged, failure.FileNoText)
	add("page circle.pdf", objects("", catalog, "<< /Type /Pages /Kids [2 0 R 3 0 R] /Count 5 >>", "<< /Type /Pages /Kids [2 0 R] /Count 5 /Parent 2 0 R >>"),
		failure.FileDamaged, failure.FileNoText)
	add("password.pdf", objects("/Encrypt 4 0 R /ID [<00112233445566778899aabbccddeeff> <00112233445566778899aabbccddeeff>]", catalog,
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>", "<< /Type /Page /Parent 2 0 R >>",
		"<< /Filter /Standard /V 2 /R 3 /Length 128 /P -44 /O <"+strings.Repeat("5a", 32)+"> /U <"+strings.Repeat("a5", 32)+"> >>"), failure.FileEncrypted)
	add("unknown lock.pdf", objects("/Encrypt << /Filter /Nobody /V 9 >>", catalog, "<< /Type /Pages /Kids [3 0 R] /Count 1 >>", "<< /Type /Page /Parent 2 0 R >>"),
		failure.FileEncrypted, failure.FileDamaged, failure.FileNoText)
	add("bomb.pdf", func() []byte {
		return Objects(page(deflated(strings.Repeat(" ", 200<<20), 1), helvetica), "")
	}, failure.FileTooLarge, failure.FileNoText, failure.FileDamaged, failure.FileTooSlow)
	add("bomb in a bomb.pdf", func() []byte {
		return Objects(page(deflated(strings.Repeat("q ", 100<<20), 2), helvetica), "")
	}, failure.FileTooLarge, failure.FileNoText, failure.FileDamaged, failure.FileTooSlow)
	add("form in itself.pdf", objects("", append(page(Stream("", "/X Do"), "/XObject << /X 5 0 R >>"),
		Stream("/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 5 0 R >> >>", "/X Do /X Do /X Do"))...), failure.FileNoText, failure.FileDamaged)
	add("forms by powers.pdf", func() []byte { // each draws the next one ten times
		o := page(Stream("", "/X Do"), "/XObject << /X 5 0 R >>")
		for i := range 9 {
			o = append(o, Stream(fmt.Sprintf("/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X %d 0 R >> %s >>", 6+i, helvetica),
				strings.Repeat("/X Do ", 10)+"BT /F1 9 Tf (ha) Tj ET"))
		}
		return Objects(append(o, Stream("/Type /XObject /Subtype /Form /BBox [0 0 9 9]", "")), "")
	}, failure.FileTooLarge, failure.FileTooSlow, failure.FileDamaged, failure.FileNoText, Read)
	add("deep arrays.pdf", objects("", catalog, "<< /Type /Pages /Kids "+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)+" /Count 1 >>"),
		failure.FileDamaged, failure.FileNoText)
	add("table circle.pdf", func() []byte {
		b := Objects(page(Stream("", "BT /F1 12 Tf (a) Tj ET"), helvetica), "")
		start := bytes.LastIndex(b, []byte("xref\n0"))
		return bytes.Replace(b, []byte("/Root"), fmt.Appendf(nil, "/Prev %d /Root", start), 1)
	}, Read, failure.FileDamaged)
	add("broken font.pdf", objects("", append(page(Stream("", "BT /F1 12 Tf (Hello there) Tj ET"), "/Font << /F1 5 0 R >>"),
		"<< /Type /Font /Subtype /TrueType /BaseFont /Broken /FirstChar 32 /LastChar 33 /Widths [1e30 -1e30] /FontDescriptor 6 0 R /Encoding /WinAnsiEncoding >>",
		"<< /Type /FontDescriptor /FontName /Broken /Flags 32 /FontFile2 7 0 R >>", Stream("/Length1 4000", string(noise(4000, 5))))...), Read)
	add("font in itself.pdf", objects("", append(page(Stream("", "BT /F1 12 Tf (aa) Tj ET"), "/Font << /F1 5 0 R >>"),
		"<< /Type /Font /Subtype /Type3 /FontBBox [0 0 9 9] /FontMatrix [1 0 0 1 0 0] /CharProcs << /a 6 0 R >> /Encoding << /Differences [97 /a] >> /FirstChar 97 /LastChar 97 /Widths [9] /Resources << /Font << /F1 5 0 R >> >> >>",
		Stream("", "9 0 d0 BT /F1 12 Tf (aa) Tj ET"))...), Read, failure.FileNoText)
	add("endless page.pdf", func() []byte {
		return Objects(page(deflated(strings.Repeat("BT /F1 9 Tf 9 9 Td (abcdefghijklmnopqrstuvwxyz) Tj ET\n", 40_000), 1), helvetica), "")
	}, Read, failure.FileTooLarge, failure.FileTooSlow, failure.FileDamaged)
	add("length that is not.pdf", objects("", page("<< /Length 4 0 R >>\nstream\nBT ET\nendstream", helvetica)...), failure.FileNoText, failure.FileDamaged)
	add("a header only.pdf", text("%PDF-1.7\n"), failure.FileDamaged)
	add("noise after the header.pdf", func() []byte { return append([]byte("%PDF-1.7\n"), noise(200<<10, 6)...) }, failure.FileDamaged)
}

// deflated is a stream that is packed so many times.
func deflated(content string, times int) string {
	filters := ""
	for range times {
		var b bytes.Buffer
		w := zlib.NewWriter(&b)
		if _, err := w.Write([]byte(content)); err != nil {
			panic(err) // a buffer takes everything
		}
		if err := w.Close(); err != nil {
			panic(err)
		}
		content, filters = b.String(), filters+"/FlateDecode "
	}
	return Stream("/Filter ["+filters+"]", content)
}

func addTexts(add adder) {
	repeat := func(head, s string, n int, tail string) func() []byte {
		return func() []byte { return []byte(head + strings.Repeat(s, n) + tail) }
	}
	add("deep.html", repeat("<html>", "<div>", 100_000, "a"), failure.FileTooDeep, failure.FileDamaged)
	add("bold.html", repeat("<html>", "<b>a", 200_000, ""), failure.FileTooDeep, failure.FileDamaged, failure.FileTooManyParts, failure.FileTooSlow)
	add("formatting.html", repeat("<html>", "<a><b><i><p>", 50_000, ""), Read, failure.FileTooDeep, failure.FileDamaged, failure.FileTooManyParts, failure.FileTooSlow)
	add("many elements.html", repeat("<html>", "<p>a", 600_000, ""), failure.FileTooManyParts)
	add("wide cells.html", repeat("<html><table>", `<tr><td colspan="999999999" rowspan="999999999">a</td>`, 1000, ""), Read)
	add("cells.html", repeat("<html><table>", `<tr><td colspan="200" rowspan="200">a</td>`, 1000, ""), failure.FileTooManyParts)
	add("attributes.html", func() []byte {
		var b strings.Builder
		b.WriteString("<html><p")
		for i := range 300_000 {
			fmt.Fprintf(&b, " a%d=1", i)
		}
		return []byte(b.String() + ">a")
	}, Read)
	add("large.html", repeat("<html>", "a ", 10<<20, ""), failure.FileTooLarge)
	add("stars.html", repeat("<html><p>", "*_[`", 500_000, ""), Read, failure.FileTooSlow)
	add("laughs.svg", text(laughs+`<svg><text>&d;</text></svg>`), failure.FileDamaged)
	add("deep.svg", repeat("<svg>", "<g>", 1_000_000, ""), failure.FileTooDeep)
	add("elements.svg", repeat("<svg>", "<text>a</text>", 1_100_000, "</svg>"), failure.FileTooManyParts)
	add("bomb.drawio", func() []byte {
		return []byte(`<mxfile><diagram>` + DeflateDiagram("<mxGraphModel>"+strings.Repeat(" ", 100<<20)+"</mxGraphModel>") + `</diagram></mxfile>`)
	}, failure.FileTooLarge)
	add("noise.drawio", text(`<mxfile><diagram>7V1bc6M2FP41ntk+1CNxf0yyu207</diagram></mxfile>`), failure.FileDamaged)
	add("open quote.csv", repeat(`a,b`+"\n"+`"`, "x,\n", 4_000_000, ""), Read, failure.FileTooLarge)
	add("wide.csv", repeat("", "a,", 2_000_000, "\n"), failure.FileTooManyParts)
	add("long.csv", repeat("", "\n,\n", 3_000_000, ""), failure.FileNoText, failure.FileTooManyParts)
	add("parts.csv", func() []byte {
		var b strings.Builder
		for i := range 400_000 {
			fmt.Fprintf(&b, "%d,%d\n", i, i)
		}
		return []byte(b.String())
	}, failure.FileTooManyParts)
	add("deep.json", repeat("", "[", 2_000_000, ""), Read)
	add("ticks.txt", repeat("", "`", 12<<20, ""), failure.FileTooLarge)
	add("ticks.go", repeat("", "`", 1<<20, ""), Read, failure.FileTooLarge)
	add("marks.txt", repeat("", "&[<", 3_000_000, "]("), Read, failure.FileTooLarge, failure.FileTooSlow)
	add("half.txt", text("\xff\xfea\x00b"), Read)
	add("large.txt", repeat("", "word ", 6_000_000, ""), failure.FileTooLarge)
}

// addDamaged cuts files off at each tenth, and changes single bytes.
func addDamaged(add adder) {
	anything := []failure.Code{Read, Skipped, failure.FileDamaged, failure.FileNoText, failure.FileEncrypted, failure.FileTooLarge, failure.FileTooManyParts, failure.FileTooDeep, failure.FileTooSlow}
	for _, f := range []struct {
		ext  string
		make func() []byte
	}{{"pdf", Sample().PDF}, {"docx", Sample().Docx}, {"xlsx", Sample().Xlsx}, {"pptx", Sample().Pptx}, {"html", Sample().HTML}, {"drawio", Sample().Drawio}, {"svg", Sample().SVG}} {
		for tenth := 1; tenth < 10; tenth++ {
			want := []failure.Code{failure.FileDamaged}
			if f.ext == "html" || f.ext == "pdf" { // PDFium repairs; HTML has no end
				want = append(want, Read, failure.FileNoText)
			}
			add(fmt.Sprintf("cut at %d %%.%s", 10*tenth, f.ext), func() []byte {
				b := f.make()
				return b[:len(b)*tenth/10]
			}, want...)
		}
		for seed := range uint64(6) {
			add(fmt.Sprintf("changed %d.%s", seed, f.ext), func() []byte {
				b := f.make()
				r := rand.New(rand.NewPCG(seed, 7)) //nolint:gosec // the same each time, on purpose
				for range 1 + len(b)/500 {
					b[r.IntN(len(b))] = byte(r.Uint64() & 0xff)
				}
				return b
			}, anything...)
		}
	}
}
