package extract

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
)

// job is the reading of one file: what it has taken so far, and what it has found.
type job struct {
	ctx    context.Context
	file   File
	limits Limits

	parts    []Part
	losses   map[lossKind]int // how many of each
	written  int              // bytes of Markdown in parts
	unpacked int64
	cells    int
}

// run finds out what the file is, reads it, and returns what it found.
func (j *job) run() (d Document, err error) {
	defer func() {
		// The libraries read what strangers wrote. What breaks one of them is a damaged file.
		if r := recover(); r != nil {
			d, err = Document{}, failure.New(failure.FileDamaged, "the file breaks its reader: %v", r)
		}
	}()
	if j.file.Size <= 0 {
		return Document{}, failure.New(failure.FileNoText, "the file is empty")
	}
	k, err := j.kind()
	if err != nil {
		return Document{}, err
	}
	if err := k.read(j); err != nil {
		return Document{}, err
	}
	if err := j.ctx.Err(); err != nil {
		return Document{}, err
	}
	if len(j.parts) == 0 {
		return Document{}, failure.New(failure.FileNoText, "the file is a %s without text", k.format)
	}
	return Document{Format: k.format, Parts: j.parts, Losses: j.allLosses()}, nil
}

// part adds a piece of the document. Text without a word is no part.
func (j *job) part(place, text string) error {
	text = strings.Trim(text, "\n")
	if strings.TrimSpace(text) == "" {
		return j.ctx.Err()
	}
	if len(j.parts) >= j.limits.Parts {
		return failure.New(failure.FileTooManyParts, "the file has more than %d parts", j.limits.Parts)
	}
	if j.written += len(text) + 1; j.written > j.limits.Markdown {
		return j.tooMuchText()
	}
	j.parts = append(j.parts, Part{Place: place, Markdown: text + "\n"})
	return j.ctx.Err()
}

// room says whether more bytes of Markdown may follow those of the parts.
func (j *job) room(more int) error {
	if j.written+more > j.limits.Markdown {
		return j.tooMuchText()
	}
	return j.ctx.Err()
}

func (j *job) tooMuchText() error {
	return failure.New(failure.FileTooLarge, "the file's text has more than %d bytes", j.limits.Markdown)
}

func (j *job) lose(element string, fate page.Fate, reason string) {
	j.losses[lossKind{element, fate, reason}]++
}

// lossKind is a page.Loss without how many there are.
type lossKind struct {
	element string
	fate    page.Fate
	reason  string
}

func (j *job) allLosses() []page.Loss {
	var all []page.Loss
	for k, n := range j.losses {
		all = append(all, page.Loss{Element: k.element, Fate: k.fate, Reason: k.reason, Count: n})
	}
	slices.SortFunc(all, func(a, b page.Loss) int {
		return cmp.Or(cmp.Compare(a.Element, b.Element), cmp.Compare(a.Fate, b.Fate), cmp.Compare(a.Reason, b.Reason))
	})
	return all
}

// reader reads the whole file from its start. It stops when the job's time is over.
func (j *job) reader() io.Reader { return io.NewSectionReader(j, 0, j.file.Size) }

// ReadAt reads the file until the job's time is over, so that no library outlives it.
func (j *job) ReadAt(p []byte, off int64) (int, error) {
	if err := j.ctx.Err(); err != nil {
		return 0, err
	}
	return j.file.Content.ReadAt(p, off)
}

// counted counts the bytes that are unpacked from the file, and stops at the limits.
type counted struct {
	j      *job
	r      io.Reader
	name   string
	packed int64 // the size of the entry in its container
	n      int64
}

// A part that grows this much was made to. Office files of repeated rows reach a hundred.
const (
	maxRatio   = 500
	ratioFloor = 4 << 20 // below this many bytes any ratio is harmless
)

func (c *counted) Read(p []byte) (int, error) {
	if err := c.j.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.n += int64(n)
	c.j.unpacked += int64(n)
	switch {
	case c.j.unpacked > c.j.limits.Unpacked:
		return 0, failure.New(failure.FileTooLarge, "the file unpacks to more than %d bytes", c.j.limits.Unpacked)
	case c.n > ratioFloor && c.n/maxRatio > max(c.packed, 1):
		return 0, failure.New(failure.FileTooLarge, "%q in the file unpacks to more than %d times its size", c.name, maxRatio)
	}
	return n, err
}

// damaged marks an error of a library as the file's fault, unless it has a meaning already.
func damaged(err error, doing string) error {
	if err == nil {
		return nil
	}
	var coded interface{ FailureCode() failure.Code }
	if errors.As(err, &coded) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || Skipped(err) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return failure.New(failure.FileDamaged, "%s: %w", doing, err)
}
