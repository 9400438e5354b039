package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// page reads the answer of a control route.
func (a answer) page(t *testing.T) Page {
	t.Helper()
	var p Page
	require.NoError(t, json.Unmarshal([]byte(a.raw), &p))
	return p
}

func TestControlOverHTTP(t *testing.T) {
	c := serve(t, New(Options{}))
	c.post(200, "/_sandbox/spaces", `{"key":"ENG","name":"Engineering"}`)
	c.post(409, "/_sandbox/spaces", `{"key":"ENG","name":"again"}`)
	c.post(200, "/_sandbox/spaces", `{"key":"GEN","pages":30,"seed":4}`)
	require.Len(t, c.walk("/wiki/api/v2/spaces/"+c.spaceID("GEN")+"/pages", "id"), 30)

	p := c.post(201, "/_sandbox/pages", `{"space":"ENG","title":"One","body":"<p>1</p>","labels":["a"]}`).page(t)
	at := "/_sandbox/pages/" + p.ID
	child := c.post(201, "/_sandbox/pages", `{"parent_id":"`+p.ID+`","title":"Two","kind":"folder"}`).page(t)
	require.Equal(t, KindFolder, child.Kind)

	require.Equal(t, 2, c.post(200, at+"/edit", `{"title":"One, again","body":"<p>2</p>","message":"m"}`).page(t).Version)
	require.Equal(t, 3, c.post(200, at+"/edit", ``).page(t).Version)
	require.Equal(t, []string{"b"}, c.post(200, at+"/label", `{"labels":["B"]}`).page(t).Labels)
	require.Equal(t, "GEN", c.post(200, at+"/move", `{"space":"GEN"}`).page(t).Space)
	require.Empty(t, c.post(200, at+"/move", `{}`).page(t).ParentID)
	require.True(t, c.post(200, at+"/restrict", `{"users":[],"groups":["admins"]}`).page(t).Hidden)
	require.False(t, c.post(200, at+"/unrestrict", ``).page(t).Hidden)
	c.post(200, at+"/comment", `{"comment":{"body":"<p>hm</p>"}}`)
	require.Len(t, c.get(200, "/wiki/api/v2/pages/"+p.ID+"/footer-comments").rows(), 1)
	require.Equal(t, archived, c.post(200, at+"/archive", ``).page(t).Status)
	require.Equal(t, current, c.post(200, at+"/restore", ``).page(t).Status)
	require.Equal(t, trashed, c.post(200, at+"/trash", `{"tree":true}`).page(t).Status)
	require.Equal(t, trashed, c.get(200, at).page(t).Status)
	require.Equal(t, 204, c.post(204, at+"/purge", ``).status)
	require.Contains(t, c.get(404, at).body["error"], "no such content")
	c.post(404, at+"/edit", `{}`)
	c.post(400, "/_sandbox/pages", `{"space":"ENG","title":""}`)
	c.post(400, "/_sandbox/pages", `not json`)

	c.post(200, "/_sandbox/spaces/ENG/hide", ``)
	require.Empty(t, c.get(200, "/wiki/api/v2/spaces?keys=ENG").rows())
	c.post(200, "/_sandbox/spaces/ENG/show", ``)
	require.Len(t, c.get(200, "/wiki/api/v2/spaces?keys=ENG").rows(), 1)
	c.post(404, "/_sandbox/spaces/NO/hide", ``)
	require.Len(t, c.get(200, "/_sandbox/spaces/GEN/pages").body["pages"], 30)
}

func TestControlNeedsNoCredential(t *testing.T) {
	c := builtin(t)
	req := c.request(http.MethodGet, "/_sandbox/", "")
	req.Header.Del("Authorization")
	a := c.do(req)
	require.Equal(t, 200, a.status)
	require.Equal(t, c.url+"/wiki", a.body["base_url"])
	require.NotContains(t, a.raw, DefaultToken)
	space := a.body["spaces"].([]any)[0].(map[string]any)
	require.Equal(t, BuiltinSpace, space["key"])
	require.Equal(t, 200, c.get(200, space["homepage"].(string)[len(c.url):]).status)
}

func TestStatsCountByRouteTemplate(t *testing.T) {
	c, alpha, beta := small(t, Options{})
	c.get(200, "/wiki/api/v2/pages/"+alpha.ID+"?body-format=storage")
	c.get(200, "/wiki/api/v2/pages/"+beta.ID)
	c.get(404, "/wiki/api/v2/pages/1")
	c.get(200, "/wiki/api/v2/pages?body-format=storage")
	c.get(200, "/wiki/spaces/ENG/overview")
	s := c.site.Stats()
	require.Equal(t, map[string]int64{"/wiki/api/v2/pages/{id}": 3, "/wiki/api/v2/pages": 1}, s.Calls)
	require.Equal(t, map[int]int64{200: 3, 404: 1}, s.Statuses)
	require.EqualValues(t, 4, s.Total)
	require.EqualValues(t, 4, s.Bodies, "one, and three of the list")
	require.Positive(t, s.Bytes)
	require.Zero(t, s.Active)
	require.GreaterOrEqual(t, s.Peak, 1)
	require.EqualValues(t, 4, c.get(200, "/_sandbox/stats").body["total"])
	c.post(200, "/_sandbox/stats/reset", "")
	require.Zero(t, c.site.Stats().Total)
}

func TestPeakIsTheMostCallsAtOnce(t *testing.T) {
	var rec recorder
	const calls = 5
	var inside sync.WaitGroup
	inside.Add(calls)
	h := rec.counted("/x", func(http.ResponseWriter, *http.Request) {
		inside.Done()
		inside.Wait() // until all are inside
	})
	var all sync.WaitGroup
	for range calls {
		all.Go(func() { h(nil, nil) })
	}
	all.Wait()
	require.Equal(t, calls, rec.now.Peak)
	require.Zero(t, rec.now.Active)
}

func TestReadersAndWritersAtOnce(t *testing.T) {
	site := New(Options{})
	site.AddGenerated("GEN", 200, 1)
	c := serve(t, site)
	pages := site.Pages("GEN")
	space := c.spaceID("GEN")
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for i := range 25 {
				id := pages[1+(w*25+i)%199].ID
				_, _ = site.EditPage(id, Edit{}) // refused when another has trashed it
				_ = site.MovePage(id, pages[(i*7)%199].ID)
				_ = site.SetLabels(id, "x")
				_ = site.TrashPage(id)
				_ = site.RestorePage(id)
				p, err := site.CreatePage(Draft{Space: "GEN", Title: fmt.Sprint("new ", w, i)})
				if err == nil {
					_ = site.PurgePage(p.ID)
				}
			}
		})
		all.Go(func() {
			for _, path := range []string{
				"/wiki/api/v2/spaces/" + space + "/pages?limit=250&body-format=storage", "/wiki/api/v2/pages?sort=-modified-date&limit=250",
				"/wiki/rest/api/content/search?cql=type%3Dpage+order+by+lastmodified&expand=version,ancestors", "/wiki/spaces/GEN/overview",
				"/wiki/api/v2/pages/" + pages[0].ID + "/descendants?depth=10&limit=250", "/_sandbox/",
			} {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url+path, nil)
				if err != nil {
					t.Error(err)
					return
				}
				req.SetBasicAuth(DefaultEmail, DefaultToken)
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				_ = res.Body.Close()
				if res.StatusCode != http.StatusOK {
					t.Errorf("%s: %s", path, res.Status)
				}
			}
		})
	}
	all.Wait()
	require.Len(t, c.walk("/wiki/api/v2/spaces/"+space+"/pages?limit=50", "id"), 200)
}
