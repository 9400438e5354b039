package assistant

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// maxLine bounds a message on stdio, in bytes.
const maxLine = 1 << 20

// Serve answers one client over stdio until it closes in, or ctx ends. Nothing but the protocol is written
// to out.
func (s *Server) Serve(ctx context.Context, in io.Reader, out io.Writer, caller Caller) error {
	return serve(ctx, s.protocol(func(mcp.Request) Caller { return caller }), in, out)
}

func serve(ctx context.Context, m *mcp.Server, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	to := &lockedWriter{to: out}
	from, good := io.Pipe()
	go func() {
		err := pass(in, good, to)
		to.settled(ctx) // whoever asks and closes is answered
		good.CloseWithError(err)
	}()
	err := m.Run(ctx, &mcp.IOTransport{Reader: from, Writer: to})
	_ = from.Close() // whatever is still written to it is given up
	if errors.Is(err, io.EOF) || ctx.Err() != nil {
		return nil
	}
	return err
}

// pass hands the messages on that are JSON and not too long, and answers the others: one bad line does not
// end a session.
func pass(in io.Reader, good io.Writer, out *lockedWriter) error {
	lines := bufio.NewReaderSize(in, 64<<10)
	for {
		line, long, err := readLine(lines)
		switch line = bytes.TrimSpace(line); {
		case long:
			refuse(out, -32600, "the message is longer than 1 MiB")
		case len(line) == 0:
		case !json.Valid(line):
			refuse(out, -32700, "the line is no JSON")
		case !understood(line): // the SDK would end the session
			refuse(out, -32600, "the line is no JSON-RPC message")
		default:
			out.asked(line)
			if _, err := good.Write(append(line, '\n')); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}

// understood reports whether a line is one message; several in a list are none since the revision of 2025-06-18.
func understood(line []byte) bool {
	_, err := jsonrpc.DecodeMessage(line)
	return err == nil
}

// readLine reads one line, and drops it where it is too long.
func readLine(r *bufio.Reader) (line []byte, long bool, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if long = long || len(line)+len(part) > maxLine; long {
			line = nil
		} else {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, long, err
		}
	}
}

func refuse(out io.Writer, code int, why string) {
	wire, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": nil, "error": map[string]any{"code": code, "message": why}})
	if err == nil {
		_, _ = out.Write(append(wire, '\n'))
	}
}

// lockedWriter takes one message at a time, and is left open. It knows which requests wait for their answers.
type lockedWriter struct {
	mu      sync.Mutex
	to      io.Writer
	waiting map[string]bool
	changed chan struct{} // closed at the next answer
}

// message is what of a message says which answer belongs to which request.
type message struct {
	ID     json.RawMessage
	Method string
	Params struct {
		RequestID json.RawMessage `json:"requestId"`
	}
}

// asked notes that a request waits for its answer, or that one is no longer waited for.
func (w *lockedWriter) asked(line []byte) {
	var m message
	if json.Unmarshal(line, &m) != nil || m.Method == "" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting == nil {
		w.waiting = map[string]bool{}
	}
	switch {
	case m.Method == "notifications/cancelled":
		delete(w.waiting, string(m.Params.RequestID))
	case len(m.ID) > 0 && m.Method != "subscriptions/listen": // which is answered when it ends
		w.waiting[string(m.ID)] = true
	}
}

// Write writes all of p at once.
func (w *lockedWriter) Write(p []byte) (int, error) {
	var m message
	_ = json.Unmarshal(p, &m) // what is no message answers nothing
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := w.to.Write(p)
	if m.Method == "" {
		delete(w.waiting, string(m.ID))
	}
	if w.changed != nil {
		close(w.changed)
		w.changed = nil
	}
	return n, err
}

// settleWithin bounds the wait for answers after a client has closed its end.
const settleWithin = 30 * time.Second

// settled waits until every request is answered.
func (w *lockedWriter) settled(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	for {
		w.mu.Lock()
		if len(w.waiting) == 0 {
			w.mu.Unlock()
			return
		}
		if w.changed == nil {
			w.changed = make(chan struct{})
		}
		changed := w.changed
		w.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// Close does nothing: the writer is the caller's.
func (w *lockedWriter) Close() error { return nil }
