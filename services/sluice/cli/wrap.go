package cli

import (
	"cmp"
	"io"
	"math"
	"os"
	"regexp"
	"strings"
	"sync"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/sluicehq/sluice/shared/terminal"
)

// usualWidth is the width of a terminal that does not say its own, and of help that is not shown on a terminal.
const usualWidth = 80

// widthOf returns the number of characters per line of the terminal that w writes to; 0 if it is not a terminal.
func widthOf(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	switch {
	case err != nil:
		return 0
	case width == 0:
		return usualWidth
	}
	return width
}

// wrapper breaks lines between words so that they fit into a terminal. A word that is too long stays whole, and so does
// a command up to its last flag or argument, so that it can be copied. Give it no text that a program or a person uses as it is: JSON, Markdown,
// scripts.
type wrapper struct {
	to    io.Writer
	width int                        // 0 leaves lines as they are
	whole func(line string) [][2]int // where the commands of a line begin and end; nil for none

	mu     sync.Mutex
	column int
	margin string // what the further lines of the current one begin with
}

// Write wraps p, which may continue the line of the previous call.
func (w *wrapper) Write(p []byte) (int, error) {
	if w.width == 0 {
		return w.to.Write(p)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	for line := range strings.Lines(string(p)) {
		w.line(&b, line)
	}
	if _, err := io.WriteString(w.to, b.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (w *wrapper) line(b *strings.Builder, line string) {
	body, ended := strings.CutSuffix(line, "\n")
	if w.column == 0 {
		w.margin = margin(body, w.width/2)
	}
	for _, word := range w.words(body) {
		bare := strings.TrimLeft(word, " ")
		if w.column+shownWidth(word) > w.width && w.column > shownWidth(w.margin) && bare != word {
			b.WriteString("\n" + w.margin)
			w.column, word = shownWidth(w.margin), bare
		}
		b.WriteString(word)
		w.column += shownWidth(word)
	}
	if ended {
		b.WriteByte('\n')
		w.column = 0
	}
}

// words splits a line into what is not broken, each with the spaces before it.
func (w *wrapper) words(line string) []string {
	var commands [][2]int
	if w.whole != nil {
		commands = w.whole(line)
	}
	var list []string
	for begin := 0; begin < len(line); {
		end := begin + len(line[begin:]) - len(strings.TrimLeft(line[begin:], " "))
		for end < len(line) && line[end] != ' ' {
			end++
			for _, c := range commands {
				if c[0] < end && end < c[1] {
					end = c[1]
				}
			}
		}
		list = append(list, line[begin:end])
		begin = end
	}
	return list
}

// others matches lines that are a command of another program.
var others = regexp.MustCompile(`^\s*(?:curl|export|claude|codex|gemini|psql) .*`)

// commandsIn returns where the commands of a line begin and end.
func (a *app) commandsIn(line string) [][2]int {
	if at := others.FindStringIndex(line); at != nil {
		return [][2]int{{at[0], at[1]}}
	}
	var list [][2]int
	for begin := 0; a.begins != nil; {
		at := a.begins.FindStringSubmatchIndex(line[begin:])
		if at == nil {
			break
		}
		named := begin + at[3] // the end of the program's name
		end := named + a.grammar.end(line[named:])
		list = append(list, [2]int{begin + at[0], end})
		begin = max(end, begin+at[1])
	}
	return list
}

// grammar is what a command consists of, so that it can be told from the prose that follows it.
type grammar struct {
	subs   map[string]*grammar
	valued map[string]bool // its flags that take a value, such as "--output" and "-o"
	takes  int             // how many arguments it takes at most
}

func grammarOf(c *cobra.Command) *grammar {
	g := &grammar{subs: map[string]*grammar{}, valued: map[string]bool{}, takes: len(arguments(c))}
	if g.takes > 0 && (c.Args == nil || c.Args(c, make([]string, g.takes+1)) == nil) {
		g.takes = math.MaxInt
	}
	valued := func(f *pflag.Flag) {
		if f.NoOptDefVal == "" {
			g.valued["--"+f.Name], g.valued["-"+cmp.Or(f.Shorthand, "-"+f.Name)] = true, true
		}
	}
	c.LocalFlags().VisitAll(valued)
	c.InheritedFlags().VisitAll(valued)
	for _, sub := range c.Commands() {
		g.subs[sub.Name()] = grammarOf(sub)
	}
	return g
}

// argument matches one with the spaces before it.
var argument = regexp.MustCompile(`^ +(?:'[^']*'|"[^"]*"|[^ ])+`)

// end returns where a command ends in the text that follows the program's name: with its last flag or argument. Of words
// that may be arguments or prose, all that the command can take are its own.
func (g *grammar) end(text string) int {
	command, end, taken, value := g, 0, 0, false // value: the next word belongs to the one before it
	for {
		word := argument.FindString(text[end:])
		given := strings.TrimLeft(word, " ")
		bare := cmp.Or(strings.TrimRight(given, ".,:;)`"), given)
		switch sub := command.subs[bare]; {
		case bare == "":
			return end
		case value:
			value = false
		case bare == "<" || bare == ">":
			value = true
		case bare == "&&":
			command, taken, value = g, 0, true
		case bare == "|":
			taken-- // for the name of a program
		case strings.HasPrefix(bare, "-"):
			value = command.valued[bare]
		case strings.HasPrefix(bare, "["): // in a usage
		case sub != nil && taken == 0:
			command = sub
		case taken < command.takes && !strings.HasPrefix(bare, "("):
			taken++
		default:
			return end
		}
		end += len(word) - len(given) + len(bare)
		if bare != given {
			return end
		}
	}
}

// mark is what a list item, a numbered hit or an arrow begins with; label is the name of what follows after two spaces.
var (
	quote = regexp.MustCompile(`^ *(?:\| )?`)
	mark  = regexp.MustCompile(`^ *(?:(?:\d+\.|[-*→▸…]) )?`)
	label = regexp.MustCompile(`^\S+(?: \S+)* {2,}`)
)

// margin returns what the further lines of a line begin with: its indentation, and spaces in place of its mark and
// label, unless that is more than most characters.
func margin(line string, most int) string {
	quoted := quote.FindString(line)
	rest := line[len(quoted):]
	n := shownWidth(mark.FindString(rest))
	if l := shownWidth(label.FindString(rest[len(mark.FindString(rest)):])); shownWidth(quoted)+n+l <= most {
		n += l
	}
	if shownWidth(quoted)+n > most {
		return ""
	}
	return quoted + strings.Repeat(" ", n)
}

// shownWidth returns how many columns a text takes; what a terminal would obey, other than colours, is shown.
func shownWidth(s string) int {
	return text.StringWidthWithoutEscSequences(terminal.Clean(colors.ReplaceAllString(s, "")))
}

var colors = regexp.MustCompile(`\x1b\[[\d;]*m`)
