package confluence

import (
	"errors"
	"io"
	"time"
)

const (
	// patience is how long an answer may take for its next bytes, and slowest is how many it must bring
	// in that time: a site that sends a byte a second would hold a call for its whole timeout. An answer
	// that is held alone by its process must be faster, because others wait for it; see Room.
	patience     = 5 * time.Second
	slowest      = 4 << 10
	slowestLarge = 256 << 10
)

var errSlow = errors.New("the answer comes too slowly")

// paced reads the body of an answer and gives the call up when it comes too slowly. Only the time that
// is spent on reading counts.
type paced struct {
	io.ReadCloser
	least int               // bytes in patience
	give  func(cause error) // ends the call, and with it the reading
	total int
	got   int // in this stretch, which has taken so long
	spent time.Duration
}

func (p *paced) Read(b []byte) (int, error) {
	timer := time.AfterFunc(patience-p.spent, func() { p.give(errSlow) })
	began := time.Now()
	n, err := p.ReadCloser.Read(b)
	timer.Stop()
	p.spent += time.Since(began)
	p.got += n
	if p.total += n; p.total > smallAnswer {
		p.least = slowestLarge
	}
	switch {
	case p.got >= p.least:
		p.got, p.spent = 0, 0
	case err == nil && p.spent >= patience:
		err = errSlow
	}
	return n, err
}
