package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

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
	}
}

type addSourceOutput struct {
	Status   int
	Location string `header:"Location"`
	Body     store.Source
}

func (g *Gateway) addSource(ctx context.Context, in *addSourceInput) (*addSourceOutput, error) {
	b := in.Body
	if err := sees(ctx, b.SourceID); err != nil {
		return nil, fail(http.StatusForbidden, "forbidden", "this key is for other sources")
	}
	if b.SourceID == "sources" {
		return nil, fail(http.StatusUnprocessableEntity, "invalid", `"sources" is the path of the list of sources; choose another id`)
	}
	site, err := g.site(b.BaseURL)
	if err != nil {
		return nil, err
	}
	src := store.Source{
		ID: b.SourceID, BaseURL: site, SpaceKey: b.SpaceKey, DisplayName: b.DisplayName, DeletionStrategy: b.DeletionStrategy,
		KnowledgeType: b.KnowledgeType, Tags: b.Tags, BlogPosts: b.BlogPosts,
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
	out.Body, err = g.store.Source(ctx, src.ID)
	return out, err
}

// site gives the address of a site as sources keep it, with /wiki and without a slash, or
// says why it is refused: Confluence's token is sent to a source's site, so not anyone may
// say which one that is.
func (g *Gateway) site(address string) (string, error) {
	refused := func(why string) error {
		return fail(http.StatusUnprocessableEntity, "site_not_allowed", "base_url "+why+"; sources may be on: "+strings.Join(g.sites(), ", ")+" (GATEWAY_SITES)")
	}
	u, err := url.Parse(strings.TrimRight(address, "/"))
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return "", refused("is not the address of a site, such as https://acme.atlassian.net/wiki")
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if !strings.HasSuffix(u.Path, "/wiki") {
		u.Path += "/wiki"
	}
	for _, allowed := range g.sites() {
		a, err := url.Parse(allowed)
		if err != nil || u.Scheme != a.Scheme {
			continue
		}
		rest, wild := strings.CutPrefix(a.Host, "*.")
		host, under := strings.CutSuffix(u.Host, "."+rest)
		switch {
		case wild && under && host != "" && !strings.Contains(host, "."), !wild && u.Host == strings.ToLower(a.Host):
			return u.String(), nil
		}
	}
	return "", refused("is not an allowed site")
}

func (g *Gateway) sites() []string {
	var all []string
	for one := range strings.SplitSeq(g.cfg.Sites, ",") {
		if one = strings.TrimSpace(one); one != "" {
			all = append(all, one)
		}
	}
	return all
}

type listSourcesOutput struct{ Body list[store.Source] }

func (g *Gateway) listSources(ctx context.Context, _ *struct{}) (*listSourcesOutput, error) {
	all, err := g.store.Sources(ctx)
	if err != nil {
		return nil, err
	}
	key := asking(ctx).key
	all = slices.DeleteFunc(all, func(s store.Source) bool { return !key.Sees(s.ID) })
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
	src, err := g.store.CountedSource(ctx, id)
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
	runs, err := g.store.Runs(ctx, in.SourceID, 1)
	if err != nil {
		return nil, err
	}
	if len(runs) > 0 {
		st.Latest = &runs[0]
	}
	if st.Active, err = g.operations(ctx, func(r store.Run) bool { return r.SourceID == in.SourceID }); err != nil {
		return nil, err
	}
	held, err := g.store.HeldRuns(ctx, in.SourceID)
	if err != nil {
		return nil, err
	}
	for _, r := range held {
		st.Held = append(st.Held, r.ID)
	}
	failed, err := g.store.Failures(ctx, in.SourceID, "", "", mostFailures)
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
