// Package extract turns a file into Markdown with places: pages of a PDF, slides, ranges of a sheet. It
// is pure: bytes in, Markdown out, within limits of size, time and memory. Only Server, which asks a
// server that speaks Apache Tika's protocol, uses the network.
package extract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
)

// File is a file to read. Its content is read at random places, where the format allows it; it is never
// held whole beside its text.
type File struct {
	Name      string // with its extension; a hint only, what counts is the content
	MediaType string // as its origin calls it; a hint only, may be empty
	Content   io.ReaderAt
	Size      int64 // in bytes
	// Alt and Caption are what the page says of a picture; a picture itself has no text.
	Alt, Caption string
}

// Part is a piece of a document with a place of its own.
type Part struct {
	// Place is where it is, as people say it: "page 3", "slide 4", "Prices!A1:D20". It is "" for a document
	// without places.
	Place    string
	Markdown string // ends with one newline, never empty
}

// Document is what a file says. It has at least one part, and each part has text.
type Document struct {
	Format string // pdf, docx, xlsx, pptx, html, markdown, text, csv, json, code, drawio, svg, image
	Parts  []Part
	Losses []page.Loss // what is in the file and not in the parts; sorted by element, fate and reason
}

// Markdown returns the whole document. Each part with a place begins with a heading of the second level
// that is its place, such as "## page 3", so that a chunk's breadcrumb says where it is from. Headings
// inside of such a part are of the third level and below.
func (d Document) Markdown() string {
	var b strings.Builder
	for i, p := range d.Parts {
		if i > 0 {
			b.WriteString("\n")
		}
		if p.Place != "" {
			b.WriteString("## " + escape(p.Place) + "\n\n")
		}
		b.WriteString(p.Markdown)
	}
	return b.String()
}

// Limits bound what one file may take. A zero field means its value in DefaultLimits.
type Limits struct {
	Bytes    int64         // size of the file
	Unpacked int64         // bytes that are unpacked from it, in all
	Entries  int           // files in a container, such as a docx
	Depth    int           // how deep elements may nest
	Parts    int           // pages, slides, or pieces of sheets
	Cells    int           // cells of sheets, in all, and of a table that is laid out
	Markdown int           // bytes of Markdown
	Time     time.Duration // for one file
}

// DefaultLimits returns the limits for files that people attach to pages.
func DefaultLimits() Limits {
	return Limits{
		Bytes: 25 << 20, Unpacked: 256 << 20, Entries: 10_000, Depth: 256, Parts: 5_000, Cells: 1_000_000,
		Markdown: page.MaxBody, Time: time.Minute,
	}
}

// SkippedError says why a file is not read although nothing is wrong with it: its format has no text, or
// none that is read here.
type SkippedError struct {
	Format string // "audio", "archive", "doc", …; "" if unknown
	Reason string // a short sentence for people
}

func (e *SkippedError) Error() string { return "not extracted: " + e.Reason }

// Skipped reports whether err is a *SkippedError.
func Skipped(err error) bool {
	var s *SkippedError
	return errors.As(err, &s)
}

// Extract reads a file. The error is a *SkippedError for a format that is not read. Other errors have a
// code: failure.FileTooLarge, FileTooManyParts, FileTooDeep, FileEncrypted, FileDamaged, FileTooSlow or
// FileNoText. If ctx ends, its error is returned without a code.
// As the text, an error does not say the file's name: it is shared by all that have the same bytes.
func Extract(ctx context.Context, f File, l Limits) (Document, error) {
	l = l.orDefaults()
	if f.Size > l.Bytes {
		return Document{}, failure.New(failure.FileTooLarge, "the file has %d bytes, the limit is %d", f.Size, l.Bytes)
	}
	within, cancel := context.WithTimeout(ctx, l.Time)
	defer cancel()
	j := &job{ctx: within, file: f, limits: l, losses: map[lossKind]int{}}
	d, err := j.run()
	switch {
	case err == nil:
		return d, nil
	case ctx.Err() != nil:
		return Document{}, fmt.Errorf("extract a file: %w", ctx.Err())
	case within.Err() != nil:
		return Document{}, failure.New(failure.FileTooSlow, "not finished within %v", l.Time)
	}
	return Document{}, err
}

func (l Limits) orDefaults() Limits {
	d := DefaultLimits()
	orDefault(&l.Bytes, d.Bytes)
	orDefault(&l.Unpacked, d.Unpacked)
	orDefault(&l.Entries, d.Entries)
	orDefault(&l.Depth, d.Depth)
	orDefault(&l.Parts, d.Parts)
	orDefault(&l.Cells, d.Cells)
	orDefault(&l.Markdown, d.Markdown)
	orDefault(&l.Time, d.Time)
	return l
}

func orDefault[T ~int | ~int64](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}
