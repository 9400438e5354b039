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

// TokenInput is an API token of a source's own, with what is said of it.
type TokenInput struct {
	Token  string `json:"token,omitempty" maxLength:"16384" writeOnly:"true" doc:"an API token of the source's own, which is stored encrypted and never shown again; needs SLUICE_MASTER_KEY"`
	Email  string `json:"email,omitempty" maxLength:"320" writeOnly:"true" doc:"the account that the token belongs to; default that of the token it replaces"`
	Scoped *bool  `json:"scoped,omitempty" writeOnly:"true" doc:"it is a scoped token, which is taken at the gateway of Atlassian only"`
}

// take is the token that a request has, nil where it has none. It is no longer in the request then.
func (in *TokenInput) take() (*credential.GivenToken, error) {
	if in.Token == "" {
		if in.Email != "" || in.Scoped != nil {
			return nil, fail(http.StatusUnprocessableEntity, "invalid", "email and scoped are about a token, and there is none")
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
		DisplayName      string                 `json:"display_name,omitempty" maxLength:"200" doc:"shown to people; default the space's key"`
		DeletionStrategy store.DeletionStrategy `json:"deletion_strategy,omitempty" enum:"weekly_reconciliation,every_sync,on_demand" default:"weekly_reconciliation"`
		KnowledgeType    string                 `json:"knowledge_type,omitempty" enum:"technical,business" default:"technical"`
		Tags             []string               `json:"tags,omitempty" maxItems:"50" nullable:"false"`
		BlogPosts        bool                   `json:"blog_posts,omitempty" doc:"keep the space's blog posts too"`
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
	added, err := g.control.AddSource(ctx, viewing(ctx), control.NewSource{Token: given, Source: store.Source{
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
		DisplayName      string                 `json:"display_name,omitempty" minLength:"1" maxLength:"200" doc:"shown to people"`
		DeletionStrategy store.DeletionStrategy `json:"deletion_strategy,omitempty" enum:"weekly_reconciliation,every_sync,on_demand"`
		Tags             []string               `json:"tags,omitempty" maxItems:"50" nullable:"false" doc:"in place of all that were there; chunks get them when their page is next written"`
		BlogPosts        *bool                  `json:"blog_posts,omitempty" doc:"on, the next sync is a full one; off, the next full one takes them out"`
		TokenInput
	}
}

func (g *Gateway) changeSource(ctx context.Context, in *changeSourceInput) (*getSourceOutput, error) {
	b := &in.Body
	given, err := b.take()
	if err != nil {
		return nil, err
	}
	changed, err := g.control.ChangeSource(ctx, viewing(ctx), in.SourceID, control.SourceChange{Token: given, SourceChange: store.SourceChange{
		DisplayName: b.DisplayName, DeletionStrategy: b.DeletionStrategy, Tags: b.Tags, BlogPosts: b.BlogPosts,
	}})
	return &getSourceOutput{Body: changed.Source}, err
}
