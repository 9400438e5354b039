package extractor

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/services/extractor/extract"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
)

// Reader reads files that somebody gives to a program, one at a time, as the stage reads attachments: within the same limits, in a
// process of its own. The program's main calls service.BeChild.
type Reader struct {
	processes *processes
	most      int64
}

// NewReader returns a reader. Close ends its process.
func NewReader(c config.Files, log zerolog.Logger) (*Reader, error) {
	p, err := openProcesses(c, 1, log)
	if err != nil {
		return nil, err
	}
	return &Reader{p, c.MaxBytes}, nil
}

// Close ends the process.
func (r *Reader) Close() { r.processes.close() }

// Given is a file that was given to a reader. Leave ends it.
type Given struct {
	// Format is "" until the file is read.
	page.File
	name   string
	at     desk
	limits extract.Limits
}

// Take copies a file to a place without a name. Its own name has its extension. The error has the code failure.FileTooLarge if it has
// more than ATTACHMENT_MAX_BYTES.
func (r *Reader) Take(ctx context.Context, name string, from io.Reader) (*Given, error) {
	at, err := r.processes.take(ctx)
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(at.file(), sum), io.LimitReader(from, r.most+1))
	if err == nil && n > r.most {
		err = failure.New(failure.FileTooLarge, "it has more than %d bytes; ATTACHMENT_MAX_BYTES raises the limit", r.most)
	}
	if err != nil {
		at.leave()
		return nil, fmt.Errorf("take a file: %w", err)
	}
	g := &Given{page.File{Size: n, SHA256: hex.EncodeToString(sum.Sum(nil))}, name, at, r.processes.limits}
	g.Reader = reader(page.Facts{Title: name, File: &g.File})
	return g, nil
}

// Text reads the file and sets its Format. The errors are those of extract.Extract, and failure.FileCrashed.
func (g *Given) Text(ctx context.Context) (extract.Document, error) {
	var doc extract.Document
	var err error
	if handsOver {
		doc, err = g.at.read(ctx, page.Facts{ID: g.name, Title: g.name, File: &g.File})
	} else { // the person's own file, with all limits but that of memory
		doc, err = extract.Extract(ctx, extract.File{Name: g.name, Content: g.at.file(), Size: g.Size}, g.limits)
	}
	g.Format = doc.Format
	return doc, err
}

// Leave ends the file.
func (g *Given) Leave() { g.at.leave() }
