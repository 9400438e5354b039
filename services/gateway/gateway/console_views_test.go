package gateway

import (
	"context"
	"errors"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/gateway/console"
	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

func TestTheViewsOfTheConsole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	v := w.loggedIn("admin")
	v.page("/sources/docs", "first-docs", "Sync what changed", "acme.atlassian.net", "Settings")
	v.page("/sources/docs/pages", "Keys of docs", "Harbour docs")
	require.NotContains(t, v.page("/sources/docs/pages?title=harb", "Harbour docs"), "Keys of docs")
	v.page("/sources/docs/failures", "No page is failed")
	v.page("/sources/docs/losses", "macro:toc", "dropped")
	door := regexp.MustCompile(`href="/console(/sources/docs/pages\?lost=[^"]+)"`).FindStringSubmatch(v.page("/sources/docs/losses"))
	require.NotNil(t, door, "each loss leads to its pages")
	v.page(html.UnescapeString(door[1]), "Pages with", "Harbour docs")
	require.NotContains(t, v.page("/sources/docs/pages?lost=macro:toc&fate=rendered"), "Harbour docs")
	v.page("/sources/docs/settings", "weekly reconciliation")
	v.page("/runs/first-docs", "completed", "/console/runs/first-docs/pages?outcome=created", "<b>3</b><small>created")
	v.page("/runs/first-docs/pages?outcome=created", "Keys of docs", "Harbour docs")
	v.page("/sources/docs/pages/12", "Harbour docs", "The harbour lights are tested", "Its journey", "first-docs", "macro:toc", "Keys of docs", `id="chunk-`)
	v.page("/search", "What for")
	v.page("/search?q=harbour", "2 hits", "<mark>harbour</mark>", "api/knowledge/search", "tools/call")
	v.page("/search?q=harbour&source=docs&since=2020-01-01", "1 hit")
	v.page("/removals", "No removals wait")
	for _, path := range []string{"/sources/none", "/sources/none/pages", "/runs/none", "/runs/none/pages?outcome=created", "/sources/docs/pages/99", "/removals/none", "/search?q=x&source=none", "/nothing"} {
		status, body := v.get(path)
		require.Equal(t, http.StatusNotFound, status, "%s %s", path, body)
		require.Contains(t, body, "Log out", path)
	}
	for _, path := range []string{"/sources/docs?after=x", "/runs/first-docs/pages", "/runs/first-docs/pages?outcome=x", "/sources/docs/pages?after=WyJhIiwiYiJd"} {
		status, body := v.get(path)
		require.Equal(t, http.StatusBadRequest, status, "%s %s", path, body)
	}
	status, _ := w.loggedIn("operate").get("/search?q=x&as=712020:ann")
	require.Equal(t, http.StatusForbidden, status)
}

// Folders are in a page's trail and in the lists of pages, and lead to what is below them.
func TestFoldersInTheConsole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	pages := listed("11", "12", "13", "14")
	pages[3].ParentID, pages[3].ParentKind = "900", "folder"
	run := w.run("docs", "with-a-folder", pages...)
	require.NoError(t, w.store.PutNodes(t.Context(), run, []store.Node{{ID: "900", Kind: "folder", Title: "Team <folder>"}}))
	require.NoError(t, w.store.BuildPaths(t.Context(), "docs"))
	w.write(run, "14", "/900/14", "In a folder", "The lantern is in the folder.")
	require.NoError(t, w.store.Repath(t.Context(), run))
	const below = "<b>Team &lt;folder&gt;</b> and what is below it"
	v := w.loggedIn("docs")
	v.page("/sources/docs/pages", "In a folder", "Team &lt;folder&gt;", "Keys of docs", `href="/console/sources/docs/pages?under=900"`)
	require.NotContains(t, v.page("/sources/docs/pages?under=900", "In a folder", below), "Keys of docs")
	v.page("/sources/docs/pages/14", "Team &lt;folder&gt;", `href="/console/sources/docs/pages/900"`)
	v.page("/sources/docs/pages/900", below)
	status, _ := v.get("/sources/hr/pages/900")
	require.Equal(t, http.StatusNotFound, status)
	status, _ = w.loggedIn("admin").get("/sources/hr/pages/900")
	require.Equal(t, http.StatusNotFound, status, "it is a folder of another source")
	require.NotContains(t, v.page("/sources/docs/pages?kind=blogpost", "No page passes the filter"), "In a folder")
	v.page("/sources/docs/pages?since=2026-01-02", "In a folder")
	v.page("/sources/docs/pages?since=2026-01-03", "No page passes the filter")
	status, _ = v.get("/sources/docs/pages?since=monday")
	require.Equal(t, http.StatusUnprocessableEntity, status)
	var list list[store.PageInfo]
	w.wants(http.StatusOK, "docs", "GET", "/api/confluence/docs/pages?under=900", "").into(&list)
	require.Equal(t, "Team <folder>", list.Items[0].Ancestors[0].Title)
}

// A run's progress comes as events, each with the live part of its page.
func TestTheConsoleFollowsARun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	v := w.loggedIn("read")
	body := v.page("/runs/first-docs/events", "retry: ", "event: progress", "id: end", `data: <p class="lead"`, "<b>3</b><small>created", "hx-get")
	for line := range strings.Lines(body) {
		require.Regexp(t, `^(retry|event|id|data): |^\n$`, line)
	}
	status, _ := w.loggedIn("docs").get("/runs/first-hr/events")
	require.Equal(t, http.StatusNotFound, status)
	status, _ = w.visitor().get("/runs/first-docs/events")
	require.Equal(t, http.StatusUnauthorized, status)
}

// What a person does in the console is what the API does for the same request.
func TestWhatTheConsoleDoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	v := w.loggedIn("admin")
	v.page("/sources/docs")
	status, body := v.post("/sources/docs/sync", "mode", "full")
	require.Equal(t, http.StatusOK, status, body)
	require.Contains(t, body, "waits for its turn")
	require.Contains(t, body, "sse-connect")
	runs, err := w.store.Reader().Runs(t.Context(), viewer.All(), "docs", store.First(1))
	require.NoError(t, err)
	status, body = v.post("/runs/" + runs[0].ID + "/cancel")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "cancelled")
	status, body = v.post("/runs/" + runs[0].ID + "/cancel")
	require.Equal(t, http.StatusConflict, status, body)
	status, _ = v.post("/sources/docs/retry", "which", "all")
	require.Equal(t, http.StatusConflict, status, "no page is failed")
	status, body = v.post("/sources/docs/retry", "which", "ticked")
	require.Equal(t, http.StatusUnprocessableEntity, status)
	require.Contains(t, body, "No page is ticked")
	status, body = v.post("/sources/docs/retry", "which", "ticked", "page", "12")
	require.Equal(t, http.StatusConflict, status)
	require.Contains(t, body, "these pages are not failed now: 12")

	status, body = v.post("/sources/docs/settings", "display_name", "The <docs>", "deletion_strategy", "every_sync", "tags", "a, b", "token", "secret-token", "email", "me@acme.com")
	require.Equal(t, http.StatusConflict, status, body)
	require.Contains(t, body, "SLUICE_MASTER_KEY")
	require.NotContains(t, body, "secret-token")
	v.page("/sources/docs/settings", `name="comments" value="off" checked`)
	v.page("/sources/docs/settings", `name="attachments" value="off" checked`)
	_, body = v.post("/sources/docs/settings", "display_name", "The <docs>", "deletion_strategy", "every_sync", "tags", "a, b", "comments", "all", "attachments", "on")
	require.Contains(t, body, "The &lt;docs&gt;")
	src, err := w.store.Source(t.Context(), "docs")
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, src.Tags)
	require.Equal(t, store.EverySync, src.DeletionStrategy)
	require.Equal(t, store.AllComments, src.Comments)
	require.Equal(t, store.AttachmentsOn, src.Attachments)
	status, _ = v.post("/sources/hr/delete", "confirm", "docs")
	require.Equal(t, http.StatusUnprocessableEntity, status)
	status, _ = v.post("/sources/hr/delete", "confirm", "hr")
	require.Equal(t, http.StatusOK, status)
	status, _ = v.get("/sources/hr")
	require.Equal(t, http.StatusNotFound, status)
}

// Who sees the pages of a source is shown and changed, and an open source must be meant.
func TestPermissionsInTheConsole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	v := w.loggedIn("admin")
	v.page("", "Choose who sees the pages of docs")
	v.page("/sources/docs", "left open", "nobody has chosen yet")
	v.page("/sources/docs/pages/12", "Who sees it", "left open")
	require.NotContains(t, v.page("/sources/docs/settings", "Now: Every key"), `value="open" checked`, "nothing is chosen yet")
	is := func(want store.Permissions, chosen bool) {
		t.Helper()
		src, err := w.store.Source(t.Context(), "docs")
		require.NoError(t, err)
		require.Equal(t, want, src.Permissions)
		require.Equal(t, chosen, src.Chosen)
	}
	save := func(want int, fields ...string) string {
		t.Helper()
		v.page("/sources/docs/settings")
		status, body := v.post("/sources/docs/settings", append([]string{"display_name", "Docs", "deletion_strategy", "every_sync"}, fields...)...)
		require.Equal(t, want, status, body)
		return body
	}
	save(http.StatusOK)
	is(store.OpenToAll, false)
	require.Contains(t, save(http.StatusUnprocessableEntity, "permissions", "open"), "permissions_confirmed")
	is(store.OpenToAll, false)
	save(http.StatusOK, "permissions", "open", "permissions_confirmed", "on")
	is(store.OpenToAll, true)
	require.NotContains(t, v.page(""), "Choose who sees the pages of docs")
	save(http.StatusOK, "permissions", "open") // it was meant when it was chosen
	is(store.OpenToAll, true)
	require.Contains(t, save(http.StatusOK, "permissions", "enforce"), "Every page is hidden")
	is(store.Enforce, true)
	v.page("", "The permissions of docs are not known")
	save(http.StatusUnprocessableEntity, "permissions", "everybody")
	is(store.Enforce, true)
	status, _ := w.loggedIn("operate").get("/sources/docs/settings")
	require.Equal(t, http.StatusForbidden, status)
}

// unsure is a ledger that fails once to say whether a source is unsettled.
type unsure struct {
	control.Ledger
	asked bool
}

func (u *unsure) Unsettled(ctx context.Context, id string) (bool, error) {
	if !u.asked {
		u.asked = true
		return false, errors.New("the database is away")
	}
	return u.Ledger.Unsettled(ctx, id)
}

// A change that failed half-way is finished by saving the same settings again.
func TestSavingAgainFinishesAChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	ctx := t.Context()
	require.NoError(t, w.store.SetPermissions(ctx, "docs", store.UnrestrictedOnly, 0))
	run := w.run("docs", "leaves-out", listed("11", "12", "13")...)
	_, err := w.store.LeaveOut(ctx, run, []string{"12"})
	require.NoError(t, err)
	_, err = w.store.CancelRun(ctx, run.ID)
	require.NoError(t, err)
	w.g.control.Ledger = &unsure{Ledger: w.g.control.Ledger}
	v := w.loggedIn("admin")
	for _, want := range []int{http.StatusInternalServerError, http.StatusOK} {
		v.page("/sources/docs/settings")
		status, body := v.post("/sources/docs/settings", "display_name", "Docs", "permissions", "enforce", "attachments", "off")
		require.Equal(t, want, status, body)
		src, err := w.store.Source(ctx, "docs")
		require.NoError(t, err)
		require.Equal(t, store.Enforce, src.Permissions)
	}
	runs, err := w.store.Reader().Runs(ctx, viewer.All(), "docs", store.First(1))
	require.NoError(t, err)
	require.Equal(t, []any{event.StateRequested, event.Full}, []any{runs[0].State, runs[0].Mode})
}

// Every view refuses who has not its role, whoever has no session, and forms without their token; and no view has a button
// for what the role may not do.
func TestTheConsoleAsksForARole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	fill := strings.NewReplacer("{source_id}", "docs", "{run}", "first-docs", "{page}", "12")
	stranger := w.visitor()
	as := map[apikey.Role]*visitor{}
	for _, role := range apikey.Roles {
		as[role] = w.loggedIn(string(role))
	}
	for pattern, need := range console.Views() {
		method, path, _ := strings.Cut(pattern, " ")
		path = strings.TrimPrefix(fill.Replace(path), console.Root)
		if path == "/runs/first-docs/events" {
			continue // it is not a page
		}
		_, body := stranger.do(method, path, nil)
		require.Contains(t, body, `<input id="key"`, pattern)
		for _, role := range apikey.Roles {
			status, body := as[role].do(method, path, url.Values{})
			switch {
			case !role.May(need):
				require.Equal(t, http.StatusForbidden, status, "%s as %s", pattern, role)
				require.Contains(t, body, "needs a key with the role "+string(need))
			case method == http.MethodPost:
				require.Equal(t, http.StatusForbidden, status, "%s as %s", pattern, role)
				require.Contains(t, body, "another session", "%s as %s", pattern, role)
			default:
				for action := range posts(body) {
					require.True(t, role.May(roleOf(t, action)), "%s as %s has a form for %s", pattern, role, action)
				}
			}
		}
	}
	w.untouched()
}

var formAction = regexp.MustCompile(`<form method="post"[^>]*action="([^"]+)"`)

// posts are the actions of a page's forms.
func posts(body string) map[string]bool {
	all := map[string]bool{}
	for _, m := range formAction.FindAllStringSubmatch(body, -1) {
		all[m[1]] = true
	}
	return all
}

// roleOf is the role that a form's action needs.
func roleOf(t *testing.T, action string) apikey.Role {
	t.Helper()
	for pattern, role := range console.Views() {
		form := "^" + regexp.MustCompile(`\\\{[a-z_]+\\\}`).ReplaceAllString(regexp.QuoteMeta(pattern), `[^/]+`) + "$"
		if regexp.MustCompile(form).MatchString("POST " + action) {
			return role
		}
	}
	require.Fail(t, "no view", action)
	return ""
}
