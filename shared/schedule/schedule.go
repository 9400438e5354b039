// Package schedule says when a source is looked at, and what is then done with it. All of it is pure: times and facts come
// in, a decision comes out.
package schedule

import (
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Schedule is the setting of a source. Its zero value is switched off and without an interval.
type Schedule struct {
	On        bool   `json:"on" doc:"whether the source is synced by itself"`
	Every     string `json:"every,omitempty" doc:"the interval, as 5m, or auto: more often while people edit" example:"5m"`
	Cron      string `json:"cron,omitempty" doc:"when, as minute, hour, day of the month, month and day of the week; instead of every" example:"0 6 * * 1-5"`
	TimeZone  string `json:"time_zone,omitempty" doc:"of cron and quiet_hours; default UTC" example:"Europe/Berlin"`
	Quiet     string `json:"quiet_hours,omitempty" doc:"hours of the day in which nothing is done" example:"22:00-06:00"`
	FullEvery string `json:"full_every,omitempty" doc:"how often all pages are compared, or never" example:"7d"`
}

// The values of Every and FullEvery that are no intervals.
const (
	Auto  = "auto"
	Never = "never"
)

// The limits of intervals.
const (
	Shortest     = 15 * time.Second
	Longest      = 31 * day
	ShortestFull = time.Hour
	LongestFull  = 366 * day
	// awake is how much of a day must not be quiet.
	awake = 30 * time.Minute

	day  = 24 * time.Hour
	week = 7 * day
)

// Default is the schedule of a new source: every five minutes, and a full comparison each week.
func Default() Schedule { return Schedule{On: true, Every: "5m", FullEvery: "7d"} }

// FieldError says which field of a schedule cannot be used, by its name in the HTTP API, and why, as the end of a sentence.
type FieldError struct{ Field, Reason string }

func (e *FieldError) Error() string { return e.Field + " " + e.Reason }

func wrong(field, format string, args ...any) error {
	return &FieldError{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// rule is a schedule that was read.
type rule struct {
	every      time.Duration // 0 with cron
	auto       bool
	cron       cron.Schedule
	zone       *time.Location
	quiet      bool
	begin, end int           // of the quiet hours, minutes of the day
	fullEvery  time.Duration // 0 for never
}

// fields are the five of a cron expression. Descriptors such as @every are left out: intervals are Every's.
var fields = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// parseCron keeps from the parser what it takes for a time zone beside ours, and panics on if it is cut off.
func parseCron(s string) (cron.Schedule, error) {
	if strings.Contains(s, "=") {
		return nil, errors.New("a time zone in the expression")
	}
	return fields.Parse(s)
}

// read returns the rule of a schedule, or a *FieldError.
func (s Schedule) read() (rule, error) {
	r := rule{zone: time.UTC}
	var err error
	if s.TimeZone != "" {
		// Local would be another one in each process.
		if r.zone, err = time.LoadLocation(s.TimeZone); err != nil || s.TimeZone == "Local" {
			return r, wrong("time_zone", "%q is not known; give one such as Europe/Berlin or UTC", s.TimeZone)
		}
	}
	switch {
	case s.Every != "" && s.Cron != "":
		return r, wrong("cron", "cannot be used together with every: give one of them")
	case s.Every == Auto:
		r.auto, r.every = true, slow
	case s.Every != "":
		if r.every, err = Interval(s.Every); err != nil || r.every < Shortest || r.every > Longest {
			return r, wrong("every", "%q is not auto or an interval from %s to %s, such as 1m", s.Every, Short(Shortest), Short(Longest))
		}
	case s.Cron != "":
		if r.cron, err = parseCron(s.Cron); err != nil {
			return r, wrong("cron", "%q is not minute, hour, day of the month, month and day of the week, such as 0 6 * * 1-5", s.Cron)
		}
	case s.On:
		return r, wrong("every", "or cron must be given for a schedule")
	}
	if s.Quiet != "" {
		if r.begin, r.end, err = hours(s.Quiet); err != nil {
			return r, err
		}
		r.quiet = true
	}
	if s.FullEvery != "" && s.FullEvery != Never {
		if r.fullEvery, err = Interval(s.FullEvery); err != nil || r.fullEvery < ShortestFull || r.fullEvery > LongestFull {
			return r, wrong("full_every", "%q is not never or an interval from %s to %s, such as 7d", s.FullEvery, Short(ShortestFull), Short(LongestFull))
		}
	}
	return r, nil
}

// Check returns a *FieldError if the schedule cannot be used, or if nothing of it would ever come after now.
func (s Schedule) Check(now time.Time) error {
	r, err := s.read()
	if err != nil || r.every == 0 && r.cron == nil {
		return err
	}
	_, err = r.next(now, "", 0)
	return err
}

// Next returns the first time after a time at which a source is due. Sources with the same key, which is their site's
// address, are due together if their intervals are multiples of each other; those of different keys are spread. A time
// in the quiet hours is put off until soon after their end. With Auto, changed is how long ago something changed, or
// less than 0 if that is not known. A schedule that is off is never due: the time is zero. The error is a *FieldError.
func (s Schedule) Next(after time.Time, key string, changed time.Duration) (time.Time, error) {
	if !s.On {
		return time.Time{}, nil
	}
	r, err := s.read()
	if err != nil {
		return time.Time{}, err
	}
	return r.next(after, key, changed)
}

func (r rule) next(after time.Time, key string, changed time.Duration) (time.Time, error) {
	var t time.Time
	if r.cron != nil {
		if t = r.cron.Next(after.In(r.zone)); t.IsZero() { // it gives up after five years
			return t, wrong("cron", "never comes: it names a day that no month has")
		}
	} else {
		every := r.every
		if r.auto {
			every = Pace(changed)
		}
		t = onGrid(after, every, phase(key, every))
	}
	if !r.quiet || !r.isQuiet(t) {
		return t.UTC(), nil
	}
	return r.wakes(t).Add(phase(key, min(awake/2, max(r.every, time.Minute)))).UTC(), nil
}

// onGrid is the first of the times after t that are a multiple of every, moved by phase.
func onGrid(t time.Time, every, phase time.Duration) time.Time {
	n := (t.UnixNano() - int64(phase)) / int64(every)
	return time.Unix(0, (n+1)*int64(every)+int64(phase))
}

// phase spreads keys over an interval. Multiples of an interval keep their ticks on its grid.
func phase(key string, every time.Duration) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return time.Duration(h.Sum32()%uint32(LongestFull/time.Second)) * time.Second % every
}

func (r rule) isQuiet(t time.Time) bool {
	t = t.In(r.zone)
	at := t.Hour()*60 + t.Minute()
	if r.begin < r.end {
		return at >= r.begin && at < r.end
	}
	return at >= r.begin || at < r.end
}

// wakes returns the end of the quiet hours that t is in. When the clock is changed, the end may be missing, come twice, or
// be a time that is quiet itself; then it is a little later, or on the next day.
func (r rule) wakes(t time.Time) time.Time {
	local := t.In(r.zone)
	first := local.Day()
	if r.begin > r.end && local.Hour()*60+local.Minute() >= r.begin {
		first++
	}
	var end time.Time
	for d := range 4 {
		end = time.Date(local.Year(), local.Month(), first+d, r.end/60, r.end%60, 0, 0, r.zone)
		for range 3 { // no clock is changed by more than an hour
			if !end.Before(t) && !r.isQuiet(end) {
				return end
			}
			end = end.Add(30 * time.Minute)
		}
	}
	return end
}

// hours reads quiet hours, as minutes of the day.
func hours(s string) (begin, end int, err error) {
	from, to, ok := strings.Cut(s, "-")
	a, err1 := time.Parse("15:04", strings.TrimSpace(from))
	b, err2 := time.Parse("15:04", strings.TrimSpace(to))
	if !ok || err1 != nil || err2 != nil {
		return 0, 0, wrong("quiet_hours", "%q is not two times of the day, such as 22:00-06:00", s)
	}
	begin, end = a.Hour()*60+a.Minute(), b.Hour()*60+b.Minute()
	if rest := (begin - end + 24*60) % (24 * 60); rest < int(awake/time.Minute) {
		return 0, 0, wrong("quiet_hours", "%q leaves less than %d minutes of the day", s, int(awake/time.Minute))
	}
	return begin, end, nil
}

var errInterval = errors.New("not an interval")

// Interval reads an interval: as Go writes it, or in whole days (7d) or weeks (2w).
func Interval(s string) (time.Duration, error) {
	for unit, d := range map[string]time.Duration{"d": day, "w": week} {
		if n, ok := strings.CutSuffix(s, unit); ok {
			count, err := strconv.ParseUint(n, 10, 12)
			if err != nil {
				return 0, errInterval
			}
			return time.Duration(count) * d, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, errInterval
	}
	return d, nil
}

// Short writes an interval as people do: 5m, 1h30m, 7d.
func Short(d time.Duration) string {
	if d >= day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// String describes the schedule in words: "every 5m, all pages every 7d".
func (s Schedule) String() string {
	if !s.On {
		return "off"
	}
	text := "every " + s.Every
	switch {
	case s.Cron != "":
		text = "at " + s.Cron
	case s.Every == Auto:
		text = "as often as people edit"
	}
	if s.TimeZone != "" {
		text += " (" + s.TimeZone + ")"
	}
	if s.Quiet != "" {
		text += ", quiet " + s.Quiet
	}
	if s.FullEvery != "" && s.FullEvery != Never {
		text += ", all pages every " + s.FullEvery
	}
	return text
}
