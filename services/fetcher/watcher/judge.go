package watcher

import (
	"context"
	"errors"
	"time"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/schedule"
	"github.com/sluicehq/sluice/shared/source"
	"github.com/sluicehq/sluice/shared/store"
)

// mostMarks limits what a run is requested for. With more, the next look finds the rest, if it is not stored by then.
const mostMarks = 500

// seat is a source that is looked at.
type seat struct {
	store.DueSource
	system  source.System
	outcome store.Looked
	problem error // why it cannot be looked at
}

// judge says what came of looking at each of the sources, which are on one site. The error is the database's.
func (w *Watcher) judge(ctx context.Context, due []store.DueSource) ([]store.Looked, error) {
	seats := make([]*seat, len(due))
	var asked []*seat
	for i, d := range due {
		s := &seat{DueSource: d, outcome: store.Looked{SourceID: d.ID}}
		seats[i] = s
		if w.decide(ctx, s) {
			asked = append(asked, s)
		}
	}
	defer func() {
		for _, s := range seats {
			if held, ok := s.system.(source.Holder); ok {
				held.Release()
			}
		}
	}()
	if err := w.ask(ctx, asked); err != nil {
		return nil, err
	}
	list := make([]store.Looked, len(seats))
	for i, s := range seats {
		list[i] = s.outcome
		w.tell(s)
	}
	return list, nil
}

// decide does what needs no question to the site, and reports whether one is needed.
func (w *Watcher) decide(ctx context.Context, s *seat) bool {
	if !s.Facts.Busy {
		var err error
		if s.system, err = w.systems.Open(ctx, s.Source); err != nil {
			s.failed(err)
			return false
		}
		_, s.Facts.Askable = s.system.(source.Watching)
	}
	action, until := s.Schedule.Decide(s.Facts)
	switch action {
	case schedule.Ask:
		return true
	case schedule.Run:
		s.request(event.Incremental, nil)
	case schedule.FullRun:
		s.request(event.Full, nil)
		s.outcome.FullAfter = s.Facts.Now.Add(s.Schedule.FullInterval())
	case schedule.Wait:
		s.ends(store.LookWaits, until)
	case schedule.Busy:
		s.ends(store.LookBusy, time.Time{})
	}
	return false
}

// ask asks the site what changed in the sources.
func (w *Watcher) ask(ctx context.Context, asked []*seat) error {
	if len(asked) == 0 {
		return nil
	}
	of := make([]source.Watched, len(asked))
	for i, s := range asked {
		of[i] = source.Watched{System: s.system, Since: s.Facts.Since(), Kinds: s.Kinds()}
	}
	changes := asked[0].system.(source.Watching).Watch(ctx, of) //nolint:forcetypeassert // decide has seen it
	var hits []store.Hit
	for i, c := range changes {
		for _, ref := range c.Hits {
			hits = append(hits, store.Hit{SourceID: asked[i].ID, PageID: ref.ID, Version: ref.Version})
		}
	}
	unknown, err := w.ledger.UnknownHits(ctx, hits)
	if err != nil {
		return err
	}
	marks := map[string][]string{}
	for _, h := range unknown {
		marks[h.SourceID] = append(marks[h.SourceID], h.Mark())
	}
	for i, c := range changes {
		asked[i].answered(c, marks[asked[i].ID])
	}
	return nil
}

// answered does what follows from what the site says of the source, of which the marks are not known.
func (s *seat) answered(c source.Change, marks []string) {
	switch {
	case c.Err != nil:
		s.failed(c.Err)
	case c.Unsure != "" || len(marks) > 0:
		s.outcome.Changed = len(marks) > 0
		s.request(event.Incremental, marks[:min(len(marks), mostMarks)])
	default:
		s.outcome.Seen = c.At
		s.ends(store.LookUnchanged, time.Time{})
	}
}

func (s *seat) request(mode event.Mode, marks []string) {
	s.outcome.Request, s.outcome.Marks = &event.SyncRequested{SourceID: s.ID, RequestID: event.NewID(), Mode: mode}, marks
	s.ends(store.LookRequested, time.Time{})
}

// failed leaves the source alone for longer with each failure, and at least as long as its site asks for.
func (s *seat) failed(err error) {
	s.outcome.Problem = failure.CodeOf(err)
	if errors.Is(err, context.DeadlineExceeded) {
		s.outcome.Problem = failure.Unavailable
	}
	until := s.Facts.Now.Add(schedule.Rest(s.Failures + 1))
	if at, ok := failure.RetryAt(err); ok && at.After(until) {
		until = at
	}
	s.ends(store.LookFailed, until)
	s.problem = err
}

// ends sets the result, and when the source is due next, which is not before a time.
func (s *seat) ends(result store.LookResult, until time.Time) {
	now := s.Facts.Now
	changed := time.Duration(-1)
	switch {
	case s.outcome.Changed:
		changed = 0
	case !s.Changed.IsZero():
		changed = now.Sub(s.Changed)
	}
	s.outcome.Result = result
	next, err := s.Schedule.Schedule.Next(now, s.Key, changed)
	if err == nil && next.Before(until) {
		next, err = s.Schedule.Schedule.Next(until, s.Key, changed)
	}
	if err != nil || next.IsZero() {
		// It was checked when it was set; the time zones of this machine may be others.
		s.outcome.Result, s.outcome.Problem, next = store.LookFailed, failure.Internal, now.Add(schedule.Rest(s.Failures+1))
		s.problem = err
	}
	s.outcome.Next = next
}

// tell logs what people may want to know.
func (w *Watcher) tell(s *seat) {
	switch s.outcome.Result {
	case store.LookFailed:
		w.log.Warn().Str("source", s.ID).Err(s.problem).Time("next", s.outcome.Next).Msg("the source is due and cannot be looked at; it is tried again")
	case store.LookRequested:
		w.log.Info().Str("source", s.ID).Str("run", s.outcome.Request.RequestID).Str("mode", string(s.outcome.Request.Mode)).Int("changes", len(s.outcome.Marks)).Msg("a run is requested by schedule")
	default:
		w.log.Debug().Str("source", s.ID).Str("result", string(s.outcome.Result)).Time("next", s.outcome.Next).Msg("the source was due")
	}
}
