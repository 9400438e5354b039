package confluence_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/failure"
)

// sorted reads a listing to its end and separates usable rows from unusable ones.
func sorted[T any](t *testing.T, seq func(func(T, error) bool)) (good []T, bad []*confluence.RowError, err error) {
	t.Helper()
	for v, err := range seq {
		var row *confluence.RowError
		switch {
		case errors.As(err, &row):
			require.Zero(t, v)
			bad = append(bad, row)
		case err != nil:
			return good, bad, err
		default:
			good = append(good, v)
		}
	}
	return good, bad, nil
}

// The faults of row 1002 of a listing, and the text in their errors.
var oddRows = map[string]struct{ from, to, says string }{
	"a date that is none":      {`"2026-02-03T04:05:06.789Z"`, `"yesterday"`, "at /version/createdAt: an invalid timestamp"},
	"a version beyond int32":   {`"number":3,`, `"number":2147483648,`, "2147483648"},
	"a version beyond int64":   {`"number":3,`, `"number":1e30,`, "at /version/number: "},
	"no version":               {`"version":{`, `"was":{`, "without a version"},
	"a status of another type": {`"status":"current"`, `"status":[1]`, "at /status: a JSON list that does not belong there"},
	"a parent that is none":    {`"parentId":"7"`, `"parentId":"x"`, "parent"},
}

// An unusable row fails alone: the listing has all the others, in order, and continues to its end.
func TestARowThatIsNoUseFailsAlone(t *testing.T) {
	for name, odd := range oddRows {
		t.Run(name, func(t *testing.T) {
			row := strings.Replace(pageRow(1002, 3, ""), odd.from, odd.to, 1)
			require.NotEqual(t, pageRow(1002, 3, ""), row)
			_, c := serve(t, byCursor(map[string]string{
				"":  listOf(listPath+"?cursor=b", pageRow(1001, 3, ""), row, pageRow(1003, 3, "")),
				"b": listOf("", pageRow(1004, 3, "")),
			}))
			good, bad, err := sorted(t, c.SpacePages(context.Background(), "42"))
			require.NoError(t, err)
			require.Len(t, good, 3)
			require.Equal(t, []string{"1001", "1003", "1004"}, []string{good[0].ID, good[1].ID, good[2].ID})
			require.Len(t, bad, 1)
			require.Equal(t, []string{"1002", confluence.KindPage}, []string{bad[0].ID, bad[0].Kind})
			require.Contains(t, bad[0].Error(), "row 1002")
			require.Contains(t, bad[0].Error(), odd.says)
			require.Equal(t, failure.Protocol, failure.CodeOf(bad[0]))

			// A caller that does not handle such rows still gets an error, which names the page.
			got, err := ids(c.SpacePages(context.Background(), "42"))
			require.Equal(t, []string{"1001"}, got)
			var protocol *confluence.ProtocolError
			require.ErrorAs(t, err, &protocol)
			require.Equal(t, "1002", protocol.ObjectID)
			require.False(t, protocol.Listing)
		})
	}
}

// The object of a row without an id is unknown, so the listing is not complete.
func TestARowWithoutAnIDFailsTheListing(t *testing.T) {
	for _, id := range []string{`"id":7`, `"id":"x"`, `"id":null`, `"ID":"1002"`} {
		row := strings.Replace(strings.Replace(pageRow(1002, 3, ""), `"2026-02-03T04:05:06.789Z"`, `"yesterday"`, 1), `"id":"1002"`, id, 1)
		_, c := serve(t, always(200, listOf("", pageRow(1001, 3, ""), row)))
		_, bad, err := sorted(t, c.SpacePages(context.Background(), "42"))
		require.Empty(t, bad, id)
		var protocol *confluence.ProtocolError
		require.ErrorAs(t, err, &protocol, id)
		require.Equal(t, failure.Protocol, failure.CodeOf(err))
	}
}

func TestAResultThatIsNoUseFailsAlone(t *testing.T) {
	_, c := serve(t, always(200, `{"results":[
		{"id":"1","type":"page","version":{"number":1,"when":"2026-01-01T00:00:00.000Z"}},
		{"id":"2","type":"page","version":{"number":1,"when":"soon"}},
		{"id":"3","type":"blogpost","version":{"number":[]}},
		{"id":"4","type":"page","version":{"number":4294967296}},
		{"id":"5","type":"page"},
		{"id":"6","type":"page","version":{"number":6}}],"_links":{}}`))
	good, bad, err := sorted(t, c.CQLSearch(context.Background(), confluence.Where(confluence.TypeIs("page")), "version", 0))
	require.NoError(t, err)
	require.Equal(t, []string{"1", "6"}, []string{good[0].ID, good[1].ID})
	require.Len(t, bad, 4)
	for i, want := range []string{"2", "3", "4", "5"} {
		require.Equal(t, want, bad[i].ID)
	}
	require.Equal(t, "blogpost", bad[1].Kind)
}

// A bulk read fails for the one page that its error names.
func TestAPageThatIsNoUseIsNamed(t *testing.T) {
	row := strings.Replace(pageRow(1002, 3, ""), `"2026-02-03T04:05:06.789Z"`, `"yesterday"`, 1)
	_, c := serve(t, always(200, listOf("", pageRow(1001, 3, ""), row)))
	_, err := c.PagesByID(context.Background(), []string{"1001", "1002"}, confluence.PagesOptions{})
	var protocol *confluence.ProtocolError
	require.ErrorAs(t, err, &protocol)
	require.Equal(t, "1002", protocol.ObjectID)
}

// Databases store no NUL, and no author needs one.
func TestANULIsLeftOut(t *testing.T) {
	nul := func(s string) string { return strings.ReplaceAll(s, "~", `\u0000`) }
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/wiki/api/v2/pages/1001/labels":
			reply(w, 200, nul(listOf("", `{"id":"1","name":"la~bel","prefix":"global"}`)))
		case "/wiki/api/v2/folders/7":
			reply(w, 200, nul(`{"id":"7","title":"Fol~der"}`))
		case "/wiki/api/v2/users-bulk":
			reply(w, 200, nul(listOf("", `{"accountId":"a1","displayName":"Na~me"}`)))
		default:
			reply(w, 200, nul(listOf("", strings.Replace(pageRow(1001, 3, `,"body":{"storage":{"value":"<ri:page ri:content-title=\"Al~pha\"/>"}}`), `"Page 1001"`, `"Ti~tle"`, 1))))
		}
	})
	ctx := context.Background()
	stubs, _, err := sorted(t, c.SpacePages(ctx, "42"))
	require.NoError(t, err)
	require.Equal(t, "Title", stubs[0].Title)
	pages, err := c.PagesByID(ctx, []string{"1001"}, confluence.PagesOptions{Body: true})
	require.NoError(t, err)
	require.Equal(t, []string{"Title", `<ri:page ri:content-title="Alpha"/>`}, []string{pages[0].Title, pages[0].Body})
	labels, _, err := sorted(t, c.Labels(ctx, "1001"))
	require.NoError(t, err)
	require.Equal(t, "label", labels[0].Name)
	folder, err := c.Container(ctx, "folder", "7")
	require.NoError(t, err)
	require.Equal(t, "Folder", folder.Title)
	users, err := c.Users(ctx, []string{"a1"})
	require.NoError(t, err)
	require.Equal(t, "Name", users["a1"].DisplayName)
}
