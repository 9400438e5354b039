package console

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
)

// outcomes are the terms of a run's balance, in its order.
var outcomes = []event.Outcome{event.Created, event.Updated, event.Unchanged, event.Removed, event.Skipped, event.Failed}

// of returns how many pages have an outcome.
func of(c event.Counts, o event.Outcome) int {
	return map[event.Outcome]int{
		event.Created: c.Created, event.Updated: c.Updated, event.Unchanged: c.Unchanged,
		event.Removed: c.Removed, event.Skipped: c.Skipped, event.Failed: c.Failed,
	}[o]
}

// runData is a run and how far it is.
type runData struct {
	control.Operation
	Step    string
	Balance []term
	Pace    pace
	Bars    []bar
	Use     *control.SiteUse // of the site's request budget; nil if it is not known
	Story   *store.Story     // nil for who may not read it
	Operate bool
	Live    bool
}

// term is one number of the balance, and the door to its pages.
type term struct {
	Outcome event.Outcome
	Pages   int
	To      string // "" without a door
}

// pace is how fast a run goes, as far as it can be said.
type pace struct {
	Ended     int
	PerSecond float64
	Left      time.Duration
}

func paceOf(op control.Operation, now time.Time) pace {
	p := pace{Ended: op.Progress.Counts.Listed - op.Progress.Counts.Pending}
	from, to := op.Run.ListingDone, op.Run.FinishedAt
	if to.IsZero() {
		to = now
	}
	if took := to.Sub(from); !from.IsZero() && took > 0 && p.Ended > 0 {
		p.PerSecond = float64(p.Ended) / took.Seconds()
		if !op.Progress.State.Final() {
			p.Left = time.Duration(float64(op.Progress.Counts.Pending) / p.PerSecond * float64(time.Second))
		}
	}
	return p
}

// bar is how many of the pages that need a stage have passed it.
type bar struct {
	Stage     string
	Pages, Of int
}

// barsOf are the bars of a run. A page that did not change needs no stage.
func barsOf(op control.Operation) []bar {
	c := op.Progress.Counts
	need := max(c.Listed-c.Unchanged-c.Removed-c.Skipped, op.Stages.Fetched)
	if need <= 0 {
		return nil
	}
	return []bar{{"Fetched", op.Stages.Fetched, need}, {"Converted", op.Stages.Converted, need}, {"Stored", c.Created + c.Updated, need}}
}

func (c *Console) runData(r *request, op control.Operation) runData {
	d := runData{Operation: op, Step: c.Door.Step(op), Pace: paceOf(op, time.Now()), Bars: barsOf(op), Operate: r.may(apikey.Operate), Live: !op.Progress.State.Final()}
	for _, o := range outcomes {
		t := term{Outcome: o, Pages: of(op.Progress.Counts, o)}
		if d.Operate && t.Pages > 0 {
			t.To = "/runs/" + op.Run.ID + "/pages?outcome=" + string(o)
		}
		d.Balance = append(d.Balance, t)
	}
	return d
}

func (c *Console) run(r *request) (answer, error) {
	id := r.PathValue("run")
	if !r.may(apikey.Operate) {
		op, err := c.Control.Progress(r.Context(), r.viewer, id)
		if err != nil {
			return answer{}, err
		}
		return show("run", "Run "+id, c.runData(r, op))
	}
	var op control.Operation
	var st store.Story
	err := c.Control.Reader.Together(r.Context(), r.viewer, func(ctx context.Context) (err error) {
		op, err = c.Control.Progress(ctx, r.viewer, id)
		return err
	}, func(ctx context.Context) (err error) {
		st, err = c.Control.Report(ctx, r.viewer, id)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	d := c.runData(r, op)
	if !d.Live {
		d.Story = &st
	}
	return show("run", "Run "+id, d)
}

// runEvents sends the live part of a run's page.
func (c *Console) runEvents(r *request) (answer, error) {
	return answer{}, c.Door.Follow(r.w, r.Request, r.PathValue("run"), func(op control.Operation) ([]byte, error) {
		now, err := c.Control.Progress(r.Context(), r.viewer, op.Run.ID) // the event has counts only
		if err != nil {
			return nil, err
		}
		op.Run, op.Stages = now.Run, now.Stages
		d := c.runData(r, op)
		if d.Live && r.viewer.SeesAll() {
			d.Use = c.Control.SiteOf(r.Context(), r.viewer, op.Run.SourceID)
		}
		var out bytes.Buffer
		err = c.pages["run"].ExecuteTemplate(&out, "live", d)
		return out.Bytes(), err
	})
}

type runPagesData struct {
	Run     store.Run
	Outcome event.Outcome
	Pages   list[store.LedgerPage]
	Others  []event.Outcome
}

func (c *Console) runPages(r *request) (answer, error) {
	d := runPagesData{Outcome: event.Outcome(r.URL.Query().Get("outcome")), Others: outcomes}
	if !slices.Contains(outcomes, d.Outcome) {
		return answer{}, &problemError{Problem{http.StatusBadRequest, "bad_request", "A page of a run ends as created, updated, unchanged, removed, skipped or failed; the address names none of them."}}
	}
	p, err := part(r, pagesShown)
	if err != nil {
		return answer{}, err
	}
	var pages []store.LedgerPage
	if d.Run, pages, err = c.Control.RunPages(r.Context(), r.viewer, r.PathValue("run"), d.Outcome, p); err != nil {
		return answer{}, err
	}
	d.Pages = cut(r, pages, pagesShown)
	return show("runpages", "Pages that run "+d.Run.ID+" "+string(d.Outcome), d)
}

func (c *Console) cancel(r *request) (answer, error) {
	if _, err := c.Control.Cancel(r.Context(), r.viewer, r.PathValue("run")); err != nil {
		return answer{}, err
	}
	return goTo("/runs/" + r.PathValue("run"))
}
