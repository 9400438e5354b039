package schedule

import "time"

// Change is a change of a schedule. What is nil stays as it is.
type Change struct {
	On        *bool
	Every     *string
	Cron      *string
	TimeZone  *string
	Quiet     *string
	FullEvery *string
}

// Empty reports whether nothing is to be changed.
func (c Change) Empty() bool { return c == Change{} }

// Apply returns the schedule with the change, or a *FieldError. An interval or a cron expression replaces the other, and
// switches the schedule on unless On says otherwise; nothing else does. There is nothing to change in a source without a
// schedule (old is nil) but with one of these.
func (c Change) Apply(old *Schedule, now time.Time) (Schedule, error) {
	s := Schedule{FullEvery: Default().FullEvery}
	if old != nil {
		s = *old
	}
	given := func(p *string) bool { return p != nil && *p != "" }
	if given(c.Every) && given(c.Cron) {
		return s, wrong("cron", "cannot be used together with every: give one of them")
	}
	if given(c.Every) || given(c.Cron) {
		s.Every, s.Cron, s.On = "", "", true
	}
	for from, to := range map[*string]*string{c.Every: &s.Every, c.Cron: &s.Cron, c.TimeZone: &s.TimeZone, c.Quiet: &s.Quiet, c.FullEvery: &s.FullEvery} {
		if from != nil {
			*to = *from
		}
	}
	if c.On != nil {
		s.On = *c.On
	}
	if old == nil && s.Every == "" && s.Cron == "" && (c.On == nil || *c.On) {
		return s, wrong("every", "or cron must be given too: the source has no schedule yet")
	}
	s.normalize()
	return s, s.Check(now)
}

// normalize writes intervals the same way, whoever gave them.
func (s *Schedule) normalize() {
	for _, field := range []*string{&s.Every, &s.FullEvery} {
		if d, err := Interval(*field); err == nil {
			*field = Short(d)
		}
	}
}
