// Package peers runs other tools next to Sluice: the same pages from the same stand-in, each tool with
// the best settings in its documentation, and measures all of them in the same way.
//
// A driver is a small Python or JavaScript program that starts, reports that it is ready, waits for the
// word to begin, writes every page to a file, and reports that it is done. Its start is not measured. A
// peer that cannot be installed or cannot run stays in the report with its error.
package peers

import (
	"context"
	"path/filepath"
)

// peer is one way of reading pages, or of converting them.
type peer struct {
	name     string
	of       string // the package that is compared, as its registry names it
	file     string // in drivers: what pins it
	driver   string
	role     string // of this program, where that is the driver
	mode     string // of the driver
	overlay  string // a set of packages that is laid over
	view     bool   // it is given the view's HTML: for converters
	settings string // the best that its documentation names
}

// ours are all of Sluice, the part that does the same work as the peers, and its converter.
var (
	whole        = peer{name: "Sluice", settings: "its defaults, `CONFLUENCE_REQUESTS_PER_SECOND=1000` where the site has no limit"}
	toMarkdown   = peer{name: "Sluice, to Markdown", role: "markdown", settings: "the same; fetcher and converter alone, in one process with NATS, with Postgres for the ledger, and no chunk-writer"}
	ourConverter = peer{name: "Sluice's converter, storage", role: "convert", settings: "one page after the other; without the names of people and pages that a sync looks up"}

	ours = []peer{whole, toMarkdown}
)

// loaders read a whole space.
var loaders = []peer{
	{
		name: "LangChain ConfluenceLoader", of: "langchain-community", file: "langchain.txt", driver: "langchain_loader.py", mode: "space",
		settings: "`space_key`, `limit=50`, `max_pages` raised from its 1,000, `content_format=VIEW`, `keep_markdown_format=True`, `include_restricted_content=True`, `lazy_load()`; with the newest 4.x of atlassian-python-api",
	},
	{
		name: "LangChain, by CQL", of: "langchain-community", file: "langchain.txt", driver: "langchain_loader.py", mode: "cql",
		settings: "the same with `cql` in place of `space_key`",
	},
	{
		name: "LangChain, newest client", of: "langchain-community", file: "langchain.txt", driver: "langchain_loader.py", mode: "space", overlay: "langchain-newest-client",
		settings: "the same with `space_key`, over the newest atlassian-python-api, which is what an installation by its documentation gets",
	},
	{
		name: "LlamaIndex ConfluenceReader", of: "llama-index-readers-confluence", file: "llamaindex.txt", driver: "llamaindex_reader.py", mode: "space",
		settings: "`space_key`, `page_status=\"current\"`, `max_num_results=10000`, without which it fails",
	},
	{
		name: "LlamaIndex, by CQL", of: "llama-index-readers-confluence", file: "llamaindex.txt", driver: "llamaindex_reader.py", mode: "cql",
		settings: "`cql` in place of `space_key`",
	},
	{
		name: "LlamaIndex, as documented", of: "llama-index-readers-confluence", file: "llamaindex.txt", driver: "llamaindex_reader.py", mode: "plain",
		settings: "`space_key` alone",
	},
	{
		name: "confluence-markdown-exporter", of: "confluence-markdown-exporter", file: "exporter.txt", driver: "exporter.py",
		settings: "`max_workers=20` (its default), `attachments_export=disabled`, `page_breadcrumbs=false`, `page_path={page_id}.md`",
	},
}

// converters only turn bodies into Markdown.
var converters = []peer{
	{name: "markdownify, storage", of: "markdownify", file: "converters.txt", driver: "convert.py", mode: "markdownify", settings: "`heading_style=\"ATX\"`"},
	{name: "markdownify, view", of: "markdownify", file: "converters.txt", driver: "convert.py", mode: "markdownify", view: true, settings: "`heading_style=\"ATX\"`"},
	{name: "html2text, storage", of: "html2text", file: "converters.txt", driver: "convert.py", mode: "html2text", settings: "`body_width=0`, `unicode_snob=True`"},
	{name: "html2text, view", of: "html2text", file: "converters.txt", driver: "convert.py", mode: "html2text", view: true, settings: "`body_width=0`, `unicode_snob=True`"},
	{name: "turndown, storage", of: "turndown", file: "package.json", driver: "convert.mjs", settings: "`headingStyle: atx`, `codeBlockStyle: fenced`, with turndown-plugin-gfm"},
	{name: "turndown, view", of: "turndown", file: "package.json", driver: "convert.mjs", view: true, settings: "`headingStyle: atx`, `codeBlockStyle: fenced`, with turndown-plugin-gfm"},
}

// isOurs reports whether it is a part of Sluice.
func (p peer) isOurs() bool { return p.driver == "" }

// ready installs the peer and returns its program, the program's arguments and its environment.
func (p peer) ready(ctx context.Context, k kitchen) (program string, args, env []string, err error) {
	script := filepath.Join(k.dir, "drivers", p.driver)
	if filepath.Ext(p.driver) == ".mjs" {
		program, err = k.node(ctx)
		return program, []string{script}, nil, err
	}
	set := p.file[:len(p.file)-len(filepath.Ext(p.file))]
	if program, err = k.python(ctx, set); err != nil || p.overlay == "" {
		return program, []string{script}, nil, err
	}
	over, err := k.overlay(ctx, p.overlay, program)
	return program, []string{script}, []string{"PYTHONPATH=" + over}, err
}
