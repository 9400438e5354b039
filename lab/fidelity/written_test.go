package fidelity

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// foreign is the sample as other converters might write it, complete.
var foreign = map[string]string{
	"as ours": sampleMarkdown,
	"a title, underlined": "Some title\n==========\n\nSteps\n-----\n\nRead [the log](https://example.org/x), ask @u1.\n\n" +
		"| | |\n| --- | --- |\n| a | b |\n| one | two |\n| | three |\n\n    x = 1\n\n* [x] pack\n",
	"a lower heading, cells as lines": "#### Steps ####\n\nRead [the log](<HTTPS://EXAMPLE.ORG/x>), ask u1\n\na\n\nb\n\none\n\ntwo\n\nthree\n\n`x = 1`\n\n+ [X] pack",
}

func sampleAddress(a string) string { return strings.ToLower(a) }

func TestWhatOthersWriteIsReadWhateverItsDialect(t *testing.T) {
	t.Parallel()
	for name, text := range foreign {
		p, err := Written(name, sample, Facts(), text, sampleAddress)
		require.NoError(t, err)
		for f, s := range p.Scores {
			require.Positive(t, s.Total, f)
			require.Equal(t, s.Total, s.Found, "%s: %s lost %q", name, f, s.Lost)
		}
	}
	_, err := Written("bad", "<p>one < word", Facts(), "", nil)
	require.ErrorContains(t, err, "read storage format")
}

func TestWhatOthersLoseIsSeen(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		old, new string
		hit      Feature
	}{
		"a word":         {"the log", "log", Words},
		"a heading":      {"## Steps", "Steps", Headings},
		"code":           {"x = 1", "x=1", Code},
		"a cell":         {"| one | two |", "| one | |", Cells},
		"a link":         {"(https://example.org/x)", "(#)", Links},
		"a task's state": {"[x]", "[ ]", Tasks},
	} {
		p, err := Written(name, sample, Facts(), strings.Replace(sampleMarkdown, tc.old, tc.new, 1), nil)
		require.NoError(t, err)
		require.Less(t, p.Scores[tc.hit].Found, p.Scores[tc.hit].Total, name)
	}
}

func TestIncludesOfOthersAreNotAsked(t *testing.T) {
	t.Parallel()
	body := `<p>one</p><ac:structured-macro ac:name="include"><ac:parameter ac:name=""><ac:link><ri:page ri:content-title="Two" /></ac:link></ac:parameter></ac:structured-macro>`
	for _, text := range []string{"one\n\n[Two](https://example.atlassian.net/wiki/display/SPACE/Two)", "one\n\nall that the other page says"} {
		p, err := Written("include", body, Facts(), text, nil)
		require.NoError(t, err)
		require.Equal(t, Score{Found: 1, Total: 1}, p.Scores[Words])
		require.Zero(t, p.Scores[Links].Total)
	}
}
