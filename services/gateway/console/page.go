package console

import (
	"context"
	"errors"
	"html/template"
	"net/url"
	"time"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
)

const chunksShown = 100

type pageData struct {
	control.Proof
	Source  string
	ID      string
	Body    template.HTML
	Latest  store.Passage // of the newest run that listed the page; empty if none did
	Came    store.Passage // of the newest run that took the page further
	Steps   []step        // of that one
	Lost    []page.Loss
	Chunks  list[store.StoredChunk]
	Changed map[int]store.ChunkEdit // what the last version did to the chunk of a number
	Removed []store.ChunkEdit       // the chunks that it removed
	// MoreEdits says that the last version changed more chunks than Changed and Removed have.
	MoreEdits bool
	Related   []relation
	Access    shownPermissions // of its source
}

// step is one stage of a page's journey.
type step struct {
	Name string
	At   time.Time
	Took time.Duration // since the step before
	Off  bool          // the page did not get here in this run
}

// relation are the pages with one relation to the page.
type relation struct {
	Name  store.Relation
	Pages []store.RelatedPage
}

func (c *Console) page(r *request) (answer, error) {
	p, err := part(r, chunksShown)
	if err != nil {
		return answer{}, err
	}
	d := pageData{Source: r.PathValue("source_id"), ID: r.PathValue("page")}
	err = c.Control.Reader.Together(r.Context(), r.viewer, func(ctx context.Context) (err error) {
		d.Proof, err = c.Control.Proof(ctx, r.viewer, d.Source, d.ID, p)
		return err
	}, func(ctx context.Context) (err error) {
		d.Access.SourcePermissions, err = c.Control.Permissions(ctx, r.viewer, d.Source)
		return err
	})
	var unknown *control.UnknownPageError
	if errors.As(err, &unknown) { // a folder is above pages, and has no text
		holds, failed := c.Control.Reader.Holds(r.Context(), r.viewer.Only(d.Source), d.ID)
		if failed == nil && holds {
			return goTo("/sources/" + d.Source + "/pages?under=" + url.QueryEscape(d.ID))
		}
		return answer{}, errors.Join(err, failed)
	}
	if err != nil {
		return answer{}, err
	}
	for i, p := range d.Journey {
		if i == 0 {
			d.Latest, d.Came = p, p
		}
		if !p.FetchedAt.IsZero() || p.Outcome == event.Failed {
			d.Came = p
			break
		}
	}
	d.Steps = stepsOf(d.Came)
	for _, l := range d.Page.Losses {
		if l.Fate != page.Rendered {
			d.Lost = append(d.Lost, l)
		}
	}
	if d.Body, err = rendered(d.Page.Markdown, d.Lost); err != nil {
		return answer{}, err
	}
	d.Changed = map[int]store.ChunkEdit{}
	if e := d.Page.LastEdit; e != nil {
		for _, c := range e.Chunks {
			if c.Change == store.ChunkRemoved {
				d.Removed = append(d.Removed, c)
			} else {
				d.Changed[c.Number] = c
			}
		}
		d.MoreEdits = len(e.Chunks) > 0 && e.Inserted+e.Renumbered+e.Removed > len(e.Chunks)
	}
	d.Chunks = cut(r, d.Proof.Chunks, chunksShown)
	for _, rel := range d.Proof.Related {
		if n := len(d.Related); n == 0 || d.Related[n-1].Name != rel.Relation {
			d.Related = append(d.Related, relation{Name: rel.Relation})
		}
		last := &d.Related[len(d.Related)-1]
		last.Pages = append(last.Pages, rel)
	}
	title := d.Page.Title
	if title == "" {
		title = "Page " + d.ID
	}
	return show("page", title, d)
}

// stepsOf are the stages of a passage. A page that did not change is listed and goes no further.
func stepsOf(p store.Passage) []step {
	end := "Ended"
	if p.Outcome == event.Created || p.Outcome == event.Updated {
		end = "Stored"
	}
	steps := []step{{Name: "Listed", At: p.ListedAt}, {Name: "Fetched", At: p.FetchedAt}, {Name: "Converted", At: p.ConvertedAt}, {Name: end, At: p.EndedAt}}
	var before time.Time
	for i, s := range steps {
		steps[i].Off = s.At.IsZero()
		if !s.At.IsZero() {
			if !before.IsZero() {
				steps[i].Took = max(0, s.At.Sub(before))
			}
			before = s.At
		}
	}
	return steps
}
