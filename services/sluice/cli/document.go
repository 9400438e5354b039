package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/services/chunk-writer/chunk"
	"github.com/sluicehq/sluice/services/chunk-writer/chunkwriter"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/store"
)

func (a *app) document() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "document",
		Short: "Add and remove Markdown documents that are not from Confluence",
	}
	cmd.AddCommand(a.documentAdd(), a.documentRemove())
	return cmd
}

func errNoDocumentSource() error {
	return usageError{errors.New("which source? give its id with --source, for example --source files")}
}

func (a *app) documentAdd() *cobra.Command {
	var d chunkwriter.Document
	cmd := &cobra.Command{
		Use:   "add FILE|- --source SOURCE",
		Short: "Split a Markdown file into chunks and store them",
		Long: `Split a Markdown file into chunks and store them beside the pages, so that searches find
them. Adding a file again replaces it: only changed chunks are written. If the source does not
exist, it is created.`,
		Example: "  sluice document add runbook.md --source files\n  sluice document add - --source files --url https://git.example.com/docs/runbook.md < runbook.md",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			if d.SourceID == "" {
				return errNoDocumentSource()
			}
			if !event.ValidID(d.SourceID) {
				return usageError{fmt.Errorf("%q is not a source id: give one with --source: 1 to 64 letters, digits, '-' or '_', beginning with a letter or digit", d.SourceID)}
			}
			text, err := a.readDocument(argv[0])
			if err != nil {
				return err
			}
			d.Markdown = text
			if d.URL == "" {
				if argv[0] == "-" {
					return usageError{errors.New("a document from standard input needs an address: give --url")}
				}
				d.URL = documentURL(d.SourceID, argv[0])
			}
			return a.withStore(cmd.Context(), func(s *store.Store) error { return a.addDocument(cmd.Context(), s, d) })
		},
	}
	cmd.Flags().StringVar(&d.SourceID, "source", "", "the `source` that the document belongs to")
	cmd.Flags().StringVar(&d.URL, "url", "", "the `address` that is cited and identifies the document (default file://SOURCE/FILE)")
	cmd.Flags().StringVar(&d.Title, "title", "", "the document's `title` (default its first heading)")
	cmd.Flags().StringSliceVar(&d.Tags, "tag", nil, "`tag` for its chunks; may be repeated")
	return cmd
}

// documentURL returns the address of a file in a source. It contains only the file's name, so it does not depend on
// the file's folder.
func documentURL(source, file string) string { return "file://" + source + "/" + filepath.Base(file) }

func (a *app) readDocument(file string) (string, error) {
	var text []byte
	var err error
	if file == "-" {
		text, err = io.ReadAll(a.in)
	} else {
		text, err = os.ReadFile(file) //nolint:gosec // the file that the person at the prompt names
	}
	if err != nil {
		return "", fmt.Errorf("read the document: %w", err)
	}
	if !utf8.Valid(text) {
		return "", fmt.Errorf("%s is not UTF-8 text; a Markdown file is expected", file)
	}
	return string(text), nil
}

func (a *app) addDocument(ctx context.Context, s *store.Store, d chunkwriter.Document) error {
	cfg, err := a.settings()
	if err != nil {
		return err
	}
	ids, err := chunkwriter.AddDocument(ctx, s, d, chunk.Options{MaxTokens: cfg.MaxTokens, OverlapTokens: cfg.OverlapTokens})
	switch {
	case failure.CodeOf(err) == failure.AddressTaken:
		return fmt.Errorf("something else is stored under %s; choose another address with --url", d.URL)
	case errors.Is(err, chunkwriter.ErrEmptyDocument):
		return fmt.Errorf("%w, so it is not stored; to remove the stored one: sluice document remove %s --source %s", err, d.URL, d.SourceID)
	case err != nil:
		return err
	}
	if a.json() {
		return a.printJSON(struct {
			SourceID string  `json:"source_id"`
			URL      string  `json:"url"`
			ChunkIDs []int64 `json:"chunk_ids"`
		}{d.SourceID, d.URL, ids})
	}
	a.printf("%s is stored in source %s: %s.\n", d.URL, d.SourceID, plural(len(ids), "chunk", "chunks"))
	return nil
}

func (a *app) documentRemove() *cobra.Command {
	var source string
	cmd := &cobra.Command{
		Use:     "remove URL|FILE --source SOURCE",
		Short:   "Remove a document",
		Example: "  sluice document remove runbook.md --source files",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			if source == "" {
				return errNoDocumentSource()
			}
			if !event.ValidID(source) {
				return usageError{fmt.Errorf("%q is not a source id: give one with --source", source)}
			}
			return a.withStore(cmd.Context(), func(s *store.Store) error {
				removed := 0
				for _, url := range []string{argv[0], documentURL(source, argv[0])} {
					n, err := s.RemoveDocument(cmd.Context(), source, url)
					if err != nil {
						return err
					}
					removed += n
				}
				if removed == 0 {
					return fmt.Errorf("source %s has no document %s", source, argv[0])
				}
				if a.json() {
					return a.printJSON(map[string]any{"source_id": source, "document": argv[0], "chunks": removed})
				}
				a.printf("%s is removed from source %s: %s.\n", argv[0], source, plural(removed, "chunk", "chunks"))
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&source, "source", "", "the `source` that the document belongs to")
	return cmd
}
