package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/services/sluice/local"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/store"
)

const (
	// checkTimeout is the time limit for one server to accept a connection.
	checkTimeout = 10 * time.Second
	// lowSpace and noSpace are free bytes on the disk of the data folder; the streams alone may grow to 4 GiB.
	lowSpace, noSpace = 5 << 30, 512 << 20
)

// doctor examines what only this program sees, its settings and its machine, and what control examines. It changes
// nothing.
type doctor struct {
	control.Doctor
	a      *app
	cfg    config.Sluice
	routes bool
}

func (a *app) doctor() *cobra.Command {
	var routes bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check settings, database, NATS, Confluence and disk, and say how to fix what is wrong",
		Long: `Check settings, database, NATS, Confluence and disk. It changes nothing and starts nothing.
Each line is ok, warn or fail; if any line is fail, the exit code is 1.

With --routes it also tries every route of Confluence's that Sluice calls, about 40 calls a site,
and says what fails without those that do not answer.`,
		Example: "  sluice doctor\n  sluice doctor -o json | jq '.[] | select(.verdict != \"ok\")'",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			d := &doctor{a: a, routes: routes}
			d.examine(cmd.Context())
			return d.tell()
		},
	}
	cmd.Flags().BoolVar(&routes, "routes", false, "also try every route of Confluence's that Sluice calls")
	return cmd
}

func (d *doctor) examine(ctx context.Context) {
	if !d.settings() {
		return // every other check needs the settings
	}
	databaseURL, natsURL := d.cfg.DatabaseURL.Reveal(), d.cfg.NatsURL.Reveal()
	if databaseURL == "" || natsURL == "" {
		d.disk() // else nothing is stored here
	}
	if there, err := local.Running(d.cfg.DataDir); err == nil {
		if databaseURL == "" {
			databaseURL = there.DatabaseURL
		}
		if natsURL == "" {
			natsURL = there.NatsURL
		}
	}
	env, err := d.a.environment()
	if err != nil {
		return // settings has already reported it
	}
	h := service.NewHost(service.HostOptions{
		Name: "sluice", Env: at(env, &local.Servers{NatsURL: natsURL, DatabaseURL: databaseURL}), Log: zerolog.Nop(),
		Database: service.Leave, Broker: service.Leave,
	})
	defer h.Close()
	model, err := service.Config[config.Embeddings](h)
	embeds := err == nil && model.Configured()
	st, sources := d.database(ctx, h, databaseURL, embeds)
	d.nats(ctx, h, natsURL, embeds, sources)
	d.confluence(ctx, h, st, sources)
	d.LeftOpen(sources)
	d.Unscheduled(sources)
	if st != nil {
		if secrets, err := st.Vault().Secrets(ctx); err == nil {
			d.Tokens(credential.Expiring(secrets, d.cfg.Confluence, time.Now()))
		}
	}
}

func (d *doctor) settings() bool {
	cfg, err := d.a.settings()
	var wrong *config.ConfigurationError
	switch {
	case errors.As(err, &wrong):
		for _, p := range wrong.Problems {
			d.Fail("settings", fmt.Sprintf("set %s to %s, for example %s", p.Name, p.Need, p.Example), "%s %s", p.Name, p.Is)
		}
	case err != nil:
		d.Fail("settings", "give a data folder with --data", "%v", err)
	default:
		d.cfg = cfg
		d.OK("settings", "all settings are valid")
	}
	return err == nil
}

func (d *doctor) disk() {
	dir := d.cfg.DataDir
	free, err := local.Free(dir)
	room := fmt.Sprintf("%.1f GiB are free in %s", float64(free)/(1<<30), dir)
	mend := "free some space, or give a folder on another disk with --data"
	switch {
	case err != nil:
		d.Warn("disk", "check it with: df -h", "%v", err)
	case free < noSpace:
		d.Fail("disk", mend, "%s", room)
	case free < lowSpace:
		d.Warn("disk", mend, "%s", room)
	default:
		d.OK("disk", "%s", room)
	}
	if f, err := os.CreateTemp(dir, ".doctor-*"); err == nil {
		_ = f.Close()
		_ = os.Remove(filepath.Clean(f.Name()))
	} else if !errors.Is(err, os.ErrNotExist) {
		d.Warn("disk", "run sluice as the folder's owner, or give another folder with --data", "this user cannot write to %s", dir)
	}
}

// database returns the database if it is migrated, and its sources, for the checks of Confluence.
func (d *doctor) database(ctx context.Context, h *service.Host, url string, embeds bool) (*store.Store, []store.Source) {
	if url == "" {
		d.Warn("database", "start one with: sluice up; or set DATABASE_URL", "no sluice is running on %s, so there is no database to check", d.cfg.DataDir)
		return nil, nil
	}
	opening, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	s, err := h.Store(opening)
	if err != nil {
		d.Fail("database", "check that Postgres is running and that DATABASE_URL has its address, user and password", "%v", err)
		return nil, nil
	}
	return s, d.Database(ctx, s, embeds)
}

func (d *doctor) nats(ctx context.Context, h *service.Host, url string, embeds bool, sources []store.Source) {
	if url == "" {
		d.Warn("nats", "start one with: sluice up; or set NATS_URL", "no sluice is running on %s, so there is no NATS to check", d.cfg.DataDir)
		return
	}
	opening, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	switch b, err := h.Bus(opening); {
	case errors.Is(err, bus.ErrForeign):
		d.Fail("nats", "set NATS_PREFIX, or check that DATABASE_URL and NATS_URL belong to the same installation", "%v", err)
	case err != nil:
		d.Fail("nats", "check that the server is running and that NATS_URL and the NATS_…_FILE settings are right", "%v", err)
	default:
		d.Broker(ctx, b, embeds, sources)
	}
}

// confluence checks every source with the credential that the stages use.
func (d *doctor) confluence(ctx context.Context, h *service.Host, st *store.Store, sources []store.Source) {
	if d.cfg.BaseURL == "" && len(sources) == 0 {
		d.Warn("confluence", "set CONFLUENCE_BASE_URL, CONFLUENCE_EMAIL and CONFLUENCE_API_TOKEN", "no site is configured, so nothing can be synced")
		return
	}
	if len(sources) == 0 {
		d.Sources(ctx, nil, nil, nil)
		return
	}
	ring, err := h.Keys(ctx)
	if err != nil {
		d.Fail("master key", "see the SLUICE_MASTER_… settings", "%v", err)
	}
	site, err := credential.NewSite(d.cfg.Confluence, zerolog.Nop(), credential.Stored(st.Vault(), ring))
	if err != nil {
		d.Fail("confluence", "see CONFLUENCE_BASE_URL", "%v", err)
		return
	}
	d.Sources(ctx, st, site, sources)
	if d.routes {
		d.Routes(ctx, st, site, sources)
	}
}

// tell prints the results and returns an error with the exit code.
func (d *doctor) tell() error {
	failed := false
	for _, l := range d.Findings {
		failed = failed || l.Verdict == control.VerdictFail
	}
	if d.a.json() {
		if err := d.a.printJSON(d.Findings); err != nil {
			return err
		}
	} else {
		for _, l := range d.Findings {
			d.a.printf("%-5s %s: %s\n", l.Verdict, l.Check, l.Says)
			if l.Mend != "" {
				d.a.printf("      → %s\n", d.a.named(l.Mend))
			}
		}
	}
	if failed {
		return exit{exitFailed}
	}
	return nil
}
