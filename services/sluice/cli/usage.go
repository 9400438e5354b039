package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// command returns how the person calls this program, so that they can paste what it suggests: bin/sluice in a
// checkout, sluice where it is on the path. A program with another name is called sluice, as in a container.
func command(self string) string {
	switch base := strings.TrimSuffix(filepath.Base(self), ".exe"); {
	case base != "sluice":
		return "sluice"
	case strings.Contains(self, "go-build"):
		return "go run ./services/sluice"
	}
	return shellWord(self)
}

// named writes this program's commands in a text of its own as the person calls them. Give it no text of a page.
func (a *app) named(text string) string {
	if a.self == "sluice" || a.commands == nil {
		return text
	}
	return a.commands.ReplaceAllString(text, "${1}"+strings.ReplaceAll(a.self, "$", "$$")+"${2}")
}

// flowing matches a line break within a paragraph: a terminal breaks lines at its own width.
var flowing = regexp.MustCompile(`(\S)\n(\S)`)

// prepare gives all commands what they have in common: errors in our words, and examples that can be pasted.
func (a *app) prepare(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	names := []string{"--help", "--version"}
	for _, c := range root.Commands() {
		names = append(names, c.Name())
	}
	a.self = command(os.Args[0])
	a.begins = regexp.MustCompile(`(` + regexp.QuoteMeta(a.self) + `|\bsluice) (?:` + strings.Join(names, "|") + `)\b`)
	a.commands = regexp.MustCompile(`(^|[\s:("&|])sluice( (?:` + strings.Join(names, "|") + `)\b)`)
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, list []string) {
		to := cmd.OutOrStdout()
		cmd.SetOut(&wrapper{to: to, width: cmp.Or(a.width, usualWidth), whole: a.commandsIn})
		help(cmd, list)
		cmd.SetOut(to)
	})
	root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: a.self}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		c.Short, c.Long, c.Example = a.named(c.Short), a.named(flowing.ReplaceAllString(c.Long, "$1 $2")), a.named(c.Example)
		if c.HasSubCommands() && !c.HasParent() || c.HasSubCommands() && !c.Runnable() {
			c.Args = subcommand
			c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
		a.completes(c)
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
	a.grammar = grammarOf(root)
}

// subcommand refuses the name of a command that does not exist, and names those that are near.
func subcommand(cmd *cobra.Command, list []string) error {
	if len(list) == 0 {
		return nil
	}
	way := cmd.CommandPath() + " --help lists all commands"
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(list[0]); len(near) > 0 {
		way = "did you mean: " + cmd.CommandPath() + " " + strings.Join(near, ", or ")
	}
	return usageError{fmt.Errorf("the command %q does not exist; %s", list[0], way)}
}

// args wraps a check of the arguments so that its errors are usage errors in our words and show the command's usage.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, list []string) error {
		if check(cmd, list) == nil {
			return nil
		}
		wanted := arguments(cmd)
		if len(list) < len(wanted) {
			return usageError{fmt.Errorf("%s is missing\nusage: %s", wanted[len(list)], cmd.UseLine())}
		}
		return usageError{fmt.Errorf("the argument %q is one too many; quote a text that contains spaces\nusage: %s", list[len(wanted)], cmd.UseLine())}
	}
}

// arguments returns the arguments in a command's usage, without its flags: "SOURCE" of "add SOURCE --space KEY".
func arguments(cmd *cobra.Command) []string {
	var list []string
	for _, word := range strings.Fields(cmd.Use)[1:] {
		if word == "|" || strings.HasPrefix(word, "-") {
			break
		}
		list = append(list, word)
	}
	return list
}

// flagError puts the errors of flags into our words.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var empty *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		return usageError{fmt.Errorf("the flag -%s does not exist; see %s --help", unknown.GetSpecifiedName(), cmd.CommandPath())}
	case errors.As(err, &unknown):
		name := unknown.GetSpecifiedName()
		if near := nearFlags(cmd, name); len(near) > 0 {
			return usageError{fmt.Errorf("the flag --%s does not exist; did you mean: --%s", name, strings.Join(near, ", or --"))}
		}
		return usageError{fmt.Errorf("the flag --%s does not exist; see %s --help", name, cmd.CommandPath())}
	case errors.As(err, &empty):
		value, _ := pflag.UnquoteUsage(empty.GetFlag())
		return usageError{fmt.Errorf("--%s needs a value: --%s %s", empty.GetFlag().Name, empty.GetFlag().Name, strings.ToUpper(value))}
	case errors.As(err, &invalid):
		return usageError{fmt.Errorf("--%s must be %s, not %q", invalid.GetFlag().Name, kind(invalid), invalid.GetValue())}
	}
	return usageError{err}
}

// kind says what a flag takes.
func kind(invalid *pflag.InvalidValueError) string {
	switch t := invalid.GetFlag().Value.Type(); {
	case errors.Is(invalid, strconv.ErrRange):
		return "a smaller number"
	case strings.HasPrefix(t, "int"), strings.HasPrefix(t, "uint"):
		return "a whole number"
	case t == "bool":
		return "true or false"
	case t == "duration":
		return "a duration such as 30s"
	default:
		return "of another form"
	}
}

// nearFlags returns the flags whose names are near.
func nearFlags(cmd *cobra.Command, name string) []string {
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return near(name, names)
}

// near returns the names that a person who typed name may have meant. Cobra compares the names of commands only, so
// they are made those.
func near(name string, names []string) []string {
	commands := &cobra.Command{SuggestionsMinimumDistance: 2}
	for _, n := range names {
		commands.AddCommand(&cobra.Command{Use: n, Run: func(*cobra.Command, []string) {}})
	}
	return commands.SuggestionsFor(name)
}

// exclusive is the error of flags that exclude each other; all groups of flags in the program are of this kind.
func exclusive(cmd *cobra.Command) error {
	var given []string
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if len(f.Annotations) > 0 {
			given = append(given, "--"+f.Name)
		}
	})
	return fmt.Errorf("%s exclude each other", strings.Join(given, " and "))
}
