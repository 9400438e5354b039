// Package markdown turns a page body in Confluence's storage format into Markdown: CommonMark with
// GitHub's tables, task lists, alerts and strikethrough. It records every loss of readable content,
// invents nothing, and its output is safe to render.
//
// The package is a pure function: no context, no network, no clock, no log. The same body
// and facts give the same bytes.
package markdown

import (
	"strings"
	"unicode/utf8"

	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
)

// The bounds of one conversion. Confluence itself refuses bodies above 5 MB.
const (
	// MaxBody is the largest body in bytes; a larger one is failure.ConvertTooLarge.
	MaxBody = page.MaxBody
	// MaxParts is how many elements, attributes and pieces of text a body may have: each takes the room
	// of a hundred letters. A body of 5 MB with more of them was made for it: failure.ConvertTooLarge.
	MaxParts = 500_000
	// MaxDepth is how deeply elements may nest; a deeper body is failure.ConvertTooDeep.
	MaxDepth = 256
	// MaxGrowth limits the Markdown to MaxGrowth times the body plus 64 KiB, and MaxMarkdown limits it
	// in all. Only a body made for this purpose (thousands of deep list items) reaches them:
	// failure.ConvertTooLarge.
	MaxGrowth   = 16
	MaxMarkdown = 32 << 20

	growthFloor = 64 << 10
)

// Result is a converted page.
type Result struct {
	Markdown string        // ends with one newline; empty only when the page shows nothing
	Metadata page.Metadata // every list is empty, never nil
	Headings []page.Heading
	Losses   []page.Loss // sorted by element, fate and reason
	// Includes are the pages whose content this page shows in place (include and excerpt-include),
	// by title. PageURL carries the space; PageID is set where known.
	Includes []page.Link
}

// Convert renders a body in storage format as Markdown. facts give the page's address and the known
// people and pages that the body mentions.
//
// A malformed body is not an error: Convert renders the readable content and records a loss. All
// errors carry failure.ConvertTooLarge or failure.ConvertTooDeep.
func Convert(body string, facts page.Facts) (Result, error) {
	if len(body) > MaxBody {
		return Result{}, failure.New(failure.ConvertTooLarge, "the body has %d bytes, the bound is %d", len(body), MaxBody)
	}
	valid := utf8.ValidString(body)
	if !valid {
		body = strings.ToValidUTF8(body, "\uFFFD")
	}
	tree, err := parse(body)
	if err != nil {
		return Result{}, err
	}
	r := newRenderer(facts, len(body))
	if !valid {
		r.lose("storage-format", page.Rendered, "bytes that are not UTF-8 were replaced")
	}
	for _, p := range tree.problems {
		r.losses[lossKey{"storage-format", page.Rendered, p.reason}] += p.count
	}
	r.walk(tree.root, style{})
	r.flush()
	if r.w.overflow {
		return Result{}, failure.New(failure.ConvertTooLarge, "the Markdown grew past %d times its body, or past %d bytes", MaxGrowth, MaxMarkdown)
	}
	return r.result(), nil
}
