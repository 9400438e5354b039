package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/services/chunk-writer/chunk"
	"github.com/sluicehq/sluice/services/chunk-writer/chunkwriter"
	"github.com/sluicehq/sluice/services/extractor/extract"
	"github.com/sluicehq/sluice/services/extractor/extractor"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/store"
)

// adding is one call of sluice document add.
type adding struct {
	*app
	store  *store.Store
	reader *extractor.Reader
	chunks chunk.Options
	doc    chunkwriter.Document // what the flags say of each document
}

// added is what became of a document.
type added struct {
	SourceID  string  `json:"source_id"`
	URL       string  `json:"url"`
	Format    string  `json:"format"`
	Unchanged bool    `json:"unchanged"` // the file is as it was, and was not read again
	ChunkIDs  []int64 `json:"chunk_ids"` // empty for an unchanged file
}

func (a *app) documentAdd() *cobra.Command {
	d := adding{app: a}
	cmd := &cobra.Command{
		Use:   "add FILE...|- --source SOURCE",
		Short: "Read files, split them into chunks and store them",
		Long: `Read files, split them into chunks and store them beside the pages, so that searches find
them: PDF, Word, PowerPoint, Excel, HTML, Markdown, text, CSV, JSON, code and more (docs/files.md).
Everyone with a key for the source sees them. If the source does not exist, it is created.

A file is known by its address, which citations open: file:// and its path, unless --url gives
another. Adding a file again replaces its text; a file that has not changed is not read again.
Files are read within the limits of attachments: ATTACHMENT_MAX_BYTES, _TIME and _MEMORY.`,
		Example: "  sluice document add handbook.pdf prices.xlsx --source files\n  sluice document add runbook.md --source files --url https://git.example.com/docs/runbook.md\n" +
			"  curl -s https://example.com/handbook.pdf | sluice document add - --source files --url https://example.com/handbook.pdf",
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			if err := checkDocumentSource(d.doc.SourceID); err != nil {
				return err
			}
			if len(argv) > 1 && d.doc.URL+d.doc.Title != "" {
				return usageError{errors.New("--url and --title are of one document: add one file at a time")}
			}
			if argv[0] == "-" && d.doc.URL == "" {
				return usageError{errors.New("a document from standard input needs an address: give --url")}
			}
			return d.run(cmd.Context(), argv)
		},
	}
	cmd.Flags().StringVar(&d.doc.SourceID, "source", "", "the `source` that the documents belong to")
	cmd.Flags().StringVar(&d.doc.URL, "url", "", "the `address` that is cited and identifies the document (default file:// and the file's path)")
	cmd.Flags().StringVar(&d.doc.Title, "title", "", "the document's `title` (default its first heading, or the file's name)")
	cmd.Flags().StringSliceVar(&d.doc.Tags, "tag", nil, "`tag` for its chunks; may be repeated")
	return cmd
}

// run adds the files. One that cannot be added stops no other.
func (d *adding) run(ctx context.Context, files []string) error {
	env, err := d.environment()
	if err != nil {
		return err
	}
	cfg, err := d.settings()
	if err != nil {
		return err
	}
	limits, err := config.Of[config.Files](env)
	if err != nil {
		return err
	}
	d.chunks = chunk.Options{MaxTokens: cfg.MaxTokens, OverlapTokens: cfg.OverlapTokens}
	if d.reader, err = extractor.NewReader(limits, d.logger(cfg.Process)); err != nil {
		return err
	}
	defer d.reader.Close()
	return d.withStore(ctx, func(s *store.Store) error {
		d.store = s
		var failed error
		for _, file := range files {
			done, err := d.add(ctx, file)
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err != nil && len(files) == 1:
				return err
			case err != nil:
				d.notice("sluice: " + err.Error())
				failed = exit{exitFailed}
			default:
				if err := d.show(done); err != nil {
					return err
				}
			}
		}
		return failed
	})
}

func (d *adding) show(done added) error {
	if d.json() {
		return d.printJSON(done)
	}
	if done.Unchanged {
		d.printf("%s in source %s is unchanged.\n", done.URL, done.SourceID)
		return nil
	}
	d.printf("%s is stored in source %s: %s.\n", done.URL, done.SourceID, plural(len(done.ChunkIDs), "chunk", "chunks"))
	return nil
}

// add adds one file.
func (d *adding) add(ctx context.Context, file string) (added, error) {
	doc := d.doc
	given, err := d.take(ctx, file, &doc)
	if err != nil {
		return added{}, err
	}
	defer given.Leave()
	if given.Size == 0 {
		return added{}, d.refused(ctx, file, doc, failure.New(failure.FileNoText, "it is empty"))
	}
	done := added{SourceID: doc.SourceID, URL: doc.URL, ChunkIDs: []int64{}}
	stored, err := d.store.Document(ctx, doc.SourceID, doc.URL)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return done, err
	}
	if f := stored.File; f != nil && f.SHA256 == given.SHA256 && f.Reader == given.Reader && doc.Title == "" && doc.Tags == nil {
		done.Format, done.Unchanged = f.Format, true
		return done, nil
	}
	text, err := given.Text(ctx)
	if err != nil {
		return done, d.refused(ctx, file, doc, err)
	}
	doc.Name = documentName(doc.URL)
	if len(text.Parts) > 0 && text.Parts[0].Place != "" { // which is its first heading
		doc.Title = cmp.Or(doc.Title, doc.Name)
	}
	doc.Markdown, doc.File, done.Format = text.Markdown(), &given.File, given.Format
	done.ChunkIDs, err = chunkwriter.AddDocument(ctx, d.store, doc, d.chunks)
	switch {
	case failure.CodeOf(err) == failure.AddressTaken:
		return done, fmt.Errorf("something else is stored under %s; choose another address with --url", doc.URL)
	case err != nil:
		return done, err
	}
	if old := oldDocumentURL(doc.SourceID, file); d.doc.URL == "" && old != doc.URL { // it is the same file
		_, err = d.store.RemoveDocument(ctx, doc.SourceID, old)
	}
	return done, err
}

// take takes the file, and gives the document its address.
func (d *adding) take(ctx context.Context, file string, doc *chunkwriter.Document) (*extractor.Given, error) {
	if file == "-" {
		if doc.URL == "" {
			return nil, errors.New("a document from standard input is added alone, with --url")
		}
		return d.reader.Take(ctx, documentName(doc.URL), d.in)
	}
	if doc.URL == "" {
		var err error
		if doc.URL, err = fileURL(file); err != nil {
			return nil, err
		}
	}
	f, err := os.Open(file) //nolint:gosec // the file that the person at the prompt names
	if err != nil {
		return nil, fmt.Errorf("read the document: %w", err)
	}
	defer func() { _ = f.Close() }()
	switch info, err := f.Stat(); {
	case err != nil:
		return nil, fmt.Errorf("read the document: %w", err)
	case info.IsDir():
		return nil, fmt.Errorf("%s is a folder: name its files, or sync the Markdown in it: sluice source add SOURCE --folder %s", file, file)
	case info.Mode().Type()&^fs.ModeNamedPipe != 0:
		return nil, fmt.Errorf("%s is no file", file)
	}
	given, err := d.reader.Take(ctx, filepath.Base(file), f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return given, nil
}

// refused says why a file is not stored, and what to do.
func (d *adding) refused(ctx context.Context, file string, doc chunkwriter.Document, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if file == "-" {
		file = documentName(doc.URL)
	}
	var skipped *extract.SkippedError
	if errors.As(err, &skipped) {
		return fmt.Errorf("%s is not stored: %s; docs/files.md says what is read", file, skipped.Reason)
	}
	todo := map[failure.Code]string{
		failure.FileEncrypted: "save it without a password",
		failure.FileNoText:    "if it is a scan, have its text recognized first (OCR)",
		failure.FileTooSlow:   "ATTACHMENT_TIME gives it more",
		failure.FileDamaged:   "open it in its program, and save it again",

		failure.ExtractorUnavailable: "try again when the server of EXTRACTOR_URL answers",
	}[failure.CodeOf(err)]
	said := fmt.Sprintf("%s is not stored: %v", file, err)
	if todo != "" {
		said += "; " + todo
	}
	if stored, known := d.store.Document(ctx, doc.SourceID, doc.URL); known == nil {
		said += fmt.Sprintf(". What was stored of it before stays; to remove it: sluice document remove %s --source %s", stored.URL, doc.SourceID)
	}
	return failure.Wrap(failure.CodeOf(err), errors.New(strings.TrimSpace(said)))
}
