package extract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf16"

	"github.com/klippa-app/go-pdfium"
	pdfiumerrors "github.com/klippa-app/go-pdfium/errors"
	"github.com/klippa-app/go-pdfium/references"
	"github.com/klippa-app/go-pdfium/requests"
	"github.com/klippa-app/go-pdfium/webassembly"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/sluicehq/sluice/shared/failure"
)

const (
	// pdfMemory bounds the memory of one PDF's reader, in pages of 64 KiB: 128 MiB. While it grows, the
	// process holds up to three times as much.
	pdfMemory = 2048
	// pdfReaders is how many PDFs are read at once in a process; more wait.
	pdfReaders = 2
	// maxPageChars is the most that one page may say; a page of a book has 3,000.
	maxPageChars = 1_000_000
)

// startPDFium returns PDFium, compiled once to run in a sandbox without files, network or clock: a PDF that
// breaks it breaks only its own instance.
var startPDFium = sync.OnceValues(func() (pdfium.Pool, error) {
	config := wazero.NewRuntimeConfig().
		WithCoreFeatures(api.CoreFeaturesV2 | experimental.CoreFeaturesExceptionHandling).
		WithMemoryLimitPages(pdfMemory).
		WithCloseOnContextDone(true)
	if compiled := compiledIn.Load(); compiled != nil {
		cache, err := wazero.NewCompilationCacheWithDir(*compiled)
		if err != nil {
			return nil, fmt.Errorf("keep what was compiled in %s: %w", *compiled, err)
		}
		config = config.WithCompilationCache(cache)
	}
	return webassembly.Init(webassembly.Config{
		MaxTotal:      pdfReaders,
		FSConfig:      wazero.NewFSConfig(),
		Stdout:        io.Discard,
		Stderr:        io.Discard,
		RuntimeConfig: config,
	})
})

var compiledIn atomic.Pointer[string]

// KeepCompiled names a folder in which the compiled reader of PDFs is kept, so that only the first of
// several processes compiles it. What is in the folder is run: nobody else may write there. It must be
// called before Warm and before the first PDF.
func KeepCompiled(folder string) { compiledIn.Store(&folder) }

// Warm compiles the reader of PDFs, which takes seconds, so that the first file does not wait for it.
func Warm() error {
	_, err := startPDFium()
	return err
}

// pdfLine is a line of a page.
type pdfLine struct {
	text string
	size float64 // of its letters, in points
	top  float64 // its height on the page, from below
}

func readPDF(j *job) error {
	pool, err := startPDFium()
	if err != nil {
		return fmt.Errorf("start PDFium: %w", err)
	}
	instance, err := pool.GetInstanceWithContext(j.ctx)
	if err != nil {
		return fmt.Errorf("start PDFium: %w", err)
	}
	// Only a kill ends what an instance computes; killed or not, its memory is gone afterwards.
	var once sync.Once
	kill := func() { once.Do(func() { _ = instance.Kill() }) }
	stop := context.AfterFunc(j.ctx, kill)
	defer func() {
		stop()
		kill()
	}()
	pages, err := j.pdfPages(instance)
	if err != nil {
		return err
	}
	sizes := headingSizes(pages)
	for i, lines := range pages {
		if err := j.part(fmt.Sprintf("page %d", i+1), layPage(lines, sizes)); err != nil {
			return err
		}
	}
	return nil
}

func (j *job) pdfPages(p pdfium.Pdfium) ([][]pdfLine, error) {
	opened, err := p.OpenDocument(&requests.OpenDocument{FileReader: io.NewSectionReader(j, 0, j.file.Size), FileReaderSize: j.file.Size})
	if errors.Is(err, pdfiumerrors.ErrPassword) || errors.Is(err, pdfiumerrors.ErrSecurity) {
		return nil, failure.New(failure.FileEncrypted, "the PDF needs a password")
	}
	if err != nil {
		return nil, damaged(err, "open the PDF")
	}
	count, err := p.FPDF_GetPageCount(&requests.FPDF_GetPageCount{Document: opened.Document})
	if err != nil {
		return nil, damaged(err, "count the pages")
	}
	if count.PageCount > j.limits.Parts {
		return nil, failure.New(failure.FileTooManyParts, "the PDF has %d pages, the limit is %d", count.PageCount, j.limits.Parts)
	}
	pages := make([][]pdfLine, count.PageCount)
	size := 0
	for i := range pages {
		if pages[i], err = j.pdfPage(p, opened.Document, i); err != nil {
			return nil, damaged(err, fmt.Sprintf("read page %d", i+1))
		}
		for _, l := range pages[i] {
			size += len(l.text)
		}
		if err := j.room(size); err != nil {
			return nil, err
		}
	}
	return pages, nil
}

func (j *job) pdfPage(p pdfium.Pdfium, doc references.FPDF_DOCUMENT, index int) ([]pdfLine, error) {
	loaded, err := p.FPDF_LoadPage(&requests.FPDF_LoadPage{Document: doc, Index: index})
	if err != nil {
		return nil, err
	}
	defer func() { _, _ = p.FPDF_ClosePage(&requests.FPDF_ClosePage{Page: loaded.Page}) }()
	texts, err := p.FPDFText_LoadPage(&requests.FPDFText_LoadPage{Page: requests.Page{ByReference: &loaded.Page}})
	if err != nil {
		return nil, err
	}
	defer func() { _, _ = p.FPDFText_ClosePage(&requests.FPDFText_ClosePage{TextPage: texts.TextPage}) }()
	count, err := p.FPDFText_CountChars(&requests.FPDFText_CountChars{TextPage: texts.TextPage})
	if err != nil {
		return nil, err
	}
	if count.Count > maxPageChars {
		return nil, failure.New(failure.FileTooLarge, "the page has more than %d characters", maxPageChars)
	}
	if count.Count <= 0 {
		return nil, nil
	}
	all, err := p.FPDFText_GetText(&requests.FPDFText_GetText{TextPage: texts.TextPage, Count: count.Count})
	if err != nil {
		return nil, err
	}
	var lines []pdfLine
	at := 0 // in units of UTF-16, as PDFium counts
	for line := range strings.Lines(all.Text) {
		text := strings.TrimSpace(cleanPDF(line))
		if text != "" {
			first := at + utf16Len(line[:len(line)-len(strings.TrimLeft(line, " \r\n\t"))])
			l := pdfLine{text: text}
			l.size, l.top = letter(p, texts.TextPage, first)
			lines = append(lines, l)
		}
		at += utf16Len(line)
	}
	return lines, j.ctx.Err()
}

// letter returns the size and place of a character. What cannot be had is zero.
func letter(p pdfium.Pdfium, page references.FPDF_TEXTPAGE, textIndex int) (size, top float64) {
	at, err := p.FPDFText_GetCharIndexFromTextIndex(&requests.FPDFText_GetCharIndexFromTextIndex{TextPage: page, NTextIndex: textIndex})
	if err != nil || at.CharIndex < 0 {
		return 0, 0
	}
	font, err := p.FPDFText_GetFontSize(&requests.FPDFText_GetFontSize{TextPage: page, Index: at.CharIndex})
	if err != nil {
		return 0, 0
	}
	size = font.FontSize
	if m, err := p.FPDFText_GetMatrix(&requests.FPDFText_GetMatrix{TextPage: page, Index: at.CharIndex}); err == nil {
		if scale := math.Hypot(float64(m.Matrix.C), float64(m.Matrix.D)); scale > 0 {
			size *= scale
		}
	}
	if o, err := p.FPDFText_GetCharOrigin(&requests.FPDFText_GetCharOrigin{TextPage: page, Index: at.CharIndex}); err == nil {
		top = o.Y
	}
	return math.Round(2*size) / 2, top
}

func utf16Len(s string) int {
	n := 0
	for _, r := range s {
		n += max(utf16.RuneLen(r), 1)
	}
	return n
}

// The sign by which PDFium says that a line ends within a word.
const lineHyphen = '\uFFFE'

func cleanPDF(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\x02' || r == lineHyphen:
			return lineHyphen
		case r < ' ' && r != '\t' || r == 0xfffd:
			return -1
		case r == '\u00a0':
			return ' '
		}
		return r
	}, s)
}
