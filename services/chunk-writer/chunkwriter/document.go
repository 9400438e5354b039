package chunkwriter

import (
	"cmp"
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/sluicehq/sluice/services/chunk-writer/chunk"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
)

// Document is a document that does not come from Confluence, as Markdown.
type Document struct {
	SourceID string     // an existing source, or a new source of files
	URL      string     // identifies the document in its source, and is cited
	Title    string     // "" takes the first heading, or Name, or the URL
	Name     string     // of the file; may be empty
	Markdown string     // a document without text is rejected
	Tags     []string   // on its chunks
	File     *page.File // what the Markdown was made of; nil if it was not read from a file
}

// documents is the part of the store that AddDocument uses.
type documents interface {
	WriteDocument(ctx context.Context, w store.DocumentWrite) ([]int64, error)
}

// ErrEmptyDocument is returned for a document without text: storing it would delete the existing
// chunks.
var ErrEmptyDocument = errors.New("the document has no text")

// AddDocument splits a document and stores its chunks like a page's: in one transaction, and only
// what changed since the document was last added. It returns the ids of the document's chunks, in
// order.
//
// The error carries failure.AddressTaken if the URL belongs to the chunks of another document or
// page.
func AddDocument(ctx context.Context, s documents, d Document, o chunk.Options) ([]int64, error) {
	if !event.ValidID(d.SourceID) {
		return nil, errors.New("the source id is not 1 to 64 letters, digits, '-' or '_', beginning with a letter or digit")
	}
	d.URL = strings.TrimSpace(d.URL)
	parts := chunk.Split(chunk.Document{Title: d.Title, URL: d.URL, Markdown: d.Markdown}, o)
	if len(parts) == 0 {
		return nil, ErrEmptyDocument
	}
	if d.Title == "" {
		d.Title = cmp.Or(d.Name, d.URL)
		for _, p := range parts {
			if len(p.HeadingPath) > 0 {
				d.Title = p.HeadingPath[0]
				break
			}
		}
	}
	facts := store.ChunkMetadata{
		URL: d.URL, Title: d.Title, SourceID: d.SourceID, KnowledgeType: "technical",
		CrawlType: "document", SourceType: "file", Tags: d.Tags, Breadcrumb: []string{},
	}
	chunks := rows(parts, facts, page.Metadata{})
	if d.File != nil {
		d.describe(chunks)
	}
	return s.WriteDocument(ctx, store.DocumentWrite{SourceID: d.SourceID, URL: d.URL, Title: d.Title, Markdown: d.Markdown, Chunks: chunks})
}

var pdfPage = regexp.MustCompile(`^page (\d+)$`)

// describe says in each chunk what its file is, and where a browser opens a PDF.
func (d Document) describe(chunks []store.Chunk) {
	for i := range chunks {
		m := &chunks[i].Metadata
		m.File = &page.File{Format: d.File.Format}
		if i == 0 {
			m.File = d.File
		}
		if d.File.Format == "pdf" && len(m.HeadingPath) > 0 {
			if n := pdfPage.FindStringSubmatch(m.HeadingPath[0]); n != nil {
				m.CitationURL = d.URL + "#page=" + n[1]
			}
		}
	}
}

// rows turns chunks with common facts into rows. The same chunks give the same rows, so that
// unchanged rows are not written.
func rows(parts []chunk.Chunk, facts store.ChunkMetadata, of page.Metadata) []store.Chunk {
	shows := newShown(of)
	if facts.Tags == nil {
		facts.Tags = []string{}
	}
	list := make([]store.Chunk, len(parts))
	for i, c := range parts {
		m := facts
		m.Description, m.SectionTitle = c.SectionTitle, c.SectionTitle
		m.HeadingPath = c.HeadingPath
		if m.HeadingPath == nil {
			m.HeadingPath = []string{}
		}
		m.WordCount, m.CharCount, m.ChunkIndex = c.Words, c.Chars, c.Number
		m.ContentHash, m.CitationURL = c.Hash, c.CitationURL
		m.Headers = headers(c.HeadingPath)
		m.JiraIssueLinks, m.UserMentions, m.InternalLinks = shows.in(c.Content)
		list[i] = store.Chunk{Number: c.Number, Content: c.Content, Metadata: m}
	}
	return list
}

// headers is the way to a heading as Archon writes it: "# Setup; ## Keys".
func headers(path []string) string {
	list := make([]string, len(path))
	for i, title := range path {
		list[i] = strings.Repeat("#", i+1) + " " + strings.ReplaceAll(title, ";", ",")
	}
	return strings.Join(list, "; ")
}
