package cli

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

func (a *app) document() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "document",
		Short: "Add, list and remove documents that are not from Confluence: PDF, Office, Markdown, …",
	}
	cmd.AddCommand(a.documentAdd(), a.documentList(), a.documentRemove())
	return cmd
}

// checkDocumentSource checks the --source of a command that changes documents.
func checkDocumentSource(source string) error {
	if source == "" {
		return usageError{errors.New("which source? give its id with --source, for example --source files")}
	}
	if !event.ValidID(source) {
		return usageError{fmt.Errorf("%q is not a source id: give one with --source: 1 to 64 letters, digits, '-' or '_', beginning with a letter or digit", source)}
	}
	return nil
}

// fileURL returns the address of a file on this machine, which a browser opens.
func fileURL(file string) (string, error) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return "", fmt.Errorf("find the file: %w", err)
	}
	abs = filepath.ToSlash(abs)
	if !strings.HasPrefix(abs, "/") { // C:/
		abs = "/" + abs
	}
	return (&url.URL{Scheme: "file", Path: strings.ToValidUTF8(abs, "\uFFFD")}).String(), nil
}

// oldDocumentURL returns the address that older releases gave to a file.
func oldDocumentURL(source, file string) string {
	return "file://" + source + "/" + filepath.Base(file)
}

// documentName is the last part of a document's address.
func documentName(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Path == "" {
		return address
	}
	return path.Base(u.Path)
}

func (a *app) documentList() *cobra.Command {
	var source string
	var reads func() (viewer.Viewer, error)
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the documents",
		Example: "  sluice document list --source files",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			reader, err := reads()
			if err != nil {
				return err
			}
			return a.withStore(cmd.Context(), func(s *store.Store) error {
				list, err := s.Documents(cmd.Context(), reader, source)
				if err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(orEmpty(list))
				}
				if len(list) == 0 {
					a.printf("No document. Add one: sluice document add handbook.pdf --source files\n")
					return nil
				}
				rows := [][]string{{"SOURCE", "CHUNKS", "TYPE", "TITLE", "ADDRESS"}}
				for _, d := range list {
					kind := ""
					if d.File != nil {
						kind = d.File.Format
					}
					rows = append(rows, []string{d.SourceID, fmt.Sprint(d.Chunks), kind, d.Title, d.URL})
				}
				a.table(rows)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&source, "source", "", "only documents of this `source`")
	reads = readsAs(cmd)
	return cmd
}

func (a *app) documentRemove() *cobra.Command {
	var source string
	cmd := &cobra.Command{
		Use:   "remove URL|FILE... --source SOURCE",
		Short: "Remove documents",
		Long: `Remove documents, each named by its address, by its file, or by the file's name, as
sluice document list shows them.`,
		Example: "  sluice document remove handbook.pdf --source files",
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			if err := checkDocumentSource(source); err != nil {
				return err
			}
			return a.withStore(cmd.Context(), func(s *store.Store) error {
				list, err := s.Documents(cmd.Context(), operator, source)
				if err != nil {
					return err
				}
				var urls []string
				for _, arg := range argv { // all are found before one is removed
					found, err := findDocument(list, source, arg)
					if err != nil {
						return err
					}
					urls = append(urls, found)
				}
				for i, found := range urls {
					n, err := s.RemoveDocument(cmd.Context(), source, found)
					if err != nil {
						return err
					}
					if a.json() {
						err = a.printJSON(map[string]any{"source_id": source, "document": argv[i], "url": found, "chunks": n})
					} else {
						a.printf("%s is removed from source %s: %s.\n", argv[i], source, plural(n, "chunk", "chunks"))
					}
					if err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&source, "source", "", "the `source` that the documents belong to")
	return cmd
}

// findDocument returns the address of the document that somebody names.
func findDocument(list []store.Document, source, arg string) (string, error) {
	has := func(address string) bool {
		return slices.ContainsFunc(list, func(d store.Document) bool { return d.URL == address })
	}
	file, err := fileURL(arg)
	if err != nil {
		return "", err
	}
	for _, address := range []string{arg, file} {
		if has(address) {
			return address, nil
		}
	}
	var named []string
	for _, d := range list {
		if documentName(d.URL) == arg {
			named = append(named, d.URL)
		}
	}
	switch len(named) {
	case 0:
		return "", fmt.Errorf("source %s has no document %s; sluice document list --source %s shows what it has", source, arg, source)
	case 1:
		return named[0], nil
	}
	return "", fmt.Errorf("source %s has several documents %s, name one by its address: %s", source, arg, strings.Join(named, ", "))
}
