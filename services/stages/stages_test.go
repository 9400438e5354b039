package stages_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/stages"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/secret"
)

// from makes a lookup out of a map.
func from(m map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := m[name]
		return v, ok
	}
}

// Every variable is described, every group has a title of its own, and no two fields of a type
// share a variable or a Go name (a parse error is traced by that name).
func TestFieldsAreComplete(t *testing.T) {
	for _, p := range stages.Programs() {
		for _, typ := range p.Types {
			names, goNames := map[string]bool{}, map[string]bool{}
			for _, f := range typ.Fields {
				require.NotEmpty(t, f.Group, "the struct that declares %s has no title", f.Name)
				require.NotEmpty(t, f.Need, "%s %s", p.Name, f.Name)
				require.NotEmpty(t, f.Example, "%s %s", p.Name, f.Name)
				require.Regexp(t, `^[A-Z].*\.$`, f.Desc, "%s %s", p.Name, f.Name)
				require.False(t, names[f.Name], "%s declares %s twice", p.Name, f.Name)
				require.False(t, goNames[f.GoName], "%s has two fields named %s", p.Name, f.GoName)
				names[f.Name], goNames[f.GoName] = true, true
			}
		}
	}
}

// Every example is a good value.
func TestExamplesAreAccepted(t *testing.T) {
	for _, p := range stages.Programs() {
		given := map[string]string{}
		for _, f := range p.Fields {
			given[f.Name] = example(f)
		}
		delete(given, "NATS_CREDS_FILE") // one credential is enough, and two are a mistake
		delete(given, "SANDBOX_CORPUS")  // and so are two sources of pages
		delete(given, "EMBEDDINGS_PATH") // and two models
		require.NoError(t, config.Read(p, from(given)).Check(p.Types...), p.Name)
	}
}

// Every secret of every program may come from a file, without the line break that editors leave at
// its end, and a bad file is named without what stands in it.
func TestEverySecretMayComeFromAFile(t *testing.T) {
	const canary = "canary-of-a-file"
	dir, secrets := t.TempDir(), 0
	for _, p := range stages.Programs() {
		load := func(m map[string]string) error { return config.Read(p, from(m)).Check(p.Types...) }
		is := func(m map[string]string, name string) string {
			var wrong *config.ConfigurationError
			require.ErrorAs(t, load(m), &wrong)
			for _, problem := range wrong.Problems {
				if problem.Name == name {
					return problem.Is
				}
			}
			return ""
		}
		for _, f := range p.Fields {
			if !f.Secret {
				continue
			}
			secrets++
			env := map[string]string{}
			if f.Name == "SLUICE_MASTER_KEYS_OLD" { // which are of no use alone
				env["SLUICE_MASTER_KEY"] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
			}
			if f.Name == "EMBEDDINGS_API_KEY" {
				env["EMBEDDINGS_URL"], env["EMBEDDINGS_MODEL"] = "https://api.openai.com/v1", "text-embedding-3-small"
			}
			if f.Name == "RERANK_API_KEY" {
				env["RERANK_URL"] = "https://rerank.example.com"
			}
			for _, other := range p.Fields {
				if other.Required && other.Name != f.Name {
					env[other.Name] = example(other)
				}
			}
			file := filepath.Join(dir, p.Name+f.Name)
			require.NoError(t, os.WriteFile(file, []byte(example(f)+"\r\n"), 0o600))
			env[f.Name+"_FILE"] = file
			require.NoError(t, load(env), "%s of %s", f.Name, p.Name)

			env[f.Name] = example(f)
			require.Contains(t, is(env, f.Name), "set twice")
			delete(env, f.Name)
			env[f.Name+"_FILE"] = file + "-missing"
			require.Contains(t, is(env, f.Name), f.Name+"_FILE")
			require.ErrorContains(t, load(env), file+"-missing")
			require.NoError(t, os.WriteFile(file, []byte(canary+" \x00"), 0o600))
			env[f.Name+"_FILE"] = file
			if err := load(env); err != nil {
				require.NotContains(t, err.Error(), canary)
			}
		}
	}
	require.Greater(t, secrets, 10)
}

// A setting that one way to start a stage knows, every other knows as well: whatever is set, the
// stage is given the same, in a program of its own, in sluice up and beside a command.
func TestEverySettingArrivesHoweverAStageIsStarted(t *testing.T) {
	settings := 0
	for _, s := range stages.All() {
		given := map[string]string{}
		for _, f := range s.Settings.Fields {
			given[f.Name] = other(f)
		}
		delete(given, "NATS_CREDS_FILE") // one credential is enough, and two are a mistake
		delete(given, "EMBEDDINGS_PATH") // and so are two models
		for _, p := range []config.Program{s.Program(), stages.Command()} {
			cfg, err := s.Settings.Load(config.Read(p, from(given)))
			require.NoError(t, err, "%s in %s", s.Name, p.Name)
			for _, f := range s.Settings.Fields {
				require.Equal(t, given[f.Name], text(reflect.ValueOf(cfg).FieldByName(f.GoName).Interface()), "%s of %s in %s", f.Name, s.Name, p.Name)
				settings++
			}
		}
	}
	require.Greater(t, settings, 100)
}

// other is a good value of the field that is not its default, in the words of fmt.
func other(f config.Field) string {
	switch f.Name {
	case "LOG_LEVEL":
		return "error"
	case "LOG_FORMAT": // of which the programs have both as their default
		return "console"
	case "NATS_URL":
		return "nats://elsewhere:4222"
	case "GATEWAY_ADDR", "HEALTH_ADDR":
		return "127.0.0.1:9999"
	case "CONFLUENCE_ALLOW_HTTP":
		return "true"
	case "HISTORY_KEEP":
		return "48h0m0s"
	}
	if example(f) != f.Default {
		if d, err := time.ParseDuration(example(f)); err == nil {
			return d.String()
		}
		return example(f)
	}
	if d, err := time.ParseDuration(f.Default); err == nil && f.Default != "0" {
		return (d + 3*time.Second).String()
	}
	var n int
	if _, err := fmt.Sscan(f.Default, &n); err == nil {
		return fmt.Sprint(n + 1)
	}
	return example(f)
}

func text(v any) string {
	if s, ok := v.(secret.String); ok {
		return s.Reveal()
	}
	return fmt.Sprint(v)
}

func TestASettingThatAProgramDoesNotNameIsNotRead(t *testing.T) {
	for _, s := range stages.All() {
		if s.Name == "converter" {
			_, err := config.Of[config.Postgres](config.Read(s.Program(), os.LookupEnv))
			require.ErrorContains(t, err, "DATABASE_URL is not among the settings of converter")
		}
	}
}

// example is a setting's example, or, where the shown one is refused because everybody knows it, a value
// of the same form.
func example(f config.Field) string {
	switch f.Name {
	case "SLUICE_MASTER_KEY":
		return strings.Repeat("b2", 32)
	case "SLUICE_MASTER_PASSPHRASE":
		return "a passphrase that nobody was shown"
	}
	return f.Example
}
