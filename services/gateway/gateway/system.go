package gateway

import (
	"context"

	"github.com/sluicehq/sluice/shared/control"
)

// version is the version that the API, its document and the console name.
const version = "1.0.0"

type systemOutput struct {
	Body struct {
		Version string `json:"version" doc:"of the gateway"`
		control.System
	}
}

func (g *Gateway) system(ctx context.Context, _ *struct{}) (*systemOutput, error) {
	s, err := g.control.System(ctx, viewerOf(ctx))
	out := &systemOutput{}
	out.Body.Version, out.Body.System = version, s
	return out, err
}

type doctorOutput struct {
	Body struct {
		Findings []control.Finding `json:"findings" nullable:"false" doc:"one for each thing that was looked at, also where nothing is wrong"`
	}
}

func (g *Gateway) doctor(ctx context.Context, _ *struct{}) (*doctorOutput, error) {
	found, err := g.control.Examine(ctx, viewerOf(ctx))
	out := &doctorOutput{}
	out.Body.Findings = found
	return out, err
}
