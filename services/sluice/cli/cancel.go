package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/shared/control"
)

func (a *app) cancel() *cobra.Command {
	var all bool
	var source string
	cmd := &cobra.Command{
		Use:   "cancel RUN | --all",
		Short: "End an active or queued run, or all of them",
		Long: `End an active or queued run. Whatever it has stored stays. Its pending pages end as skipped,
and the next run of the source lists them again. The running stages notify everyone who follows
the run.`,
		Example: "  sluice cancel 20260131-020000-k3x9qd\n  sluice cancel --all --source docs",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			switch {
			case all == (len(argv) == 1):
				return usageError{errors.New("give a run, or --all")}
			case source != "" && !all:
				return usageError{errors.New("--source is for --all")}
			}
			return a.withControl(cmd.Context(), func(s *session) error {
				if all {
					runs, err := s.CancelAll(cmd.Context(), operator, source)
					return errors.Join(a.showCancelled(runs), err)
				}
				run, err := s.Cancel(cmd.Context(), operator, argv[0])
				if err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(run)
				}
				a.printf("Run %s of %s is cancelled: %s\n", run.ID, run.SourceID, tally(run.Counts))
				if run.Counts.Skipped > 0 {
					a.printf("The next sync lists its remaining pages again.\n")
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "end all active and queued runs")
	cmd.Flags().StringVar(&source, "source", "", "with --all, only the runs of this `source`")
	return cmd
}

// showCancelled shows the runs that --all ended.
func (a *app) showCancelled(runs []control.Cancelled) error {
	if a.json() {
		return a.printJSON(runs)
	}
	for _, run := range runs {
		a.printf("Run %s of %s is cancelled: %s\n", run.ID, run.SourceID, tally(run.Counts))
	}
	if len(runs) == 0 {
		a.printf("No run is active or queued.\n")
	}
	return nil
}
