package gateway

import (
	"context"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/store"
)

// listedToken describes a stored token in the list of tokens, by name.
type listedToken struct{ credential.Kept }

// Position is the token's name.
func (t listedToken) Position() store.Position { return store.Position{t.Name} }

type listCredentialsInput struct {
	Window
	Limit int `query:"limit" minimum:"1" maximum:"500" default:"50"`
}

func (g *Gateway) listCredentials(ctx context.Context, in *listCredentialsInput) (*listOutput[listedToken], error) {
	return listOf(in.Window, in.Limit, func(p store.Part) ([]listedToken, error) {
		kept, err := g.control.Secrets(ctx, viewerOf(ctx))
		if err != nil {
			return nil, err
		}
		rows := make([]listedToken, len(kept))
		for i, k := range kept {
			rows[i] = listedToken{k}
		}
		return partOf(rows, p)
	})
}

type setCredentialInput struct {
	Body struct {
		Name string `json:"name" minLength:"1" maxLength:"500" doc:"a source's id, or the host or address of a site, whose sources without a token of their own use it" example:"acme.atlassian.net"`
		TokenInput
		CheckInput
	}
}

type setCredentialOutput struct{ Body credential.StoredToken }

func (g *Gateway) setCredential(ctx context.Context, in *setCredentialInput) (*setCredentialOutput, error) {
	b := &in.Body
	given, err := b.take()
	if err != nil {
		return nil, err
	}
	if given == nil {
		return nil, &control.InvalidError{Field: "token", Reason: "is missing"}
	}
	stored, err := g.control.SetSecret(ctx, viewerOf(ctx), b.Name, *given, b.Unchecked)
	return &setCredentialOutput{Body: stored}, err
}

type removeCredentialInput struct {
	Name string `path:"name" maxLength:"500" doc:"a source's id, or the host of a site" example:"acme.atlassian.net"`
}

func (g *Gateway) removeCredential(ctx context.Context, in *removeCredentialInput) (*struct{}, error) {
	_, err := g.control.RemoveSecret(ctx, viewerOf(ctx), in.Name)
	return nil, err
}
