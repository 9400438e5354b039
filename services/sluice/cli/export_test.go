package cli

import (
	"bytes"
	"context"
	"io"
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

// Calls returns how the program calls itself when it was started as self, and what it prints for a text of its own.
func Calls(self, text string) (name, printed string) {
	a := &app{}
	a.root()
	a.self = command(self)
	return a.self, a.named(text)
}

// Asks returns whether the answer affirms a question, and the question as it is shown.
func Asks(question, answer string) (yes bool, shown string) {
	var screen bytes.Buffer
	a := &app{in: strings.NewReader(answer), err: &screen}
	return a.asks(question), screen.String()
}

// RunAt is Run on a terminal of that width.
func RunAt(ctx context.Context, width int, args []string, lookup func(string) (string, bool), stdin io.Reader, stdout, stderr io.Writer) int {
	return run(ctx, args, lookup, stdin, stdout, stderr, width, width)
}

// TooWide returns the lines that are wider than a terminal although they could be broken.
func TooWide(output string, width int) []string {
	a := &app{}
	a.root()
	var list []string
	for line := range strings.Lines(output) {
		line = strings.TrimSuffix(line, "\n")
		w := wrapper{width: width, whole: a.commandsIn, margin: margin(line, width/2)}
		if words := w.words(strings.TrimPrefix(line, w.margin)); shownWidth(strings.TrimRight(line, " ")) > width && len(words) > 1 {
			list = append(list, line)
		}
	}
	return list
}
