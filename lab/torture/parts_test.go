package torture

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/extractor/extract/extracttest"
	"github.com/sluicehq/sluice/services/sandbox/sandbox"
)

// Every eighth page has a thread of comments at first, and every eighth a file.
const partsEvery = 8

// addParts gives pages their first comments and files.
func (w *world) addParts() {
	rng := w.plan.random(3)
	for i, p := range w.site.Pages(sandbox.GeneratedSpace) {
		switch i % partsEvery {
		case 0:
			id, err := w.site.AddComment(p.ID, comment(rng))
			require.NoError(w.t, err)
			_, err = w.site.AddComment(p.ID, sandbox.Comment{Body: words(rng), ParentID: id})
			require.NoError(w.t, err)
		case partsEvery / 2:
			_, err := w.site.AddAttachment(p.ID, file(rng))
			require.NoError(w.t, err)
		}
	}
}

// changePart changes a comment or a file as people do. A change that the site refuses is no error.
func (w *world) changePart(rng *rand.Rand, p, other sandbox.Page) error {
	var comments, files, thrown []sandbox.Part
	for _, part := range w.site.Parts(sandbox.GeneratedSpace) {
		switch {
		case part.Kind == sandbox.KindComment && !part.Trashed:
			comments = append(comments, part)
		case part.Kind == sandbox.KindAttachment && part.Trashed:
			thrown = append(thrown, part)
		case part.Kind == sandbox.KindAttachment:
			files = append(files, part)
		}
	}
	if n := rng.IntN(100); n < 50 && len(comments) > 0 {
		return w.changeComment(rng, pick(rng, comments...))
	} else if n < 60 || len(files) == 0 {
		_, err := w.site.AddComment(p.ID, comment(rng))
		return err
	}
	if len(thrown) > 0 && rng.IntN(4) == 0 {
		return w.site.RestoreAttachment(pick(rng, thrown...).ID)
	}
	return w.changeFile(rng, pick(rng, files...), p, other)
}

func (w *world) changeComment(rng *rand.Rand, c sandbox.Part) error {
	switch n := rng.IntN(100); {
	case n < 30:
		_, err := w.site.AddComment(c.On, sandbox.Comment{Body: words(rng), ParentID: c.ID})
		return err
	case n < 55:
		return w.site.EditComment(c.ID, words(rng))
	case n < 75:
		return w.site.ResolveComment(c.ID, !c.Resolved, rng.IntN(3) == 0)
	case n < 88: // the replies to it become threads of their own
		w.excuse(c.ID)
		return w.site.DeleteComment(c.ID)
	default:
		w.excuse(c.ID)
		return w.site.TrashComment(c.ID)
	}
}

func (w *world) changeFile(rng *rand.Rand, f sandbox.Part, p, other sandbox.Page) error {
	switch n := rng.IntN(100); {
	case n < 25:
		_, err := w.site.AddAttachment(p.ID, file(rng))
		return err
	case n < 55:
		return w.site.ReplaceAttachment(f.ID, content(rng, f.Name))
	case n < 65:
		return w.site.RenameAttachment(f.ID, fmt.Sprintf("renamed %d %s", rng.IntN(1_000_000), f.Name))
	case n < 80:
		// The page may be excused, and with it what was on it.
		if w.gone(f.ID) {
			w.excuse(f.ID)
		}
		return w.site.MoveAttachment(f.ID, other.ID)
	case n < 92:
		w.excuse(f.ID)
		return w.site.TrashAttachment(f.ID)
	default:
		w.excuse(f.ID)
		return w.site.PurgeAttachment(f.ID)
	}
}

// excuseParts excuses what is on a page that has a reason to be removed. The lock is held.
func (w *world) excuseParts(pageID string) {
	for _, part := range w.site.Parts(sandbox.GeneratedSpace) {
		if part.On == pageID {
			w.away[part.ID] = true
		}
	}
}

// gonePart reports whether a comment or a file has, or had, a reason to be removed, apart from one of its own.
func (w *world) gonePart(part sandbox.Part) bool {
	// A comment that replies to another is in that one's thread.
	return part.Trashed || part.ParentID != "" || w.gone(part.On)
}

// parts are the threads and files that must be stored: their versions by id, 0 for threads, which have none.
func (w *world) parts() map[string]int {
	all := map[string]int{}
	for _, part := range w.site.Parts(sandbox.GeneratedSpace) {
		p, err := w.site.Page(part.On)
		require.NoError(w.t, err)
		if p.Status != "current" || p.Hidden || part.Trashed || part.ParentID != "" {
			continue
		}
		if part.Kind == sandbox.KindAttachment {
			all[part.ID] = part.Version
			continue
		}
		all[part.ID] = 0
	}
	return all
}

// comment returns a new comment, inline or not.
func comment(rng *rand.Rand) sandbox.Comment {
	if rng.IntN(2) == 0 {
		return sandbox.Comment{Body: words(rng)}
	}
	return sandbox.Comment{Body: words(rng), Inline: true, MarkerRef: fmt.Sprintf("%08x-0000-4000-8000-000000000001", rng.Uint32()), Selection: "the reading"}
}

func words(rng *rand.Rand) string {
	return fmt.Sprintf("<p>I read %x on the gauge, and <em>not</em> %x.</p>", rng.Uint64(), rng.Uint64())
}

// file returns a new file. None is a PDF: loading its reader takes longer than everything else here.
func file(rng *rand.Rand) sandbox.Attachment {
	kind := pick(rng, "docx", "html", "csv", "txt")
	name := fmt.Sprintf("readings %d.%s", rng.IntN(1_000_000), kind)
	return sandbox.Attachment{Name: name, Content: content(rng, name), MediaType: map[string]string{
		"docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "html": "text/html", "csv": "text/csv", "txt": "text/plain",
	}[kind]}
}

// content returns the bytes of a file with the name. One in four has the same bytes as others.
func content(rng *rand.Rand, name string) []byte {
	reading := rng.Uint64()
	if rng.IntN(4) == 0 {
		reading = 7
	}
	switch text := fmt.Sprintf("Gauge %x is right.", reading); name[strings.LastIndexByte(name, '.')+1:] {
	case "docx":
		return extracttest.WordFile(extracttest.Para("Heading1", "Readings") + extracttest.Para("", text))
	case "html":
		return []byte("<html><body><h1>Readings</h1><p>" + text + "</p></body></html>")
	case "csv":
		return []byte("gauge,reading\nnoon," + text + "\n")
	default:
		return []byte(strings.Join(slices.Repeat([]string{text}, 40), "\n"))
	}
}
