package cli

import (
	"strings"

	"github.com/spf13/cobra"
)

// Commands returns the command lines that do something, for example "source list".
func Commands() []string {
	var list []string
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			if sub.HasSubCommands() {
				walk(sub)
			} else {
				list = append(list, strings.TrimPrefix(sub.CommandPath(), "sluice "))
			}
		}
	}
	walk((&app{}).root())
	return list
}
