package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/event"
)

// sse is one event of a stream.
type sse struct {
	id string
	op operation
}

// followed is an open event stream. Its events are sent to events, which is closed at the stream's end.
type followed struct {
	res    *http.Response
	events chan sse
	stop   context.CancelFunc
}

func (w *world) follow(key, runID, lastID string) *followed {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*bustest.Patience)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/api/progress/"+runID+"/events", nil)
	require.NoError(w.t, err)
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+w.keys[key])
	}
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	client := &http.Client{Transport: &http.Transport{}}
	res, err := client.Do(req)
	require.NoError(w.t, err)
	f := &followed{res: res, events: make(chan sse, 100), stop: cancel}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(f.events)
		readEvents(res.Body, f.events)
	}()
	w.t.Cleanup(func() { cancel(); <-ended; _ = res.Body.Close(); client.CloseIdleConnections() })
	return f
}

func readEvents(body io.Reader, out chan<- sse) {
	lines := bufio.NewScanner(body)
	var one sse
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch {
		case name == "id":
			one.id = value
		case name == "data":
			if json.Unmarshal([]byte(value), &one.op) != nil {
				return
			}
		case lines.Text() == "" && one.id != "":
			out <- one
			one = sse{}
		}
	}
}

// until reads events until one has the state, and returns it.
func (w *world) until(f *followed, state event.State) sse {
	w.t.Helper()
	percent := 0
	for {
		select {
		case e, ok := <-f.events:
			require.True(w.t, ok, "the stream ended before the run was %s", state)
			require.GreaterOrEqual(w.t, e.op.Progress, percent, "progress decreases")
			if percent = e.op.Progress; e.op.State == state {
				return e
			}
		case <-time.After(bustest.Patience):
			require.Fail(w.t, "the stream sends nothing", "waiting for %s", state)
		}
	}
}

func TestAStreamFollowsARunToItsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run := w.run("docs", "r1", listed("11", "12")...)
	f := w.follow("docs", "r1", "")
	require.Equal(t, "text/event-stream", f.res.Header.Get("Content-Type"))
	first := w.until(f, event.StateFetching)
	require.Zero(t, first.op.Progress)
	w.write(run, "11", "/11", "One", "One.")
	w.advance(run)
	var half sse
	for half = w.until(f, event.StateFetching); half.op.Progress == 0; half = w.until(f, event.StateFetching) {
	}
	require.Equal(t, 49, half.op.Progress)
	require.Equal(t, 1, half.op.Counts.Created)

	// The connection breaks, and the client reconnects: it does not get earlier events again.
	f.stop()
	w.write(run, "12", "/12", "Two", "Two.")
	require.Equal(t, event.StateCompleted, w.end(run).State)
	f = w.follow("docs", "r1", half.id)
	e, ok := <-f.events
	require.True(t, ok)
	require.Equal(t, []any{"end", "completed", 100}, []any{e.id, e.op.Status, e.op.Progress})
	_, ok = <-f.events
	require.False(t, ok, "the stream ends with the run")

	f = w.follow("docs", "r1", "end")
	require.Equal(t, http.StatusNoContent, f.res.StatusCode, "a browser stops reconnecting")
}

func TestAReconnectedStreamGetsOnlyNewerEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run := w.run("docs", "r1", listed("11", "12")...)
	future := "9000000000000000000"
	f := w.follow("read", "r1", future)
	w.write(run, "11", "/11", "One", "One.")
	w.advance(run)
	w.write(run, "12", "/12", "Two", "Two.")
	w.end(run)
	e := <-f.events
	require.Equal(t, "end", e.id, "the last event is always sent")
	for _, odd := range []string{"x", "-1", "'; --", "99999999999999999999999"} {
		f = w.follow("read", "r1", odd)
		e = <-f.events
		require.Equal(t, "end", e.id)
	}
}

// One key has a quarter of the streams, and the last quarter is for keys that have none.
func TestStreamsAreBoundedAndEndWithTheProcess(t *testing.T) {
	t.Parallel()
	w := newWorld(t) // with 8 places
	w.run("docs", "r1", listed("11")...)
	var streams []*followed
	open := func(key string) {
		t.Helper()
		f := w.follow(key, "r1", "")
		<-f.events
		streams = append(streams, f)
	}
	refused := func(key string, status int) {
		t.Helper()
		a := w.wants(status, key, "GET", "/api/progress/r1/events", "")
		require.Equal(t, "too_many_streams", a.code())
		require.NotEmpty(t, a.header.Get("Retry-After"))
	}
	for _, key := range []string{"read", "operate", "admin"} {
		open(key)
		open(key)
		refused(key, http.StatusTooManyRequests)
	}
	open("docs")
	refused("docs", http.StatusServiceUnavailable) // it has one, and the others may have none
	open("docs-admin")
	w.addKey("late", apikey.Read)
	refused("late", http.StatusServiceUnavailable)
	streams[0].stop()
	require.Eventually(t, func() bool { return w.g.streams.open() < 8 }, bustest.Patience, 5*time.Millisecond)
	open("late")
	w.wants(http.StatusOK, "read", "GET", "/api/progress/r1", "")
	close(w.g.stopping)
	for _, f := range streams[1:] {
		require.Eventually(t, func() bool {
			select {
			case _, ok := <-f.events:
				return !ok
			default:
				return false
			}
		}, bustest.Patience, 5*time.Millisecond)
	}
	require.Zero(t, w.g.streams.open())
}

// The request timeout does not end a stream.
func TestAStreamOutlivesTheBoundOnARequest(t *testing.T) {
	t.Parallel()
	w := bareWorld(t, func(o *setup) { o.API.Timeout = time.Second })
	w.source("docs")
	run := w.run("docs", "r1", listed("11")...)
	w.addKey("read", apikey.Read)
	f := w.follow("read", "r1", "")
	w.until(f, event.StateFetching)
	select {
	case e, ok := <-f.events:
		require.Fail(t, "too early", "%v %v", e, ok)
	case <-time.After(7 * time.Second): // longer than the server's read and write timeouts
	}
	w.write(run, "11", "/11", "One", "One.")
	w.end(run)
	require.Equal(t, "end", w.until(f, event.StateCompleted).id)
}

func TestAStreamEndsWithItsKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := caller{key: w.keyOf("docs"), token: w.keys["docs"], peer: "192.0.2.1"}
	clock := time.Now()
	w.g.keys.now = func() time.Time { return clock }
	require.True(t, w.g.mayFollow(t.Context(), c, "docs"))
	require.False(t, w.g.mayFollow(t.Context(), c, "hr"))
	_, err := w.store.Vault().RevokeAPIKey(t.Context(), w.ids["docs"])
	require.NoError(t, err)
	clock = clock.Add(verifiedFor)
	require.False(t, w.g.mayFollow(t.Context(), c, "docs"))
	require.False(t, w.g.mayFollow(t.Context(), caller{}, "docs"), "there are keys by now")
}
