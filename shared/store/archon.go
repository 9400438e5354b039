package store

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// archonSource is what Archon's pages and tools read of a source's metadata. To them a source of the
// type url is a web page, and one of any other type an uploaded document.
//
// Archon's Refresh crawls original_url, without a login: of a wiki it would find the way in and keep
// that as a source. So the address is one that no crawler can fetch, and a refresh ends with an error.
// The true one stands in source_url.
func archonSource(src Source) map[string]any {
	return map[string]any{
		"source_type": "url", "knowledge_type": src.KnowledgeType, "tags": src.Tags,
		"update_frequency": updateFrequency, "original_url": notToCrawl + src.address(),
	}
}

const (
	updateFrequency = 7 // days, as Archon has it unless somebody changes it; nothing goes by it
	notToCrawl      = "sluice+"
)

// address is where people find what the source holds.
func (s Source) address() string {
	if s.System == Confluence {
		return s.BaseURL + "/spaces/" + s.SpaceKey
	}
	return s.BaseURL
}

// bySluice ends a summary that Sluice wrote, so that what somebody has put in its place stays.
const bySluice = "Synced by Sluice."

// summary says what the source holds, for people and for assistants that choose where to search: how
// many pages, and the titles of some.
func (s Source) summary(pages int, titles []string) string {
	what := "The folder " + s.Location
	if s.System == Confluence {
		what = "The Confluence space " + s.SpaceKey
		if u, err := url.Parse(s.BaseURL); err == nil && u.Host != "" {
			what += " of " + u.Host
		}
	}
	if s.DisplayName != "" && s.DisplayName != s.SpaceKey && s.DisplayName != s.ID {
		what = s.DisplayName + ": " + strings.ToLower(what[:1]) + what[1:]
	}
	switch {
	case pages == 1:
		what += ", one page"
	case pages > 1:
		what += fmt.Sprintf(", %d pages", pages)
	}
	if len(titles) > 0 {
		what += ", among them " + strings.Join(titles, ", ")
	}
	return what + ". " + bySluice
}

// namedForArchon are the chunks with what Archon takes for their page's id. Without its table of pages
// that is the id that the page has.
func namedForArchon(chunks []Chunk) []Chunk {
	list := slices.Clone(chunks)
	for i := range list {
		list[i].Metadata.ArchonPage = list[i].Metadata.PageID
	}
	return list
}
