package cli_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sluice/cli"
)

// What is wrong with a command line is said in words, with the way out; no server is needed.
func TestWrongCommandLines(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	for line, said := range map[string]string{
		"statsu":                       `the command "statsu" does not exist; did you mean: sluice status`,
		"source lst":                   "did you mean: sluice source list",
		"embeddings statsu":            "did you mean: sluice embeddings status",
		"completion bsh":               "did you mean: sluice completion bash",
		"source nowhere":               "sluice source --help lists all commands",
		"sync":                         "SOURCE is missing\nusage: sluice sync SOURCE",
		"source add":                   "SOURCE is missing",
		"search":                       "QUERY is missing",
		"removals approve":             "RUN is missing",
		"sync docs hr":                 `the argument "hr" is one too many`,
		"doctor now":                   `the argument "now" is one too many`,
		"cancel a b":                   `the argument "b" is one too many`,
		"sync docs --wiat":             "the flag --wiat does not exist; did you mean: --wait",
		"sync docs --zebra":            "the flag --zebra does not exist; see sluice sync --help",
		"sync docs -z":                 "the flag -z does not exist",
		"removals list --limit few":    `--limit must be a whole number, not "few"`,
		"removals list --limit 9e99":   "--limit must be a whole number",
		"sync docs --wait=perhaps":     `--wait must be true or false, not "perhaps"`,
		"page 1 --chunks --losses":     "--chunks and --losses exclude each other",
		"sandbox --pages 1 --corpus x": "--corpus and --pages exclude each other",
	} {
		code, out, err := p.types(strings.Fields(line)...)
		require.Equal(t, 2, code, line)
		require.Empty(t, out, line)
		require.Contains(t, err, said, line)
		require.NotRegexp(t, `strconv|arg\(s\)|flag needs|unknown (flag|command)`, err, line)
	}
	var out, said bytes.Buffer
	code := cli.Run(t.Context(), []string{"search", "x", "--source"}, p.lookup, strings.NewReader(""), &out, &said)
	require.Equal(t, 2, code)
	require.Equal(t, "sluice: --source needs a value: --source SOURCE\n", said.String())
	for line, want := range map[string]string{
		"sync docs --mode": "incremental\nfull\n", "key create --role": "read\noperate\nadmin\n", "status --output": "text\njson\n",
		"sync": ":", "status --source": ":", // without a server there is none to name
	} {
		require.Contains(t, p.completes(strings.Fields(line)...), want, line)
	}
	require.Regexp(t, `^sluice \S.*, go1\.\S+, \w+/\w+\n$`, p.sees("version"))
}

// What is suggested can be pasted.
func TestCommandsAreCalledAsThePersonCallsThem(t *testing.T) {
	t.Parallel()
	const text = "To list them: sluice source list (or: sluice --help); the stages of sluice run sluice up"
	for self, want := range map[string]string{
		"sluice": "sluice", "bin/sluice": "bin/sluice", "./sluice": "./sluice", `C:\sluice.exe`: "sluice", "/app": "sluice", "/tmp/x/cli.test": "sluice",
		"/tmp/go-build1/b001/exe/sluice": "go run ./services/sluice", "/my tools/sluice": "'/my tools/sluice'",
	} {
		name, printed := cli.Calls(self, text)
		require.Equal(t, want, name, self)
		require.Equal(t, "To list them: "+want+" source list (or: "+want+" --help); the stages of sluice run "+want+" up", printed)
	}
}

func TestOnlyYesAffirms(t *testing.T) {
	t.Parallel()
	for answer, yes := range map[string]bool{"y\n": true, "YES\n": true, "\n": false, "": false, "n\n": false, "yesterday\n": false} {
		said, shown := cli.Asks("Delete it?", answer)
		require.Equal(t, yes, said, answer)
		require.Equal(t, "Delete it? [y/N] ", shown)
	}
}

// completes returns what the shell offers after a command line.
func (p *person) completes(args ...string) string {
	p.t.Helper()
	lookup := func(name string) (string, bool) {
		if name == "SLUICE_DATA_DIR" {
			return p.data, true
		}
		return p.lookup(name)
	}
	for tries := 1; ; tries++ {
		var out, said bytes.Buffer
		require.Zero(p.t, cli.Run(p.t.Context(), append(append([]string{"__complete"}, args...), ""), lookup, strings.NewReader(""), &out, &said), said.String())
		// On a busy machine the database may take longer than a person is kept waiting, who would press Tab again.
		if !strings.HasSuffix(out.String(), ":1\n") || tries == 10 {
			return out.String()
		}
	}
}
