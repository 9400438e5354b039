package cli_test

import (
	"context"
	"encoding/json"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/services/sluice/cli"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
)

// reader returns a person with a running sluice, and a site that the test can change.
func reader(t *testing.T) (*person, *sandbox.Site) {
	t.Helper()
	site := sandbox.New(sandbox.Options{})
	site.AddBuiltin()
	site.AddGenerated(sandbox.GeneratedSpace, 60, 7)
	served, err := sandbox.Serve("127.0.0.1:0", site)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, served.Close()) })
	p := newPerson(t)
	p.env = map[string]string{
		"CONFLUENCE_BASE_URL": served.URL, "CONFLUENCE_ALLOW_HTTP": "true", "CONFLUENCE_REQUESTS_PER_SECOND": "1000",
		"CONFLUENCE_EMAIL": sandbox.DefaultEmail, "CONFLUENCE_API_TOKEN": sandbox.DefaultToken, "HEALTH_ADDR": "",
	}
	p.up()
	p.sees("source", "add", "docs", "--space", sandbox.BuiltinSpace, "--no-schedule")
	p.sees("source", "add", "gen", "--space", sandbox.GeneratedSpace, "--deletion-strategy", "on_demand", "--no-schedule")
	return p, site
}

// errs runs a command line that must end with the code, and returns its standard output and standard error.
func (p *person) errs(code int, args ...string) string {
	p.t.Helper()
	got, out, err := p.types(args...)
	require.Equal(p.t, code, got, "sluice %s\n%s%s", strings.Join(args, " "), out, err)
	return out + err
}

// reads runs a command line with JSON output and decodes it into v, whatever the exit code.
func (p *person) reads(v any, args ...string) {
	p.t.Helper()
	_, out, err := p.types(append(args, "-o", "json")...)
	require.NoError(p.t, json.Unmarshal([]byte(out), v), "sluice %s\n%s%s", strings.Join(args, " "), out, err)
}

func TestWhatPeopleDoAboutRuns(t *testing.T) {
	t.Parallel()
	p, site := reader(t)
	t.Run("failed pages", func(t *testing.T) { p.t = t; failedPages(p, site) })
	t.Run("removals", func(t *testing.T) { p.t = t; heldRemovals(p, site) })
	t.Run("sources", func(t *testing.T) { p.t = t; sourceSettings(p) })
	t.Run("pause", func(t *testing.T) { p.t = t; paused(p, site) })
	t.Run("cancel", func(t *testing.T) { p.t = t; cancelled(p, site) })
	t.Run("hostile titles", func(t *testing.T) { p.t = t; hostileTitles(p, site) })
	p.t = t
}

// tooDeep is nested deeper than the converter allows.
var tooDeep = strings.Repeat("<blockquote>", 3000) + "deep" + strings.Repeat("</blockquote>", 3000)

func failedPages(p *person, site *sandbox.Site) {
	require.Contains(p.t, p.sees("failed", "list"), "No page is failed.")
	require.Contains(p.t, p.sees("failed", "retry"), "No page is failed: there is nothing to retry.\n")
	require.Equal(p.t, "[]\n", p.sees("failed", "retry", "-o", "json"))
	odd, err := site.CreatePage(sandbox.Draft{Space: sandbox.BuiltinSpace, Title: "Odd one", Body: tooDeep})
	require.NoError(p.t, err)
	said := p.errs(3, "sync", "docs", "--wait", "--request-id", "first")
	require.Contains(p.t, said, "completed with failures")

	require.Contains(p.t, p.completes("sync"), "docs\n")
	require.Contains(p.t, p.completes("status"), "first\n")
	require.Contains(p.t, p.completes("failed", "list", "--source"), "docs\n")
	for _, only := range [][]string{{}, {"--source", "docs"}, {"--run", "first"}} {
		require.Regexp(p.t, odd.ID+` +Odd one +docs +\S.* convert_too_deep in the converter, after 1 attempt, in run first: \S`, p.sees(append([]string{"failed", "list"}, only...)...))
	}
	require.Contains(p.t, p.sees("failed", "list", "--source", "gen"), "No page is failed.")
	var failures []map[string]any
	p.reads(&failures, "failed", "list")
	require.Len(p.t, failures, 1)
	require.Equal(p.t, odd.ID, failures[0]["page_id"])
	require.NotContains(p.t, failures[0]["message"], "…")

	story := p.sees("status", "first")
	for _, part := range []string{
		"Run first of docs, full: completed with failures", "incremental was requested", "1 failed", "calls to Confluence",
		"STAGE", "convert", "SLOWEST", "convert_too_deep", "sluice failed retry first",
	} {
		require.Contains(p.t, story, part)
	}
	var st struct {
		APICalls int     `json:"api_calls"`
		Listing  float64 `json:"listing_seconds"`
		Stages   []any   `json:"stages"`
		Slowest  []any   `json:"slowest_pages"`
		Failures []any   `json:"failures"`
		Removals []any   `json:"removals"`
		Held     []any   `json:"held"`
	}
	p.reads(&st, "status", "first")
	require.Positive(p.t, st.APICalls)
	require.Positive(p.t, st.Listing)
	require.Len(p.t, st.Stages, 3)
	require.Len(p.t, st.Slowest, 5)
	require.Len(p.t, st.Failures, 1)
	require.NotNil(p.t, st.Removals)
	require.NotNil(p.t, st.Held)

	said = p.errs(3, "failed", "retry", "--wait")
	require.Regexp(p.t, `Run \S+ lists 1 failed page of docs again`, said)
	require.Contains(p.t, p.sees("failed", "retry", "first"), "failed in run first is failed now", "it has failed again in a later run")
	require.Contains(p.t, p.errs(1, "failed", "retry", "nothing"), `"nothing"`)
	require.Contains(p.t, p.errs(1, "failed", "retry", odd.ID, "--source", "gen"), "of gen")
	require.Contains(p.t, p.sees("failed", "retry", "gen"), "No page of gen is failed", "a source")
	require.Contains(p.t, p.sees("source", "losses", "gen"), "Nothing is on record: gen has no pages yet")
	var asked []struct {
		SourceID string `json:"source_id"`
		RunID    string `json:"run_id"`
		Failed   int    `json:"failed_pages"`
	}
	require.Contains(p.t, p.errs(1, "failed", "retry", "docs", odd.ID, "8", "9"), "these pages are not failed now: 8, 9; see: sluice failed list --source docs")
	require.Contains(p.t, p.errs(1, "failed", "retry", odd.ID, "8", "--source", "gen"), "of source gen")
	p.reads(&asked, "failed", "retry", "docs", odd.ID, odd.ID)
	require.Equal(p.t, 1, asked[0].Failed)
	p.errs(3, "sync", "docs", "--wait", "--request-id", asked[0].RunID)
	p.reads(&asked, "failed", "retry", odd.ID)
	require.Len(p.t, asked, 1)
	require.Equal(p.t, 1, asked[0].Failed)
	p.errs(3, "sync", "docs", "--wait", "--request-id", asked[0].RunID)

	body := "<p>mended</p>"
	_, err = site.EditPage(odd.ID, sandbox.Edit{Body: &body})
	require.NoError(p.t, err)
	var ends []map[string]any
	p.reads(&ends, "failed", "retry", asked[0].RunID, "--wait")
	require.Len(p.t, ends, 1)
	require.Equal(p.t, "completed", ends[0]["state"])
	require.Contains(p.t, p.sees("failed", "list"), "No page is failed.")
	require.Contains(p.t, p.sees("page", odd.ID), "mended")
}

func heldRemovals(p *person, site *sandbox.Site) {
	require.Contains(p.t, p.sees("removals", "list"), "Nothing was removed or held back.")
	p.sees("sync", "gen", "--wait", "--request-id", "base")
	var gone []string
	for _, page := range site.Pages(sandbox.GeneratedSpace) {
		if len(gone) < 25 && page.ParentID != "" {
			gone = append(gone, page.ID)
		}
	}
	for _, id := range gone {
		require.NoError(p.t, site.TrashPage(id))
	}
	require.Contains(p.t, p.sees("sync", "gen", "--wait"), "completed", "on_demand does not look for removals")
	said := p.errs(4, "sync", "gen", "--mode", "full", "--wait", "--request-id", "held-1")
	require.Contains(p.t, said, "sluice removals approve held-1")

	list := p.sees("removals", "list")
	for _, part := range []string{"Run held-1 of gen was held", "25 pages would have been removed", "trashed", "… and 5 more: sluice removals list --run held-1", "sluice removals reject held-1"} {
		require.Contains(p.t, list, part)
	}
	require.Contains(p.t, p.sees("removals", "list", "gen"), "Run held-1 of gen was held")
	require.Contains(p.t, p.sees("removals", "list", "docs"), "Nothing was removed or held back.")
	list = p.sees("removals", "list", "--run", "held-1")
	for _, id := range gone {
		require.Contains(p.t, list, id)
	}
	require.Contains(p.t, p.sees("status", "held-1"), "sluice removals approve held-1")
	require.Contains(p.t, p.errs(1, "removals", "approve", "base"), "is completed")
	require.Contains(p.t, p.errs(1, "removals", "reject", "none"), `no run "none"`)

	require.Contains(p.t, p.sees("removals", "reject", "held-1"), "stay")
	require.Contains(p.t, p.sees("removals", "list"), "Nothing was removed or held back.")
	require.Contains(p.t, p.sees("status", "held-1"), "Rejected: the pages stay")
	require.Contains(p.t, p.errs(1, "removals", "approve", "held-1"), "already rejected")

	p.errs(4, "sync", "gen", "--mode", "full", "--wait", "--request-id", "held-2")
	require.Contains(p.t, p.sees("removals", "approve", "held-2", "--wait"), "25 removed")
	by := regexp.MustCompile(`by run (\S+?)\.?\n`).FindStringSubmatch(p.sees("removals", "approve", "held-2"))
	require.Len(p.t, by, 2)
	approving := by[1]
	require.Contains(p.t, p.sees("status", approving), "removes what run held-2 held back")
	require.Contains(p.t, p.sees("removals", "approve", "held-2", "--wait"), "25 removed", "the same run's end")
	require.Contains(p.t, p.errs(1, "removals", "reject", "held-2"), "already approved")

	require.NoError(p.t, site.RestorePage(gone[0]))
	p.sees("sync", "gen", "--mode", "full", "--wait")
	list = p.sees("removals", "list", "--limit", "100")
	require.Equal(p.t, 25, strings.Count(list, approving))
	require.NotContains(p.t, list, "… and more")
	list = p.sees("removals", "list", "--limit", "24")
	require.Equal(p.t, 24, strings.Count(list, approving))
	require.Contains(p.t, list, "… and more: --limit 240")
	require.Regexp(p.t, gone[0]+` .* trashed in run `+approving+`; restored (just now|\d+ seconds ago)`, list)
	var all struct {
		Held    []any            `json:"held"`
		Removed []map[string]any `json:"removed"`
	}
	p.reads(&all, "removals", "list", "--run", approving, "--limit", "3")
	require.NotNil(p.t, all.Held)
	require.Len(p.t, all.Removed, 3)
	p.reads(&all, "removals", "list", "--run", "held-2")
	require.Len(p.t, all.Held, 1)
}

func sourceSettings(p *person) {
	require.Regexp(p.t, `gen +36 +\d+ +GEN at \S+ +\S.* on demand, (just now|\d+ seconds ago)`, p.sees("source", "list"))
	require.Contains(p.t, p.errs(2, "source", "set", "docs", "--deletion-strategy", "weekly"), "weekly_reconciliation, every_sync or on_demand")
	require.Contains(p.t, p.errs(2, "source", "set", "docs"), "--deletion-strategy, --name, --tag")
	require.Contains(p.t, p.errs(2, "source", "add", "x", "--space", "X", "--deletion-strategy", ""), "every_sync")
	require.Contains(p.t, p.errs(1, "source", "set", "nowhere", "--name", "N"), "existing sources: docs, gen")
	require.Contains(p.t, p.errs(2, "source", "set", "docs", "--base-url", "ftp://acme2"), "--base-url")
	require.Contains(p.t, p.errs(1, "source", "set", "nowhere", "--base-url", "https://acme2.atlassian.net"), "existing sources: docs, gen")
	said := p.sees("source", "set", "docs", "--deletion-strategy", "every_sync", "--name", "The docs", "--tag", "a,b")
	require.Contains(p.t, said, `"The docs", tags a, b, deletion strategy every_sync`)
	require.Contains(p.t, p.sees("source", "set", "docs", "--tag", ""), `"The docs", no tags, deletion strategy every_sync`)
	require.Contains(p.t, p.errs(1, "source", "add", "docs", "--space", sandbox.BuiltinSpace), "source set docs --deletion-strategy weekly_reconciliation")
	require.NotContains(p.t, said, "blog posts")
	require.Contains(p.t, p.sees("source", "set", "docs", "--blog-posts"), "with blog posts")
	require.Contains(p.t, p.errs(1, "source", "add", "docs", "--space", sandbox.BuiltinSpace, "--deletion-strategy", "every_sync", "--blog-posts=false"), "source set docs --blog-posts=false")
	p.sees("source", "add", "docs", "--space", sandbox.BuiltinSpace, "--deletion-strategy", "every_sync", "--blog-posts")
	require.Contains(p.t, p.errs(2, "source", "set", "docs", "--permissions", "some"), "enforce, unrestricted-only or open")
	require.Contains(p.t, p.errs(2, "source", "set", "docs", "--permissions", ""), "--permissions is empty")
	require.Contains(p.t, p.errs(1, "source", "add", "docs", "--space", sandbox.BuiltinSpace, "--deletion-strategy", "every_sync", "--permissions", "unrestricted-only"),
		"source set docs --permissions unrestricted-only")
	code, out, said := p.types("source", "set", "docs", "--permissions", "open")
	require.Zero(p.t, code)
	require.Contains(p.t, out, "permissions open")
	require.Contains(p.t, said, "every key of it sees every page")
	out = p.sees("source", "set", "docs", "--permissions", "enforce")
	require.Contains(p.t, out, "permissions enforce")
	require.Contains(p.t, out, "hidden until its permissions have been read")
	require.Regexp(p.t, "Permissions: .*enforce for docs", p.sees("source", "list"))
	var sources []map[string]any
	p.reads(&sources, "source", "list")
	require.Equal(p.t, true, sources[0]["blog_posts"])
	require.Equal(p.t, "enforce", sources[0]["permissions"])
	p.sees("sync", "docs", "--wait", "--request-id", "now-full")
	require.Contains(p.t, p.sees("status", "now-full"), "docs, full: completed")
	explains(p)
}

// explains asks why somebody sees a page of a source that enforces permissions.
func explains(p *person) {
	var hits, sources []map[string]any
	p.reads(&hits, "search", "signing", "keys", "--source", "docs")
	id := hits[0]["page_id"].(string)
	code, _, said := p.types("search", "signing", "keys", "--source", "docs")
	require.Zero(p.t, code)
	require.Contains(p.t, said, "You see every page")
	code, out, said := p.types("search", "signing", "keys", "--source", "docs", "--as", "nobody-known")
	require.Zero(p.t, code)
	require.NotContains(p.t, said, "You see")
	require.Contains(p.t, out, "Nothing found")
	require.Contains(p.t, p.errs(1, "page", id, "--as", "nobody-known"), "is not stored")
	require.Contains(p.t, p.errs(2, "page", id, "--as", "ann@acme.com"), "--as: an account id is")
	for _, command := range []string{"status", "status now-full", "failed list", "removals list docs", "source list", "source losses docs", "embeddings status", "page " + id} {
		argv := strings.Fields(command)
		code, _, said = p.types(argv...)
		require.Zero(p.t, code, command)
		require.Contains(p.t, said, "You see every page", command)
		if argv[0] != "page" {
			code, _, said = p.types(append(argv, "--as", "nobody-known")...)
			require.Zero(p.t, code, command)
			require.NotContains(p.t, said, "You see", command)
		}
	}
	p.reads(&sources, "source", "list", "--as", "nobody-known")
	require.Zero(p.t, sources[0]["pages"])
	require.Contains(p.t, p.sees("status", "now-full", "--as", "nobody-known"), "\n  0 pages\n")
	require.Contains(p.t, p.errs(2, "status", "now-full", "--as", "ann", "--follow"), "--follow")
	out = p.sees("why", "nobody-known", id)
	require.Regexp(p.t, `^Hidden: nobody-known does not see page `+id+`, .+, because the site does not let it in\.\n`, out)
	require.Contains(p.t, out, "No group or restriction that was read has this account")
	require.Contains(p.t, out, "the account is unknown, deactivated or without access to Confluence")
	var why store.AccessWhy
	p.reads(&why, "why", "nobody-known", hits[0]["url"].(string))
	require.Equal(p.t, []any{id, false, store.NotLetIn}, []any{why.PageID, why.Visible, why.Verdict})
	require.Contains(p.t, p.errs(1, "why", "ann", "404"), `page "404" is not stored`)
	require.Contains(p.t, p.errs(1, "why", "ann", "https://else.example/wiki/spaces/DOCS/pages/"+id), "is not stored")
	require.Contains(p.t, p.errs(2, "why", "ann@acme.com", id), "account id")
	require.Contains(p.t, p.errs(2, "mcp", "--url", "http://127.0.0.1:1", "--key", "k", "--as", "ann"), "--as is for a database")
}

// paused meets a site that refuses every call for ten years, first while it lists and then while it fetches.
func paused(p *person, site *sandbox.Site) {
	require.NotContains(p.t, p.sees("source", "list"), "Paused")
	require.Contains(p.t, p.errs(1, "source", "resume", "docs"), "the site of source docs is not paused")
	for _, c := range []struct{ run, route, state string }{
		{"refused-list", "/wiki/api/v2/spaces/{id}/pages", "listing"},
		{"refused-fetch", "/wiki/api/v2/pages", "fetching"},
	} {
		_, err := site.EditSome(sandbox.GeneratedSpace, 5, 1)
		require.NoError(p.t, err)
		require.NoError(p.t, site.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultTooMany, Route: c.route, RetryAfter: 315_360_000}))
		p.sees("sync", "gen", "--mode", "full", "--request-id", c.run)
		var sources []struct {
			Pause *store.Pause `json:"pause"`
		}
		require.Eventually(p.t, func() bool {
			p.reads(&sources, "source", "list")
			return sources[0].Pause != nil
		}, time.Minute, 50*time.Millisecond)
		require.WithinDuration(p.t, time.Now().Add(time.Hour), sources[0].Pause.Until, time.Minute)
		require.Equal(p.t, sources[0].Pause, sources[1].Pause)
		p.comes(c.run, c.state)
		for _, args := range [][]string{{"source", "list"}, {"status"}} {
			require.Regexp(p.t, `Paused until \d\d:\d\d:\d\d \((59|60) more minutes\): docs, gen\. The site asked for it .*\n  GET `+
				regexp.QuoteMeta(c.route)+` was answered with 429 .*\n  To go on now: sluice source resume docs\n`, p.sees(args...))
		}
		require.Regexp(p.t, `Paused until .*: gen\.`, p.sees("status", c.run))

		// The site refuses still, and so asks for another pause.
		first := sources[0].Pause.Since
		p.sees("source", "resume", "docs")
		require.Eventually(p.t, func() bool {
			p.reads(&sources, "source", "list")
			return sources[0].Pause != nil && sources[0].Pause.Since.After(first)
		}, time.Minute, 50*time.Millisecond)

		require.NoError(p.t, site.SetFaults(1))
		require.Regexp(p.t, `^The pause until \S+ is lifted\. 1 run goes on: `+c.run+`\n$`, p.sees("source", "resume", "docs"))
		require.NotContains(p.t, p.sees("source", "list"), "Paused")
		p.comes(c.run, "completed")
	}
}

func cancelled(p *person, site *sandbox.Site) {
	_, err := site.EditSome(sandbox.GeneratedSpace, 5, 1)
	require.NoError(p.t, err)
	require.NoError(p.t, site.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultSlow, Route: "/wiki/api/v2/pages", DelayMS: 600_000}))
	p.sees("sync", "gen", "--mode", "full", "--request-id", "slow")
	p.comes("slow", "fetching")
	require.Contains(p.t, p.sees("sync", "gen", "--request-id", "slow"), "already active: fetching. Follow it: sluice status slow --follow")
	require.Contains(p.t, p.sees("sync", "gen", "--request-id", "second"), "waits for run slow to end. Follow it: sluice status second --follow")
	var asked struct {
		WaitsFor string `json:"waits_for"`
	}
	p.reads(&asked, "sync", "gen", "--request-id", "second")
	require.Equal(p.t, "slow", asked.WaitsFor)
	require.Contains(p.t, p.errs(2, "status", "--follow"), "which run?")
	p.comes("second", "requested")
	p.sees("sync", "gen", "--request-id", "third")
	p.comes("third", "requested")
	require.Contains(p.t, p.sees("status", "second"), "waits for run slow to end")
	require.Contains(p.t, p.sees("status", "third"), "waits for run second to end")
	require.Contains(p.t, p.sees("status", "slow"), "5 pending")

	leaves(p, "slow")
	type end struct {
		code int
		said string
	}
	follow := func(seen string, args ...string) <-chan end {
		ended, follower := make(chan end, 1), *p
		var out, stderr lockedBuffer
		defer func() {
			require.Eventually(p.t, func() bool { return strings.Contains(stderr.String(), seen) }, time.Minute, 20*time.Millisecond, args)
		}()
		go func() {
			code := cli.Run(follower.t.Context(), append(args, "--data", p.data), p.lookup, strings.NewReader(""), &out, &stderr)
			ended <- end{code, out.String()}
		}()
		return ended
	}
	waiting := follow("Run second waits for run slow to end", "sync", "gen", "--request-id", "second", "--wait")
	running := follow("%", "sync", "gen", "--request-id", "slow", "--wait")
	status := follow("Run second waits for run slow to end", "status", "second", "--follow")
	require.Contains(p.t, p.sees("cancel", "second"), "Run second of gen is cancelled: 0 pages")
	require.NoError(p.t, site.SetFaults(1))
	require.Contains(p.t, p.sees("cancel", "slow"), "The next sync lists its remaining pages again")
	for id, ended := range map[string]<-chan end{"second": waiting, "slow": running, "status of second": status} {
		select {
		case e := <-ended:
			require.Equal(p.t, 1, e.code, id)
			require.Regexp(p.t, "gen: cancelled|of gen, incremental: cancelled", e.said, id)
			require.Contains(p.t, e.said, "cancelled by request", id)
		case <-time.After(time.Minute):
			require.Fail(p.t, "the follower got no end of "+id)
		}
	}
	require.Regexp(p.t, `ended .*: cancelled`, p.errs(1, "cancel", "slow"))
	require.Contains(p.t, p.errs(1, "cancel", "nothing"), `no run "nothing"`)
	require.Contains(p.t, p.sees("sync", "gen", "--request-id", "third", "--wait"), "completed", "the third run starts next")
	cancelledAll(p, site)
}

// cancelledAll ends the runs of no source, of another one, and of all.
func cancelledAll(p *person, site *sandbox.Site) {
	const none = "No run is active or queued."
	require.Contains(p.t, p.sees("cancel", "--all"), none)
	_, err := site.EditSome(sandbox.GeneratedSpace, 5, 2)
	require.NoError(p.t, err)
	require.NoError(p.t, site.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultSlow, Route: "/wiki/api/v2/pages", DelayMS: 600_000}))
	p.sees("sync", "gen", "--mode", "full", "--request-id", "all-active")
	p.comes("all-active", "fetching")
	for _, id := range []string{"all-waits-1", "all-waits-2"} {
		p.sees("sync", "gen", "--request-id", id)
		p.comes(id, "requested")
	}
	require.Contains(p.t, p.sees("cancel", "--all", "--source", "docs"), none)
	require.Contains(p.t, p.errs(1, "cancel", "--all", "--source", "nowhere"), `"nowhere"`)
	require.Contains(p.t, p.sees("status", "all-active"), "5 pending", "the runs of gen go on")
	require.NoError(p.t, site.SetFaults(1))
	var ended []struct {
		ID     string      `json:"run_id"`
		State  event.State `json:"state"`
		Counts struct {
			Skipped int `json:"skipped"`
		} `json:"counts"`
	}
	p.reads(&ended, "cancel", "--all", "--source", "gen")
	require.Len(p.t, ended, 3)
	for i, id := range []string{"all-waits-2", "all-waits-1", "all-active"} {
		require.Equal(p.t, []any{id, event.StateCancelled}, []any{ended[i].ID, ended[i].State}, "the one under way last, so that none begins meanwhile")
	}
	require.Equal(p.t, 5, ended[2].Counts.Skipped)
	p.reads(&ended, "cancel", "--all")
	require.Empty(p.t, ended)
}

// leaves follows a run and presses Ctrl-C after the first progress line.
func leaves(p *person, run string) {
	ctx, ctrlC := context.WithCancel(p.t.Context())
	defer ctrlC()
	var stderr lockedBuffer
	ended := make(chan int, 1)
	go func() {
		ended <- cli.Run(ctx, []string{"sync", "gen", "--request-id", run, "--wait", "--data", p.data}, p.lookup, strings.NewReader(""), io.Discard, &stderr)
	}()
	require.Eventually(p.t, func() bool { return strings.Contains(stderr.String(), "%") }, time.Minute, 20*time.Millisecond)
	ctrlC()
	require.Equal(p.t, 130, <-ended)
	require.Contains(p.t, stderr.String(), "run "+run+" continues: sluice status "+run+" --follow")
}

// comes waits until a run has the state.
func (p *person) comes(run, state string) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		code, out, _ := p.types("status", run, "-o", "json")
		return code == 0 && strings.Contains(out, `"state": "`+state+`"`)
	}, time.Minute, 50*time.Millisecond, "%s is never %s", run, state)
}
