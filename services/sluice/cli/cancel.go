package cli

import (
	"github.com/spf13/cobra"
)

func (a *app) cancel() *cobra.Command {
	return &cobra.Command{
		Use:   "cancel RUN",
		Short: "End a run that is under way or waits for its turn",
		Long: `End a run that is under way or waits for its turn. What it has stored stays. The pages that
it still waited for end as skipped, and the next run of the source lists them again. The
running stages tell whoever follows the run.`,
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
					a.printf("What it did not come to is listed again by the next sync.\n")
				}
				return nil
			})
		},
	}
}
