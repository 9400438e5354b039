package cli

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Flags whose value is a name or an address, which only the database, the site or the folder can refuse.
var named = []string{"as", "base-url", "corpus", "jira", "label", "mentions", "name", "page-id", "run", "source", "space", "tag", "title"}

// Whatever is missing or wrong in a command line or in a setting, every command ends with the exit code of misuse, and
// needs no server for that.
func TestEveryCommandRefusesMisuse(t *testing.T) {
	t.Parallel()
	dir, tried := t.TempDir(), 0
	refuses := func(env map[string]string, line ...string) {
		var out, said bytes.Buffer
		lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
		code := Run(t.Context(), append(line, "--data", dir), lookup, strings.NewReader(""), &out, &said)
		assert.Equal(t, exitUsage, code, "%v sluice %s\n%s", env, strings.Join(line, " "), said.String())
		assert.NotEmpty(t, said.String(), line)
		tried++
	}
	for _, c := range doing((&app{}).root()) {
		path := strings.Fields(c.CommandPath())[1:]
		if path[0] == "completion" || path[0] == "help" { // cobra's own
			continue
		}
		with := func(more ...string) []string { return slices.Concat(path, more) }
		var given []string
		for _, name := range arguments(c) {
			if !strings.HasPrefix(name, "[") {
				given = append(given, "1")
			}
		}
		if len(given) > 0 {
			refuses(nil, with(given[1:]...)...)
		}
		refuses(nil, with(append(given, "--zebra")...)...)
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			for _, bad := range badValues(f) {
				refuses(nil, with(append(given, "--"+f.Name+"="+bad)...)...)
			}
		})
		// These need no setting; the doctor reports wrong ones among its findings, and exits with 1.
		if slices.Contains([]string{"convert", "doctor", "sandbox", "version", "migrate export", "nats init"}, strings.Join(path, " ")) {
			continue
		}
		for _, setting := range []string{"LOG_LEVEL", "DATABASE_URL", "NATS_URL"} {
			if setting == "DATABASE_URL" && path[0] == "nats" || setting == "NATS_URL" && path[0] == "migrate" {
				continue
			}
			refuses(map[string]string{setting: ":?!"}, with(given...)...)
		}
	}
	require.Greater(t, tried, 150)
}

// doing returns the commands that do something.
func doing(c *cobra.Command) (list []*cobra.Command) {
	for _, sub := range c.Commands() {
		if sub.HasSubCommands() {
			list = append(list, doing(sub)...)
			if sub.Name() != "mcp" {
				continue
			}
		}
		list = append(list, sub)
	}
	return list
}

func badValues(f *pflag.Flag) []string {
	switch kind := f.Value.Type(); {
	case f.Name == "help" || slices.Contains(named, f.Name):
		return nil
	case kind == "int":
		return []string{"many", "-2"}
	case kind == "bool":
		return []string{"perhaps"}
	}
	return []string{"?!"}
}
