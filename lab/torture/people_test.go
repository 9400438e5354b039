package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
)

// people makes the given number of changes to the site while it is read.
func (w *world) people(ctx context.Context, rng *rand.Rand, changes int) {
	for range changes {
		if !pause(ctx, between(rng, 20*time.Millisecond, 400*time.Millisecond)) {
			return
		}
		if err := w.change(rng); err == nil {
			w.result.changes++
		}
	}
}

// change makes one change as people do. A change that the site refuses, such as a title in use or a page moved below
// itself, is no error.
func (w *world) change(rng *rand.Rand) error {
	all := w.site.Pages(sandbox.GeneratedSpace)
	current, gone := make([]sandbox.Page, 0, len(all)), []sandbox.Page(nil)
	parents := map[string]bool{}
	for _, p := range all {
		parents[p.ParentID] = true
		switch {
		case p.Kind != sandbox.KindPage:
		case p.Status != "current":
			gone = append(gone, p)
		case p.ParentID != "":
			current = append(current, p)
		}
	}
	p, other := pick(rng, current...), pick(rng, current...)
	if rng.IntN(3) == 0 {
		return w.changePart(rng, p, other)
	}
	switch n := rng.IntN(100); {
	case n < 6:
		return w.purgeVersions(rng, p)
	case n < 30:
		body := prose(rng)
		_, err := w.site.EditPage(p.ID, sandbox.Edit{Body: &body})
		return err
	case n < 45:
		title := fmt.Sprintf("%s, renamed %d", strings.SplitN(p.Title, ",", 2)[0], rng.IntN(1_000_000))
		_, err := w.site.EditPage(p.ID, sandbox.Edit{Title: &title})
		return err
	case n < 60:
		return w.site.MovePage(p.ID, other.ID)
	case n < 72:
		return w.create(rng, p)
	case n < 80:
		w.excuse(p.ID)
		return w.site.TrashPage(p.ID)
	case n < 85:
		w.excuse(p.ID)
		return w.site.ArchivePage(p.ID)
	case n < 88 && !parents[p.ID]:
		w.excuse(p.ID)
		return w.site.MoveToSpace(p.ID, otherSpace)
	case n < 90 && !parents[p.ID]:
		w.excuse(p.ID)
		return w.site.PurgePage(p.ID)
	case len(gone) > 0:
		back := pick(rng, gone...)
		w.excuse(back.ID)
		return w.site.RestorePage(back.ID)
	default:
		return w.create(rng, p)
	}
}

// purgeVersions deletes old versions of a page, which renumbers the newest one, and in half of the cases then edits
// the page: a number is used again with other text.
func (w *world) purgeVersions(rng *rand.Rand, p sandbox.Page) error {
	if err := w.site.KeepVersions(p.ID, 1+rng.IntN(p.Version)); err != nil || rng.IntN(2) == 0 {
		return err
	}
	body := prose(rng)
	_, err := w.site.EditPage(p.ID, sandbox.Edit{Body: &body})
	return err
}

// create creates a page, or a folder with a page in it, below p.
func (w *world) create(rng *rand.Rand, p sandbox.Page) error {
	parent := p.ID
	if rng.IntN(4) == 0 {
		folder, err := w.site.CreatePage(sandbox.Draft{Kind: sandbox.KindFolder, ParentID: p.ID, Title: fmt.Sprintf("Folder %d", rng.IntN(1_000_000))})
		if err != nil {
			return err
		}
		parent = folder.ID
	}
	_, err := w.site.CreatePage(sandbox.Draft{ParentID: parent, Title: fmt.Sprintf("New %d", rng.IntN(1_000_000)), Body: prose(rng)})
	return err
}

// prose returns a new body; one in eight is too large for a message.
func prose(rng *rand.Rand) string {
	paragraphs := 3 + rng.IntN(10)
	if rng.IntN(8) == 0 {
		paragraphs = 4000
	}
	var b strings.Builder
	for i := range paragraphs {
		if i%5 == 0 {
			fmt.Fprintf(&b, "<h2>Part %d</h2>", i/5)
		}
		fmt.Fprintf(&b, "<p>The reading of gauge %d was %x at noon and %x at night.</p>", i, rng.Uint64(), rng.Uint64())
	}
	return b.String()
}
