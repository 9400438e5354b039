package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/schedule"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/store"
)

// TokenInput is a source's own API token, with the account and the kind of the token.
type TokenInput struct {
	Token   string `json:"token,omitempty" maxLength:"16384" writeOnly:"true" doc:"an API token of its own for the source; it is stored encrypted and never returned; needs SLUICE_MASTER_KEY"`
	Email   string `json:"email,omitempty" maxLength:"320" writeOnly:"true" doc:"the account that the token belongs to; default: the account of the token it replaces"`
	Scoped  *bool  `json:"scoped,omitempty" writeOnly:"true" doc:"the token is scoped: it is valid only at Atlassian's API gateway"`
	Expires string `json:"expires,omitempty" maxLength:"40" writeOnly:"true" doc:"the day on which the token stops working, as Atlassian shows it; default: unknown" example:"2027-03-01"`
}

// take returns the request's token and deletes it from the request; without a token it returns nil.
func (in *TokenInput) take() (*credential.GivenToken, error) {
	if in.Token == "" {
		if in.Email != "" || in.Scoped != nil || in.Expires != "" {
			return nil, fail(http.StatusUnprocessableEntity, "invalid", "email, scoped and expires need a token")
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
	given := &credential.GivenToken{Token: token, Email: in.Email, Scoped: in.Scoped}
	if in.Expires != "" {
		if given.Expires, err = credential.ParseExpiry(in.Expires, time.Now()); err != nil {
			return nil, fail(http.StatusUnprocessableEntity, "invalid", "expires "+err.Error())
		}
	}
	return given, nil
}

// CheckInput says whether the site is asked before a source is added, or its token or address changed.
type CheckInput struct {
	Unchecked bool `json:"unchecked,omitempty" doc:"do it without asking the site whether the source's space can be read"`
}

// PermissionsInput says whether Confluence's permissions decide who sees the pages of a source.
type PermissionsInput struct {
	Permissions store.Permissions `json:"permissions,omitempty" enum:"enforce,unrestricted-only,open" doc:"enforce: a reader sees what Confluence shows them; unrestricted-only: and pages with a view restriction are not stored; open: every key of the source sees every page; a new source has enforce"`
	Confirmed   bool              `json:"permissions_confirmed,omitempty" doc:"must be true with permissions open"`
}

// ScheduleInput says when a source is synced by itself. What is not given stays as it is, or is that of a new source.
type ScheduleInput struct {
	Schedule *struct {
		On        *bool   `json:"on,omitempty" doc:"whether the source is synced by itself; every or cron switches it on too"`
		Every     *string `json:"every,omitempty" maxLength:"20" doc:"the interval, or auto: more often while people edit; a new source has 5m" example:"5m"`
		Cron      *string `json:"cron,omitempty" maxLength:"200" doc:"when, instead of an interval: minute, hour, day of the month, month and day of the week" example:"0 6 * * 1-5"`
		TimeZone  *string `json:"time_zone,omitempty" maxLength:"64" doc:"of cron and quiet_hours; empty for UTC" example:"Europe/Berlin"`
		Quiet     *string `json:"quiet_hours,omitempty" maxLength:"20" doc:"hours of the day in which nothing is done; empty for none" example:"22:00-06:00"`
		FullEvery *string `json:"full_every,omitempty" maxLength:"20" doc:"how often all pages are compared, or never; a new source has 7d" example:"7d"`
	} `json:"schedule,omitempty" doc:"when the source is synced by itself"`
}

func (in ScheduleInput) change() schedule.Change {
	if in.Schedule == nil {
		return schedule.Change{}
	}
	return schedule.Change(*in.Schedule)
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
		Comments         store.Comments         `json:"comments,omitempty" enum:"all,open,off" doc:"which comments of the pages to include; open leaves out resolved threads; a new source has all"`
		Attachments      store.Attachments      `json:"attachments,omitempty" enum:"on,off" doc:"whether to include the files of the pages"`
		PermissionsInput
		ScheduleInput
		TokenInput
		CheckInput
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
	added, err := g.control.AddSource(ctx, viewerOf(ctx), control.NewSource{Token: given, Schedule: b.change(), OpenMeant: b.Confirmed, Unchecked: b.Unchecked, Source: store.Source{
		ID: b.SourceID, BaseURL: b.BaseURL, SpaceKey: b.SpaceKey, DisplayName: b.DisplayName, DeletionStrategy: b.DeletionStrategy,
		KnowledgeType: b.KnowledgeType, Tags: b.Tags, BlogPosts: b.BlogPosts, Comments: b.Comments, Attachments: b.Attachments, Permissions: b.Permissions,
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
		Comments         store.Comments         `json:"comments,omitempty" enum:"all,open,off" doc:"which comments of the pages to include; with another than off the next sync is a full one; what is left out, the next full sync removes"`
		Attachments      store.Attachments      `json:"attachments,omitempty" enum:"on,off" doc:"whether to include the files of the pages; on: the next sync is a full one; off: the next full sync removes them"`
		PermissionsInput
		ScheduleInput
		TokenInput
		CheckInput
	}
}

// changedSource is a source after a change.
type changedSource struct {
	store.Source
	Run string `json:"requested_run,omitempty" doc:"the full sync that a change of permissions requested, because pages come or go with it; only for keys that run the source"`
}

type changeSourceOutput struct{ Body changedSource }

func (g *Gateway) changeSource(ctx context.Context, in *changeSourceInput) (*changeSourceOutput, error) {
	b := &in.Body
	given, err := b.take()
	if err != nil {
		return nil, err
	}
	changed, err := g.control.ChangeSource(ctx, viewerOf(ctx), in.SourceID, control.SourceChange{BaseURL: b.BaseURL, Token: given, Schedule: b.change(), OpenMeant: b.Confirmed, Unchecked: b.Unchecked, SourceChange: store.SourceChange{
		DisplayName: b.DisplayName, DeletionStrategy: b.DeletionStrategy, Tags: b.Tags, BlogPosts: b.BlogPosts, Comments: b.Comments, Attachments: b.Attachments, Permissions: b.Permissions,
	}})
	out := &changeSourceOutput{Body: changedSource{Source: changed.Source}}
	if asked := changed.Asked; asked != nil {
		out.Body.Run = g.accept(ctx, *asked).Body.OperationID
	}
	return out, err
}
