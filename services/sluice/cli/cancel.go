package cli

import (
	"github.com/spf13/cobra"
)

func (a *app) cancel() *cobra.Command {
	return &cobra.Command{
		Use:   "cancel RUN",
		Short: "End an active or queued run",
		Long: `End an active or queued run. Whatever it has stored stays. Its pending pages end as skipped,
and the next run of the source lists them again. The running stages notify everyone who follows
the run.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			return a.withControl(cmd.Context(), func(s *session) error {
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
}
