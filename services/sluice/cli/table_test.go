package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/store"
)

var failures = [][]string{
	{"PAGE", "TITLE", "CODE", "MESSAGE"},
	{"65612", "Rotating the signing keys", "too_large", "the body is larger than what is read of one page"},
	{"7", "見出し", "crashed", "the converter panicked"},
}

func TestATableThatFitsIsOneLineARow(t *testing.T) {
	t.Parallel()
	want := `PAGE   TITLE                      CODE       MESSAGE
65612  Rotating the signing keys  too_large  the body is larger than what is read of one page
7      見出し                     crashed    the converter panicked
`
	require.Equal(t, want, columns(failures, 0), "without a terminal, nothing is wrapped")
	require.Equal(t, want, columns(failures, 200))
	require.Empty(t, columns(nil, 80))
	require.Equal(t, "  a  1\n  b\n", columns([][]string{{"  a", "1"}, {"  b"}}, 80), "a row may be short and indented")
	require.Equal(t, "\x1b[1mA\x1b[0m   B\naa  bb\n", columns([][]string{{"\x1b[1mA\x1b[0m", "B"}, {"aa", "bb"}}, 80), "colour has no width")
}

func TestAWideTableWrapsItsSentences(t *testing.T) {
	t.Parallel()
	require.Equal(t, `PAGE   TITLE                      CODE       MESSAGE
65612  Rotating the signing keys  too_large  the body is larger than
                                             what is read of one page
7      見出し                     crashed    the converter panicked
`, columns(failures, 70))
}

func TestATableThatCannotFitIsWrittenAsRecords(t *testing.T) {
	t.Parallel()
	require.Equal(t, `PAGE     65612
TITLE    Rotating the signing keys
CODE     too_large
MESSAGE  the body is larger than what is
         read of one page

PAGE     7
TITLE    見出し
CODE     crashed
MESSAGE  the converter panicked
`, columns(failures, 40))
}

// For any rows, no line is wider than the terminal unless a single word is.
func TestTablesKeepToTheTerminal(t *testing.T) {
	t.Parallel()
	for width := 30; width < 120; width++ {
		for line := range strings.Lines(columns(failures, width)) {
			require.LessOrEqual(t, text.StringWidthWithoutEscSequences(strings.TrimSuffix(line, "\n")), width, line)
		}
	}
}

func TestAgesSizesAndCuts(t *testing.T) {
	t.Parallel()
	for want, age := range map[string]time.Duration{
		"just now": time.Second, "10 seconds ago": 10 * time.Second, "5 minutes ago": 5 * time.Minute, "3 hours ago": 3 * time.Hour, "2 weeks ago": 15 * 24 * time.Hour,
	} {
		require.Equal(t, want, ago(time.Now().Add(-age)))
	}
	require.Equal(t, "just now", ago(time.Now().Add(time.Minute)), "the database's clock is ahead")
	require.Equal(t, "2020-02-01", ago(time.Date(2020, 2, 1, 12, 0, 0, 0, time.Local)))
	require.Equal(t, []string{"0 B", "999 B", "1.5 kB", "82 kB", "16 MB", "2.0 GB"}, []string{size(0), size(999), size(1500), size(82_100), size(15_800_000), size(2_000_000_000)})
	require.Equal(t, []string{"1 page", "0 pages", "2 pages"}, []string{plural(1, "page", "pages"), plural(0, "page", "pages"), plural(2, "page", "pages")})
	require.Equal(t, []string{"a b", "a long t…", "見出…"}, []string{cut("  a\n b ", 9), cut("a long text", 9), cut("見出しです", 5)})
}

func TestASnippetIsOneLine(t *testing.T) {
	t.Parallel()
	require.Equal(t, `Keys · set <NAME> · Rotate`, snippet("Keys\nset <NAME>\nRotate\n"))
}

// The most used lists fit into a terminal of the usual width as tables: a record per row would fill a screen with ten
// rows.
func TestListsFitIntoEightyColumns(t *testing.T) {
	t.Parallel()
	const run = "20260102-030405-abcdef"
	at := time.Now().Add(-50 * time.Minute)
	for name, rows := range map[string][][]string{
		"sources": sourceRows([]store.Source{
			{ID: "engineering", BaseURL: "https://acme.atlassian.net/wiki", SpaceKey: "ENGINEERING", Pages: 120_000, Chunks: 900_000, DeletionStrategy: store.WeeklyReconciliation, LastSync: at, LastCheck: at},
			{ID: "handbook", System: "folder", Location: "/home/ann/handbook", DeletionStrategy: store.EverySync},
		}),
		"failures": failureRows([]store.Failure{{PageID: "1234567890", Title: "Rotating the signing keys", SourceID: "engineering", RunID: run, Stage: "converter", Code: "convert_too_deep", Attempts: 1, FailedAt: at, Message: "nested too deep"}}),
		"removals": removedRows([]store.RemovedPage{{PageID: "1234567890", Title: "Rotating the signing keys", SourceID: "engineering", Reason: "unreadable", RunID: run, RemovedAt: at}}),
	} {
		out := columns(rows, 80)
		require.True(t, strings.Contains(strings.SplitN(out, "\n", 2)[0], rows[0][2]), "%s is a table:\n%s", name, out)
		for line := range strings.Lines(out) {
			require.LessOrEqual(t, text.StringWidthWithoutEscSequences(strings.TrimSuffix(line, "\n")), 80, name)
		}
		require.NotContains(t, columns(rows, 0), "\n ", "without a terminal, a row is one line")
		t.Logf("%s\n%s", name, out)
	}
}
