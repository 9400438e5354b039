package confluence

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
)

const (
	// smallAnswer is how much of an answer is read without asking for room.
	smallAnswer = 4 << 20
	// mostHeld is how many bytes of bodies one reading of many pages gives.
	mostHeld = 16 << 20
)

// ErrTooMuch is in the chain of an error of PagesByID and BlogPostsByID when the pages together are more than is
// held at a time. Fewer of them are to be asked for.
var ErrTooMuch = errors.New("the pages together are more than is held at a time")

// Room bounds the memory of a process that does many pieces of work: only one at a time holds an
// answer of more than 4 MiB.
type Room struct{ large chan struct{} }

// NewRoom returns an empty room.
func NewRoom() *Room { return &Room{large: make(chan struct{}, 1)} }

// Held is what one piece of work holds of a room, until it is left.
type Held struct {
	room *Room
	mu   sync.Mutex
	in   bool
}

// Held returns what a piece of work holds: nothing yet.
func (r *Room) Held() *Held { return &Held{room: r} }

// Leave gives back what is held.
func (h *Held) Leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.in {
		h.in = false
		<-h.room.large
	}
}

func (h *Held) enter(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.in {
		return nil
	}
	select {
	case h.room.large <- struct{}{}:
		h.in = true
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

type heldKey struct{}

// HeldBy returns a context whose calls wait for room before they read a large answer to its end.
func HeldBy(ctx context.Context, h *Held) context.Context {
	return context.WithValue(ctx, heldKey{}, h)
}

// readAll is io.ReadAll, which waits for room in mid-answer where that is a large one.
func readAll(ctx context.Context, from io.Reader) ([]byte, error) {
	h, ok := ctx.Value(heldKey{}).(*Held)
	if !ok {
		return io.ReadAll(from)
	}
	var begun bytes.Buffer
	if _, err := io.CopyN(&begun, from, smallAnswer); err != nil {
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return begun.Bytes(), err
	}
	if err := h.enter(ctx); err != nil {
		return begun.Bytes(), err
	}
	_, err := begun.ReadFrom(from)
	return begun.Bytes(), err
}
