package gateway

import (
	"context"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/store"
)

// SourcePath is the part of a path with a source's id.
type SourcePath struct {
	SourceID string `path:"source_id" maxLength:"64" pattern:"^[A-Za-z0-9][A-Za-z0-9_-]*$" doc:"the source's id" example:"docs"`
}

type listSourcesInput struct {
	Window
	Limit int `query:"limit" minimum:"1" maximum:"500" default:"50"`
}

func (g *Gateway) listSources(ctx context.Context, in *listSourcesInput) (*listOutput[store.Source], error) {
	return listOf(in.Window, in.Limit, func(p store.Part) ([]store.Source, error) { return g.control.Sources(ctx, viewerOf(ctx), p) })
}

type getSourceOutput struct{ Body store.Source }

func (g *Gateway) getSource(ctx context.Context, in *SourcePath) (*getSourceOutput, error) {
	src, err := g.control.Source(ctx, viewerOf(ctx), in.SourceID)
	return &getSourceOutput{Body: src}, err
}

func (g *Gateway) deleteSource(ctx context.Context, in *SourcePath) (*struct{}, error) {
	return nil, g.control.RemoveSource(ctx, viewerOf(ctx), in.SourceID)
}

// sourceStatus is the status of a source.
type sourceStatus struct {
	Source   store.Source `json:"source"`
	Latest   *store.Run   `json:"latest_run,omitempty" doc:"the newest run, in any state"`
	Active   []operation  `json:"active" nullable:"false" doc:"active and queued syncs"`
	Held     []string     `json:"held_runs" nullable:"false" doc:"runs whose removals wait for a decision"`
	Failures int          `json:"failed_pages" doc:"number of pages that are failed now, at most 10000"`
}

type statusOutput struct{ Body sourceStatus }

func (g *Gateway) status(ctx context.Context, in *SourcePath) (*statusOutput, error) {
	st, err := g.control.SourceStatus(ctx, viewerOf(ctx), in.SourceID)
	out := &statusOutput{Body: sourceStatus{Source: st.Source, Latest: st.Latest, Active: operations(st.Active), Held: []string{}, Failures: st.Failures}}
	for _, r := range st.Held {
		out.Body.Held = append(out.Body.Held, r.ID)
	}
	return out, err
}

type resumeOutput struct {
	Body struct {
		Pause store.Pause `json:"pause" doc:"the pause that was lifted, for all sources of the site"`
		Runs  []string    `json:"runs" nullable:"false" doc:"open runs that go on at once"`
	}
}

func (g *Gateway) resume(ctx context.Context, in *SourcePath) (*resumeOutput, error) {
	done, err := g.control.Resume(ctx, viewerOf(ctx), in.SourceID)
	if err != nil {
		return nil, err
	}
	if done.Unsent != nil {
		g.log.Warn().Err(done.Unsent).Str("source", in.SourceID).Str("request_id", requestID(ctx)).Msg("the broker did not accept the requests of open runs; they will be sent again from the ledger")
	}
	out := &resumeOutput{}
	out.Body.Pause, out.Body.Runs = done.Pause, []string{}
	for _, run := range done.Runs {
		out.Body.Runs = append(out.Body.Runs, run.ID)
	}
	return out, nil
}

func operations(ops []control.Operation) []operation {
	all := []operation{}
	for _, op := range ops {
		all = append(all, operationOf(op))
	}
	return all
}

type lossesInput struct {
	SourcePath
	Window
	Limit int `query:"limit" minimum:"1" maximum:"500" default:"50"`
}

func (g *Gateway) losses(ctx context.Context, in *lossesInput) (*listOutput[store.LossTotal], error) {
	return listOf(in.Window, in.Limit, func(p store.Part) ([]store.LossTotal, error) {
		return g.control.Losses(ctx, viewerOf(ctx), in.SourceID, p)
	})
}
