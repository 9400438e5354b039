package sandbox

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFaultChangesUnderWay(t *testing.T) {
	set := func(f Fault) *caller {
		c := faulty(t, Options{}, Fault{})
		f.Route, f.Times = "/wiki/api/v2/pages", 1
		require.NoError(t, c.site.SetFaults(1, f))
		return c
	}
	// changed lists the pages that a read of the list reports as changed.
	changed := func(c *caller) (before, after []Page) {
		was := c.site.Pages("GEN")
		c.get(200, listed)
		for i, p := range c.site.Pages("GEN") {
			if p.Version != was[i].Version || p.Status != was[i].Status || p.ParentID != was[i].ParentID {
				before, after = append(before, was[i]), append(after, p)
			}
		}
		return before, after
	}

	before, after := changed(set(Fault{Kind: FaultEdit}))
	require.Len(t, after, 1)
	require.Equal(t, before[0].Version+1, after[0].Version)
	_, again := changed(set(Fault{Kind: FaultEdit}))
	require.Equal(t, after[0].ID, again[0].ID, "the page follows from the seed")

	c := faulty(t, Options{}, Fault{})
	leaf := c.site.Pages("GEN")[59]
	require.NoError(t, c.site.SetFaults(1, Fault{Kind: FaultMove, PageID: leaf.ID, Times: 1}))
	_, after = changed(c)
	require.Len(t, after, 1)
	require.Equal(t, c.site.Pages("GEN")[0].ID, after[0].ParentID)

	require.NoError(t, c.site.SetFaults(1, Fault{Kind: FaultTrash, PageID: leaf.ID}))
	_, after = changed(c)
	require.Equal(t, "trashed", after[0].Status)
	_, after = changed(c)
	require.Empty(t, after, "what is in the trash stays there")
}

func TestFaultBurstLimit(t *testing.T) {
	c := faulty(t, Options{}, Fault{Kind: FaultBurst, MaxCalls: 3, RetryAfter: 2})
	for range 3 {
		c.get(200, listed)
	}
	require.Equal(t, "2", c.get(429, listed).header.Get("Retry-After"))
	require.Equal(t, 4, c.site.Stats().PeakRate)
	began := time.Now()
	require.Eventually(t, func() bool {
		return c.do(c.request(http.MethodGet, listed, "")).status == 200
	}, 5*time.Second, 50*time.Millisecond)
	require.Greater(t, time.Since(began), 500*time.Millisecond, "the window is a second")
}

// Faulty answers use the site's clock too: clients compute their waits from it.
func TestFaultsAreDatedByTheSitesClock(t *testing.T) {
	clk := newClock()
	a := faulty(t, Options{Now: clk.Now}, Fault{Kind: FaultTooMany}).get(429, listed)
	require.Equal(t, clk.Now().Format(http.TimeFormat), a.header.Get("Date"))
}

func TestRepliesAreBelowTheirComments(t *testing.T) {
	c, alpha, beta := small(t, Options{})
	note := func(page string, n Comment) string {
		id, err := c.site.AddComment(page, n)
		require.NoError(t, err)
		return id
	}
	first := note(alpha.ID, Comment{Body: "<p>1</p>"})
	reply := note(alpha.ID, Comment{Body: "<p>2</p>", ParentID: first})
	deep := note(alpha.ID, Comment{Body: "<p>3</p>", ParentID: reply})
	children := func(id string) []string {
		return c.get(200, "/wiki/api/v2/footer-comments/"+id+"/children").column("id")
	}
	require.Equal(t, []string{first}, c.get(200, "/wiki/api/v2/pages/"+alpha.ID+"/footer-comments").column("id"), "the top level only")
	require.Equal(t, []string{reply}, children(first))
	require.Equal(t, []string{deep}, children(reply))
	require.Empty(t, children(deep))
	c.get(404, "/wiki/api/v2/footer-comments/4711/children")
	_, err := c.site.AddComment(beta.ID, Comment{ParentID: first})
	require.ErrorIs(t, err, ErrNotFound, "it is on another page")
	require.NoError(t, c.site.Restrict(alpha.ID, nil, nil))
	c.get(404, "/wiki/api/v2/footer-comments/"+first+"/children")
}

func TestRestrictionsGoOnAfterAHundred(t *testing.T) {
	c, alpha, _ := small(t, Options{})
	users := []string{apiUser}
	for i := range 120 {
		users = append(users, "712020:"+formatID(int64(i+1)))
	}
	require.NoError(t, c.site.Restrict(alpha.ID, users, []string{"staff"}))
	path := "/wiki/rest/api/content/" + alpha.ID + "/restriction/byOperation"
	count := func(op any, who string) int {
		return len(op.(map[string]any)["restrictions"].(map[string]any)[who].(map[string]any)["results"].([]any))
	}
	all := c.get(200, path).body["read"]
	require.Equal(t, 100, count(all, "user"))
	require.Equal(t, 1, count(all, "group"))
	rest := c.get(200, path+"/read?start=100&limit=100").body
	require.Equal(t, 21, count(rest, "user"))
	require.Zero(t, count(rest, "group"))
	c.get(400, path+"/read?start=x")
}
