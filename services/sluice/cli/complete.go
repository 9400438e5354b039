package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sluicehq/sluice/services/sluice/local"
	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
)

// completeWithin limits how long a person waits after pressing Tab.
const completeWithin = 3 * time.Second

// completes has shells complete a command's first argument and the values of its flags.
func (a *app) completes(c *cobra.Command) {
	known := map[string]cobra.CompletionFunc{"SOURCE": a.sourceIDs, "RUN": a.runIDs, "PAGE|RUN": a.runIDs}
	if words := arguments(c); len(words) > 0 && c.ValidArgsFunction == nil && c.Name() != "add" {
		if complete := known[strings.Trim(words[0], "[]")]; complete != nil {
			c.ValidArgsFunction = func(cmd *cobra.Command, list []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
				if len(list) > 0 {
					return nil, cobra.ShellCompDirectiveNoFileComp
				}
				return complete(cmd, list, begun)
			}
		}
	}
	values := map[string]cobra.CompletionFunc{
		"source": a.sourceIDs, "run": a.runIDs, "output": fixed("text", "json"),
		"mode": fixed(event.Incremental, event.Full), "role": fixed(apikey.Read, apikey.Operate, apikey.Admin),
		"permissions":       fixed(store.Enforce, store.UnrestrictedOnly, store.OpenToAll),
		"deletion-strategy": fixed(store.WeeklyReconciliation, store.EverySync, store.OnDemand),
	}
	c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) { complete(c, f, values) })
	c.PersistentFlags().VisitAll(func(f *pflag.Flag) { complete(c, f, values) })
}

func complete(c *cobra.Command, f *pflag.Flag, values map[string]cobra.CompletionFunc) {
	if values[f.Name] != nil {
		_ = c.RegisterFlagCompletionFunc(f.Name, values[f.Name]) // fails only for a flag that does not exist
	}
}

// fixed completes the values that a flag can have.
func fixed[T ~string](values ...T) cobra.CompletionFunc {
	var list []cobra.Completion
	for _, v := range values {
		list = append(list, string(v))
	}
	return cobra.FixedCompletions(list, cobra.ShellCompDirectiveNoFileComp)
}

func (a *app) sourceIDs(cmd *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.ids(cmd, begun, func(ctx context.Context, s *session) (list []string, err error) {
		sources, err := s.Sources(ctx, operator, store.Whole())
		for _, src := range sources {
			list = append(list, src.ID)
		}
		return list, err
	})
}

func (a *app) runIDs(cmd *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.ids(cmd, begun, func(ctx context.Context, s *session) (list []string, err error) {
		runs, err := s.Runs(ctx, operator, "", store.First(50))
		for _, run := range runs {
			list = append(list, run.ID)
		}
		return list, err
	})
}

// ids completes ids from the database, if it runs: pressing Tab starts no server. Without it nothing is completed.
func (a *app) ids(cmd *cobra.Command, begun string, read func(context.Context, *session) ([]string, error)) ([]cobra.Completion, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completeWithin)
	defer cancel()
	cfg, err := a.settings()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	if _, err := local.Database(cfg.DataDir); err != nil && cfg.DatabaseURL.IsZero() {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var list []string
	err = a.withControl(ctx, func(s *session) (err error) {
		list, err = read(ctx, s)
		return err
	})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	list = slices.DeleteFunc(list, func(id string) bool { return !strings.HasPrefix(id, begun) })
	return list, cobra.ShellCompDirectiveNoFileComp
}
