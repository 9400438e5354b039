package confluence_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/secret"
)

func TestBaseURL(t *testing.T) {
	insecure := confluence.WithInsecureHTTP()
	for _, tc := range []struct {
		in, base, call string
		opts           []confluence.Option
	}{
		{"https://acme.example.net", "https://acme.example.net/wiki", "https://acme.example.net/wiki/", nil},
		{" https://acme.example.net/ ", "https://acme.example.net/wiki", "https://acme.example.net/wiki/", nil},
		{"https://ACME.example.net/wiki", "https://acme.example.net/wiki", "https://acme.example.net/wiki/", nil},
		{"https://acme.example.net/wiki///", "https://acme.example.net/wiki", "https://acme.example.net/wiki/", nil},
		{"https://acme.example.net:8443/wiki/", "https://acme.example.net:8443/wiki", "https://acme.example.net:8443/wiki/", nil},
		{"https://api.example.com/ex/confluence/11111111-2222-3333-4444-555555555555", "https://acme.example.net/wiki", "https://api.example.com/ex/confluence/11111111-2222-3333-4444-555555555555/wiki/", nil},
		{"https://api.example.com/ex/confluence/11111111-2222-3333-4444-555555555555/wiki/", "https://acme.example.net/wiki", "https://api.example.com/ex/confluence/11111111-2222-3333-4444-555555555555/wiki/", nil},
		{"http://127.0.0.1:8090", "http://127.0.0.1:8090/wiki", "http://127.0.0.1:8090/wiki/", []confluence.Option{insecure}},
	} {
		var called string
		rt := confluence.WithTransport(wire(func(r *http.Request) (*http.Response, error) {
			called = r.URL.String()
			return response(200, listOf("", pageRow(1001, 1, ""))), nil
		}))
		c, err := confluence.New(tc.in, email, secret.New(canary), append(tc.opts, rt)...)
		require.NoError(t, err, tc.in)
		require.NoError(t, listSpace(c))
		require.True(t, strings.HasPrefix(called, tc.call+"api/v2/"), called)
		require.Equal(t, tc.base, c.BaseURL(), tc.in)
	}
	for _, in := range []string{
		"", "acme.example.net", "http://acme.example.net", "ftp://acme.example.net", "https://", "https:///wiki",
		"https://user:" + canary + "@acme.example.net", "https://" + canary + "@acme.example.net/wiki", "https://acme.example.net/wiki?x=1",
		"https://acme.example.net/wiki#x", "https://acme.example.net/wiki/spaces/ENG/overview", "https://acme.example.net/jira",
		"https://api.example.com/ex/confluence/", "https://api.example.com/ex/confluence/a/b", "https://a b/", "https://a\x7f/",
		"https://user:" + canary + "@acme.example.net:port",
	} {
		_, err := confluence.New(in, email, secret.New(canary))
		require.Error(t, err, in)
		require.False(t, strings.Contains(err.Error(), "Canary"), in)
	}
	_, err := confluence.New("http://user:"+canary+"@127.0.0.1", email, secret.New(canary), insecure)
	require.Error(t, err, "a credential in the address is refused always")
}

func TestNewChecks(t *testing.T) {
	make := func(email, token string, opts ...confluence.Option) error {
		_, err := confluence.New("https://acme.example.net", email, secret.New(token), opts...)
		return err
	}
	require.NoError(t, make(email, canary))
	require.NoError(t, make("", canary, confluence.WithBearer()))
	for name, err := range map[string]error{
		"no token":        make(email, ""),
		"no email":        make("", canary),
		"token with line": make(email, canary+"\n"),
		"email with line": make(email+"\r\nX: y", canary),
		"email, colon":    make("a:b@example.org", canary),
		"bearer, line":    make("", canary+"\r\nX: y", confluence.WithBearer()),
		"rate":            make(email, canary, confluence.WithRate(0, 1)),
		"burst":           make(email, canary, confluence.WithRate(1, 0)),
		"concurrency":     make(email, canary, confluence.WithConcurrency(0)),
		"timeout":         make(email, canary, confluence.WithTimeout(0)),
		"wait":            make(email, canary, confluence.WithMaxWait(-1)),
	} {
		require.Error(t, err, name)
		require.False(t, strings.Contains(err.Error(), "Canary"), name)
	}
}

// The gateway knows only its own prefix and answers with links of the site.
func TestGatewayLinks(t *testing.T) {
	const gateway = "/ex/confluence/abc-123"
	for name, next := range map[string]string{
		"site-relative": listPath + "?cursor=b",
		"with prefix":   gateway + listPath + "?cursor=b",
	} {
		var seen []string
		c, err := confluence.New("https://api.example.com"+gateway, email, secret.New(canary),
			confluence.WithTransport(wire(func(r *http.Request) (*http.Response, error) {
				seen = append(seen, r.URL.Path)
				if r.URL.Query().Get("cursor") == "" {
					return response(200, listOf(next, pageRow(1001, 1, ""))), nil
				}
				return response(200, listOf("", pageRow(1002, 1, ""))), nil
			})))
		require.NoError(t, err)
		require.Equal(t, "https://api.example.com"+gateway+"/wiki", c.BaseURL(), "until an answer names the site")
		got, err := ids(c.SpacePages(context.Background(), "42"))
		require.NoError(t, err, name)
		require.Equal(t, []string{"1001", "1002"}, got)
		require.Equal(t, []string{gateway + listPath, gateway + listPath}, seen)
		require.Equal(t, "https://acme.example.net/wiki", c.BaseURL())
	}
	c, err := confluence.New("https://api.example.com"+gateway, email, secret.New(canary),
		confluence.WithTransport(wire(func(*http.Request) (*http.Response, error) {
			return response(200, listOf("https://acme.example.net"+listPath+"?cursor=b", pageRow(1001, 1, ""))), nil
		})))
	require.NoError(t, err)
	require.Error(t, listSpace(c), "the site is another host than the gateway")
}

// A site's own answers do not change its configured address, and a client of the gateway learns only
// valid addresses.
func TestBaseIsLearnedWithCare(t *testing.T) {
	for _, base := range []string{"", "javascript:alert(1)", "https://a:b@acme.example.net/wiki", "http://acme.example.net/wiki", "https://x/ex/confluence/y/wiki"} {
		c, err := confluence.New("https://api.example.com/ex/confluence/abc", email, secret.New(canary),
			confluence.WithTransport(wire(func(*http.Request) (*http.Response, error) {
				return response(200, fmt.Sprintf(`{"results":[],"_links":{"base":%q}}`, base)), nil
			})))
		require.NoError(t, err)
		require.NoError(t, listSpace(c))
		require.Equal(t, "https://api.example.com/ex/confluence/abc/wiki", c.BaseURL(), base)
	}
	f, c := serve(t, always(200, listOf("")))
	require.NoError(t, listSpace(c))
	require.Equal(t, f.URL+"/wiki", c.BaseURL())
}

func TestProbe(t *testing.T) {
	site := func(user, spaces string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/wiki/rest/api/user/current":
				w.Header().Set("Date", "Sun, 01 Feb 2026 10:11:12 GMT")
				reply(w, 200, user)
			case "/wiki/api/v2/spaces":
				reply(w, 200, spaces)
			default:
				reply(w, 404, errorV2(404, "NOT_FOUND", "Not Found"))
			}
		}
	}
	const user = `{"type":"known","accountId":"712020:aa-bb","accountType":"atlassian","email":"","publicName":"ada","displayName":"Ada","_links":{}}`
	f, c := serve(t, site(user, listOf("", spaceENG)))
	p, err := c.Probe(context.Background(), "eng")
	require.NoError(t, err)
	require.Equal(t, confluence.Probe{
		Space:      confluence.Space{ID: "42", Key: "ENG", Name: "Engineering", Type: "global", Status: "current", HomepageID: "7"},
		ServerTime: time.Date(2026, 2, 1, 10, 11, 12, 0, time.UTC), AccountID: "712020:aa-bb",
	}, p)
	require.Equal(t, "GET /wiki/rest/api/user/current", f.seen()[0], "the credential before the space")

	_, c = serve(t, site(user, listOf("")))
	_, err = c.Probe(context.Background(), "ENG")
	var missing *confluence.NotFoundError
	require.ErrorAs(t, err, &missing)
	require.Equal(t, "space", missing.Kind)

	_, c = serve(t, site(`{"type":"anonymous","displayName":"Anonymous"}`, listOf("", spaceENG)))
	_, err = c.Probe(context.Background(), "ENG")
	var auth *confluence.AuthError
	require.ErrorAs(t, err, &auth)
}

func TestSpaceByKey(t *testing.T) {
	other := strings.ReplaceAll(spaceENG, "ENG", "OPS")
	_, c := serve(t, always(200, listOf("", other)))
	_, err := c.SpaceByKey(context.Background(), "ENG")
	var protocol *confluence.ProtocolError
	require.ErrorAs(t, err, &protocol, "a filter that is passed over must not give us another space")

	_, c = serve(t, always(200, listOf("", other, spaceENG)))
	space, err := c.SpaceByKey(context.Background(), "ENG")
	require.NoError(t, err)
	require.Equal(t, "ENG", space.Key)

	renamed := strings.Replace(spaceENG, `"currentActiveAlias":"ENG"`, `"currentActiveAlias":"DEV"`, 1)
	_, c = serve(t, always(200, listOf("", renamed)))
	space, err = c.SpaceByKey(context.Background(), "dev")
	require.NoError(t, err)
	require.Equal(t, "42", space.ID)

	for _, bad := range []string{`{"id":"4x","key":"ENG"}`, `{"id":"42"}`, `{"id":"42","key":"ENG","homepageId":"x"}`, `{"id":42,"key":"ENG"}`} {
		_, c = serve(t, always(200, listOf("", bad)))
		_, err = c.SpaceByKey(context.Background(), "ENG")
		require.ErrorAs(t, err, &protocol, bad)
	}
	f, c := serve(t, always(200, listOf("")))
	_, err = c.SpaceByKey(context.Background(), "~jane@example.org")
	require.Error(t, err)
	require.Equal(t, "GET /wiki/api/v2/spaces?keys=~jane%40example.org&limit=25", f.seen()[0])
}

func TestPagesByID(t *testing.T) {
	// A page in the trash is still found by id; it has lost its parent.
	trashed := strings.NewReplacer(`"parentType":"page","parentId":"7"`, `"parentType":null,"parentId":null`, `"current"`, `"trashed"`,
		`"body":{}`, `"body":{"storage":{"representation":"storage","value":""}}`).Replace(pageRow(1003, 1, ""))
	f, c := serve(t, byCursor(map[string]string{
		"":  listOf("/wiki/api/v2/pages?cursor=b", pageRow(1001, 3, `,"body":{"storage":{"representation":"storage","value":"<p>Grüße &amp; \"x\"</p>"}}`)),
		"b": listOf("", trashed),
	}))
	pages, err := c.PagesByID(context.Background(), []string{"1001", "1002", "1003"}, confluence.PagesOptions{
		Body: true, Statuses: []string{"current", "archived", "trashed"},
	})
	require.NoError(t, err)
	require.Equal(t, []confluence.Page{
		{
			PageStub: confluence.PageStub{ID: "1001", Kind: "page", Version: 3, ModifiedAt: rowMade, Status: "current", Title: "Page 1001", ParentID: "7", ParentType: "page", WebUI: "/spaces/ENG/pages/1001/Page+1001"},
			SpaceID:  "42", AuthorID: "712020:aa-bb",
			CreatedAt: time.Date(2025, 5, 27, 7, 9, 12, 0, time.UTC),
			Body:      `<p>Grüße &amp; "x"</p>`, URL: f.URL + "/wiki/spaces/ENG/pages/1001/Page+1001",
		},
		{
			PageStub: confluence.PageStub{ID: "1003", Kind: "page", Version: 1, ModifiedAt: rowMade, Status: "trashed", Title: "Page 1003", WebUI: "/spaces/ENG/pages/1003/Page+1003"},
			SpaceID:  "42", AuthorID: "712020:aa-bb",
			CreatedAt: time.Date(2025, 5, 27, 7, 9, 12, 0, time.UTC),
			URL:       f.URL + "/wiki/spaces/ENG/pages/1003/Page+1003",
		},
	}, pages)
	u, err := url.Parse(f.seen()[1][len("GET "):])
	require.NoError(t, err)
	require.Equal(t, url.Values{
		"id": {"1001,1002,1003"}, "status": {"current,archived,trashed"}, "body-format": {"storage"}, "limit": {"250"}, "cursor": {"b"},
	}, u.Query())
}

func TestPagesByIDInBatches(t *testing.T) {
	var sizes []int
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked := strings.Split(r.URL.Query().Get("id"), ",")
		sizes = append(sizes, len(asked))
		require.Empty(t, r.URL.Query().Get("status"))
		require.Empty(t, r.URL.Query().Get("body-format"))
		reply(w, 200, listOf("", strings.ReplaceAll(pageRow(1001, 1, ""), "1001", asked[0])))
	})
	var many []string
	for i := range 501 {
		many = append(many, fmt.Sprint(5000+i))
	}
	pages, err := c.PagesByID(context.Background(), many, confluence.PagesOptions{})
	require.NoError(t, err)
	require.Equal(t, []int{250, 250, 1}, sizes)
	require.Len(t, pages, 3)
	pages, err = c.PagesByID(context.Background(), nil, confluence.PagesOptions{})
	require.NoError(t, err)
	require.Empty(t, pages)
	require.Len(t, sizes, 3, "no ids would mean every page of the site")
}

func TestTooMuchForOneAnswerComesInParts(t *testing.T) {
	body := func(id, size int) string {
		return pageRow(id, 1, `,"body":{"storage":{"value":"`+strings.Repeat("x", size)+`"}}`)
	}
	size := 2000
	_, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var found []string
		for id := range strings.SplitSeq(r.URL.Query().Get("id"), ",") {
			n, err := strconv.Atoi(id)
			require.NoError(t, err)
			found = append(found, body(n, size))
		}
		reply(w, 200, listOf("", rows(found...)))
	}, confluence.WithMaxBody(8000))
	ids := []string{"1001", "1002", "1003", "1004", "1005", "1006", "1007"}
	pages, err := c.PagesByID(context.Background(), ids, confluence.PagesOptions{Body: true})
	require.NoError(t, err)
	for i, p := range pages {
		require.Equal(t, ids[i], p.ID)
	}
	require.Len(t, pages, len(ids))

	size = 9000
	_, err = c.PagesByID(context.Background(), ids, confluence.PagesOptions{Body: true})
	var bad *confluence.ProtocolError
	require.ErrorAs(t, err, &bad)
	require.Equal(t, "1001", bad.ObjectID, "a page that is too large alone fails alone")
}

func TestMissingBodyIsNoEmptyBody(t *testing.T) {
	for _, body := range []string{"", `,"body":{}`, `,"body":null`, `,"body":{"storage":null}`, `,"body":{"storage":{}}`, `,"body":{"storage":{"value":null}}`, `,"body":{"atlas_doc_format":{"value":"{}"}}`} {
		_, c := serve(t, always(200, listOf("", pageRow(1001, 3, body))))
		_, err := c.PagesByID(context.Background(), []string{"1001"}, confluence.PagesOptions{Body: true})
		var protocol *confluence.ProtocolError
		require.ErrorAs(t, err, &protocol, body)
		require.Equal(t, "1001", protocol.ObjectID)
		require.NoError(t, bulk(c), "a body that was not requested")
	}
}

func TestGetPageByID(t *testing.T) {
	f, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/wiki/api/v2/pages/1001":
			reply(w, 200, pageRow(1001, 3, `,"body":{"storage":{"representation":"storage","value":"<p/>"}}`))
		case "/wiki/api/v2/pages/1001/labels":
			reply(w, 200, listOf("", `{"id":"9","name":"howto","prefix":"global"}`))
		case "/wiki/api/v2/pages/1001/ancestors":
			reply(w, 200, `{"results":[{"id":"7","type":"page"},{"id":"8","type":"folder"}]}`)
		case "/wiki/api/v2/pages/7/ancestors":
			reply(w, 200, listOf(""))
		}
	})
	p, err := c.GetPageByID(context.Background(), "1001", " body.storage, version,metadata.labels,ancestors")
	require.NoError(t, err)
	require.Equal(t, "<p/>", p.Body)
	require.Equal(t, []confluence.Label{{ID: "9", Name: "howto", Prefix: "global"}}, p.Labels)
	require.Equal(t, []confluence.Ancestor{{ID: "7", Type: "page"}, {ID: "8", Type: "folder"}}, p.Ancestors)
	require.Equal(t, "GET /wiki/api/v2/pages/1001?body-format=storage", f.seen()[0])

	p, err = c.GetPageByID(context.Background(), "1001", "")
	require.NoError(t, err)
	require.Empty(t, p.Body)
	require.Equal(t, f.URL+"/wiki/spaces/ENG/pages/1001/Page+1001", p.URL)
	require.Len(t, f.seen(), 5)

	for _, webui := range []string{"", "https://evil.example.com/x", "javascript:alert(1)"} {
		f, c = serve(t, always(200, strings.Replace(pageRow(1001, 1, ""), "/spaces/ENG/pages/1001/Page+1001", webui, 1)))
		p, err = c.GetPageByID(context.Background(), "1001", "")
		require.NoError(t, err)
		require.Equal(t, f.URL+"/wiki/pages/viewpage.action?pageId=1001", p.URL)
	}
}

func TestContainers(t *testing.T) {
	for kind, plural := range map[string]string{"folder": "folders", "whiteboard": "whiteboards", "database": "databases", "embed": "embeds"} {
		f, c := serve(t, always(200, `{"id":"55","type":"`+kind+`","status":"current","title":"Plans","parentId":"7","parentType":"page","position":3,"version":{"number":1}}`))
		got, err := c.Container(context.Background(), kind, "55")
		require.NoError(t, err)
		require.Equal(t, confluence.Container{ID: "55", Kind: kind, Title: "Plans", ParentID: "7", ParentType: "page"}, got)
		require.Equal(t, []string{"GET /wiki/api/v2/" + plural + "/55"}, f.seen())
	}
	for _, bad := range []string{`{}`, `{"id":"56"}`, `{"id":"55","parentId":"x"}`, `[]`, `null`} {
		_, c := serve(t, always(200, bad))
		_, err := c.Container(context.Background(), "folder", "55")
		var protocol *confluence.ProtocolError
		require.ErrorAs(t, err, &protocol, bad)
	}
}

func TestAncestorsGoOnAboveTheHighest(t *testing.T) {
	chain := func(from, to int) string {
		var parts []string
		for i := from; i <= to; i++ {
			parts = append(parts, fmt.Sprintf(`{"id":"%d","type":"folder"}`, i))
		}
		return `{"results":[` + strings.Join(parts, ",") + `]}`
	}
	f, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/pages/9999/ancestors"):
			reply(w, 200, chain(11, 60)) // fewer than were asked for, which does not say that there are no more
		case strings.HasSuffix(r.URL.Path, "/folders/11/ancestors"):
			reply(w, 200, chain(1, 10))
		default:
			reply(w, 200, chain(1, 0))
		}
	})
	got, err := c.Ancestors(context.Background(), "9999")
	require.NoError(t, err)
	require.Len(t, got, 60)
	require.Equal(t, "1", got[0].ID)
	require.Equal(t, "60", got[59].ID)
	require.Equal(t, []string{
		"GET /wiki/api/v2/pages/9999/ancestors?limit=250", "GET /wiki/api/v2/folders/11/ancestors?limit=250", "GET /wiki/api/v2/folders/1/ancestors?limit=250",
	}, f.seen())

	f, c = serve(t, always(200, chain(1, 250)))
	_, err = c.Ancestors(context.Background(), "9999")
	var protocol *confluence.ProtocolError
	require.ErrorAs(t, err, &protocol, "a chain in a circle ends")
	require.Less(t, len(f.seen()), 10)

	_, c = serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/9999/") {
			reply(w, 200, chain(1, 3))
			return
		}
		reply(w, 404, errorV2(404, "NOT_FOUND", "Content with id: [1] not found"))
	})
	_, err = c.Ancestors(context.Background(), "9999")
	require.ErrorAs(t, err, &protocol, "not the page is missing")
	require.Equal(t, "9999", protocol.ObjectID)
	require.True(t, protocol.Listing)

	for _, bad := range []string{`{}`, listOf("/wiki/api/v2/pages/9999/ancestors?cursor=a"), `{"results":[{"id":"x","type":"page"}]}`, `{"results":[{"id":"1","type":"galaxy"}]}`} {
		_, c = serve(t, always(200, bad))
		_, err = c.Ancestors(context.Background(), "9999")
		require.ErrorAs(t, err, &protocol, bad)
	}
}
