package clienttest

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/confluence"
)

// row is one item that a read returned: its key and its content.
type row struct {
	key  string
	fact any
}

// read is one list or read of the client.
type read struct {
	name  string
	route string // its main route
	rows  int    // number of rows in a new world
	call  func(ctx context.Context, w *world, c *confluence.Client) ([]row, error)
}

const (
	v2 = "/wiki/api/v2"
	v1 = "/wiki/rest/api"
)

var reads = []read{
	{"SpacePages", v2 + "/spaces/{id}/pages", deep + 2, func(ctx context.Context, w *world, c *confluence.Client) ([]row, error) {
		return drain(c.SpacePages(ctx, w.space), func(p confluence.PageStub) string { return p.ID })
	}},
	{"GetSpacePageIDs", v2 + "/spaces", deep + 2, func(ctx context.Context, _ *world, c *confluence.Client) ([]row, error) {
		return drain(c.GetSpacePageIDs(ctx, "tree"), func(p confluence.PageStub) string { return p.ID })
	}},
	{"PagesByID", v2 + "/pages", deep, func(ctx context.Context, w *world, c *confluence.Client) ([]row, error) {
		pages, err := c.PagesByID(ctx, w.chain, confluence.PagesOptions{Body: true})
		return rowsOf(pages, func(p confluence.Page) string { return p.ID }), err
	}},
	{"CQLSearch", v1 + "/content/search", deep + 2, func(ctx context.Context, _ *world, c *confluence.Client) ([]row, error) {
		cql := confluence.Where(confluence.InSpace("TREE"), confluence.TypeIs("page"), confluence.ModifiedWithin(90))
		return drain(c.CQLSearch(ctx, cql, "version", 60), func(p confluence.SearchResult) string { return p.ID })
	}},
	{"Users", v2 + "/users-bulk", many, func(ctx context.Context, w *world, c *confluence.Client) ([]row, error) {
		users, err := c.Users(ctx, append([]string{"712020:nobody"}, w.people...))
		var rows []row
		for id, u := range users {
			rows = append(rows, row{id, u})
		}
		return sorted(rows), err
	}},
	{"Container", v2 + "/folders/{id}", 1, func(ctx context.Context, w *world, c *confluence.Client) ([]row, error) {
		f, err := c.Container(ctx, "folder", w.folder)
		return []row{{f.ID, f}}, err
	}},
	{"SpaceByKey", v2 + "/spaces", 1, func(ctx context.Context, _ *world, c *confluence.Client) ([]row, error) {
		s, err := c.SpaceByKey(ctx, "tree")
		return []row{{s.ID, s}}, err
	}},
	{"Probe", v1 + "/user/current", 1, func(ctx context.Context, _ *world, c *confluence.Client) ([]row, error) {
		p, err := c.Probe(ctx, "TREE")
		if err == nil && p.ServerTime.IsZero() {
			err = errors.New("a probe without the server's time")
		}
		return []row{{p.AccountID, p.Space}}, err
	}},
	{"Labels", v2 + "/pages/{id}/labels", many, func(ctx context.Context, w *world, c *confluence.Client) ([]row, error) {
		return drain(c.Labels(ctx, w.leaf()), func(l confluence.Label) string { return l.Name })
	}},
	{"SiteAttachments", v2 + "/attachments", many, func(ctx context.Context, w *world, c *confluence.Client) ([]row, error) {
		return drain(c.SiteAttachments(ctx), func(a confluence.Attachment) string { return a.ID })
	}},
	{"Attachment", v2 + "/attachments/{id}", 1, func(ctx context.Context, w *world, c *confluence.Client) ([]row, error) {
		a, err := c.Attachment(ctx, w.file)
		return []row{{a.ID, a}}, err
	}},
	{"Download", "/_media/file/{file}/binary", 1, func(ctx context.Context, w *world, c *confluence.Client) ([]row, error) {
		to, err := os.CreateTemp("", "sluice-test-*")
		if err != nil {
			return nil, err
		}
		defer func() { _ = to.Close() }()
		if err := os.Remove(to.Name()); err != nil {
			return nil, err
		}
		got, err := c.Download(ctx, confluence.Attachment{ID: w.file, PageID: w.leaf(), Version: 1, FileSize: 1000}, 1<<20, to)
		return []row{{got.Sum, got}}, err
	}},
	{"Attachments", v2 + "/pages/{id}/attachments", many, func(ctx context.Context, w *world, c *confluence.Client) ([]row, error) {
		return drain(c.Attachments(ctx, w.leaf()), func(a confluence.Attachment) string { return a.ID })
	}},
	{"SiteComments", v2 + "/footer-comments", 9, func(ctx context.Context, _ *world, c *confluence.Client) ([]row, error) {
		return drain(c.SiteComments(ctx, confluence.Footer), func(m confluence.Comment) string { return m.ID })
	}},
	{"Thread", v2 + "/inline-comments/{id}/children", 3, func(ctx context.Context, w *world, c *confluence.Client) ([]row, error) {
		thread, err := c.Thread(ctx, w.thread)
		return rowsOf(thread, func(m confluence.Comment) string { return m.ID }), err
	}},
	{"Comment", v2 + "/inline-comments/{id}", 1, func(ctx context.Context, w *world, c *confluence.Client) ([]row, error) {
		m, err := c.Comment(ctx, w.thread)
		return []row{{m.ID, m}}, err
	}},
	{"SearchComments", v1 + "/content/search", 15, func(ctx context.Context, _ *world, c *confluence.Client) ([]row, error) {
		cql := confluence.Where(confluence.InSpace("TREE"), confluence.TypeIs(confluence.KindComment)).OrderBy("id", confluence.Asc)
		return drain(c.SearchComments(ctx, cql), func(m confluence.CommentHit) string { return m.ID })
	}},
	{"Ancestors", v2 + "/pages/{id}/ancestors", deep + 1, func(ctx context.Context, w *world, c *confluence.Client) ([]row, error) {
		above, err := c.Ancestors(ctx, w.leaf())
		return rowsOf(above, func(a confluence.Ancestor) string { return a.ID }), err
	}},
	{"Restrictions", v1 + "/content/{id}/restriction/byOperation", 232, func(ctx context.Context, w *world, c *confluence.Client) ([]row, error) {
		rows, err := drain(c.Restrictions(ctx, w.closed), func(r confluence.Restriction) string {
			return r.Operation + ":" + r.AccountID + r.GroupName
		})
		return sorted(rows), err // people and groups alternate, depending on the size of a response
	}},
	{"ReadersOf", v1 + "/content/{id}/restriction/byOperation/{op}", 232, func(ctx context.Context, w *world, c *confluence.Client) ([]row, error) {
		r, err := c.ReadersOf(ctx, w.closed)
		return rowsOf(slices.Concat(r.Users, r.Groups), func(id string) string { return id }), err
	}},
	{"SearchReaders", v1 + "/content/search", deep + 2 + many, func(ctx context.Context, _ *world, c *confluence.Client) ([]row, error) {
		return drain(c.SearchReaders(ctx, confluence.InSpace("TREE")), func(r confluence.ContentReaders) string { return r.ID })
	}},
	{"SpacePermissions", v2 + "/spaces/{id}/permissions", 3 * many, func(ctx context.Context, w *world, c *confluence.Client) ([]row, error) {
		return drain(c.SpacePermissions(ctx, w.space), func(g confluence.Grant) string { return g.ID + g.Operation })
	}},
	{"RoleAssignments", v2 + "/spaces/{id}/role-assignments", many + 1, func(ctx context.Context, w *world, c *confluence.Client) ([]row, error) {
		return drain(c.RoleAssignments(ctx, w.space), func(g confluence.Grant) string { return g.Kind + g.ID })
	}},
	{"GroupMembers", v1 + "/group/{id}/membersByGroupId", many + 1, func(ctx context.Context, w *world, c *confluence.Client) ([]row, error) {
		ids, err := c.GroupMembers(ctx, w.crowd)
		return rowsOf(ids, func(id string) string { return id }), err
	}},
	{"AccessGroups", v1 + "/group", many, func(ctx context.Context, _ *world, c *confluence.Client) ([]row, error) {
		ids, err := c.AccessGroups(ctx, "admin")
		return rowsOf(ids, func(id string) string { return id }), err
	}},
	{"GetPageByID", v2 + "/pages/{id}", 1, func(ctx context.Context, w *world, c *confluence.Client) ([]row, error) {
		p, err := c.GetPageByID(ctx, w.leaf(), "body")
		return []row{{p.ID, p}}, err
	}},
	{"GetPageByIDWithAll", v2 + "/pages/{id}/labels", 1 + many + deep + 1, func(ctx context.Context, w *world, c *confluence.Client) ([]row, error) {
		p, err := c.GetPageByID(ctx, w.leaf(), "body,labels,ancestors")
		labels := rowsOf(p.Labels, func(l confluence.Label) string { return "label " + l.Name })
		above := rowsOf(p.Ancestors, func(a confluence.Ancestor) string { return "above " + a.ID })
		p.Labels, p.Ancestors = nil, nil
		return slices.Concat([]row{{p.ID, p}}, labels, above), err
	}},
	{"SpaceBlogPosts", v2 + "/spaces/{id}/blogposts", many, func(ctx context.Context, w *world, c *confluence.Client) ([]row, error) {
		return drain(c.SpaceBlogPosts(ctx, w.space), func(p confluence.PageStub) string { return p.ID })
	}},
	{"BlogPostsByID", v2 + "/blogposts", many, func(ctx context.Context, w *world, c *confluence.Client) ([]row, error) {
		posts, err := c.BlogPostsByID(ctx, w.posts, confluence.PagesOptions{Body: true, Statuses: []string{"current", "archived", "trashed"}})
		return rowsOf(posts, func(p confluence.Page) string { return p.ID }), err
	}},
	{"GetBlogPostByID", v2 + "/blogposts/{id}", 2, func(ctx context.Context, w *world, c *confluence.Client) ([]row, error) {
		p, err := c.GetBlogPostByID(ctx, w.posts[0], "body,labels,ancestors")
		labels := rowsOf(p.Labels, func(l confluence.Label) string { return "label " + l.Name })
		p.Labels = nil
		return append([]row{{p.ID, p}}, labels...), err
	}},
	{"CQLSearchForBoth", v1 + "/content/search", deep + 2 + many, func(ctx context.Context, _ *world, c *confluence.Client) ([]row, error) {
		cql := confluence.Where(confluence.InSpace("TREE"), confluence.TypeIn(confluence.KindPage, confluence.KindBlogPost), confluence.ModifiedWithin(90))
		return drain(c.CQLSearch(ctx, cql, "version", 60), func(p confluence.SearchResult) string { return p.ID })
	}},
}

func sorted(rows []row) []row {
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.key, b.key) })
	return rows
}

func rowsOf[T any](all []T, key func(T) string) []row {
	rows := make([]row, 0, len(all))
	for _, v := range all {
		rows = append(rows, row{key(v), v})
	}
	return rows
}

// drain reads a list to its end, as its callers do: an error is the last pair.
func drain[T any](seq iter.Seq2[T, error], key func(T) string) ([]row, error) {
	var rows []row
	for v, err := range seq {
		if err != nil {
			return rows, err
		}
		rows = append(rows, row{key(v), v})
	}
	return rows, nil
}

// truth is what a read returns without faults.
type truth struct {
	rows    []row
	missing bool // the item itself does not exist
}

// truth returns what the read returns for the site as it is now.
func (w *world) truth(tb testing.TB, r read) truth {
	tb.Helper()
	rows, err := r.call(tb.Context(), w, w.client(tb))
	var missing *confluence.NotFoundError
	if errors.As(err, &missing) {
		return truth{missing: true}
	}
	require.NoError(tb, err, r.name)
	return truth{rows: rows}
}

// Without faults, the reads return what the site contains.
func TestReadsFindWhatIsThere(t *testing.T) {
	w := newWorld(t)
	t.Cleanup(w.close)
	for _, r := range reads {
		got := w.truth(t, r)
		require.Len(t, got.rows, r.rows, r.name)
		keys := map[string]bool{}
		for _, row := range got.rows {
			keys[row.key] = true
		}
		require.Len(t, keys, r.rows, r.name)
	}
	want := map[string]sandbox.Page{}
	for _, p := range w.site.Pages("TREE") {
		want[p.ID] = p
	}
	for _, row := range w.truth(t, reads[2]).rows {
		got, ok := row.fact.(confluence.Page)
		require.True(t, ok)
		p := want[got.ID]
		body, err := w.site.Body(got.ID)
		require.NoError(t, err)
		require.Equal(t, []any{p.Version, p.Status, p.Title, p.ParentID, string(p.ParentType), body}, []any{got.Version, got.Status, got.Title, got.ParentID, got.ParentType, got.Body})
	}
	for _, row := range w.truth(t, reads[0]).rows {
		require.Contains(t, want, row.key)
	}
}
