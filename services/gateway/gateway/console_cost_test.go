package gateway

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/gateway/console"
	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/store"
)

// meter passes connections on to Postgres, and counts what a reader waits for: the round trips that execute something.
// The first use of a statement on a connection prepares it with a trip more, and the end of a transaction that has only
// read is waited for by nobody.
type meter struct {
	net.Listener
	to    string
	trips atomic.Int64
}

// newMeter returns a meter and the address of a database behind it.
func newMeter(t *testing.T, database string) (*meter, string) {
	t.Helper()
	u, err := url.Parse(database)
	require.NoError(t, err)
	m := &meter{to: u.Host}
	m.Listener, err = net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = m.Close() })
	go func() {
		for {
			conn, err := m.Accept()
			if err != nil {
				return
			}
			go m.pass(conn)
		}
	}()
	u.Host = m.Addr().String()
	q := u.Query()
	q.Set("sslmode", "disable")
	u.RawQuery = q.Encode()
	return m, u.String()
}

func (m *meter) pass(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", m.to)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	go func() { _, _ = io.Copy(client, server); _ = client.Close() }()
	executes := false
	for first := true; ; first = false {
		// The first message has no type. Sync ends a trip; without an Execute in it, it prepares statements.
		head := make([]byte, 5)
		if first {
			head = head[:4]
		}
		if _, err := io.ReadFull(client, head); err != nil {
			return
		}
		length := int64(binary.BigEndian.Uint32(head[len(head)-4:]))
		body := make([]byte, length-4)
		if _, err := io.ReadFull(client, body); err != nil {
			return
		}
		switch kind := head[0]; {
		case first:
		case kind == 'E':
			executes = true
		case kind == 'S' && executes:
			m.trips.Add(1)
			executes = false
		case kind == 'Q' && string(body) != "rollback\x00" && string(body) != "-- ping\x00":
			m.trips.Add(1)
		}
		if _, err := server.Write(slices.Concat(head, body)); err != nil {
			return
		}
	}
}

// A view costs at most three round trips to the database, however much it shows: for the session with its key, for what
// its reader may see, and for the rest.
func TestAViewOfTheConsoleCostsFewQueries(t *testing.T) {
	t.Parallel()
	m, address := newMeter(t, pgtest.MigratedURL(t))
	s, err := store.Open(t.Context(), address)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	kit := bustest.New(t)
	standIn := sandbox.New(sandbox.Options{})
	standIn.AddBuiltin()
	served, err := sandbox.Serve("127.0.0.1:0", standIn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = served.Close() })
	calling := calls(t, served.URL, true)
	w := worldOn(t, s, kit, func(o *setup) {
		o.Log = zerolog.Nop()
		calling(o)
	})
	w.sources()
	w.fill()
	role := map[string]apikey.Role{}
	for pattern, need := range console.Views() {
		role[pattern] = need
	}
	for _, rows := range []string{"few", "many"} {
		for key, has := range map[string]apikey.Role{"admin": apikey.Admin, "operate": apikey.Operate, "read": apikey.Read, "docs": apikey.Read} {
			v := w.loggedIn(key)
			for pattern, path := range viewPaths {
				path = strings.ReplaceAll(path, "SITE", url.QueryEscape(served.URL+"/wiki"))
				if !has.May(role["GET /console"+pattern]) {
					continue
				}
				v.page(path) // prepares its statements
				most := max(3, moreTrips[pattern])
				trips := most + 1
				for tries := 0; trips > most && tries < 3; tries++ { // the gateway asks for itself now and then
					before := m.trips.Load()
					v.page(path)
					trips = m.trips.Load() - before
				}
				assert.LessOrEqual(t, trips, most, "%s for %s with %s rows", path, key, rows)
			}
		}
		if rows == "many" {
			break
		}
		ids := []string{"11", "12", "13"}
		for i := range 5 {
			id := fmt.Sprintf("10%d", i)
			ids = append(ids, id)
			run := w.run("docs", "more-"+id, listed(ids...)...)
			for _, id := range ids {
				w.write(run, id, "/"+id, "More "+id, "The harbour has more lights.")
			}
			require.Equal(t, event.StateCompleted, w.end(run).State)
		}
	}
	for pattern := range role {
		if pattern, get := strings.CutPrefix(pattern, "GET /console"); get {
			require.Contains(t, viewPaths, pattern, "a new view: say here what it costs")
		}
	}
}

// viewPaths has an address of each view.
var viewPaths = map[string]string{
	"":                                  "",
	"/sources/{source_id}":              "/sources/docs",
	"/sources/{source_id}/pages":        "/sources/docs/pages",
	"/sources/{source_id}/pages/{page}": "/sources/docs/pages/12",
	"/sources/{source_id}/pages/{page}/access": "/sources/docs/pages/12/access?account=ann",
	"/sources/{source_id}/failures":            "/sources/docs/failures",
	"/sources/{source_id}/losses":              "/sources/docs/losses",
	"/sources/{source_id}/settings":            "/sources/docs/settings",
	"/runs/{run}":                              "/runs/first-docs",
	"/runs/{run}/events":                       "/runs/first-docs/events",
	"/runs/{run}/pages":                        "/runs/first-docs/pages?outcome=created",
	"/removals":                                "/removals",
	"/removals/{run}":                          "/removals/first-docs",
	"/search":                                  "/search?q=harbour",
	"/system":                                  "/system",
	"/system/embeddings":                       "/system/embeddings",
	"/system/doctor":                           "/system/doctor",
	"/system/keys":                             "/system/keys",
	"/system/credentials":                      "/system/credentials",
	"/add":                                     "/add",
	"/add/space":                               "/add/space?site=SITE",
	"/add/settings":                            "/add/settings?site=SITE&space=" + sandbox.BuiltinSpace,
}

// moreTrips are the views that need more: a search looks up words, similar words and meanings before it asks for chunks;
// an explanation goes through the layers of a page; the doctor asks for one thing after the other, and for each migration;
// the list of spaces asks the site between its questions; and the events of a run ask again for each event.
var moreTrips = map[string]int64{
	"/search": 16, "/sources/{source_id}/pages/{page}/access": 7, "/system/doctor": 120, "/add/space": 5, "/runs/{run}/events": 8,
}
