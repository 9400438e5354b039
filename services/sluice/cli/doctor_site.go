package cli

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/source/systems"
	"github.com/sluicehq/sluice/shared/store"
)

// clockSkew is the largest accepted clock difference; Confluence reports whole seconds. A larger one breaks nothing,
// since syncs use Confluence's clock, but it makes logs and ages misleading.
const clockSkew = 30 * time.Second

const tokenAdvice = "make a new API token and set CONFLUENCE_EMAIL and CONFLUENCE_API_TOKEN; for a scoped token set CONFLUENCE_GATEWAY=https://api.atlassian.com" //nolint:gosec // advice on how to make a token

// confluence checks every source's space with the credential that the stages use, and with the calls that a sync
// makes.
func (d *doctor) confluence(ctx context.Context, h *service.Host, st *store.Store, sources []store.Source) {
	if d.cfg.BaseURL == "" && len(sources) == 0 {
		d.warn("confluence", "set CONFLUENCE_BASE_URL, CONFLUENCE_EMAIL and CONFLUENCE_API_TOKEN", "no site is configured, so nothing can be synced")
		return
	}
	if len(sources) == 0 {
		d.warn("confluence", "add one: sluice source add docs --space DOCS", "there is no source, so there is no space to check on %s", d.cfg.BaseURL)
		return
	}
	ring, err := h.Keys(ctx)
	if err != nil {
		d.fail("master key", "see the SLUICE_MASTER_… settings", "%v", err)
	}
	site, err := credential.NewSite(d.cfg.Confluence, zerolog.Nop(), credential.Stored(st.Vault(), ring))
	if err != nil {
		d.fail("confluence", "see CONFLUENCE_BASE_URL", "%v", err)
		return
	}
	opened := systems.New(systems.Means{Confluence: site, Log: zerolog.Nop()})
	for _, s := range sources {
		if s.System == store.Confluence {
			d.space(ctx, site, s)
		} else {
			d.otherSystem(ctx, opened, s)
		}
	}
}

// otherSystem checks a source of a system other than Confluence.
func (d *doctor) otherSystem(ctx context.Context, opened *systems.Systems, s store.Source) {
	system, err := opened.Open(ctx, s)
	if err == nil {
		err = system.Probe(ctx)
	}
	if err != nil {
		d.fail("source "+s.ID, "the services must have it under the same path", "%v", err)
		return
	}
	d.ok("source "+s.ID, "%s can be read", s)
}

func (d *doctor) space(ctx context.Context, site *credential.Site, s store.Source) {
	ctx, cancel := context.WithTimeout(ctx, 2*checkTimeout)
	defer cancel()
	check := "source " + s.ID
	client, err := site.Client(ctx, s)
	if err != nil {
		d.fail(check, "give the source a token of its own (sluice secret set), or see CONFLUENCE_ALLOWED_HOSTS", "%v", err)
		return
	}
	defer client.Close()
	probe, err := spaceOf(ctx, client, s)
	var auth *confluence.AuthError
	var gone *confluence.NotFoundError
	var moved *confluence.ProtocolError
	switch {
	case errors.As(err, &auth) && auth.ByAddress:
		d.fail(check, "ask an admin of the site to allow this machine's IP address", "%v", err)
		return
	case errors.As(err, &auth):
		d.fail(check, tokenAdvice, "%v", err)
		return
	case errors.As(err, &gone):
		d.fail(check, "check the space's key, and that the account may read the space", "%v", err)
		return
	case errors.As(err, &moved) && moved.MovedTo != "":
		d.fail(check, "sluice source set "+s.ID+" --base-url "+moved.MovedTo, "%v", err)
		return
	case err != nil:
		d.fail(check, "check CONFLUENCE_BASE_URL, and that this machine can reach it", "%v", err)
		return
	}
	d.ok(check, "space %s can be read", probe.Space.Key)
	if skew := time.Since(probe.ServerTime).Round(time.Second); !probe.ServerTime.IsZero() && skew.Abs() > clockSkew {
		d.warn("clock", "correct this machine's clock (NTP)", "it differs from Confluence's by %s", skew)
	}
	d.scopes(ctx, check, client, probe.Space)
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

// scopes makes one call of each kind that a sync makes. Confluence does not report a token's scopes, so a missing one
// shows only as a refused call.
func (d *doctor) scopes(ctx context.Context, check string, c *confluence.Client, space confluence.Space) {
	for _, try := range []struct {
		scope string
		err   error
	}{
		{"read:page:confluence", first(c.SpacePages(ctx, space.ID))},
		{"search:confluence", first(c.CQLSearch(ctx, confluence.Where(confluence.InSpace(space.Key)), "", 1))},
	} {
		if try.err != nil {
			d.fail(check, "if the token is scoped, add the scope "+try.scope, "%v", try.err)
		}
	}
}

// first returns the error of a listing's first row.
func first[T any](rows iter.Seq2[T, error]) error {
	for _, err := range rows {
		return err
	}
	return nil
}
