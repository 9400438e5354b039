package confluence_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/confluence"
)

func limitedTo(users, groups string) string {
	return `{"operation":"read","restrictions":{"user":{"results":[` + users + `],"start":0,"limit":100},"group":{"results":[` + groups + `],"start":0,"limit":100}}}`
}

// No answer and half an answer are never "not limited".
func TestReadersOfNeedsAWholeAnswer(t *testing.T) {
	for name, body := range map[string]string{
		"no restrictions":   `{"operation":"read"}`,
		"no groups":         `{"operation":"read","restrictions":{"user":{"results":[]}}}`,
		"no users":          `{"operation":"read","restrictions":{"group":{"results":[]}}}`,
		"no rows":           `{"operation":"read","restrictions":{"user":{},"group":{"results":[]}}}`,
		"another operation": `{"operation":"update","restrictions":{"user":{"results":[]},"group":{"results":[]}}}`,
		"nothing":           `{}`,
	} {
		_, c := serve(t, always(200, body))
		_, err := c.ReadersOf(context.Background(), "7")
		var bad *confluence.ProtocolError
		require.ErrorAs(t, err, &bad, name)
		require.Equal(t, "7", bad.ObjectID)
	}
	for _, status := range []int{401, 403, 404, 410, 500} {
		_, c := serve(t, always(status, `{"statusCode":1,"message":"no"}`))
		_, err := c.ReadersOf(context.Background(), "7")
		require.Error(t, err, status)
	}
	_, c := serve(t, always(200, `{}`))
	_, err := c.ReadersOf(context.Background(), "../7")
	require.ErrorIs(t, err, confluence.ErrInvalidID)
}

func TestReadersOf(t *testing.T) {
	_, c := serve(t, always(200, limitedTo("", "")))
	got, err := c.ReadersOf(context.Background(), "7")
	require.NoError(t, err)
	require.False(t, got.Limited())

	// Somebody without an id admits nobody, and limits all the same.
	_, c = serve(t, always(200, limitedTo(`{"type":"unknown","username":"old"}`, `{"type":"group","name":"staff"}`)))
	got, err = c.ReadersOf(context.Background(), "7")
	require.NoError(t, err)
	require.Equal(t, confluence.Readers{Others: 2}, got)
	require.True(t, got.Limited())
}

func TestSearchReadersSaysWhatIsComplete(t *testing.T) {
	row := func(id, restrictions string) string {
		return `{"id":"` + id + `","type":"page","restrictions":` + restrictions + `}`
	}
	_, c := serve(t, always(200, `{"results":[`+row("1", `{"read":`+limitedTo("", "")+`}`)+`,`+
		row("2", `{"read":`+limitedTo(`{"accountId":"ann"}`, `{"id":"staff"}`)+`}`)+`,`+
		row("3", `{"_expandable":{"read":""}}`)+`,`+row("4", `null`)+`,`+
		row("5", `{"read":{"operation":"read","restrictions":{"user":{"results":[{"accountId":"ann"}],"limit":1},"group":{"results":[],"limit":1}}}}`)+
		`]}`))
	var got []confluence.ContentReaders
	for r, err := range c.SearchReaders(context.Background(), confluence.InSpace("ENG")) {
		require.NoError(t, err)
		got = append(got, r)
	}
	require.Equal(t, []confluence.ContentReaders{
		{ID: "1", Complete: true},
		{ID: "2", Complete: true, Readers: confluence.Readers{Users: []string{"ann"}, Groups: []string{"staff"}}},
		{ID: "3"},
		{ID: "4"}, {ID: "5"},
	}, got)
}

// A group that is missing from the list would make a part of the people look like all of them.
func TestAccessGroupsEndsWithAnAnswerWithoutRows(t *testing.T) {
	one := func(id string) http.HandlerFunc {
		return always(200, `{"results":[{"id":"`+id+`","name":"x"}],"limit":200}`)
	}
	_, c := serve(t, script(one("a"), one("b"), always(200, `{"results":[],"limit":200}`)))
	got, err := c.AccessGroups(context.Background(), "user")
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, got)
	for _, body := range []string{`{}`, `{"results":[{"name":"x"}]}`, `{"results":[{"id":"a"}],"start":5}`} {
		_, c = serve(t, always(200, body))
		_, err = c.AccessGroups(context.Background(), "user")
		require.Error(t, err, body)
	}
}

func TestGroupMembers(t *testing.T) {
	_, c := serve(t, script(always(200, `{"results":[{"accountId":"a"},{"accountId":"b"}],"start":0,"limit":2}`), always(200, `{"results":[{"accountId":"c"},{}],"start":2,"limit":200}`)))
	got, err := c.GroupMembers(context.Background(), "staff")
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b", "c"}, got, "the site has lowered the limit")
	_, c = serve(t, always(404, `{"statusCode":404,"message":"no group"}`))
	_, err = c.GroupMembers(context.Background(), "staff")
	var missing *confluence.NotFoundError
	require.True(t, errors.As(err, &missing))
	_, err = c.GroupMembers(context.Background(), "a/b")
	require.ErrorIs(t, err, confluence.ErrInvalidID)
}

func TestSpaceRoleModeIsOneOfThree(t *testing.T) {
	_, c := serve(t, always(200, `{"mode":"ROLES"}`))
	mode, err := c.SpaceRoleMode(context.Background())
	require.NoError(t, err)
	require.Equal(t, confluence.ModeRoles, mode)
	for _, body := range []string{`{}`, `{"mode":"NEW"}`} {
		_, c = serve(t, always(200, body))
		_, err = c.SpaceRoleMode(context.Background())
		require.Error(t, err)
	}
}
