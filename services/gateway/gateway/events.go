package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
)

const eventsPath = "/api/progress/{operation_id}/events"

// The limits of an event stream. Heartbeats keep quiet connections open. With each one, the stream reads the ledger
// and verifies the key again.
const (
	streamHeartbeat    = 10 * time.Second
	streamWriteTimeout = 10 * time.Second // slower clients are disconnected
	streamMax          = time.Hour        // then the client reconnects and continues
	lastEventEnd       = "end"            // the id of a run's last event
)

// eventStream adds to the OpenAPI document what huma cannot derive from the handler's types.
func eventStream(op *huma.Operation) {
	op.Description += " Server-sent events of the type progress, each with an operation as in GET /api/progress/{operation_id}, " +
		"until the run has ended. With Last-Event-ID, only newer events are sent; after the last event the response is 204, so that browsers stop reconnecting."
	op.Responses = map[string]*huma.Response{
		"200": {Description: "OK", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}}},
		"204": {Description: "The run has ended, and Last-Event-ID is the id of its last event"},
	}
}

type eventsInput struct {
	ProgressInput
	LastEventID string `header:"Last-Event-ID" maxLength:"64" doc:"the id of the last received event"`
}

func (g *Gateway) events(ctx context.Context, in *eventsInput) (*huma.StreamResponse, error) {
	op, err := g.control.Progress(ctx, viewerOf(ctx), in.OperationID)
	if err != nil {
		return nil, err
	}
	key := callerOf(ctx).key.ID
	if p := g.streams.enter(key); p != nil {
		return nil, p
	}
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		defer g.streams.leave(key)
		r, w := humago.Unwrap(hctx)
		g.serveEvents(w, r, op, in.LastEventID, func(op control.Operation) ([]byte, error) { return json.Marshal(operationOf(op)) })
	}}, nil
}

// serveEvents sends the progress of a run from the event after lastID on. show is the content of an event, in one line
// or several.
func (g *Gateway) serveEvents(w http.ResponseWriter, r *http.Request, op control.Operation, lastID string, show func(control.Operation) ([]byte, error)) {
	if op.Progress.State.Final() && lastID == lastEventEnd {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	g.metrics.streams.Inc()
	defer g.metrics.streams.Dec()
	s := &stream{g: g, w: w, rc: http.NewResponseController(w), run: op.Run, caller: callerOf(r.Context()), show: show}
	s.floor, _ = strconv.ParseInt(lastID, 10, 64)
	s.follow(r.Context(), op.Progress)
}

// lines continues an event's data on each of its lines, however they end.
var lines = strings.NewReplacer("\r\n", "\ndata: ", "\r", "\ndata: ", "\n", "\ndata: ")

// stream sends one run's progress to one client.
type stream struct {
	g      *Gateway
	w      http.ResponseWriter
	rc     *http.ResponseController
	run    store.Run
	caller caller
	show   func(control.Operation) ([]byte, error)

	floor   int64 // the time of the newest snapshot that the client has, in nanoseconds
	percent int
	last    event.Progress
	sent    bool
}

// follow sends snapshots until the run has ended, the client has disconnected or may no longer see the run, or the
// stream has reached its maximum duration.
func (s *stream) follow(ctx context.Context, first event.Progress) {
	ctx, cancel := context.WithTimeout(ctx, streamMax)
	defer cancel()
	h := s.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // proxies must not buffer
	// The server's timeouts for a request do not apply here; each write has its own.
	_ = s.rc.SetReadDeadline(time.Time{})
	if !s.write("retry: 2000\n\n") || !s.send(ctx, first) {
		return
	}
	// Only this goroutine writes. The other one reads the broker and passes snapshots on.
	news := make(chan event.Progress)
	over := make(chan struct{})
	go func() {
		defer close(over)
		for p, err := range s.g.bus.FollowProgress(ctx, s.run.SourceID, s.run.ID) {
			if err != nil {
				return // the heartbeats still read the ledger
			}
			select {
			case news <- p:
			case <-ctx.Done():
				return
			}
		}
	}()
	defer func() { cancel(); <-over }()
	sign := time.NewTicker(streamHeartbeat)
	defer sign.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.g.stopping:
			return
		case p := <-news:
			if s.guarded(ctx) { // the broker's snapshots count every page: the ledger says what this reader may know
				op, err := s.g.control.Progress(ctx, s.caller.viewer(), s.run.ID)
				if err != nil {
					continue
				}
				p = op.Progress
			}
			if !s.send(ctx, p) {
				return
			}
		case <-sign.C:
			if !s.heartbeat(ctx) {
				return
			}
		}
	}
}

// guarded reports whether the reader may not see every page of the run's source, or may not know it.
func (s *stream) guarded(ctx context.Context) bool {
	all, err := s.g.control.Reader.SeesEveryPage(ctx, s.caller.viewer(), s.run.SourceID)
	return err != nil || !all
}

// heartbeat sends a heartbeat and checks whether the run has ended without an event and whether the key was revoked. It
// reports whether to continue.
func (s *stream) heartbeat(ctx context.Context) bool {
	if !s.g.mayFollow(ctx, s.caller, s.run.SourceID) || !s.write(": still here\n\n") {
		return false
	}
	op, err := s.g.control.Progress(ctx, s.caller.viewer(), s.run.ID)
	if err != nil {
		return ctx.Err() == nil
	}
	return s.send(ctx, op.Progress)
}

// send sends a snapshot if it contains something new, and reports whether to continue.
func (s *stream) send(ctx context.Context, p event.Progress) bool {
	final := p.State.Final()
	at := p.At.UnixNano()
	same := p.State == s.last.State && p.Counts == s.last.Counts && p.Percent == s.last.Percent
	if !final && (at <= s.floor || s.sent && same) {
		return true
	}
	// Snapshots come from the broker and from the ledger; drop those that are behind.
	if p.Percent < s.percent && !final {
		return true
	}
	p.Percent = max(p.Percent, s.percent)
	s.last, s.sent, s.floor, s.percent = p, true, max(s.floor, at), p.Percent
	id := strconv.FormatInt(at, 10)
	if final {
		id = lastEventEnd
	}
	if run, err := s.g.control.Reader.Run(ctx, s.caller.viewer(), s.run.ID); err == nil {
		s.run = run
	}
	data, err := s.show(control.Operation{Run: s.run, Progress: p})
	if err != nil {
		return false
	}
	text := lines.Replace(strings.TrimSpace(string(data)))
	return s.write(fmt.Sprintf("event: progress\nid: %s\ndata: %s\n\n", id, text)) && !final
}

func (s *stream) write(text string) bool {
	if err := s.rc.SetWriteDeadline(time.Now().Add(streamWriteTimeout)); err != nil {
		return false
	}
	if _, err := s.w.Write([]byte(text)); err != nil {
		return false
	}
	return s.rc.Flush() == nil
}
