package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
)

// abandonWithin limits how long a demo that is stopped takes to cancel its sync.
const abandonWithin = 5 * time.Second

func (a *app) demo() *cobra.Command {
	var c content
	var once, words bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the whole pipeline on a stand-in site, from an empty database to search",
		Long: `Start a stand-in for Confluence Cloud and every stage, sync its space, change pages,
sync again, show what changed, and search. It keeps serving until Ctrl-C unless --once
(or DEMO_ONCE=1). Stored pages stay: sluice search finds them afterwards.

To search by meaning too, it uses the model of EMBEDDINGS_URL or EMBEDDINGS_PATH. If none is
set, it downloads a small one, all-MiniLM-L6-v2 (83 MB, once), unless --words says not to or
DATABASE_URL names a database.`,
		Example: "  sluice demo\n  sluice demo --once --words --corpus ./bodies\n  sluice demo --pages 2000 --seed 7",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if v, _ := a.lookup("DEMO_ONCE"); v != "" && v != "0" {
				once = true
			}
			d, err := a.startDemo(cmd.Context(), c, words)
			if err != nil {
				return err
			}
			return d.show(cmd.Context(), once)
		},
	}
	c.flags(cmd)
	cmd.Flags().BoolVar(&words, "words", false, "search by words alone, without a model")
	cmd.Flags().BoolVar(&once, "once", false, "exit at the end instead of serving on (also DEMO_ONCE=1)")
	return cmd
}

// demo is one run of the demo.
type demo struct {
	*app
	content content
	site    *sandbox.Site
	served  *sandbox.Served
	engine  *engine
	session *session
	dataDir string
	meaning meaning
}

func (a *app) startDemo(ctx context.Context, c content, words bool) (*demo, error) {
	env, err := a.environment()
	if err != nil {
		return nil, err
	}
	cfg, err := a.settings()
	if err != nil {
		return nil, err
	}
	d := &demo{app: a, content: c, site: sandbox.New(sandbox.Options{}), dataDir: cfg.DataDir}
	if c.pages < 0 {
		return nil, usageError{fmt.Errorf("--pages must be 0 or more, not %d", c.pages)}
	}
	if err := d.site.Fill(c.corpus, c.pages, c.seed); err != nil {
		return nil, err
	}
	if d.served, err = sandbox.Serve("127.0.0.1:8090", d.site); errors.Is(err, syscall.EADDRINUSE) {
		d.served, err = sandbox.Serve("127.0.0.1:0", d.site)
	}
	if err != nil {
		return nil, err
	}
	// The stand-in replaces any site in the environment, and it has no rate limit.
	addr, err := freeAddr(cfg.API.Addr)
	if err != nil {
		_ = d.served.Close()
		return nil, err
	}
	env = env.With(map[string]string{
		"CONFLUENCE_BASE_URL": d.served.URL + "/wiki", "CONFLUENCE_EMAIL": sandbox.DefaultEmail, "CONFLUENCE_API_TOKEN": sandbox.DefaultToken,
		"CONFLUENCE_GATEWAY": "", "CONFLUENCE_ALLOW_HTTP": "true", "CONFLUENCE_ALLOWED_HOSTS": "",
		"CONFLUENCE_REQUESTS_PER_SECOND": "1000", "CONFLUENCE_CONCURRENCY": "8", "GATEWAY_ADDR": addr,
	})
	adapt := func(e *engine, env config.Environment) config.Environment {
		return d.withModel(ctx, e.servers, env, words)
	}
	if d.engine, err = a.startEngine(ctx, env, nil, adapt); err != nil {
		_ = d.served.Close()
		return nil, err
	}
	if err = d.connect(ctx); err != nil {
		d.engine.close()
		_ = d.served.Close()
		return nil, err
	}
	return d, nil
}

// connect opens the session and names the stand-in's owner, by which other commands see that the demo still runs.
func (d *demo) connect(ctx context.Context) (err error) {
	if d.session, err = newSession(ctx, d.engine.host); err != nil {
		return err
	}
	installation, err := d.engine.store.Installation(ctx, false)
	if err != nil {
		return err
	}
	d.site.Own(control.DemoOwner(installation))
	return nil
}

// freeAddr returns addr, or an address with a free port if another program listens on addr: the demo should not fail
// because of that.
func freeAddr(addr string) (string, error) {
	if addr == "" {
		return "", nil
	}
	l, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return "", fmt.Errorf("find a port for the HTTP API: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// show runs the stages and the script at the same time.
func (d *demo) show(ctx context.Context, once bool) error {
	defer func() { d.engine.close(); _ = d.served.Close() }()
	if err := d.clear(ctx); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// The stages outlive Ctrl-C for a moment, so that they see that the sync is cancelled.
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	ended := make(chan error, 1)
	go func() {
		defer stop()
		ended <- d.engine.run(running)
	}()
	err := d.script(ctx)
	if err == nil && !once {
		d.printf("\nStill serving. Press Ctrl-C to stop.\n")
		<-ctx.Done()
	}
	if ctx.Err() != nil && err != nil {
		d.abandon(ctx)
	}
	end()
	if runErr := <-ended; runErr != nil {
		return runErr
	}
	return err
}

// clear removes what an earlier demo left, also the messages of a sync that it was stopped in.
func (d *demo) clear(ctx context.Context) error {
	var missing *control.UnknownSourceError
	if err := d.session.RemoveSource(ctx, operator, control.DemoSource); err != nil && !errors.As(err, &missing) {
		return err
	}
	return d.engine.bus.Discard(ctx, control.DemoSource)
}

// abandon cancels the sync that the demo was stopped in, so that it does not seem to go on.
func (d *demo) abandon(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonWithin)
	defer cancel()
	if _, err := d.session.CancelAll(ctx, operator, control.DemoSource); err != nil {
		d.notice(fmt.Sprintf("The sync could not be cancelled: %v", err))
	}
	d.notice("Stopped. sluice demo starts over; sluice source remove demo removes what it stored.")
}

func (d *demo) script(ctx context.Context) error {
	key := d.content.spaceKey()
	if d.engine.api != "" {
		d.step("Watch it in the console: http://%s/console", d.engine.api)
		d.printf("  log in with the key in %s\n", d.engine.keyFile)
	}
	d.step("A stand-in for Confluence Cloud serves space %s with %s: %s/wiki/spaces/%s/overview",
		key, plural(readable(d.site, key), "page", "pages"), d.served.URL, key)
	_, err := d.session.AddSource(ctx, operator, control.NewSource{Source: store.Source{
		ID: control.DemoSource, BaseURL: d.served.URL + "/wiki", SpaceKey: key, DisplayName: control.DemoName, Tags: []string{"demo"},
		Comments: store.AllComments, Attachments: store.AttachmentsOn,
	}})
	if err != nil {
		return err
	}
	d.step("First sync: every page is listed, fetched, converted, split and stored")
	if err := d.sync(ctx); err != nil {
		return err
	}
	d.step("Pages change on the site")
	if err := d.alter(key); err != nil {
		return err
	}
	d.step("Second sync: only what changed is fetched")
	if err := d.sync(ctx); err != nil {
		return err
	}
	if err := d.find(ctx); err != nil {
		return err
	}
	if err := d.findParts(ctx); err != nil {
		return err
	}
	if err := d.findByMeaning(ctx); err != nil {
		return err
	}
	d.nextSteps()
	return nil
}

func (d *demo) step(format string, args ...any) {
	d.printf("\n%s %s\n", d.strong("▸"), d.strong(fmt.Sprintf(format, args...)))
}

// sync runs a full sync, shows its progress, and lists the pages that it changed.
func (d *demo) sync(ctx context.Context) error {
	d.site.ResetStats()
	asked, err := d.session.Sync(ctx, operator, control.SyncRequest{SourceID: control.DemoSource, Mode: event.Full})
	if err != nil {
		return err
	}
	last, err := d.followBroker(ctx, d.session, d.engine.bus, asked.Run)
	if err != nil || ctx.Err() != nil {
		return cmp.Or(ctx.Err(), err)
	}
	stats := d.site.Stats()
	d.printf("  %s\n  %s to the site, %s fetched\n", summary(last), plural(int(stats.Total), "call", "calls"), plural(int(stats.Bodies), "body", "bodies"))
	if last.Counts.Created < last.Counts.Listed/2 {
		if err := d.changes(ctx, asked.Run.ID); err != nil {
			return err
		}
	}
	failed, err := d.session.Reader.LedgerPages(ctx, operator, asked.Run.ID, event.Failed, store.First(20))
	for _, p := range failed {
		d.printf("  failed   %s: %s: %s\n", p.Title, p.Reason, p.Message)
	}
	if err != nil {
		return err
	}
	return exitError(last)
}

func (d *demo) changes(ctx context.Context, runID string) error {
	for _, outcome := range []event.Outcome{event.Created, event.Updated, event.Removed, event.Skipped} {
		pages, err := d.session.Reader.LedgerPages(ctx, operator, runID, outcome, store.First(20))
		if err != nil {
			return err
		}
		for _, p := range pages {
			why := ""
			if p.Reason != "" {
				why = " (" + p.Reason + ")"
			}
			d.printf("  %-8s %s%s\n", outcome, p.Title, why)
		}
	}
	return nil
}

// alter edits, renames, moves, archives, trashes and creates pages in any space.
func (d *demo) alter(key string) error {
	var leaves []sandbox.Page
	parents := map[string]bool{}
	pages := d.site.Pages(key)
	for _, p := range pages {
		parents[p.ParentID] = true
	}
	for _, p := range pages {
		if p.Kind == sandbox.KindPage && p.Status == "current" && !p.Hidden && !parents[p.ID] {
			leaves = append(leaves, p)
		}
	}
	if len(leaves) < 6 {
		d.printf("  the space has too few pages to change any\n")
		return nil
	}
	edited, renamed, moved, archived, trashed := leaves[0], leaves[1], leaves[2], leaves[3], leaves[4]
	body, err := d.site.Body(edited.ID)
	if err != nil {
		return err
	}
	body += `<h2>Kestrel checklist</h2><p>The kestrel valve must be closed before the sluice opens.</p>`
	edit := change{"edited   " + edited.Title, func() error { _, err := d.site.EditPage(edited.ID, sandbox.Edit{Body: &body}); return err }}
	if d.content.corpus != "" {
		return d.apply(edit) // the pages belong to the user, so none is moved or removed
	}
	title := renamed.Title + " (renamed)"
	target := leaves[5].ID
	return d.apply(
		edit,
		change{"renamed  " + renamed.Title + " → " + title, func() error { _, err := d.site.EditPage(renamed.ID, sandbox.Edit{Title: &title}); return err }},
		change{"moved    " + moved.Title + " under " + leaves[5].Title, func() error { return d.site.MovePage(moved.ID, target) }},
		change{"archived " + archived.Title, func() error { return d.site.ArchivePage(archived.ID) }},
		change{"trashed  " + trashed.Title, func() error { return d.site.TrashPage(trashed.ID) }},
		change{"created  Harbour lights", func() error {
			_, err := d.site.CreatePage(sandbox.Draft{Space: key, Title: "Harbour lights", ParentID: edited.ParentID,
				Body: "<p>The harbour lights are tested on the first Monday of each month.</p>"})
			return err
		}},
	)
}

// change is one change to a page of the site.
type change struct {
	what string
	do   func() error
}

func (d *demo) apply(changes ...change) error {
	for _, c := range changes {
		if err := c.do(); err != nil {
			return fmt.Errorf("%s: %w", c.what, err)
		}
		d.printf("  %s\n", c.what)
	}
	return nil
}

func (d *demo) nextSteps() {
	self := d.self
	program, arguments := mcpCommand(d.dataDir)
	d.step("Where to look next")
	if d.meaning.path != "" {
		d.printf("  export EMBEDDINGS_MODEL=%s\n  export EMBEDDINGS_PATH=%s\n      before sluice search or sluice up: by meaning, as here; docs/embeddings.md\n",
			d.meaning.name, shellWord(d.meaning.path))
	}
	for _, line := range [][2]string{
		{self + ` search "on-call handover"`, "your own search"},
		{self + " status", "sources and runs"},
		{self + " source list", "what is stored"},
		{`curl -H "Authorization: Bearer $(cat ` + d.engine.keyFile + `)" http://` + d.engine.api + "/api/confluence/sources", "the HTTP API; docs/api.md"},
		{"psql '" + hidePassword(d.engine.servers.DatabaseURL) + "'", "the tables, while this runs; the password is in " + filepath.Join(d.dataDir, "running.json")},
		{"claude mcp add sluice -- " + shellWord(append([]string{program}, arguments...)...), "let an assistant read it, while this runs and later; other clients: " + self + " mcp config; docs/mcp.md"},
		{"README.md", "your own site in five minutes"},
	} {
		d.printf("  %s\n      %s\n", line[0], line[1])
	}
}
