package assistant

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"

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
		good.CloseWithError(pass(in, good, to))
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
func pass(in io.Reader, good, out io.Writer) error {
	lines := bufio.NewReaderSize(in, 64<<10)
	for {
		line, long, err := readLine(lines)
		switch line = bytes.TrimSpace(line); {
		case long:
			refuse(out, -32600, "the message is longer than 1 MiB")
		case len(line) == 0:
		case !json.Valid(line):
			refuse(out, -32700, "the line is no JSON")
		case line[0] != '{' && line[0] != '[':
			refuse(out, -32600, "the line is no JSON-RPC message")
		default:
			if _, err := good.Write(append(line, '\n')); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
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

// lockedWriter takes one message at a time, and is left open.
type lockedWriter struct {
	mu sync.Mutex
	to io.Writer
}

// Write writes all of p at once.
func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}

// Close does nothing: the writer is the caller's.
func (w *lockedWriter) Close() error { return nil }
