package cli

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// wrapped writes the parts one after the other.
func wrapped(width int, parts ...string) string {
	a := &app{}
	a.root()
	return a.wrapped(width, parts...)
}

func (a *app) wrapped(width int, parts ...string) string {
	var out bytes.Buffer
	w := &wrapper{to: &out, width: width, whole: a.commandsIn}
	for _, p := range parts {
		fmt.Fprint(w, p)
	}
	return out.String()
}

func TestTextsAreWrappedBetweenWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a long line of many words\n":                    "a long line of many\nwords\n",
		"  indented lines stay so here\n":                "  indented lines\n  stay so here\n",
		"1. a numbered item has two\n":                   "1. a numbered item\n   has two\n",
		"  → an arrow points at it all\n":                "  → an arrow points\n    at it all\n",
		"ok   disk: there is space left\n":               "ok   disk: there is\n     space left\n",
		"    | quoted text stays a quote\n":              "    | quoted text\n    | stays a quote\n",
		"  | - an item of a quote and\n":                 "  | - an item of a\n  |   quote and\n",
		"see https://example.com/a/long/address of it\n": "see\nhttps://example.com/a/long/address\nof it\n",
		"to list: sluice source list; done\n":            "to list:\nsluice source list;\ndone\n",
		"  sluice source add docs --space DOCS\n":        "  sluice source add docs --space DOCS\n",
		"\x1b[1mbold\x1b[0m words have no more width\n":  "\x1b[1mbold\x1b[0m words have no\nmore width\n",
		"見出し 見出し 見出し 見出し\n":                              "見出し 見出し 見出し\n見出し\n",
		"no break at the end":                            "no break at the end",
		"\n\n":                                           "\n\n",
	} {
		require.Equal(t, want, wrapped(20, text), text)
		require.Equal(t, text, wrapped(0, text), "not a terminal")
	}
	require.Equal(t, "  requested just now,\n  took 4.8 s\n", wrapped(20, "  requested just now", ", took", " 4.8 s", "\n"), "a line in parts, of which one begins within a word")
}

// For any text, no line is wider than the terminal unless a single word is, and no word is lost.
func TestWrappedTextKeepsToTheTerminal(t *testing.T) {
	t.Parallel()
	const text = "  1. Signing keys  [docs, page 1]\nwarn  disk: of /var/lib/sluice 3 % is left, which is less than a sync may need\n      → free some, or name another folder with --data\n"
	for width := 20; width < 100; width++ {
		out := wrapped(width, text)
		require.Empty(t, TooWide(out, width))
		require.Equal(t, strings.Fields(text), strings.Fields(out))
	}
}

// Whatever surrounds a command, and however narrow the terminal is, the command can be copied from one line, and the
// prose after it is wrapped.
func TestNoCommandIsBroken(t *testing.T) {
	t.Parallel()
	a := &app{}
	a.root()
	commands := []string{
		"sluice source set docs --base-url https://acme2.atlassian.net --token-file token.txt",
		"sluice source set docs --name 'People, and their handbook' --tag a,b",
		"sluice secret set docs < token.txt", "sluice search -o json 'rotate (all) keys'",
		"sluice source add demo --space DEMO && sluice up", "sluice why 712020:8d0f 98310",
		"sluice failed retry 98310 --wait", "sluice document add - --source files",
	}
	for _, c := range Commands() {
		commands = append(commands, "sluice "+c+" --data /var/lib/sluice -o json")
	}
	for _, command := range commands {
		for _, after := range []string{"", ".", "; that is what it takes, and nothing else", ", which takes a while", " (or another one of that kind)", ": it was stored for the old address"} {
			for width := 20; width < 100; width += 17 {
				out := a.wrapped(width, "  → its token is for another site. Set it anew with "+command+after+"\n")
				require.Contains(t, out, command, width)
				for line := range strings.Lines(out) {
					require.True(t, len(line) <= width+4 || strings.Contains(line, command), "%d: prose is wrapped: %s", width, line)
				}
			}
		}
	}
	require.Equal(t, "sluice doctor says\nmore of what it is\n", wrapped(20, "sluice doctor says more of what it is\n"))
	require.Equal(t, "sluice sync docs to\nfind them\n", wrapped(20, "sluice sync docs to find them\n"))
}

// The help of every command fits into 80 columns, also where it is not shown on a terminal.
func TestHelpFitsIntoEightyColumns(t *testing.T) {
	t.Parallel()
	for _, command := range append(Commands(), "", "source", "embeddings", "completion") {
		var out, said bytes.Buffer
		require.Zero(t, Run(t.Context(), append(strings.Fields(command), "--help"), func(string) (string, bool) { return "", false }, strings.NewReader(""), &out, &said), command)
		require.NotEmpty(t, out.String(), command)
		require.Empty(t, TooWide(out.String(), 80), command)
	}
}
