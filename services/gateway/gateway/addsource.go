package gateway

import (
	"context"
	"errors"
	"net/http"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/store"
)

// TokenInput is a source's own API token, with the account and the kind of the token.
type TokenInput struct {
	Token  string `json:"token,omitempty" maxLength:"16384" writeOnly:"true" doc:"an API token of its own for the source; it is stored encrypted and never returned; needs SLUICE_MASTER_KEY"`
	Email  string `json:"email,omitempty" maxLength:"320" writeOnly:"true" doc:"the account that the token belongs to; default: the account of the token it replaces"`
	Scoped *bool  `json:"scoped,omitempty" writeOnly:"true" doc:"the token is scoped: it is valid only at Atlassian's API gateway"`
}

// take returns the request's token and deletes it from the request; without a token it returns nil.
func (in *TokenInput) take() (*credential.GivenToken, error) {
	if in.Token == "" {
		if in.Email != "" || in.Scoped != nil {
			return nil, fail(http.StatusUnprocessableEntity, "invalid", "email and scoped need a token")
		}
		return nil, nil
	}
	token, err := credential.ParseToken(in.Token)
	in.Token = ""
	if errors.Is(err, credential.ErrNotAToken) || errors.Is(err, secret.ErrRedacted) {
		return nil, fail(http.StatusUnprocessableEntity, "invalid", "token "+err.Error())
	}
	if err != nil {
		return nil, err
	}
	return &credential.GivenToken{Token: token, Email: in.Email, Scoped: in.Scoped}, nil
}

type addSourceInput struct {
	Body struct {
		SourceID         string                 `json:"source_id" minLength:"1" maxLength:"64" pattern:"^[A-Za-z0-9][A-Za-z0-9_-]*$" example:"docs"`
		BaseURL          string                 `json:"base_url" maxLength:"500" doc:"the site" example:"https://acme.atlassian.net/wiki"`
		SpaceKey         string                 `json:"space_key" minLength:"1" maxLength:"255" pattern:"^~?[A-Za-z0-9][A-Za-z0-9._@:-]*$" example:"DOCS"`
		DisplayName      string                 `json:"display_name,omitempty" maxLength:"200" doc:"shown to people; default: the space's key"`
		DeletionStrategy store.DeletionStrategy `json:"deletion_strategy,omitempty" enum:"weekly_reconciliation,every_sync,on_demand" default:"weekly_reconciliation"`
		KnowledgeType    string                 `json:"knowledge_type,omitempty" enum:"technical,business" default:"technical"`
		Tags             []string               `json:"tags,omitempty" maxItems:"50" nullable:"false"`
		BlogPosts        bool                   `json:"blog_posts,omitempty" doc:"include the space's blog posts"`
		TokenInput
	}
}

type addSourceOutput struct {
	Status   int
	Location string `header:"Location"`
	Body     store.Source
}

func (g *Gateway) addSource(ctx context.Context, in *addSourceInput) (*addSourceOutput, error) {
	b := &in.Body
	given, err := b.take()
	if err != nil {
		return nil, err
	}
	added, err := g.control.AddSource(ctx, viewerOf(ctx), control.NewSource{Token: given, Source: store.Source{
		ID: b.SourceID, BaseURL: b.BaseURL, SpaceKey: b.SpaceKey, DisplayName: b.DisplayName, DeletionStrategy: b.DeletionStrategy,
		KnowledgeType: b.KnowledgeType, Tags: b.Tags, BlogPosts: b.BlogPosts,
	}})
	out := &addSourceOutput{Status: http.StatusOK, Location: "/api/confluence/" + b.SourceID, Body: added.Source}
	if added.Created {
		out.Status = http.StatusCreated
	}
	return out, err
}

type changeSourceInput struct {
	SourcePath
	Body struct {
		BaseURL          string                 `json:"base_url,omitempty" minLength:"1" maxLength:"500" doc:"the address that the source's site has now; needs a key for all sources; stored pages get it with the next sync" example:"https://acme2.atlassian.net/wiki"`
		DisplayName      string                 `json:"display_name,omitempty" minLength:"1" maxLength:"200" doc:"shown to people"`
		DeletionStrategy store.DeletionStrategy `json:"deletion_strategy,omitempty" enum:"weekly_reconciliation,every_sync,on_demand"`
		Tags             []string               `json:"tags,omitempty" maxItems:"50" nullable:"false" doc:"replaces all tags; chunks get the new ones when their page is next written"`
		BlogPosts        *bool                  `json:"blog_posts,omitempty" doc:"true: the next sync is a full one; false: the next full sync removes them"`
		TokenInput
	}
}

func (g *Gateway) changeSource(ctx context.Context, in *changeSourceInput) (*getSourceOutput, error) {
	b := &in.Body
	given, err := b.take()
	if err != nil {
		return nil, err
	}
	changed, err := g.control.ChangeSource(ctx, viewerOf(ctx), in.SourceID, control.SourceChange{BaseURL: b.BaseURL, Token: given, SourceChange: store.SourceChange{
		DisplayName: b.DisplayName, DeletionStrategy: b.DeletionStrategy, Tags: b.Tags, BlogPosts: b.BlogPosts,
	}})
	return &getSourceOutput{Body: changed.Source}, err
}
