package gateway

import (
	"context"

	"github.com/sluicehq/sluice/shared/store"
)

type listRemovalsInput struct {
	SourcePath
	Window
	Run   string `query:"run" maxLength:"64" doc:"only pages that this run removed or held back"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"maximum number of removed pages, and of pages of each held run"`
}

// heldRun is a held run and the pages that it would have removed.
type heldRun struct {
	Run   store.Run       `json:"run"`
	Count int             `json:"count" doc:"how many pages it would have removed"`
	Pages []store.Removal `json:"pages" nullable:"false"`
}

type removals struct {
	Held    []heldRun           `json:"held" nullable:"false" doc:"runs that wait for a decision; with run, that run even if it was decided on"`
	Removed []store.RemovedPage `json:"removed" nullable:"false" doc:"removed pages, newest first"`
	Next    string              `json:"next,omitempty" doc:"cursor of the next part of removed, and of the pages of held runs; missing in the last one"`
}

type listRemovalsOutput struct{ Body removals }

func (g *Gateway) listRemovals(ctx context.Context, in *listRemovalsInput) (*listRemovalsOutput, error) {
	w, err := in.walk(in.Limit)
	if err != nil {
		return nil, err
	}
	found, err := g.control.Removals(ctx, viewerOf(ctx), in.SourceID, in.Run, store.Whole(), w.part("removed"))
	if err != nil {
		return nil, err
	}
	out := &listRemovalsOutput{Body: removals{Held: []heldRun{}, Removed: show(w, "removed", found.Removed)}}
	for _, h := range found.Held {
		name := "held " + h.ID
		p := w.part(name)
		if p.Limit == 0 {
			continue // all of its pages are in earlier parts
		}
		pages, err := store.Cut(h.Pages, p)
		if err != nil {
			return nil, err
		}
		out.Body.Held = append(out.Body.Held, heldRun{Run: h.Run, Count: len(h.Pages), Pages: show(w, name, pages)})
	}
	out.Body.Next, err = w.cursor()
	return out, err
}

type decideInput struct {
	RunPath
	Idempotent
}

func (g *Gateway) approve(ctx context.Context, in *decideInput) (*acceptedOutput, error) {
	asked, err := g.control.Approve(ctx, viewerOf(ctx).Only(in.SourceID), in.Run, in.Key)
	if err != nil {
		return nil, err
	}
	return g.accept(ctx, asked), nil
}

type rejectOutput struct{ Body store.Run }

func (g *Gateway) reject(ctx context.Context, in *decideInput) (*rejectOutput, error) {
	run, err := g.control.Reject(ctx, viewerOf(ctx).Only(in.SourceID), in.Run)
	return &rejectOutput{Body: run}, err
}
