package control

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

const (
	// checkTimeout is the time limit for one server to respond.
	checkTimeout = 10 * time.Second
	// examineWithin limits an examination that somebody waits for, less if the request has less time.
	examineWithin = 25 * time.Second
	// lag is the number of waiting messages for a stage at which the doctor warns.
	lag = 10_000
)

// Verdict says how bad a finding is.
type Verdict string

// The verdicts.
const (
	VerdictOK   Verdict = "ok"
	VerdictWarn Verdict = "warn"
	VerdictFail Verdict = "fail"
)

// Finding is one line of what the doctor says.
type Finding struct {
	Check   string  `json:"check"`
	Verdict Verdict `json:"verdict"`
	Says    string  `json:"says"`
	Mend    string  `json:"mend,omitempty"` // what helps; empty if nothing is wrong
}

// Doctor examines the servers and the sources, and collects what it finds. It changes nothing. The zero value has
// found nothing yet. It is not safe for concurrent use.
type Doctor struct{ Findings []Finding }

// OK adds that something is as it should be.
func (d *Doctor) OK(check, format string, args ...any) {
	d.Findings = append(d.Findings, Finding{Check: check, Verdict: VerdictOK, Says: fmt.Sprintf(format, args...)})
}

// Warn adds what works less well than it could, and what helps.
func (d *Doctor) Warn(check, mend, format string, args ...any) {
	d.Findings = append(d.Findings, Finding{check, VerdictWarn, fmt.Sprintf(format, args...), mend})
}

// Fail adds what does not work, and what helps.
func (d *Doctor) Fail(check, mend, format string, args ...any) {
	d.Findings = append(d.Findings, Finding{check, VerdictFail, fmt.Sprintf(format, args...), mend})
}

// Servers are what this process is connected to, so that people can look at it. Each may be nil.
type Servers struct {
	Store *store.Store
	Bus   *bus.Bus
	Site  *credential.Site // calls Confluence with the credentials of sources
	// Embeds says that the settings name a model for vectors.
	Embeds bool
}

// Examine examines the database, the broker and every source, and says how to fix what is wrong. It calls the site of
// each source, and ends in time: what it has not reached by then is a finding of its own. Like System, it is for who sees
// every source and oversees them; the error is ErrNotOperator or ErrNotOverseer.
func (c *Control) Examine(ctx context.Context, v viewer.Viewer) ([]Finding, error) {
	if !v.SeesAll() {
		return nil, ErrNotOperator
	}
	if !v.Oversees() {
		return nil, ErrNotOverseer
	}
	within, cancel := context.WithTimeout(ctx, answerBefore(ctx, time.Now()))
	defer cancel()
	var d, broker, others Doctor
	sources := d.Database(within, c.Servers.Store, c.Servers.Embeds)
	var all sync.WaitGroup
	if c.Servers.Bus != nil {
		all.Go(func() { broker.Broker(within, c.Servers.Bus, c.Servers.Embeds, sources) })
	}
	if c.Servers.Site != nil {
		all.Go(func() { others.Sources(within, c.Servers.Store, c.Servers.Site, sources) })
	}
	all.Wait()
	d.Findings = slices.Concat(d.Findings, broker.Findings, others.Findings)
	d.LeftOpen(sources)
	d.Unscheduled(sources)
	if secrets, err := c.Servers.Store.Vault().Secrets(ctx); err != nil {
		d.Warn("tokens", "examine again; see the database's log", "when stored tokens expire is not known: %v", err)
	} else {
		d.Tokens(c.Servers.Site.Expiring(secrets, time.Now()))
	}
	return d.Findings, nil
}

// answerBefore is the time that an examination may take. A request with a time limit keeps a fifth of it for its answer.
func answerBefore(ctx context.Context, now time.Time) time.Duration {
	ends, limited := ctx.Deadline()
	if !limited {
		return examineWithin
	}
	return min(examineWithin, ends.Sub(now)*4/5)
}

// Database examines the database, and returns its sources if it is migrated. embeds says that a model is set.
func (d *Doctor) Database(ctx context.Context, s *store.Store, embeds bool) []store.Source {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	server, err := s.Server(ctx)
	if err != nil {
		d.Fail("database", "see the database's log", "%v", err)
		return nil
	}
	d.OK("database", "PostgreSQL %s accepts connections from %s", server.Version, server.User)
	if server.Pooled {
		d.OK("pooler", "the database is behind a pooler: statements are sent in the mode %s", server.Mode)
	}
	if !d.migrations(ctx, s) {
		return nil
	}
	if len(server.Hidden) > 0 {
		d.Fail("row-level security", "connect as the owner of the tables, or as a role with BYPASSRLS such as service_role",
			"it hides rows from %s in %s", server.User, strings.Join(server.Hidden, ", "))
	}
	if n := len(server.Exposed); n > 0 {
		d.Fail("public roles", "run: sluice migrate up, as the owner of Archon's tables; if a table has no row level security: ALTER TABLE … ENABLE ROW LEVEL SECURITY",
			"%s", strings.Join(server.Exposed[:min(n, 4)], "; "))
	}
	d.chunks(ctx, s)
	d.vectors(ctx, s, embeds)
	sources, err := s.Reader().Sources(ctx, viewer.All(), store.Whole())
	if err != nil {
		d.Fail("sources", "see the database's log", "%v", err)
	}
	return sources
}

// chunks checks whether an Archon in the same database can use the chunks, and whether any were deleted.
func (d *Doctor) chunks(ctx context.Context, s *store.Store) {
	switch due, err := s.HasChunksBeforeArchon(ctx); {
	case err != nil:
		d.Warn("archon", "see the database's log", "%v", err)
	case due:
		d.Fail("archon", "run: sluice migrate up", "some chunks are older than the Archon in this database, and its assistants' search fails on them")
	}
	lost, err := s.LostChunks(ctx)
	if err != nil {
		d.Warn("chunks", "see the database's log", "%v", err)
	}
	for _, source := range slices.Sorted(maps.Keys(lost)) {
		d.Warn("chunks", "run: sluice sync "+source+" --mode full", "another program has deleted the chunks of pages of %s, so search does not find them: %d", source, lost[source])
	}
}

// vectors checks what search by meaning needs.
func (d *Doctor) vectors(ctx context.Context, s *store.Store, embeds bool) {
	v := s.Vectors()
	support, err := v.Support(ctx)
	if err != nil {
		d.Warn("vectors", "see the database's log", "%v", err)
		return
	}
	stale, err := v.StaleIndexes(ctx)
	if err != nil {
		d.Warn("vectors", "see the database's log", "%v", err)
	}
	for _, i := range stale {
		d.Warn("archon", "run in the database: REINDEX INDEX CONCURRENTLY "+i.Index+" (it may need: SET maintenance_work_mem = '256MB')",
			"the index %s was not rebuilt since it was created; if that was before the vectors, Archon's own search finds few of them", i.Index)
	}
	if !embeds {
		return
	}
	switch active, there, err := v.Active(ctx); {
	case err != nil:
		d.Warn("vectors", "see the database's log", "%v", err)
	case support.Advice != "":
		d.Fail("vectors", support.Advice, "a model is set, but the database cannot search by meaning")
	case support.Outdated():
		d.Warn("vectors", "update pgvector to 0.8.4 or newer, then run: ALTER EXTENSION vector UPDATE; REINDEX the indexes on vectors",
			"pgvector %s has errors that can damage an index", support.Version)
	case !there:
		d.Warn("vectors", "check that an embedder is running, with the same EMBEDDINGS_… settings", "nothing is embedded yet")
	default:
		d.OK("vectors", "search uses those of %s", active.Identity)
	}
}

func (d *Doctor) migrations(ctx context.Context, s *store.Store) bool {
	list, err := s.Migrations(ctx)
	if err != nil {
		d.Fail("migrations", "run: sluice migrate up", "%v", err)
		return false
	}
	var missing []string
	for _, m := range list {
		if !m.Applied {
			missing = append(missing, m.Name)
		}
	}
	if len(missing) > 0 {
		d.Fail("migrations", "run: sluice migrate up", "missing: %s", strings.Join(missing, ", "))
		return false
	}
	if err := s.VerifyMigrations(ctx); err != nil {
		d.Fail("migrations", "use the release that fits the database; sluice migrate status shows which migrations differ", "%v", err)
		return false
	}
	d.OK("migrations", "all %d are applied and unchanged", len(list))
	extensions, err := s.Extensions(ctx)
	if err != nil {
		d.Warn("extensions", "see the database's log", "%v", err)
	}
	for _, e := range extensions {
		if e.Used {
			d.OK("extension "+e.Name, "%s is used", e.Version)
		} else {
			d.Warn("extension "+e.Name, e.Advice, "is not used; search works without it")
		}
	}
	return true
}

// Broker examines the broker. embeds says that a model is set; of the sources, those with attachments need an extractor.
func (d *Doctor) Broker(ctx context.Context, b *bus.Bus, embeds bool, sources []store.Source) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	version, parts, err := b.Inspect(ctx)
	if err != nil {
		d.Fail("jetstream", "start the server with JetStream, or give the credential the permissions of sluice (sluice nats access)", "%v", err)
		return
	}
	d.OK("nats", "NATS %s responds, with JetStream", version)
	// Without a model nobody reads the embedder's messages. They block nobody, and go with the stream's limits.
	fine := 0
	var files []string
	for _, s := range sources {
		if s.Attachments == store.AttachmentsOn {
			files = append(files, s.ID)
		}
	}
	for _, p := range parts {
		switch {
		case len(files) > 0 && p.Name == "consumer "+bus.Extract.Durable && p.Unread():
			d.Fail(p.Name, "start the extractor, or run: sluice source set "+files[0]+" --attachments off", "no extractor runs, and runs of sources with attachments wait for one: %s", strings.Join(files, ", "))
		case p.State == bus.PartMissing:
			d.Fail(p.Name, "start a stage, or sluice up, which creates it", "is missing")
		case p.State == bus.PartDifferent:
			d.Warn(p.Name, "set the same NATS_ACK_WAIT and NATS_REPLICAS for all processes, and restart a stage", "differs from the configured topology")
		case p.Waiting > lag && (embeds || p.Name != "consumer "+bus.Embed.Durable):
			d.Warn(p.Name, "start more replicas of the stage, or read its log", "%d messages are waiting, %d are being processed", p.Waiting, p.InHand)
		case p.MaxBytes > 0 && !p.Drops && p.Bytes > uint64(p.MaxBytes)*9/10:
			d.Warn(p.Name, "start more replicas of the stage that reads it, or read its log", "is nearly full: %d of %d bytes", p.Bytes, p.MaxBytes)
		default:
			fine++
		}
	}
	if fine > 0 {
		d.OK("topology", "%d of %d streams, consumers and buckets are in order", fine, len(parts))
	}
}
