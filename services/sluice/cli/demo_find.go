package cli

import (
	"context"
	"fmt"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
)

// find searches for text that the space is known to contain, and shows the best page.
func (d *demo) find(ctx context.Context) error {
	query := "kestrel valve sluice"
	if d.content.spaceKey() == sandbox.BuiltinSpace {
		query = "how do we rotate the signing keys"
	}
	d.step("Search: %s", query)
	hits, err := d.session.Search(ctx, operator, query, search.Filter{SourceID: control.DemoSource, Limit: 3})
	if err != nil {
		return err
	}
	if len(hits) == 0 {
		return fmt.Errorf("the demo found nothing for %q, although a page contains it", query)
	}
	if err := d.showHits(query, hits); err != nil {
		return err
	}
	d.step("The chunks of the best page, each with the URL of its heading")
	p, err := d.session.Page(ctx, operator, hits[0].SourceID, hits[0].PageID)
	if err != nil {
		return err
	}
	chunks, err := d.session.Chunks(ctx, operator, p, store.Whole())
	if err != nil {
		return err
	}
	const few = 3
	if err := d.showChunks(p, chunks, few); err != nil {
		return err
	}
	if len(chunks) > few {
		d.printf("\n    … %d more: sluice page %s --chunks\n", len(chunks)-few, p.ID)
	}
	return nil
}

// findParts shows that what people say below a page is found, and a sentence in a PDF, with its page. Only the built-in space has such.
func (d *demo) findParts(ctx context.Context) error {
	if d.content.spaceKey() != sandbox.BuiltinSpace {
		return nil
	}
	for _, part := range []struct{ in, query, kind, fileType string }{
		{"comments", "debug tap of the Halifax broker", page.Comment, ""},
		{"files", "paper tide table under the chart", page.Attachment, "pdf"},
	} {
		d.step("Search in %s: %s", part.in, part.query)
		hits, err := d.session.Search(ctx, operator, part.query, search.Filter{SourceID: control.DemoSource, Kind: part.kind, FileType: part.fileType, Limit: 1})
		if err != nil {
			return err
		}
		if len(hits) == 0 {
			return fmt.Errorf("the demo found nothing for %q, although one of the %s contains it", part.query, part.in)
		}
		if err := d.showHits(part.query, hits); err != nil {
			return err
		}
	}
	return nil
}
