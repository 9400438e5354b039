package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/sluicehq/sluice/lab/bench/way"
	"github.com/sluicehq/sluice/lab/storebench"
	"github.com/sluicehq/sluice/shared/event"
)

// whereTimeGoes follows every page of a full sync through the stages, from their log lines for handled
// messages.
func (b *bench) whereTimeGoes(ctx context.Context) error {
	for range b.rounds {
		if err := b.followPages(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) followPages(ctx context.Context) (err error) {
	heard := &listener{}
	w, err := b.newWorld(ctx, layout{pages: b.pages, env: map[string][]string{"": {"LOG_LEVEL=debug"}}, heard: heard})
	defer w.close(&err)
	if err != nil {
		return err
	}
	end, took, err := w.sync(ctx, source, event.Full)
	if err != nil {
		return err
	}
	fetched, err := storebench.FetchedAt(ctx, w.pg.URL(), end.RunID)
	if err != nil {
		return err
	}
	if err := w.stop(""); err != nil { // now every line has arrived
		return err
	}
	began := end.At.Add(-took)
	if !end.StartedAt.IsZero() {
		began = end.StartedAt
	}
	s, err := way.Of(began, fetched, heard.handled)
	if err != nil {
		return err
	}
	if s.Pages != b.pages {
		return fmt.Errorf("%d pages were followed, of %d", s.Pages, b.pages)
	}
	for _, step := range s.Steps {
		b.say("%s: p50 %.0f ms, %.0f %% of the time", step.Name, step.P50, 100*step.Share)
	}
	b.r.Stages = append(b.r.Stages, s)
	return nil
}

// listener reads the stages' log lines and records when they arrive. The lines' own times are too
// coarse.
type listener struct {
	mu      sync.Mutex
	handled []way.Handled
}

// from returns the writer for the log of one process.
func (l *listener) from() *ear { return &ear{to: l} }

// ear writes one process's log to the listener.
type ear struct {
	to   *listener
	rest []byte // of a line that has not ended
}

// Write takes a part of the log.
func (e *ear) Write(p []byte) (int, error) {
	now := time.Now()
	e.rest = append(e.rest, p...)
	for {
		line, rest, ended := bytes.Cut(e.rest, []byte{'\n'})
		if !ended {
			return len(p), nil
		}
		e.rest = rest
		var entry struct {
			Message string  `json:"message"`
			Event   string  `json:"event"`
			Page    string  `json:"page"`
			Pages   int     `json:"pages"`
			Took    float64 `json:"took"` // milliseconds
		}
		if json.Unmarshal(line, &entry) != nil || entry.Message != "handled" || entry.Page == "" {
			continue
		}
		e.to.mu.Lock()
		e.to.handled = append(e.to.handled, way.Handled{
			Event: event.Type(entry.Event), Page: entry.Page, Ended: now, Took: time.Duration(entry.Took * float64(time.Millisecond)),
		})
		e.to.mu.Unlock()
	}
}
