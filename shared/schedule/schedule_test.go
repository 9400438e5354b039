package schedule_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/schedule"
)

const site = "https://acme.atlassian.net/wiki"

func at(t *testing.T, s string) time.Time {
	t.Helper()
	for _, layout := range []string{time.RFC3339, time.DateTime} {
		if v, err := time.Parse(layout, s); err == nil {
			return v
		}
	}
	require.Failf(t, "no time", "%q", s)
	return time.Time{}
}

func TestNext(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		of              schedule.Schedule
		after           string
		earliest, until string // inclusive
	}{
		"an interval":         {schedule.Schedule{Every: "5m"}, "2026-12-01T10:00:00Z", "2026-12-01T10:00:00Z", "2026-12-01T10:05:00Z"},
		"days":                {schedule.Schedule{Every: "2d"}, "2026-12-01T10:00:00Z", "2026-12-01T10:00:00Z", "2026-12-03T10:00:00Z"},
		"cron":                {schedule.Schedule{Cron: "30 6 * * 1-5"}, "2026-12-04T07:00:00Z", "2026-12-07T06:30:00Z", "2026-12-07T06:30:00Z"},
		"cron in a time zone": {schedule.Schedule{Cron: "30 6 * * *", TimeZone: "Europe/Berlin"}, "2026-07-01T00:00:00Z", "2026-07-01T04:30:00Z", "2026-07-01T04:30:00Z"},
		"02:30 on the day that lacks it is skipped": {schedule.Schedule{Cron: "30 2 * * *", TimeZone: "Europe/Berlin"}, "2026-03-28T12:00:00Z", "2026-03-30T00:30:00Z", "2026-03-30T00:30:00Z"},
		"02:30 on the day that has it twice":        {schedule.Schedule{Cron: "30 2 * * *", TimeZone: "Europe/Berlin"}, "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T01:30:00Z"},
		"an interval in quiet hours":                {schedule.Schedule{Every: "5m", Quiet: "22:00-06:00"}, "2026-12-01T22:00:00Z", "2026-12-02T06:00:00Z", "2026-12-02T06:05:00Z"},
		"a long interval in quiet hours":            {schedule.Schedule{Every: "1d", Quiet: "00:30-23:30"}, "2026-12-01T10:00:00Z", "2026-12-01T23:30:00Z", "2026-12-02T23:45:00Z"},
		"cron in quiet hours only":                  {schedule.Schedule{Cron: "0 3 * * *", Quiet: "22:00-06:00"}, "2026-12-01T12:00:00Z", "2026-12-02T06:00:00Z", "2026-12-02T06:01:00Z"},
		"quiet hours that end in the missing hour":  {schedule.Schedule{Every: "5m", Quiet: "00:00-02:30", TimeZone: "Europe/Berlin"}, "2026-03-28T23:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T02:05:00Z"},
		"quiet hours that end twice":                {schedule.Schedule{Every: "5m", Quiet: "00:00-02:30", TimeZone: "Europe/Berlin"}, "2026-10-25T01:10:00Z", "2026-10-25T01:30:00Z", "2026-10-25T01:35:00Z"},
		"a clock that is changed by half an hour":   {schedule.Schedule{Every: "5m", Quiet: "01:00-02:15", TimeZone: "Australia/Lord_Howe"}, "2026-10-03T14:45:00Z", "2026-10-03T15:30:00Z", "2026-10-03T16:35:00Z"},
		"a day that is left out":                    {schedule.Schedule{Every: "5m", Quiet: "22:00-06:00", TimeZone: "Pacific/Apia"}, "2011-12-30T09:00:00Z", "2011-12-30T16:00:00Z", "2011-12-30T17:05:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.of.On = true
			require.NoError(t, tc.of.Check(at(t, tc.after)))
			next, err := tc.of.Next(at(t, tc.after), site, -1)
			require.NoError(t, err)
			require.Truef(t, next.After(at(t, tc.after)), "%s is not after %s", next, tc.after)
			require.Falsef(t, next.Before(at(t, tc.earliest)) || next.After(at(t, tc.until)), "%s is not in %s to %s", next, tc.earliest, tc.until)
		})
	}
}

// Whatever the quiet hours and the zone, a source is never left alone for much longer than them. A day may lack all that is not quiet.
func TestATickIsNeverLost(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Africa/Cairo"} {
		for _, quiet := range []string{"22:00-06:00", "00:00-23:00", "02:30-02:00", "00:30-02:30", "23:59-00:01"} {
			s := schedule.Schedule{On: true, Every: "45m", TimeZone: zone, Quiet: quiet}
			loc, err := time.LoadLocation(zone)
			require.NoError(t, err)
			for now, end := at(t, "2026-03-01T00:00:00Z"), at(t, "2026-11-10T00:00:00Z"); now.Before(end); {
				next, err := s.Next(now, site, -1)
				require.NoError(t, err)
				require.Truef(t, next.After(now) && next.Sub(now) < 51*time.Hour, "%s %s: %s after %s", zone, quiet, next, now.In(loc))
				now = next
			}
		}
	}
}

func TestSourcesOfASiteAreDueTogether(t *testing.T) {
	t.Parallel()
	one, five := schedule.Schedule{On: true, Every: "1m"}, schedule.Schedule{On: true, Every: "5m"}
	now := at(t, "2026-12-01T10:00:00Z")
	next, err := five.Next(now, site, -1)
	require.NoError(t, err)
	also, err := one.Next(next.Add(-time.Second), site, -1)
	require.NoError(t, err)
	require.Equal(t, next, also)
	seen := map[time.Time]bool{}
	for _, other := range []string{"a", "b", "c", "d", "e", "f"} {
		next, err := five.Next(now, other, -1)
		require.NoError(t, err)
		seen[next] = true
	}
	require.Greater(t, len(seen), 3, "other sites are due at other times")
}

func TestCheckNamesTheField(t *testing.T) {
	t.Parallel()
	for field, list := range map[string][]schedule.Schedule{
		"every": {{On: true}, {Every: "1"}, {Every: "5s"}, {Every: "-5m"}, {Every: "32d"}, {Every: "99999999999d"}},
		"cron": {
			{Cron: "0 0 30 2 *"}, {Cron: "@every 1s"}, {Cron: "TZ=UTC 0 6 * * *"}, {Cron: "TZ=0"}, {Cron: "* * *"}, {Cron: "61 * * * *"},
			{Cron: "0 6 * * *", Every: "5m"},
		},
		"time_zone":   {{Every: "5m", TimeZone: "Berlin"}, {Every: "5m", TimeZone: "Local"}},
		"quiet_hours": {{Every: "5m", Quiet: "22-6"}, {Every: "5m", Quiet: "08:00-08:00"}, {Every: "5m", Quiet: "08:10-08:00"}, {Every: "5m", Quiet: "25:00-06:00"}},
		"full_every":  {{Every: "5m", FullEvery: "5m"}, {Every: "5m", FullEvery: "weekly"}, {Every: "5m", FullEvery: "-1d"}},
	} {
		for _, s := range list {
			var wrong *schedule.FieldError
			require.ErrorAs(t, s.Check(at(t, "2026-12-01T10:00:00Z")), &wrong, "%+v", s)
			require.Equal(t, field, wrong.Field, "%+v", s)
		}
	}
}

func TestASwitchedOffScheduleIsNeverDue(t *testing.T) {
	t.Parallel()
	next, err := schedule.Schedule{Every: "5m"}.Next(at(t, "2026-12-01T10:00:00Z"), site, -1)
	require.NoError(t, err)
	require.Zero(t, next)
}

func TestApply(t *testing.T) {
	t.Parallel()
	p := func(s string) *string { return &s }
	yes, no := true, false
	off := &schedule.Schedule{Every: "5m", FullEvery: "7d"}
	cron := &schedule.Schedule{On: true, Cron: "0 6 * * *", TimeZone: "Europe/Berlin", FullEvery: "14d"}
	for name, tc := range map[string]struct {
		old  *schedule.Schedule
		c    schedule.Change
		want schedule.Schedule
		bad  string // the field
	}{
		"an interval of a source without a schedule":      {nil, schedule.Change{Every: p("60s")}, schedule.Schedule{On: true, Every: "1m", FullEvery: "7d"}, ""},
		"no schedule of a source without one":             {nil, schedule.Change{On: &no}, schedule.Schedule{FullEvery: "7d"}, ""},
		"only quiet hours of a source without a schedule": {nil, schedule.Change{Quiet: p("22:00-06:00")}, schedule.Schedule{}, "every"},
		"quiet hours do not switch it on":                 {off, schedule.Change{Quiet: p("22:00-06:00"), FullEvery: p("336h")}, schedule.Schedule{Every: "5m", Quiet: "22:00-06:00", FullEvery: "14d"}, ""},
		"a time zone does not switch it on":               {off, schedule.Change{TimeZone: p("UTC")}, schedule.Schedule{Every: "5m", TimeZone: "UTC", FullEvery: "7d"}, ""},
		"on again":                                        {off, schedule.Change{On: &yes}, schedule.Schedule{On: true, Every: "5m", FullEvery: "7d"}, ""},
		"an interval switches it on":                      {off, schedule.Change{Every: p("auto")}, schedule.Schedule{On: true, Every: "auto", FullEvery: "7d"}, ""},
		"an interval without switching it on":             {off, schedule.Change{Every: p("2m"), On: &no}, schedule.Schedule{Every: "2m", FullEvery: "7d"}, ""},
		"an interval instead of cron":                     {cron, schedule.Change{Every: p("5m")}, schedule.Schedule{On: true, Every: "5m", TimeZone: "Europe/Berlin", FullEvery: "14d"}, ""},
		"cron instead of an interval":                     {off, schedule.Change{Cron: p("0 7 * * *")}, schedule.Schedule{On: true, Cron: "0 7 * * *", FullEvery: "7d"}, ""},
		"both":                                            {off, schedule.Change{Cron: p("0 7 * * *"), Every: p("5m")}, schedule.Schedule{}, "cron"},
		"taken away":                                      {cron, schedule.Change{Cron: p("")}, schedule.Schedule{}, "every"},
		"never comes":                                     {cron, schedule.Change{Cron: p("0 0 31 2 *")}, schedule.Schedule{}, "cron"},
		"off":                                             {cron, schedule.Change{On: &no}, schedule.Schedule{Cron: "0 6 * * *", TimeZone: "Europe/Berlin", FullEvery: "14d"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := tc.c.Apply(tc.old, at(t, "2026-12-01T10:00:00Z"))
			if tc.bad != "" {
				var wrong *schedule.FieldError
				require.ErrorAs(t, err, &wrong)
				require.Equal(t, tc.bad, wrong.Field)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
		})
	}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	now := at(t, "2026-12-01T10:00:00Z")
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	const day = 24 * time.Hour
	well := func(change func(f *schedule.Facts)) schedule.Facts {
		f := schedule.Facts{Now: now, Askable: true, Synced: ago(time.Minute), Compared: ago(day), FullAfter: ago(day)}
		change(&f)
		return f
	}
	for name, tc := range map[string]struct {
		every string // of full runs
		f     schedule.Facts
		want  schedule.Action
	}{
		"nothing special":                           {"7d", well(func(*schedule.Facts) {}), schedule.Ask},
		"a folder":                                  {"7d", well(func(f *schedule.Facts) { f.Askable = false }), schedule.Run},
		"never synced":                              {"7d", well(func(f *schedule.Facts) { f.Synced = time.Time{} }), schedule.Run},
		"a run is open":                             {"7d", well(func(f *schedule.Facts) { f.Busy, f.Compared = true, ago(30*day) }), schedule.Busy},
		"a full run is due":                         {"7d", well(func(f *schedule.Facts) { f.Compared = ago(7 * day) }), schedule.FullRun},
		"on demand, a full run is never due":        {"7d", well(func(f *schedule.Facts) { f.Compared, f.OnDemand, f.FullFailed = time.Time{}, true, true }), schedule.Ask},
		"full runs every 14 days":                   {"14d", well(func(f *schedule.Facts) { f.Compared = ago(8 * day) }), schedule.Ask},
		"full runs every 14 days, due":              {"14d", well(func(f *schedule.Facts) { f.Compared = ago(14 * day) }), schedule.FullRun},
		"no full runs":                              {"never", well(func(f *schedule.Facts) { f.Compared = time.Time{} }), schedule.Ask},
		"a cancelled full run waits for its time":   {"7d", well(func(f *schedule.Facts) { f.Compared, f.FullAfter = ago(8*day), now.Add(7*day) }), schedule.Ask},
		"a person's full run counts":                {"7d", well(func(f *schedule.Facts) { f.Compared, f.FullAfter = ago(time.Hour), ago(time.Hour) }), schedule.Ask},
		"a full run that failed comes again":        {"7d", well(func(f *schedule.Facts) { f.FullFailed, f.FullAfter = true, now.Add(7*day) }), schedule.FullRun},
		"it has just failed":                        {"7d", well(func(f *schedule.Facts) { f.Failures, f.FailedAt, f.FullFailed = 1, ago(10*time.Second), true }), schedule.Wait},
		"it failed a while ago":                     {"7d", well(func(f *schedule.Facts) { f.Failures, f.FailedAt = 1, ago(40*time.Second) }), schedule.Ask},
		"it keeps failing":                          {"7d", well(func(f *schedule.Facts) { f.Failures, f.FailedAt = 20, ago(50*time.Minute) }), schedule.Wait},
		"far behind":                                {"7d", well(func(f *schedule.Facts) { f.Synced = ago(day) }), schedule.Run},
		"synced long ago, and looked at since then": {"7d", well(func(f *schedule.Facts) { f.Synced, f.Seen = ago(3*day), ago(5*time.Minute) }), schedule.Ask},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, until := schedule.Schedule{On: true, Every: "1m", FullEvery: tc.every}.Decide(tc.f)
			require.Equal(t, tc.want, got)
			require.Equal(t, got == schedule.Wait, until.After(now))
		})
	}
}

func TestPacesAndRests(t *testing.T) {
	t.Parallel()
	require.Equal(t, 20*time.Second, schedule.Pace(time.Minute))
	require.Equal(t, time.Minute, schedule.Pace(4*time.Hour))
	require.Equal(t, 5*time.Minute, schedule.Pace(20*time.Hour))
	require.Equal(t, 5*time.Minute, schedule.Pace(-1))
	require.Zero(t, schedule.Rest(0))
	require.Equal(t, 30*time.Second, schedule.Rest(1))
	require.Equal(t, 2*time.Minute, schedule.Rest(3))
	require.Equal(t, time.Hour, schedule.Rest(1000))
	require.Equal(t, "5m 1h 1h30m 7d 90s", schedule.Short(5*time.Minute)+" "+schedule.Short(time.Hour)+" "+schedule.Short(90*time.Minute)+" "+schedule.Short(7*24*time.Hour)+" "+"90s")
}
