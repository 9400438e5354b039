package permissiontest

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/fetcher/sweep"
	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/viewer"
)

// Each case is a leak, or a page hidden from somebody who may see it, of another connector.
func TestLeaksOfOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person("ann", "bob", "eve")
	check := func(name, id string, want map[string]bool) {
		t.Helper()
		for who, sees := range want {
			require.Equal(t, sees, w.may(who, id), "the case itself: %s, %s", name, who)
			require.Equal(t, sees, w.admitted(who)[id], "%s: %s", name, who)
		}
	}
	require.NoError(t, w.site.SetGroup(sandbox.Group{Name: "staff", Members: []string{"ann", "bob", api}}))
	require.NoError(t, w.site.SetGroup(sandbox.Group{Name: "gone", Members: []string{"bob", api}}))
	page := func(title, parent string) string { return w.create(sandbox.Draft{Title: title, ParentID: parent}) }
	folder := w.create(sandbox.Draft{Kind: sandbox.KindFolder, Title: "Folder"})
	strict := page("Strict", "")
	loose := page("Loose", strict)
	grand := page("Grand", loose)
	filed := page("Filed", folder)
	staff := page("Staff", "")
	member := page("Member", staff)
	second := page("Second of many", "")
	old := page("Group that is gone", "")
	post := w.create(sandbox.Draft{Kind: sandbox.KindBlogPost, Title: "Post"})
	require.NoError(t, w.site.Restrict(strict, []string{"ann", api}, nil))
	require.NoError(t, w.site.Restrict(loose, []string{"ann", "bob", "eve", api}, nil))
	require.NoError(t, w.site.Restrict(folder, []string{"ann", api}, nil))
	require.NoError(t, w.site.Restrict(staff, nil, []string{"staff"}))
	require.NoError(t, w.site.Restrict(member, []string{"ann", "eve", api}, nil))
	require.NoError(t, w.site.Restrict(old, []string{api}, []string{"gone"}))
	require.NoError(t, w.site.Restrict(post, []string{"bob", api}, nil))
	many := make([]string, 0, 142)
	for i := range 140 {
		many = append(many, fmt.Sprintf("m%03d", i))
	}
	require.NoError(t, w.site.Restrict(second, append(many, api, "bob"), nil))
	require.NoError(t, w.site.DeleteGroup("gone"))
	require.NoError(t, w.site.SetSpaceReaders(space, sandbox.Reader{Kind: sandbox.ReaderUser, ID: api}, sandbox.Reader{Kind: sandbox.ReaderUser, ID: "ann"},
		sandbox.Reader{Kind: sandbox.ReaderUser, ID: "bob"}, sandbox.Reader{Kind: sandbox.ReaderUser, ID: "eve", NoRead: true}))
	require.Empty(t, w.run(event.Full))

	check("a restriction below a stricter one (Onyx)", loose, map[string]bool{"ann": true, "bob": false, "eve": false})
	check("two levels below (Onyx)", grand, map[string]bool{"ann": true, "bob": false})
	check("a restricted folder", filed, map[string]bool{"ann": true, "bob": false})
	check("a group above and a member below (Elastic)", member, map[string]bool{"ann": true, "bob": false})
	check("the rows after the first hundred (Onyx)", second, map[string]bool{"bob": true, "ann": false})
	check("another permission than that to read (Onyx, PipesHub)", staff, map[string]bool{"ann": true, "eve": false})
	check("a deleted group", old, map[string]bool{"ann": false, "bob": false})
	check("a blog post", post, map[string]bool{"ann": false, "bob": true})

	// A new group with the name of the deleted one is another group.
	require.NoError(t, w.site.SetGroup(sandbox.Group{Name: "gone", Members: []string{"eve", "bob"}}))
	w.sweep()
	check("a group with the name of a deleted one", old, map[string]bool{"bob": false})

	// An unknown class is not everyone.
	require.NoError(t, w.site.SetRoleMode(sandbox.Roles))
	require.NoError(t, w.site.SetSpaceReaders(space, sandbox.Reader{Kind: sandbox.ReaderUser, ID: api}, sandbox.Reader{Kind: "all-partners"}, sandbox.Reader{Kind: sandbox.ReaderUser, ID: "ann"}))
	w.sweep()
	check("an unknown access class (PipesHub)", staff, map[string]bool{"ann": true, "bob": false})

	// Somebody whose account is deactivated is still a member of groups.
	w.site.AddUser(sandbox.User{AccountID: "ann", Inactive: true})
	w.sweep()
	check("a deactivated account", staff, map[string]bool{"ann": false})
}

// permissionRoutes are the routes by which permissions are read.
var permissionRoutes = []string{
	"/wiki/rest/api/content/{id}/restriction/byOperation/{op}", "/wiki/rest/api/content/search", "/wiki/rest/api/group",
	"/wiki/rest/api/group/{id}/membersByGroupId", "/wiki/api/v2/spaces/{id}/permissions", "/wiki/api/v2/spaces/{id}/role-assignments",
	"/wiki/api/v2/space-roles", "/wiki/api/v2/space-role-mode", "/wiki/api/v2/users-bulk",
}

// Whatever a route answers, nobody sees more than before, and what everyone saw is not lost at once.
func TestNoFaultOpensAPage(t *testing.T) {
	t.Parallel()
	for _, kind := range []sandbox.FaultKind{
		sandbox.FaultForbidden, sandbox.FaultMissing, sandbox.FaultGone, sandbox.FaultServer, sandbox.FaultScope, sandbox.FaultHTML,
		sandbox.FaultTruncated, sandbox.FaultEmptyPage, sandbox.FaultRepeatCursor, sandbox.FaultCutOff, sandbox.FaultOddRow, sandbox.FaultDeadToken, sandbox.FaultTooMany,
	} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t)
			w.person("ann", "bob")
			require.NoError(t, w.site.SetGroup(sandbox.Group{Name: "staff", Members: []string{"ann", api}}))
			require.NoError(t, w.site.SetRoleMode(sandbox.RolesTransition))
			folder := w.create(sandbox.Draft{Kind: sandbox.KindFolder, Title: "Folder"})
			filed := w.create(sandbox.Draft{ParentID: folder, Title: "Filed"})
			closed := w.create(sandbox.Draft{Title: "Closed"})
			open := w.create(sandbox.Draft{Title: "Open"})
			require.NoError(t, w.site.Restrict(folder, []string{api}, []string{"staff"}))
			require.NoError(t, w.site.Restrict(closed, []string{"ann", api}, nil))
			faulty := func(route string) {
				require.NoError(t, w.site.SetFaults(1, sandbox.Fault{
					Kind: kind, Route: route, MaxLimit: 1, RetryAfter: 3600,
					Row: map[string]any{"restrictions": nil, "id": nil, "accountId": nil, "mode": nil, "principal": nil, "spacePermissions": nil},
				}))
			}
			require.NoError(t, w.site.SetFaults(1))
			w.client()
			w.run(event.Full)
			before := map[string]map[string]bool{"ann": w.admitted("ann"), "bob": w.admitted("bob")}
			require.True(t, before["ann"][filed] && before["ann"][closed] && before["bob"][open])
			require.False(t, before["bob"][filed] || before["bob"][closed])
			for _, route := range permissionRoutes {
				faulty(route)
				w.client()
				w.sweep()
				for who := range before {
					for id := range w.admitted(who) {
						require.True(t, before[who][id], "%s sees more after %s", who, route)
					}
				}
			}
			require.NoError(t, w.site.SetFaults(1))
			w.client()
			w.sweep()
			require.Empty(t, w.problem())
			for who := range before {
				require.Equal(t, before[who], w.admitted(who), "all is as it was")
			}
		})
	}
}

// Where nothing is known yet, a refusal is not "unrestricted".
func TestWhatCannotBeReadIsHidden(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person("bob")
	closed := w.create(sandbox.Draft{Title: "Closed"})
	require.NoError(t, w.site.Restrict(closed, []string{api}, nil))
	for _, kind := range []sandbox.FaultKind{sandbox.FaultForbidden, sandbox.FaultMissing, sandbox.FaultGone, sandbox.FaultServer, sandbox.FaultScope} {
		require.NoError(t, w.site.SetFaults(1, sandbox.Fault{Kind: kind, Route: permissionRoutes[0]},
			sandbox.Fault{Kind: kind, Route: permissionRoutes[1], Query: "expand=restrictions"}))
		w.client()
		w.run(event.Full)
		require.Contains(t, w.stored(), closed)
		require.Empty(t, w.admitted("bob"), kind)
		w.sweep()
		require.Empty(t, w.admitted("bob"), kind)
	}
	require.NoError(t, w.site.SetFaults(1))
	w.client()
	w.sweep()
	require.Len(t, w.admitted("bob"), 1, "the homepage")
}

// What was read too long ago is unknown.
func TestOldKnowledgeHides(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person("ann")
	open := w.create(sandbox.Draft{Title: "Open"})
	w.run(event.Full)
	require.True(t, w.admitted("ann")[open])
	require.NoError(t, w.site.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultForbidden, Route: "/wiki/rest/api/group"}))
	w.sweep()
	require.Equal(t, "unauthorized", w.problem())
	require.True(t, w.admitted("ann")[open], "what was known stays")
	_, err := w.conn.Exec(t.Context(), `UPDATE confluence_groups SET read_at = read_at - $1::interval`, 25*time.Hour)
	require.NoError(t, err)
	require.False(t, w.admitted("ann")[open])
}

// How old is too old is a setting of the fetcher, and the database has it at once.
func TestHowOldIsTooOldIsASetting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person("ann")
	open := w.create(sandbox.Draft{Title: "Open"})
	w.run(event.Full)
	for _, table := range []string{"confluence_groups SET read_at = read_at", "confluence_layers SET read_at = read_at", "confluence_spaces SET access_read_at = access_read_at"} {
		_, err := w.conn.Exec(t.Context(), `UPDATE `+table+` - interval '11 minutes'`)
		require.NoError(t, err)
	}
	require.NoError(t, w.site.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultForbidden, Route: "/wiki/rest/api/group"}))
	for _, step := range []struct {
		maxAge time.Duration
		seen   bool
	}{{24 * time.Hour, true}, {10 * time.Minute, false}, {12 * time.Minute, true}} {
		require.NoError(t, sweep.New(w.store, w, w.systems, time.Hour, step.maxAge, zerolog.Nop()).Look(t.Context()))
		require.Equal(t, step.seen, w.admitted("ann")[open], step.maxAge)
		src, err := w.store.Source(t.Context(), docs)
		require.NoError(t, err)
		require.Equal(t, step.maxAge, src.ReadersMaxAge)
		require.Equal(t, !step.seen, src.ReadersOld)
	}
}

// What a page shows of another one is what it holds itself: neither a title of a page that it links to by its id, nor
// the text of a page that it includes.
func TestAPageShowsNothingOfAnotherThatItDoesNotHold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person("ann", "bob")
	secret := w.create(sandbox.Draft{Title: "Takeover of zq1t", Body: "<h2>zq1h</h2><p>" + everyWord + " zq1b</p>"})
	require.NoError(t, w.site.Restrict(secret, []string{"ann", api}, nil))
	open := w.create(sandbox.Draft{Title: "Open", Body: "<p>" + everyWord + ` <a href="` + w.url + "/wiki/spaces/" + space + "/pages/" + secret + `">see</a>` +
		`<ac:link><ri:content-entity ri:content-id="` + secret + `" /></ac:link></p>` +
		`<ac:structured-macro ac:name="include"><ac:parameter ac:name=""><ac:link><ri:page ri:content-title="Takeover of zq1t" /></ac:link></ac:parameter></ac:structured-macro>` +
		`<ac:structured-macro ac:name="excerpt-include"><ac:parameter ac:name=""><ac:link><ri:page ri:content-title="Takeover of zq1t" /></ac:link></ac:parameter></ac:structured-macro>`})
	require.Empty(t, w.run(event.Full))
	handler, token := w.gateway()
	for reader, hears := range map[string][]string{"ann": {"zq1b", "zq1h", "zq1t"}, "bob": {"zq1t"}} { // the page holds the title
		f := w.as(handler, token, reader)
		f.lists()
		f.aside()
		f.one(open)
		f.one(secret)
		require.Equal(t, hears, slices.Sorted(maps.Keys(f.said)), reader)
	}
	related, err := w.store.Reader().Related(t.Context(), viewer.Everywhere().As("bob"), w.page(open).Key())
	require.NoError(t, err)
	for _, r := range related {
		require.NotEqual(t, secret, r.ID, r.Relation)
	}
}

// Groups and the space's readers are read apart from pages: a change of theirs is in force after the next sweep, without a
// run.
func TestGroupsAndSpacesAreReadApartFromPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person("ann", "bob", "eve")
	require.NoError(t, w.site.SetGroup(sandbox.Group{Name: "staff", Members: []string{"ann", "bob", api}}))
	closed, open := w.create(sandbox.Draft{Title: "Closed"}), w.create(sandbox.Draft{Title: "Open"})
	require.NoError(t, w.site.Restrict(closed, []string{api}, []string{"staff"}))
	require.Empty(t, w.run(event.Full))
	require.True(t, w.admitted("bob")[closed] && w.admitted("eve")[open] && !w.admitted("eve")[closed])
	require.NoError(t, w.site.SetGroup(sandbox.Group{Name: "staff", Members: []string{"ann", "eve", api}}))
	w.client()
	w.site.ResetStats()
	w.sweep()
	require.Zero(t, w.site.Stats().Bodies)
	require.True(t, w.admitted("eve")[closed])
	require.False(t, w.admitted("bob")[closed])
	require.True(t, w.admitted("bob")[open])
	require.NoError(t, w.site.SetSpaceReaders(space, sandbox.Reader{Kind: sandbox.ReaderUser, ID: api}, sandbox.Reader{Kind: sandbox.ReaderUser, ID: "ann"}))
	w.client()
	w.sweep()
	require.True(t, w.admitted("ann")[closed])
	require.Empty(t, w.admitted("eve"))
	require.Empty(t, w.admitted("bob"))

	// A run that cannot read who may use the site ends with a reason, and what was known stays in force.
	require.NoError(t, w.site.SetFaults(1, sandbox.Fault{Kind: sandbox.FaultForbidden, Route: "/wiki/rest/api/group"}))
	w.client()
	notes := w.run(event.Full)
	require.Len(t, notes, 1)
	require.Contains(t, notes[0], sweep.Missing)
	require.Equal(t, "unauthorized", w.problem())
	require.True(t, w.admitted("ann")[closed])
	require.Empty(t, w.admitted("bob"))
}
