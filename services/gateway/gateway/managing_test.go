package gateway

import (
	"net/http"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/confluence/outgoing"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/credential"
)

// checkKeys makes and revokes a key.
func (w *world) checkKeys() {
	t := w.t
	t.Helper()
	a := w.wants(http.StatusCreated, "admin", "POST", "/api/keys", `{"name":"ci","role":"operate","sources":["hr","docs"]}`)
	require.Equal(t, "no-store", a.header.Get("Cache-Control"))
	var made createdKey
	a.into(&made)
	require.Equal(t, []string{"docs", "hr"}, made.Sources)
	w.wants(http.StatusOK, made.Secret, "GET", "/api/confluence/docs", "")
	require.NotContains(t, w.log.String(), made.Secret)
	for _, bad := range []string{
		`{"name":"ci","role":"owner"}`, `{"name":" ","role":"read"}`, `{"name":"ci","role":"read","account":"557058:a","act_as":true}`, `{"name":"ci","role":"read","account":"no account"}`,
	} {
		require.Equal(t, "invalid", w.wants(http.StatusUnprocessableEntity, "admin", "POST", "/api/keys", bad).code(), bad)
	}
	require.Equal(t, "unknown_source", w.wants(http.StatusNotFound, "admin", "POST", "/api/keys", `{"name":"ci","role":"read","sources":["nowhere"]}`).code())

	// A request whose answer was lost is sent again: one key, with the secret of the last answer.
	const body = `{"name":"lost","role":"read","sources":["docs"]}`
	asks := func(status int, key, body string) (k createdKey) {
		t.Helper()
		w.wants(status, key, "POST", "/api/keys", body, "Idempotency-Key", "lost-1").into(&k)
		return k
	}
	lost, got := asks(http.StatusCreated, "admin", body), asks(http.StatusCreated, "admin", body)
	require.Equal(t, lost.ID, got.ID)
	require.Equal(t, lost.CreatedAt, got.CreatedAt)
	require.False(t, got.CreatedAt.IsZero())
	w.wants(http.StatusOK, got.Secret, "GET", "/api/confluence/docs", "")
	w.wants(http.StatusUnauthorized, lost.Secret, "GET", "/api/confluence/docs", "")
	require.Equal(t, "idempotency_key_reused", w.wants(http.StatusConflict, "admin", "POST", "/api/keys", `{"name":"lost","role":"operate"}`, "Idempotency-Key", "lost-1").code())
	w.addKey("second", apikey.Admin)
	other := asks(http.StatusCreated, "second", body)
	require.NotEqual(t, got.ID, other.ID, "another caller names its own requests")
	w.wants(http.StatusOK, "admin", "DELETE", "/api/keys/"+got.ID, "")
	asks(http.StatusConflict, "admin", body)

	whole := w.wants(http.StatusUnprocessableEntity, "admin", "DELETE", "/api/keys/"+made.Secret, "")
	require.NotContains(t, string(whole.body), made.Secret, "a key does not belong into an address")
	require.NotContains(t, w.log.String(), made.Secret)
	require.Contains(t, w.log.String(), `"path":"/api/keys/[secret]","route":"/api/keys/{key_id}"`)
	var first, again apikey.Key
	w.wants(http.StatusOK, "admin", "DELETE", "/api/keys/"+made.ID, "").into(&first)
	w.wants(http.StatusOK, "admin", "DELETE", "/api/keys/"+made.ID, "").into(&again)
	require.False(t, first.RevokedAt.IsZero())
	require.Equal(t, first, again)
	w.wants(http.StatusNotFound, "admin", "DELETE", "/api/keys/aaaaaaaaaaaa", "")

	listing := w.wants(http.StatusOK, "admin", "GET", "/api/keys", "")
	require.NotContains(t, string(listing.body), made.Secret)
	var keys list[apikey.Key]
	listing.into(&keys)
	require.Contains(t, keys.Items, first)
	require.Equal(t, "forbidden", w.wants(http.StatusForbidden, "docs-admin", "GET", "/api/keys", "").code())
	require.Equal(t, "forbidden", w.wants(http.StatusForbidden, "docs-admin", "POST", "/api/keys", `{"name":"mine","role":"admin"}`).code())
	require.Equal(t, "forbidden", w.wants(http.StatusForbidden, "docs-admin", "DELETE", "/api/keys/"+w.ids["admin"], "").code())
}

// checkCredentials stores and deletes tokens.
func (w *world) checkCredentials() {
	t := w.t
	t.Helper()
	w.g.control.Vault = control.NewVault(credential.Trust{Hosts: outgoing.Hosts{"*.atlassian.net"}, Ring: newRing(t)}, w.store)
	given := func(name, more string) string {
		return `{"name":"` + name + `","email":"reader@acme.com"` + more + `}`
	}
	token := `,"token":"` + canary + `"`
	said := ""
	for _, name := range []string{"docs", "acme.atlassian.net"} {
		var stored credential.StoredToken
		a := w.wants(http.StatusOK, "admin", "POST", "/api/credentials", given(name, token))
		a.into(&stored)
		require.Equal(t, []string{name, site, "reader@acme.com"}, []string{stored.Name, stored.Site, stored.Email})
		said += string(a.body)
	}
	for name, more := range map[string]string{"docs": "", "evil.example": token, "no name": token, "hr": `,"token":"with a space ` + canary + `"`} {
		a := w.wants(http.StatusUnprocessableEntity, "admin", "POST", "/api/credentials", given(name, more))
		require.Equal(t, "invalid", a.code(), name)
		said += string(a.body)
	}
	a := w.wants(http.StatusOK, "admin", "GET", "/api/credentials", "")
	var kept list[credential.Kept]
	a.into(&kept)
	require.Len(t, kept.Items, 2)
	require.Equal(t, "current", kept.Items[0].Key)
	said += string(a.body)

	// A key for some sources sets the tokens of these, and nothing else.
	w.wants(http.StatusOK, "docs-admin", "POST", "/api/credentials", given("docs", token))
	require.Equal(t, "unknown_source", w.wants(http.StatusNotFound, "docs-admin", "POST", "/api/credentials", given("hr", token)).code())
	for _, q := range []question{{"POST", "/api/credentials", given("acme.atlassian.net", token), ""}, {"GET", "/api/credentials", "", ""}, {"DELETE", "/api/credentials/docs", "", ""}} {
		require.Equal(t, "forbidden", w.wants(http.StatusForbidden, "docs-admin", q.method, q.path, q.body).code(), q)
	}
	for _, name := range []string{"docs", "ACME.atlassian.net"} {
		w.wants(http.StatusNoContent, "admin", "DELETE", "/api/credentials/"+name, "")
		w.wants(http.StatusNotFound, "admin", "DELETE", "/api/credentials/"+name, "")
	}
	require.NotContains(t, said, canary)
	require.NotContains(t, w.log.String(), canary)
}

// Sizes and queues depend on every page, so whoever reads for somebody does not learn them.
func TestTheSystemIsForThoseWhoRunIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	require.NoError(t, w.store.RecordPause(t.Context(), site, time.Hour, "quota of the tenant"))
	require.Equal(t, "forbidden", w.wants(http.StatusForbidden, "docs-admin", "GET", "/api/system", "").code())
	_, err := w.g.control.System(t.Context(), apikey.Key{Role: apikey.Read}.Viewer())
	require.ErrorIs(t, err, control.ErrNotOverseer)
	boss, err := apikey.Key{Role: apikey.Admin, ActAs: true}.ViewerAs("eve")
	require.NoError(t, err)
	_, err = w.g.control.System(t.Context(), boss)
	require.ErrorIs(t, err, control.ErrNotOverseer)

	require.Equal(t, "forbidden", w.wants(http.StatusForbidden, "docs-admin", "GET", "/api/doctor", "").code())
	_, err = w.g.control.Examine(t.Context(), boss)
	require.ErrorIs(t, err, control.ErrNotOverseer)

	// The console's numbers are the API's.
	v := w.loggedIn("operate")
	var s control.System
	w.wants(http.StatusOK, "operate", "GET", "/api/system", "").into(&s)
	page := v.document("/system")
	table := func(label string) *goquery.Selection { return page.Find(`[aria-label="` + label + `"] tbody tr`) }
	cell := func(row *goquery.Selection, n int) int {
		return number(t, goquery.NewDocumentFromNode(row.Get(0)), "td.n:nth-of-type("+string(rune('0'+n))+")")
	}
	consumers, others := table("Consumers"), table("Streams and buckets")
	require.Equal(t, len(s.Broker.Parts), consumers.Length()+others.Length())
	require.NotZero(t, consumers.Length())
	i, j := 0, 0
	for _, p := range s.Broker.Parts {
		if row := consumers.Eq(i); "consumer "+row.Find("th").Text() == p.Name {
			require.Equal(t, []int{int(p.Waiting), p.InHand, p.Redelivered, p.Free}, []int{cell(row, 1), cell(row, 2), cell(row, 3), cell(row, 4)}, p.Name)
			i++
			continue
		}
		row := others.Eq(j)
		require.Contains(t, p.Name, row.Find("th").Text())
		require.EqualValues(t, p.Messages, cell(row, 2), p.Name)
		j++
	}
	budgets := table("Budgets of sites")
	require.Equal(t, 1, budgets.Length())
	one := s.Sites[0]
	require.Equal(t, []int{one.Sources, one.Use.Processes, one.Use.Calls, one.Use.Waiting}, []int{cell(budgets, 1), cell(budgets, 2), cell(budgets, 3), cell(budgets, 4)})
	require.Contains(t, budgets.Text(), one.Pause.Why)
	require.Equal(t, s.Database.Schema, fact(t, page, "Migration"))
	require.Equal(t, len(s.Database.Tables), table("The largest tables").Length())

	admin := w.loggedIn("admin")
	var keys list[apikey.Key]
	w.wants(http.StatusOK, "admin", "GET", "/api/keys", "").into(&keys)
	require.Equal(t, len(keys.Items), admin.document("/system/keys").Find("table tbody tr").Length())
}
