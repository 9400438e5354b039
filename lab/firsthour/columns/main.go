// Command columns reads the transcript of the first hour and fails if a line is wider than its terminal although it
// could have been broken.
package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
)

const width = 80

var (
	escapes = regexp.MustCompile(`\x1b\[[\d;]*[A-Za-z]`)
	margin  = regexp.MustCompile(`^[ |]*`)
	// A command is one line, so that it can be copied.
	command = regexp.MustCompile(`(^\$|sluice|curl|claude|export|^Script started) `)
	// These print what is used as it is.
	asItIs = regexp.MustCompile(`^\$ \S+ (nats access|mcp config|convert|page \d+$)`)
)

func main() {
	transcript, err := io.ReadAll(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, "columns:", err)
		os.Exit(1)
	}
	list := tooWide(string(transcript))
	for _, line := range list {
		fmt.Fprintln(os.Stdout, line)
	}
	if len(list) > 0 {
		fmt.Fprintf(os.Stderr, "columns: %d lines are wider than %d columns and have a space at which they could be broken\n", len(list), width)
		os.Exit(1)
	}
}

func tooWide(transcript string) (list []string) {
	verbatim := false
	for line := range strings.Lines(transcript) {
		line = strings.TrimRight(escapes.ReplaceAllString(line, ""), "\r\n ")
		line = line[strings.LastIndexByte(line, '\r')+1:] // what a progress bar has shown last
		if strings.HasPrefix(line, "$ ") {
			verbatim = asItIs.MatchString(line)
		}
		words := strings.Fields(line[len(margin.FindString(line)):])
		if text.StringWidthWithoutEscSequences(line) > width && len(words) > 1 && !verbatim && !command.MatchString(line) {
			list = append(list, line)
		}
	}
	return list
}
