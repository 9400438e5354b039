package control

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/source/systems"
	"github.com/sluicehq/sluice/shared/store"
)

const (
	// clockSkew is the largest accepted clock difference; Confluence reports whole seconds. A larger one breaks
	// nothing, since syncs use Confluence's clock, but it makes logs and ages misleading.
	clockSkew = 30 * time.Second
	// examined is the number of sources that are examined at the same time.
	examined = 4
)

const tokenAdvice = "make a new API token and set CONFLUENCE_EMAIL and CONFLUENCE_API_TOKEN; for a scoped token set CONFLUENCE_GATEWAY=https://api.atlassian.com" //nolint:gosec // advice on how to make a token

// Sources examines each source with the credential that the stages use, and with the calls that a sync makes. Without
// sources, site is not used.
func (d *Doctor) Sources(ctx context.Context, in Installed, site *credential.Site, sources []store.Source) {
	if len(sources) == 0 {
		d.Warn("confluence", "add one: sluice source add docs --space DOCS", "there is no source, so there is no space to check")
		return
	}
	opened := systems.New(systems.Means{Confluence: site, Log: zerolog.Nop()})
	found := make([]Doctor, len(sources))
	places := make(chan struct{}, examined)
	var all sync.WaitGroup
	for i, s := range sources {
		all.Go(func() {
			select {
			case places <- struct{}{}:
				defer func() { <-places }()
			case <-ctx.Done():
			}
			if ctx.Err() != nil {
				found[i].Warn("source "+s.ID, "examine again, or run sluice doctor, which has no time limit for all of it", "was not examined: the time was up")
				return
			}
			if s.System == store.Confluence {
				found[i].space(ctx, in, site, opened, s)
			} else {
				found[i].otherSystem(ctx, opened, s)
			}
		})
	}
	all.Wait()
	for _, of := range found {
		d.Findings = append(d.Findings, of.Findings...)
	}
}

// LeftOpen reports the sources that are open because nobody has chosen yet.
func (d *Doctor) LeftOpen(list []store.Source) {
	if ids := systems.LeftOpen(list); len(ids) > 0 {
		d.Warn("permissions", fmt.Sprintf("run: sluice source set %s --permissions enforce; or, to leave it so, with --permissions open", ids[0]),
			"every key sees every page of %s, whatever Confluence restricts, because nobody has chosen yet", strings.Join(ids, ", "))
	}
}

// Unscheduled reports the sources of Confluence of which nobody has said whether they are synced by themselves.
func (d *Doctor) Unscheduled(list []store.Source) {
	var ids []string
	for _, s := range list {
		if s.Schedule == nil && s.System == store.Confluence {
			ids = append(ids, s.ID)
		}
	}
	if len(ids) > 0 {
		d.Warn("schedule", fmt.Sprintf("run: sluice source set %s --every 5m; or, to leave it so, with --no-schedule", ids[0]),
			"synced only when somebody asks, because nobody has chosen yet: %s", strings.Join(ids, ", "))
	}
}

// Tokens reports the tokens that have expired, or expire soon.
func (d *Doctor) Tokens(list []credential.Expiry) {
	for _, e := range list {
		if e.Left <= 0 {
			d.Fail("token "+e.Name, e.Mend(), "%s", e.Says())
		} else {
			d.Warn("token "+e.Name, e.Mend(), "%s", e.Says())
		}
	}
}

// otherSystem examines a source of a system other than Confluence.
func (d *Doctor) otherSystem(ctx context.Context, opened *systems.Systems, s store.Source) {
	system, err := opened.Open(ctx, s)
	if err == nil {
		err = system.Probe(ctx)
	}
	if err != nil {
		d.Fail("source "+s.ID, "the services must have it under the same path", "%v", err)
		return
	}
	d.OK("source "+s.ID, "%s can be read", s)
}

func (d *Doctor) space(ctx context.Context, in Installed, site *credential.Site, opened *systems.Systems, s store.Source) {
	ctx, cancel := context.WithTimeout(ctx, 2*checkTimeout)
	defer cancel()
	check := "source " + s.ID
	if demo, runs := OfDemo(ctx, in, s); demo && !runs {
		d.Warn(check, "sluice source remove "+s.ID, "%s", LeftByDemo)
		return
	} else if demo {
		d.OK(check, "the demo serves its site")
		return
	}
	client, err := site.Client(ctx, s)
	if err != nil {
		d.Fail(check, "give the source a token of its own (sluice secret set), or see CONFLUENCE_ALLOWED_HOSTS", "%v", err)
		return
	}
	defer client.Close()
	probe, err := spaceOf(ctx, client, s)
	if err != nil {
		d.Fail(check, SpaceAdvice(err, s), "%v", err)
		return
	}
	d.OK(check, "space %s can be read", probe.Space.Key)
	if skew := time.Since(probe.ServerTime).Round(time.Second); !probe.ServerTime.IsZero() && skew.Abs() > clockSkew {
		d.Warn("clock", "correct this machine's clock (NTP)", "it differs from Confluence's by %s", skew)
	}
	for _, call := range callsOfSync(ctx, client, probe.Space, s) {
		if call.err != nil {
			d.Fail(check, "if the token is scoped, add the scope "+call.scope, "%v", call.err)
		}
	}
	if s.Permissions != store.OpenToAll {
		d.permissions(ctx, client, opened, s, probe.Space)
	}
}

// SpaceAdvice says what to do about an error of a source's space.
func SpaceAdvice(err error, src store.Source) string {
	var auth *confluence.AuthError
	var gone *confluence.NotFoundError
	var moved *confluence.ProtocolError
	switch {
	case errors.As(err, &auth) && auth.ByAddress:
		return "ask an admin of the site to allow this machine's IP address"
	case errors.As(err, &auth):
		return tokenAdvice
	case errors.As(err, &gone):
		return "check the space's key, and that the account may read the space"
	case errors.As(err, &moved) && moved.MovedTo != "":
		return "sluice source set " + src.ID + " --base-url " + moved.MovedTo
	}
	return "check the site's address, and that this machine can reach it"
}

// spaceOf finds a source's space as a sync does: by its key, and if the key has changed, by its id.
func spaceOf(ctx context.Context, c *confluence.Client, s store.Source) (confluence.Probe, error) {
	probe, err := c.Probe(ctx, s.SpaceKey)
	var gone *confluence.NotFoundError
	if s.SpaceID == "" || !errors.As(err, &gone) && (err != nil || probe.Space.ID == s.SpaceID) {
		return probe, err
	}
	space, err := c.SpaceByID(ctx, s.SpaceID)
	if err != nil {
		return probe, err
	}
	return c.Probe(ctx, space.Key)
}

// call is one call of a sync, made to see whether a credential may make it.
type call struct {
	what, scope string
	err         error
}

// commentScope is the scope that only comments need.
const commentScope = "read:comment:confluence"

// kindsByScope are the kinds, of page.Kinds, that are all that a token without the scope cannot read.
var kindsByScope = map[string]string{commentScope: page.Comment}

// callsOfSync makes one call of each kind that a sync of the source makes. Confluence does not report a token's scopes, so a missing
// one shows only as a refused call.
func callsOfSync(ctx context.Context, c *confluence.Client, space confluence.Space, src store.Source) []call {
	calls := []call{
		{"its pages", "read:page:confluence", first(c.SpacePages(ctx, space.ID))},
		{"what has changed", "search:confluence", first(c.CQLSearch(ctx, confluence.Where(confluence.InSpace(space.Key)), "", 1))},
	}
	if src.Comments.Wanted() {
		calls = append(calls, call{"its comments", commentScope, first(c.SiteComments(ctx, confluence.Footer))})
	}
	if src.Attachments == store.AttachmentsOn {
		file, err := sample(c.SiteAttachments(ctx))
		calls = append(calls, call{"its attachments", "read:attachment:confluence", err})
		if file.ID != "" {
			calls = append(calls, call{"the bytes of its attachments", "readonly:content.attachment:confluence", c.MayDownload(ctx, file)})
		}
	}
	return calls
}

// sample returns the first row of a listing, or the zero value if there is none that is usable.
func sample[T any](rows iter.Seq2[T, error]) (row T, err error) {
	err = first(func(yield func(T, error) bool) {
		for r, err := range rows {
			if err == nil {
				row = r
			}
			if !yield(r, err) {
				return
			}
		}
	})
	return row, err
}

// first returns the error of a listing. A row that is unusable is the page's own failure: it was listed.
func first[T any](rows iter.Seq2[T, error]) error {
	for _, err := range rows {
		var row *confluence.RowError
		if errors.As(err, &row) {
			return nil
		}
		return err
	}
	return nil
}
