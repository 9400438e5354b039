package gateway

import (
	"context"
	"errors"
	"net/http"

	"github.com/sluicehq/sluice/shared/seal"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/store"
)

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

		Token  string `json:"token,omitempty" maxLength:"16384" writeOnly:"true" doc:"an API token of the source's own, which is stored encrypted and never shown again; needs SLUICE_MASTER_KEY"`
		Email  string `json:"email,omitempty" maxLength:"320" writeOnly:"true" doc:"the account that the token belongs to; default that of the token it replaces"`
		Scoped *bool  `json:"scoped,omitempty" writeOnly:"true" doc:"it is a scoped token, which is taken at the gateway of Atlassian only"`
	}
}

type addSourceOutput struct {
	Status   int
	Location string `header:"Location"`
	Body     store.Source
}

func (g *Gateway) addSource(ctx context.Context, in *addSourceInput) (*addSourceOutput, error) {
	b := in.Body
	if !viewing(ctx).Sees(b.SourceID) {
		return nil, fail(http.StatusForbidden, "forbidden", "this key is for other sources")
	}
	if b.SourceID == "sources" {
		return nil, fail(http.StatusUnprocessableEntity, "invalid", `"sources" is the path of the list of sources; choose another id`)
	}
	site, err := g.trust.Site(b.BaseURL)
	if err != nil {
		return nil, fail(http.StatusUnprocessableEntity, "site_not_allowed", "base_url "+err.Error())
	}
	given, err := tokenOf(in)
	if err != nil {
		return nil, err
	}
	src := store.Source{
		ID: b.SourceID, BaseURL: site, SpaceKey: b.SpaceKey, DisplayName: b.DisplayName, DeletionStrategy: b.DeletionStrategy,
		KnowledgeType: b.KnowledgeType, Tags: b.Tags, BlogPosts: b.BlogPosts,
	}
	if given != nil { // before there is a source without its token
		if err := g.trust.Ready(ctx, g.store, src.ID, site, *given); err != nil {
			return nil, tokenProblem(ctx, err)
		}
	}
	_, err = g.store.Source(ctx, src.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	out := &addSourceOutput{Status: http.StatusOK, Location: "/api/confluence/" + src.ID}
	if err != nil {
		out.Status = http.StatusCreated
	}
	switch err := g.store.AddSource(ctx, src); {
	case errors.Is(err, store.ErrSourceExists):
		return nil, fail(http.StatusConflict, "source_exists", "the id is that of another source; choose another one")
	case errors.Is(err, store.ErrSpaceTaken):
		return nil, fail(http.StatusConflict, "space_taken", "the space is another source already; a page has one source")
	case err != nil:
		return nil, err
	}
	if given != nil {
		if _, err := g.trust.SetToken(ctx, g.store, src.ID, site, *given); err != nil {
			return nil, tokenProblem(ctx, err)
		}
	}
	out.Body, err = g.store.Source(ctx, src.ID)
	return out, err
}

// tokenOf is the token that a request has, nil where it has none.
func tokenOf(in *addSourceInput) (*service.GivenToken, error) {
	b := &in.Body
	if b.Token == "" {
		if b.Email != "" || b.Scoped != nil {
			return nil, fail(http.StatusUnprocessableEntity, "invalid", "email and scoped are about a token, and there is none")
		}
		return nil, nil
	}
	token, err := service.ParseToken(b.Token)
	b.Token = ""
	if errors.Is(err, service.ErrNotAToken) || errors.Is(err, secret.ErrRedacted) {
		return nil, fail(http.StatusUnprocessableEntity, "invalid", "token "+err.Error())
	}
	if err != nil {
		return nil, err
	}
	return &service.GivenToken{Token: token, Email: b.Email, Scoped: b.Scoped}, nil
}

// tokenProblem tells why a token is not stored.
func tokenProblem(ctx context.Context, err error) error {
	var sealed *store.SealedError
	switch {
	case errors.Is(err, seal.ErrNoKey):
		return fail(http.StatusConflict, "no_master_key", "the token cannot be stored, since the HTTP API has no key to encrypt it with: set SLUICE_MASTER_KEY (or SLUICE_MASTER_PASSPHRASE, or their _FILE) for it and for every other service")
	case errors.Is(err, service.ErrWhose):
		return fail(http.StatusUnprocessableEntity, "invalid", "email: "+err.Error())
	case errors.As(err, &sealed):
		why := "that of another name cannot be opened"
		if !asking(ctx).key.Scoped() { // who sees some sources is not told of others
			why = sealed.Error()
		}
		return fail(http.StatusConflict, "secret_unreadable", "no token is stored while one is sealed with a key that is not set here: "+why)
	}
	return err
}
