package assistant

import (
	"encoding/json"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// The schemas are written by hand: an assistant pays for each word of them in every conversation.

const (
	text0  = `{"type":"string"}`
	whole0 = `{"type":"integer"}`
	flag0  = `{"type":"boolean"}`
	// window is the end of every list of arguments.
	window = `"bytes":{"type":"integer","minimum":4000,"maximum":64000,"default":24000},"cursor":` + text0
	// pageArgument is how a page is named.
	pageArgument = `"page":{"type":"string","description":"page or ref of an answer, a page's address, or its id"}`
)

func schema(required, properties string) json.RawMessage {
	return json.RawMessage(`{"type":"object","additionalProperties":false,` + required + `"properties":{` + properties + `}}`)
}

// answers is the schema of an answer; what is not named in it may be there too.
func answers(properties string) json.RawMessage {
	return json.RawMessage(`{"type":"object","properties":{` + properties + `,"next":` + text0 + `}}`)
}

func listOf(properties string) string {
	return `{"type":"array","items":{"type":"object","properties":{` + properties + `}}}`
}

func define(name, title, description string, in, out json.RawMessage) *mcp.Tool {
	closed := false
	return &mcp.Tool{
		Name: name, Description: description, InputSchema: in, OutputSchema: out,
		Annotations: &mcp.ToolAnnotations{Title: title, ReadOnlyHint: true, IdempotentHint: true, OpenWorldHint: &closed},
	}
}

var (
	searchTool = define("search", "Search",
		"Find passages: text, url to cite, ref to read on.",
		schema(`"required":["query"],`,
			`"query":{"type":"string","maxLength":1000,"description":"\"phrase\" must occur, -word must not. Empty with since: changed pages"},`+
				`"source":`+text0+`,"space":`+text0+`,"under":{"type":"string","description":"page or folder"},"label":`+text0+
				`,"jira":`+text0+`,"mentions":`+text0+`,"kind":{"enum":["page","blogpost","comment","attachment","document"]},"file_type":`+text0+`,"resolution":{"enum":["open","resolved"]},`+
				`"since":{"type":"string","description":"2026-01-31 or 7d"},"limit":{"type":"integer","minimum":1,"maximum":50,"default":6},`+window),
		answers(`"hits":`+listOf(`"title":`+text0+`,"heading":`+text0+`,"breadcrumb":`+text0+`,"text":`+text0+`,"url":`+text0+`,"ref":`+text0+
			`,"chunk":`+whole0+`,"source":`+text0+`,"version":`+whole0+`,"modified":`+text0+`,"hidden_text":`+whole0)+`,"note":`+text0+`,"words_only":`+text0))

	readTool = define("read", "Read a page",
		"Markdown of a page, of one section (page#heading), or around a chunk; with losses.",
		schema("", pageArgument+`,"source":{"type":"string","description":"if sites share the id"},"chunk":{"type":"integer","description":"instead of page"},`+window),
		answers(`"title":`+text0+`,"section":`+text0+`,"url":`+text0+`,"page":`+text0+`,"version":`+whole0+`,"modified":`+text0+`,"size":`+whole0+`,"from":`+whole0+
			`,"markdown":`+text0+`,"losses":`+listOf(`"element":`+text0+`,"fate":`+text0+`,"count":`+whole0)+`,"hidden_text":`+whole0))

	outlineTool = define("outline", "Outline",
		"A page's headings with sizes and the pages below it; with only source, its tree.",
		schema("", pageArgument+`,"source":`+text0+`,"levels":{"type":"integer","minimum":0,"maximum":20,"default":1},`+window),
		answers(`"headings":`+listOf(`"level":`+whole0+`,"text":`+text0+`,"ref":`+text0+`,"size":`+whole0)+
			`,"tree":`+listOf(`"level":`+whole0+`,"title":`+text0+`,"page":`+text0+`,"kind":`+text0+`,"size":`+whole0+`,"below":`+whole0)))

	relatedTool = define("related", "Related pages",
		"Pages that link to a page, include it, or that it links to or includes; its parent and children; pages with the same Jira issue.",
		schema(`"required":["page"],`, pageArgument+`,"source":`+text0+`,`+window),
		answers(`"related":`+listOf(`"relation":`+text0+`,"title":`+text0+`,"page":`+text0+`,"url":`+text0+`,"issue":`+text0)))

	sourcesTool = define("sources", "Sources",
		"What is there and how fresh: last complete sync, changes not searchable yet, failures.",
		schema("", window),
		answers(`"sources":`+listOf(`"source":`+text0+`,"name":`+text0+`,"pages":`+whole0+`,"complete":`+text0+`,"syncing":`+flag0+`,"waiting":`+whole0+
			`,"failed":`+whole0+`,"oldest_waiting_seconds":`+whole0)))
)

// tools are the names of all of them.
var tools = map[string]bool{searchTool.Name: true, readTool.Name: true, outlineTool.Name: true, relatedTool.Name: true, sourcesTool.Name: true}
