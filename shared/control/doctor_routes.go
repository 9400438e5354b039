package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
)

// routesTimeout is the time limit for trying all routes of a site.
const routesTimeout = 2 * time.Minute

// Routes tries every route of Confluence's that Sluice calls, on each site, with the credential of its first source, and
// says what fails without those that do not answer.
func (d *Doctor) Routes(ctx context.Context, in Installed, site *credential.Site, sources []store.Source) {
	var sites []string
	for _, s := range sources {
		if s.System != store.Confluence || slices.Contains(sites, s.BaseURL) {
			continue
		}
		if demo, runs := OfDemo(ctx, in, s); demo && !runs {
			continue
		}
		sites = append(sites, s.BaseURL)
		d.routesOf(ctx, site, s, needs(sources, s.BaseURL))
	}
}

// needs returns the features that the sources of a site need.
func needs(sources []store.Source, baseURL string) map[confluence.Feature]bool {
	needed := map[confluence.Feature]bool{confluence.Syncing: true}
	ofKind := map[string]confluence.Feature{page.BlogPost: confluence.Syncing, page.Comment: confluence.Comments, page.Attachment: confluence.Files}
	for _, s := range sources {
		if s.System == store.Confluence && s.BaseURL == baseURL {
			for _, kind := range s.Kinds() {
				needed[ofKind[kind]] = true
			}
			needed[confluence.Permissions] = needed[confluence.Permissions] || s.Permissions != store.OpenToAll
		}
	}
	return needed
}

func (d *Doctor) routesOf(ctx context.Context, site *credential.Site, s store.Source, needed map[confluence.Feature]bool) {
	ctx, cancel := context.WithTimeout(ctx, routesTimeout)
	defer cancel()
	check := "routes " + s.BaseURL
	client, err := site.Client(ctx, s)
	if err != nil {
		d.Fail(check, "give the source a token of its own (sluice secret set), or see CONFLUENCE_ALLOWED_HOSTS", "%v", err)
		return
	}
	defer client.Close()
	probe, err := spaceOf(ctx, client, s)
	if err != nil {
		d.Fail(check, SpaceAdvice(err, s), "no route can be tried before space %s can be read: %v", s.SpaceKey, err)
		return
	}
	samples := client.Samples(ctx, probe)
	answered, untried := 0, []string{}
	for _, route := range confluence.Routes() {
		err := client.Try(ctx, route, samples)
		switch {
		case err == nil:
			answered++
		case errors.Is(err, confluence.ErrNoSample):
			untried = append(untried, route.Name())
		case needed[route.Feature]:
			d.Fail("route "+route.Name(), routeAdvice(err, route), "%v", err)
		default:
			d.Warn("route "+route.Name(), routeAdvice(err, route), "no source needs it yet: %v", err)
		}
	}
	d.OK(check, "%d of the %d routes that Sluice calls answer, with the credential of source %s", answered, len(confluence.Routes()), s.ID)
	if len(untried) > 0 {
		d.OK(check, "not tried, because space %s has nothing to try them on: %s", s.SpaceKey, strings.Join(untried, ", "))
	}
}

// routeAdvice says what fails without a route, and what to do.
func routeAdvice(err error, route confluence.Route) string {
	without := "without it fails: " + route.For
	var gone *confluence.GoneError
	var auth *confluence.AuthError
	var hidden *confluence.NotFoundError
	switch {
	case errors.As(err, &gone) && route.Instead != "":
		return fmt.Sprintf("Atlassian has removed it, %s takes its place: use a newer Sluice; %s", route.Instead, without)
	case errors.As(err, &gone):
		return fmt.Sprintf("Atlassian has removed it (last known to answer on %s): use a newer Sluice; %s", route.Alive, without)
	case errors.As(err, &auth), errors.As(err, &hidden):
		return fmt.Sprintf("give the account the right, or a scoped token %s; %s", strings.Join(route.Scopes, " and "), without)
	}
	return "try again later; " + without
}
