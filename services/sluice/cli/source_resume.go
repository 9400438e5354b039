package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/shared/store"
)

func (a *app) sourceResume() *cobra.Command {
	return &cobra.Command{
		Use:   "resume SOURCE",
		Short: "End the pause that a source's site asked for",
		Long: `End the pause that a source's site asked for, for all sources of the site. Their open runs go on at
once. If the site still refuses, it asks for another pause. sluice source list shows the pauses.`,
		Example: "  sluice source resume docs",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			return a.withBroker(cmd.Context(), func(s *session) error {
				done, err := s.Resume(cmd.Context(), operator, argv[0])
				if err != nil {
					return err
				}
				out := resumed{Pause: done.Pause, Runs: []string{}, Sent: done.Unsent == nil}
				for _, run := range done.Runs {
					out.Runs = append(out.Runs, run.ID)
				}
				if done.Unsent != nil {
					a.notice(fmt.Sprintf("NATS does not respond: %v. The pause is lifted; open runs go on a few minutes after NATS is back.", done.Unsent))
				}
				if a.json() {
					return a.printJSON(out)
				}
				a.printf("The pause until %s is lifted.", clock(done.Pause.Until))
				if len(out.Runs) > 0 {
					a.printf(" %s: %s", plural(len(out.Runs), "run goes on", "runs go on"), strings.Join(out.Runs, ", "))
				}
				a.printf("\n")
				return nil
			})
		},
	}
}

// resumed is the JSON output of a lifted pause.
type resumed struct {
	Pause store.Pause `json:"pause"`
	Runs  []string    `json:"runs"` // that go on
	Sent  bool        `json:"sent"` // false while the broker is unavailable
}

// showPauses shows the pauses of the sources' sites, and how to end them.
func (a *app) showPauses(list []store.Source) {
	var sites []string
	sources := map[string][]store.Source{}
	for _, src := range list {
		if src.Pause == nil {
			continue
		}
		site := strings.ToLower(src.BaseURL)
		if sources[site] == nil {
			sites = append(sites, site)
		}
		sources[site] = append(sources[site], src)
	}
	for _, site := range sites {
		var ids []string
		for _, src := range sources[site] {
			ids = append(ids, src.ID)
		}
		pause := sources[site][0].Pause
		a.printf("\nPaused until %s (%s): %s. The site asked for it %s.\n  %s\n",
			clock(pause.Until), plural(max(1, int(time.Until(pause.Until).Round(time.Minute)/time.Minute)), "more minute", "more minutes"),
			strings.Join(ids, ", "), ago(pause.Since), pause.Why)
		if pause.Liftable() {
			a.printf("  To go on now: sluice source resume %s\n", ids[0])
		}
	}
}

// clock formats a time within a day.
func clock(t time.Time) string { return t.Local().Format(time.TimeOnly) }
