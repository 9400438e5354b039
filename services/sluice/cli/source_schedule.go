package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/shared/schedule"
	"github.com/sluicehq/sluice/shared/store"
)

// scheduleFlags are the flags of a source's schedule.
type scheduleFlags struct {
	every, cron, zone, quiet, fullEvery string
	none                                bool
}

// scheduleFlagNames are their names, for what says which flags there are.
const scheduleFlagNames = "--every, --cron, --time-zone, --quiet-hours, --full-every, --no-schedule"

func (f *scheduleFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.every, "every", "", "`interval` at which the source is synced by itself, such as 5m, or auto: more often while people edit (new sources: 5m)")
	cmd.Flags().StringVar(&f.cron, "cron", "", "`times` instead, as minute, hour, day of the month, month and day of the week: '0 6 * * 1-5'")
	cmd.Flags().StringVar(&f.zone, "time-zone", "", "`zone` of --cron and --quiet-hours, such as Europe/Berlin (default UTC)")
	cmd.Flags().StringVar(&f.quiet, "quiet-hours", "", "`hours` of the day in which nothing is synced by itself, such as 22:00-06:00; \"\" for none")
	cmd.Flags().StringVar(&f.fullEvery, "full-every", "", "`interval` at which all pages are compared, such as 7d, or never (new sources: 7d)")
	cmd.Flags().BoolVar(&f.none, "no-schedule", false, "sync the source only when asked")
	cmd.MarkFlagsMutuallyExclusive("every", "cron", "no-schedule")
}

// change is what the flags that were given change, or a usage error if a value can never be right.
func (f *scheduleFlags) change(cmd *cobra.Command) (schedule.Change, error) {
	given := func(name string, value *string) *string {
		if cmd.Flags().Changed(name) {
			return value
		}
		return nil
	}
	c := schedule.Change{
		Every: given("every", &f.every), Cron: given("cron", &f.cron), TimeZone: given("time-zone", &f.zone),
		Quiet: given("quiet-hours", &f.quiet), FullEvery: given("full-every", &f.fullEvery),
	}
	if f.none {
		off := false
		c.On = &off
	}
	usual := schedule.Default()
	if c.Every == nil && c.Cron != nil {
		usual.Every = ""
	}
	_, err := c.Apply(&usual, time.Now())
	if wrong := new(schedule.FieldError); errors.As(err, &wrong) {
		err = usageError{fmt.Errorf("%s %s", fieldFlag(wrong.Field), wrong.Reason)}
	}
	return c, err
}

// showSchedules shows, below the table of sources, when each is next looked at and what came of that last.
func (a *app) showSchedules(list []store.Source) {
	var unsaid []string
	for _, src := range list {
		if src.Schedule != nil {
			a.printf("%s\n", scheduleLine(src))
		} else if src.System == store.Confluence {
			unsaid = append(unsaid, src.ID)
		}
	}
	if len(unsaid) > 0 {
		a.printf("Synced only when asked, as before there were schedules: %s. To change it: sluice source set %s --every 5m; to leave it so: --no-schedule\n",
			strings.Join(unsaid, ", "), unsaid[0])
	}
}

// scheduleLine says of a source with a schedule when it is next looked at, and what came of that last.
func scheduleLine(src store.Source) string {
	s := src.Schedule
	if !s.On {
		return src.ID + " is synced only when asked."
	}
	line := fmt.Sprintf("%s is synced by itself %s; next %s", src.ID, s.Schedule, in(s.Next))
	if !s.LookedAt.IsZero() {
		line += fmt.Sprintf("; looked %s: %s", ago(s.LookedAt), lookWords(s))
	}
	return line + "."
}

func lookWords(s *store.Scheduled) string {
	switch s.Result {
	case store.LookUnchanged:
		return "nothing changed"
	case store.LookRequested:
		return "a run was requested"
	case store.LookBusy:
		return "a run was under way"
	case store.LookWaits:
		return "it waits, because its last runs failed"
	case store.LookFailed:
		return "it failed (" + string(s.Problem) + "); to see why: sluice doctor"
	}
	return string(s.Result)
}

// in says how long it is until a time.
func in(t time.Time) string {
	d := time.Until(t).Round(time.Second)
	if d <= 0 {
		return "now"
	}
	return "in " + schedule.Short(d)
}
