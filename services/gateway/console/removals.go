package console

import (
	"github.com/sluicehq/sluice/shared/store"
)

// heldShown is the number of pages of each held run in the list of all.
const heldShown = 10

type removalsData struct {
	Run     string // only of this run
	Source  string // only of this source
	Held    []heldRun
	Removed list[store.RemovedPage]
	More    list[store.Removal] // where the pages of the run go on
}

// heldRun is a run whose removals wait for a decision, or were decided on, with the first of its pages.
type heldRun struct {
	store.Run
	All   int // pages that it would have removed
	Count int // of them, those that the key may see
	Pages []store.Removal
}

func (c *Console) removals(r *request) (answer, error) {
	p, err := part(r, pagesShown)
	if err != nil {
		return answer{}, err
	}
	d := removalsData{Run: r.PathValue("run"), Source: r.URL.Query().Get("source")}
	ofHeld := store.First(heldShown)
	if d.Run != "" { // its list goes on
		ofHeld = store.First(pagesShown + 1)
		if len(p.After) == 1 {
			ofHeld.After, p.After = p.After, nil
		}
	}
	found, err := c.Control.Removals(r.Context(), r.viewer, d.Source, d.Run, ofHeld, p)
	if err != nil {
		return answer{}, err
	}
	d.Removed = cut(r, found.Removed, pagesShown)
	for _, h := range found.Held {
		held := heldRun{Run: h.Run, All: h.All, Count: h.Seen, Pages: h.Pages}
		if d.Run != "" {
			d.More = cut(r, h.Pages, pagesShown)
			held.Pages = d.More.Rows
		}
		d.Held = append(d.Held, held)
	}
	title := "Removals"
	if d.Run != "" {
		title = "Removals of run " + d.Run
	}
	return show("removals", title, d)
}

func (c *Console) approve(r *request) (answer, error) {
	asked, err := c.Control.Approve(r.Context(), r.viewer, r.PathValue("run"), r.PostForm.Get("key"))
	if err != nil {
		return answer{}, err
	}
	return goTo("/runs/" + asked.Run.ID)
}

func (c *Console) reject(r *request) (answer, error) {
	run, err := c.Control.Reject(r.Context(), r.viewer, r.PathValue("run"))
	if err != nil {
		return answer{}, err
	}
	return goTo("/removals/" + run.ID)
}
