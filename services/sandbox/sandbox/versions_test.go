package sandbox

import (
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// versionOf is the page's version in the list of the space, which must match the page's own answer.
func (c *caller) versionOf(space, id string) (number float64, at string) {
	c.t.Helper()
	for _, row := range c.get(200, "/wiki/api/v2/spaces/"+c.spaceID(space)+"/pages").rows() {
		if row["id"] == id {
			listed := row["version"].(map[string]any)
			one := c.get(200, "/wiki/api/v2/pages/"+id).body["version"].(map[string]any)
			require.Equal(c.t, listed, one)
			return listed["number"].(float64), listed["createdAt"].(string)
		}
	}
	require.Fail(c.t, "not listed", id)
	return 0, ""
}

// A number does not identify a text once old versions are deleted: it falls, and is reused for
// another text. The version's time tells them apart.
func TestOldVersionsAreDeletedAndTheRestNumberedAnew(t *testing.T) {
	clk := newClock()
	c, alpha, _ := small(t, Options{Now: clk.Now})
	edit := func(body string) {
		clk.advance(time.Minute)
		_, err := c.site.EditPage(alpha.ID, Edit{Body: &body})
		require.NoError(t, err)
	}
	for range 9 {
		edit("<p>old</p>")
	}
	number, tenth := c.versionOf("ENG", alpha.ID)
	require.EqualValues(t, 10, number)

	require.NoError(t, c.site.KeepVersions(alpha.ID, 2))
	number, at := c.versionOf("ENG", alpha.ID)
	require.EqualValues(t, 2, number)
	require.Equal(t, tenth, at, "the newest version is the same, under another number")
	require.Len(t, c.get(200, "/wiki/api/v2/pages/"+alpha.ID+"/versions").rows(), 2)
	edit("<p>new</p>")
	number, _ = c.versionOf("ENG", alpha.ID)
	require.EqualValues(t, 3, number, "after 10")

	require.NoError(t, c.site.KeepVersions(alpha.ID, 2))
	edit("<p>newer</p>")
	number, at = c.versionOf("ENG", alpha.ID)
	require.EqualValues(t, 3, number, "the same number again")
	require.Equal(t, "2026-06-01T12:11:00.000Z", at, "at another time")
	body, err := c.site.Body(alpha.ID)
	require.NoError(t, err)
	require.Equal(t, "<p>newer</p>", body)

	require.ErrorIs(t, c.site.KeepVersions(alpha.ID, 0), ErrInvalid)
	require.ErrorIs(t, c.site.KeepVersions(alpha.ID, 4), ErrInvalid)
	require.Equal(t, 1, c.post(200, "/_sandbox/pages/"+alpha.ID+"/keep-versions", `{"keep":1}`).page(t).Version)
}

func TestAVersionMayHaveAnAbsurdNumber(t *testing.T) {
	c, alpha, _ := small(t, Options{})
	at := "/_sandbox/pages/" + alpha.ID
	require.Equal(t, math.MaxInt32, c.post(200, at+"/number", `{"number":2147483647}`).page(t).Version)
	require.Len(t, c.get(200, "/wiki/api/v2/pages/"+alpha.ID+"/versions?limit=250").rows(), 250)
	require.Equal(t, math.MaxInt32+1, c.post(200, at+"/edit", ``).page(t).Version, "the next edit leaves int32")
	number, _ := c.versionOf("ENG", alpha.ID)
	require.EqualValues(t, math.MaxInt32+1, number)
	require.Equal(t, http.StatusOK, c.post(200, at+"/number", `{"number":4}`).status, "and back")
	require.ErrorIs(t, c.site.NumberVersion(alpha.ID, 0), ErrInvalid)
}
