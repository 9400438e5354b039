package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/services/sluice/local"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

const (
	// checkTimeout is the time limit for one server to respond.
	checkTimeout = 10 * time.Second
	// lag is the number of waiting messages for a stage at which the doctor warns.
	lag = 10_000
	// lowSpace and noSpace are free bytes on the disk of the data folder; the streams alone may grow to 4 GiB.
	lowSpace, noSpace = 5 << 30, 512 << 20
)

// The verdicts of the doctor.
const (
	verdictOK   = "ok"
	verdictWarn = "warn"
	verdictFail = "fail"
)

// diagnosis is one line of the doctor's output.
type diagnosis struct {
	Check   string `json:"check"`
	Verdict string `json:"verdict"`
	Says    string `json:"says"`
	Mend    string `json:"mend,omitempty"`
}

// doctor runs the checks and collects their results. It changes nothing.
type doctor struct {
	a    *app
	cfg  config.Sluice
	list []diagnosis
}

func (d *doctor) ok(check, format string, args ...any) {
	d.list = append(d.list, diagnosis{Check: check, Verdict: verdictOK, Says: fmt.Sprintf(format, args...)})
}

func (d *doctor) warn(check, mend, format string, args ...any) {
	d.list = append(d.list, diagnosis{check, verdictWarn, fmt.Sprintf(format, args...), mend})
}

func (d *doctor) fail(check, mend, format string, args ...any) {
	d.list = append(d.list, diagnosis{check, verdictFail, fmt.Sprintf(format, args...), mend})
}

func (a *app) doctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check settings, database, NATS, Confluence and disk, and say how to fix what is wrong",
		Long: `Check settings, database, NATS, Confluence and disk. It changes nothing and starts nothing.
Each line is ok, warn or fail; if any line is fail, the exit code is 1.`,
		Example: "  sluice doctor\n  sluice doctor -o json | jq '.[] | select(.verdict != \"ok\")'",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			d := &doctor{a: a}
			d.examine(cmd.Context())
			return d.tell()
		},
	}
}

func (d *doctor) examine(ctx context.Context) {
	if !d.settings() {
		return // every other check needs the settings
	}
	d.disk()
	databaseURL, natsURL := d.cfg.DatabaseURL.Reveal(), d.cfg.NatsURL.Reveal()
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
	st, sources := d.database(ctx, h, databaseURL)
	d.nats(ctx, h, natsURL)
	d.confluence(ctx, h, st, sources)
}

func (d *doctor) settings() bool {
	cfg, err := d.a.settings()
	var wrong *config.ConfigurationError
	switch {
	case errors.As(err, &wrong):
		for _, p := range wrong.Problems {
			d.fail("settings", fmt.Sprintf("set %s to %s, for example %s", p.Name, p.Need, p.Example), "%s %s", p.Name, p.Is)
		}
	case err != nil:
		d.fail("settings", "give a data folder with --data", "%v", err)
	default:
		d.cfg = cfg
		d.ok("settings", "all settings are valid")
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
		d.warn("disk", "check it with: df -h", "%v", err)
	case free < noSpace:
		d.fail("disk", mend, "%s", room)
	case free < lowSpace:
		d.warn("disk", mend, "%s", room)
	default:
		d.ok("disk", "%s", room)
	}
	if f, err := os.CreateTemp(dir, ".doctor-*"); err == nil {
		_ = f.Close()
		_ = os.Remove(filepath.Clean(f.Name()))
	} else if !errors.Is(err, os.ErrNotExist) {
		d.warn("disk", "run sluice as the folder's owner, or give another folder with --data", "this user cannot write to %s", dir)
	}
}

// database returns the database if it is migrated, and its sources, for the checks of Confluence.
func (d *doctor) database(ctx context.Context, h *service.Host, url string) (*store.Store, []store.Source) {
	if url == "" {
		d.warn("database", "start one with: sluice up; or set DATABASE_URL", "no sluice is running on %s, so there is no database to check", d.cfg.DataDir)
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	s, err := h.Store(ctx)
	if err != nil {
		d.fail("database", "check that Postgres is running and that DATABASE_URL has its address, user and password", "%v", err)
		return nil, nil
	}
	server, err := s.Server(ctx)
	if err != nil {
		d.fail("database", "see the database's log", "%v", err)
		return nil, nil
	}
	d.ok("database", "PostgreSQL %s accepts connections from %s", server.Version, server.User)
	if server.Pooled {
		d.ok("pooler", "the database is behind a pooler: statements are sent in the mode %s", server.Mode)
	}
	if !d.migrations(ctx, s) {
		return nil, nil
	}
	if len(server.Hidden) > 0 {
		d.fail("row-level security", "connect as the owner of the tables, or as a role with BYPASSRLS such as service_role",
			"it hides rows from %s in %s", server.User, strings.Join(server.Hidden, ", "))
	}
	if n := len(server.Exposed); n > 0 {
		d.fail("public roles", "run: sluice migrate up, as the owner of Archon's tables; if a table has no row level security: ALTER TABLE … ENABLE ROW LEVEL SECURITY",
			"%s", strings.Join(server.Exposed[:min(n, 4)], "; "))
	}
	d.chunks(ctx, s)
	d.vectors(ctx, h, s)
	sources, err := s.Reader().Sources(ctx, viewer.All(), store.Whole())
	if err != nil {
		d.fail("sources", "see the database's log", "%v", err)
	}
	return s, sources
}

// chunks checks whether an Archon in the same database can use the chunks, and whether any were deleted.
func (d *doctor) chunks(ctx context.Context, s *store.Store) {
	switch due, err := s.HasChunksBeforeArchon(ctx); {
	case err != nil:
		d.warn("archon", "see the database's log", "%v", err)
	case due:
		d.fail("archon", "run: sluice migrate up", "some chunks are older than the Archon in this database, and its assistants' search fails on them")
	}
	lost, err := s.LostChunks(ctx)
	if err != nil {
		d.warn("chunks", "see the database's log", "%v", err)
	}
	for _, source := range slices.Sorted(maps.Keys(lost)) {
		d.warn("chunks", "run: sluice sync "+source+" --mode full", "another program has deleted the chunks of pages of %s, so search does not find them: %d", source, lost[source])
	}
}

// vectors checks what search by meaning needs.
func (d *doctor) vectors(ctx context.Context, h *service.Host, s *store.Store) {
	v := s.Vectors()
	support, err := v.Support(ctx)
	if err != nil {
		d.warn("vectors", "see the database's log", "%v", err)
		return
	}
	stale, err := v.StaleIndexes(ctx)
	if err != nil {
		d.warn("vectors", "see the database's log", "%v", err)
	}
	for _, i := range stale {
		d.warn("archon", "run in the database: REINDEX INDEX CONCURRENTLY "+i.Index+" (it may need: SET maintenance_work_mem = '256MB')",
			"the index %s was not rebuilt since it was created; if that was before the vectors, Archon's own search finds few of them", i.Index)
	}
	if cfg, err := service.Config[config.Embeddings](h); err != nil || !cfg.Configured() {
		return
	}
	switch active, there, err := v.Active(ctx); {
	case err != nil:
		d.warn("vectors", "see the database's log", "%v", err)
	case support.Advice != "":
		d.fail("vectors", support.Advice, "a model is set, but the database cannot search by meaning")
	case support.Outdated():
		d.warn("vectors", "update pgvector to 0.8.4 or newer, then run: ALTER EXTENSION vector UPDATE; REINDEX the indexes on vectors",
			"pgvector %s has errors that can damage an index", support.Version)
	case !there:
		d.warn("vectors", "check that an embedder is running, with the same EMBEDDINGS_… settings", "nothing is embedded yet")
	default:
		d.ok("vectors", "search uses those of %s", active.Identity)
	}
}

func (d *doctor) migrations(ctx context.Context, s *store.Store) bool {
	list, err := s.Migrations(ctx)
	if err != nil {
		d.fail("migrations", "run: sluice migrate up", "%v", err)
		return false
	}
	var missing []string
	for _, m := range list {
		if !m.Applied {
			missing = append(missing, m.Name)
		}
	}
	if len(missing) > 0 {
		d.fail("migrations", "run: sluice migrate up", "missing: %s", strings.Join(missing, ", "))
		return false
	}
	if err := s.VerifyMigrations(ctx); err != nil {
		d.fail("migrations", "use the release that fits the database; sluice migrate status shows which migrations differ", "%v", err)
		return false
	}
	d.ok("migrations", "all %d are applied and unchanged", len(list))
	extensions, err := s.Extensions(ctx)
	if err != nil {
		d.warn("extensions", "see the database's log", "%v", err)
	}
	for _, e := range extensions {
		if e.Used {
			d.ok("extension "+e.Name, "%s is used", e.Version)
		} else {
			d.warn("extension "+e.Name, e.Advice, "is not used; search works without it")
		}
	}
	return true
}

func (d *doctor) nats(ctx context.Context, h *service.Host, url string) {
	if url == "" {
		d.warn("nats", "start one with: sluice up; or set NATS_URL", "no sluice is running on %s, so there is no NATS to check", d.cfg.DataDir)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	b, err := h.Bus(ctx)
	if errors.Is(err, bus.ErrForeign) {
		d.fail("nats", "set NATS_PREFIX, or check that DATABASE_URL and NATS_URL belong to the same installation", "%v", err)
		return
	}
	if err != nil {
		d.fail("nats", "check that the server is running and that NATS_URL and the NATS_…_FILE settings are right", "%v", err)
		return
	}
	version, parts, err := b.Inspect(ctx)
	if err != nil {
		d.fail("jetstream", "start the server with JetStream, or give the credential the permissions of sluice (sluice nats access)", "%v", err)
		return
	}
	d.ok("nats", "NATS %s responds, with JetStream", version)
	// Without a model nobody reads the embedder's messages. They block nobody, and go with the stream's limits.
	model, err := service.Config[config.Embeddings](h)
	embeds := err == nil && model.Configured()
	fine := 0
	for _, p := range parts {
		switch {
		case p.State == bus.PartMissing:
			d.fail(p.Name, "start a stage, or sluice up, which creates it", "is missing")
		case p.State == bus.PartDifferent:
			d.warn(p.Name, "set the same NATS_ACK_WAIT and NATS_REPLICAS for all processes, and restart a stage", "differs from the configured topology")
		case p.Waiting > lag && (embeds || p.Name != "consumer "+bus.Embed.Durable):
			d.warn(p.Name, "start more replicas of the stage, or read its log", "%d messages are waiting, %d are being processed", p.Waiting, p.InHand)
		case p.MaxBytes > 0 && !p.Drops && p.Bytes > uint64(p.MaxBytes)*9/10:
			d.warn(p.Name, "start more replicas of the stage that reads it, or read its log", "is nearly full: %d of %d bytes", p.Bytes, p.MaxBytes)
		default:
			fine++
		}
	}
	if fine > 0 {
		d.ok("topology", "%d of %d streams, consumers and buckets are in order", fine, len(parts))
	}
}

// tell prints the results and returns an error with the exit code.
func (d *doctor) tell() error {
	failed := false
	for _, l := range d.list {
		failed = failed || l.Verdict == verdictFail
	}
	if d.a.json() {
		if err := d.a.printJSON(d.list); err != nil {
			return err
		}
	} else {
		for _, l := range d.list {
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
