package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
)

const eventsPath = "/api/progress/{operation_id}/events"

// How an event stream lives. It says something every so often, so that neither end takes a
// quiet run for a dead connection; at each such sign the ledger and the key are looked at.
const (
	streamSign   = 10 * time.Second
	streamWrite  = 10 * time.Second // a client that takes longer to read is let go
	streamLasts  = time.Hour        // then the client comes back, where it left off
	lastEventEnd = "end"            // the id of the last event of a run
)

// eventStream documents the stream, which the handler's types do not.
func eventStream(op *huma.Operation) {
	op.Description += " Server-sent events of the type progress, each with an operation as GET /api/progress/{operation_id} gives it, " +
		"until the run has ended. With Last-Event-ID only what is newer comes; after the last event the answer is 204, on which a browser stops asking."
	op.Responses = map[string]*huma.Response{
		"200": {Description: "OK", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}}},
		"204": {Description: "The run has ended and Last-Event-ID is that of its last event"},
	}
}

type eventsInput struct {
	ProgressInput
	LastEventID string `header:"Last-Event-ID" maxLength:"64" doc:"the id of the last event that was received"`
}

func (g *Gateway) events(ctx context.Context, in *eventsInput) (*huma.StreamResponse, error) {
	op, err := g.control.Progress(ctx, viewing(ctx), in.OperationID)
	if err != nil {
		return nil, err
	}
	select {
	case g.streams <- struct{}{}:
	default:
		p := fail(http.StatusServiceUnavailable, "too_many_streams", "too many event streams are open; ask for the progress instead")
		p.retryAfter = streamSign
		return nil, p
	}
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		defer func() { <-g.streams }()
		r, w := humago.Unwrap(hctx)
		if op.Progress.State.Final() && in.LastEventID == lastEventEnd {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		g.metrics.streams.Inc()
		defer g.metrics.streams.Dec()
		s := &stream{g: g, w: w, rc: http.NewResponseController(w), run: op.Run, caller: asking(ctx)}
		s.floor, _ = strconv.ParseInt(in.LastEventID, 10, 64)
		s.follow(r.Context(), op.Progress)
	}}, nil
}

// stream is one client that follows a run.
type stream struct {
	g      *Gateway
	w      http.ResponseWriter
	rc     *http.ResponseController
	run    store.Run
	caller caller

	floor   int64 // the time of the newest snapshot that the client has, in nanoseconds
	percent int
	last    event.Progress
	sent    bool
}

// follow sends snapshots until the run has ended, the client is gone or may no longer see
// them, or it is time to come back.
func (s *stream) follow(ctx context.Context, first event.Progress) {
	ctx, cancel := context.WithTimeout(ctx, streamLasts)
	defer cancel()
	h := s.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // proxies must not collect
	// The bounds on a request's time are not for this one; each write has its own.
	_ = s.rc.SetReadDeadline(time.Time{})
	if !s.write("retry: 2000\n\n") || !s.send(ctx, first) {
		return
	}
	// One goroutine writes: this one. The other reads the broker and hands over.
	news := make(chan event.Progress)
	over := make(chan struct{})
	go func() {
		defer close(over)
		for p, err := range s.g.bus.FollowProgress(ctx, s.run.SourceID, s.run.ID) {
			if err != nil {
				return // the ledger is looked at all the same
			}
			select {
			case news <- p:
			case <-ctx.Done():
				return
			}
		}
	}()
	defer func() { cancel(); <-over }()
	sign := time.NewTicker(streamSign)
	defer sign.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.g.stopping:
			return
		case p := <-news:
			if !s.send(ctx, p) {
				return
			}
		case <-sign.C:
			if !s.look(ctx) {
				return
			}
		}
	}
}

// look gives a sign of life, and looks whether the run has ended unheard or the key was taken
// back. It reports whether to go on.
func (s *stream) look(ctx context.Context) bool {
	if !s.g.still(ctx, s.caller, s.run.SourceID) || !s.write(": still here\n\n") {
		return false
	}
	op, err := s.g.control.Progress(ctx, s.caller.key.Viewer(), s.run.ID)
	if err != nil {
		return ctx.Err() == nil
	}
	return s.send(ctx, op.Progress)
}

// send sends a snapshot that says something new, and reports whether to go on.
func (s *stream) send(ctx context.Context, p event.Progress) bool {
	final := p.State.Final()
	at := p.At.UnixNano()
	same := p.State == s.last.State && p.Counts == s.last.Counts && p.Percent == s.last.Percent
	if !final && (at <= s.floor || s.sent && same) {
		return true
	}
	// Snapshots come from the broker and from the ledger; whichever is behind says less.
	if p.Percent < s.percent && !final {
		return true
	}
	p.Percent = max(p.Percent, s.percent)
	s.last, s.sent, s.floor, s.percent = p, true, max(s.floor, at), p.Percent
	id := strconv.FormatInt(at, 10)
	if final {
		id = lastEventEnd
	}
	if run, err := s.g.control.Reader.Run(ctx, s.caller.key.Viewer(), s.run.ID); err == nil {
		s.run = run
	}
	data, err := json.Marshal(operationOf(control.Operation{Run: s.run, Progress: p}))
	return err == nil && s.write(fmt.Sprintf("event: progress\nid: %s\ndata: %s\n\n", id, data)) && !final
}

func (s *stream) write(text string) bool {
	if err := s.rc.SetWriteDeadline(time.Now().Add(streamWrite)); err != nil {
		return false
	}
	if _, err := s.w.Write([]byte(text)); err != nil {
		return false
	}
	return s.rc.Flush() == nil
}
