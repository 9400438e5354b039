package gateway

import (
	"context"
	"errors"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
)

// SourcePath is the part of a path that names a source.
type SourcePath struct {
	SourceID string `path:"source_id" maxLength:"64" pattern:"^[A-Za-z0-9][A-Za-z0-9_-]*$" doc:"the source's id" example:"docs"`
}

// list is one part of a list, and how to get the next one.
type list[T any] struct {
	Items []T    `json:"items" nullable:"false"`
	Next  string `json:"next,omitempty" doc:"cursor of the next part; missing at the end"`
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

type listSourcesOutput struct{ Body list[store.Source] }

func (g *Gateway) listSources(ctx context.Context, _ *struct{}) (*listSourcesOutput, error) {
	all, err := g.store.Reader().Sources(ctx, viewing(ctx))
	if err != nil {
		return nil, err
	}
	return &listSourcesOutput{Body: list[store.Source]{Items: orEmpty(all)}}, nil
}

type getSourceOutput struct{ Body store.Source }

func (g *Gateway) getSource(ctx context.Context, in *SourcePath) (*getSourceOutput, error) {
	src, err := g.source(ctx, in.SourceID)
	if err != nil {
		return nil, err
	}
	return &getSourceOutput{Body: src}, nil
}

// source reads a source with its counts.
func (g *Gateway) source(ctx context.Context, id string) (store.Source, error) {
	src, err := g.store.Reader().Source(ctx, viewing(ctx), id)
	if errors.Is(err, store.ErrNotFound) {
		err = noSource(id)
	}
	return src, err
}

// known complains about a source that is not there.
func (g *Gateway) known(ctx context.Context, id string) error {
	_, err := g.store.Source(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return noSource(id)
	}
	return err
}

func (g *Gateway) deleteSource(ctx context.Context, in *SourcePath) (*struct{}, error) {
	err := g.store.RemoveSource(ctx, in.SourceID)
	if errors.Is(err, store.ErrNotFound) {
		err = noSource(in.SourceID)
	}
	return nil, err
}

// sourceStatus is how a source stands.
type sourceStatus struct {
	Source   store.Source `json:"source"`
	Latest   *store.Run   `json:"latest_run,omitempty" doc:"the newest run, whatever became of it"`
	Active   []operation  `json:"active" nullable:"false" doc:"the syncs under way or waiting"`
	Held     []string     `json:"held_runs" nullable:"false" doc:"runs whose removals wait for a decision"`
	Failures int          `json:"failed_pages" doc:"pages that are failed now, up to 1000"`
}

type statusOutput struct{ Body sourceStatus }

// mostFailures is as far as failed pages are counted.
const mostFailures = 1000

func (g *Gateway) status(ctx context.Context, in *SourcePath) (*statusOutput, error) {
	st := sourceStatus{Held: []string{}}
	var err error
	if st.Source, err = g.source(ctx, in.SourceID); err != nil {
		return nil, err
	}
	runs, err := g.store.Reader().Runs(ctx, viewing(ctx), in.SourceID, 1)
	if err != nil {
		return nil, err
	}
	if len(runs) > 0 {
		st.Latest = &runs[0]
	}
	if st.Active, err = g.operations(ctx, viewing(ctx).Only(in.SourceID)); err != nil {
		return nil, err
	}
	held, err := g.store.Reader().HeldRuns(ctx, viewing(ctx), in.SourceID)
	if err != nil {
		return nil, err
	}
	for _, r := range held {
		st.Held = append(st.Held, r.ID)
	}
	failed, err := g.store.Reader().Failures(ctx, viewing(ctx), in.SourceID, "", "", mostFailures)
	st.Failures = len(failed)
	return &statusOutput{Body: st}, err
}

// validRun is what a run's id looks like.
func validRun(id string) error {
	if !event.ValidID(id) {
		return noRun(id)
	}
	return nil
}
