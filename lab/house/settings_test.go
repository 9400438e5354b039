package house

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/stages"
	"github.com/sluicehq/sluice/shared/config"
)

var update = flag.Bool("update", false, "generate .env.example and docs/configuration.md")

// .env.example and docs/configuration.md are generated from the configuration types of the programs: make docs.
func TestSettingsAreDocumented(t *testing.T) {
	for name, want := range map[string]string{".env.example": envExample(), "docs/configuration.md": configurationPage()} {
		if *update {
			require.NoError(t, os.WriteFile(filepath.Join(root(), name), []byte(want), 0o644))
		}
		assert.Equal(t, want, read(t, name), "%s is not up to date with shared/config; run: make docs", name)
	}
}

// A filled-in example is a configuration that every program accepts.
func TestEnvExampleIsAccepted(t *testing.T) {
	vars := map[string]string{}
	for _, f := range variables() {
		if f.Required {
			vars[f.Name] = f.Example
		}
	}
	for name, value := range dotenv(t, ".env.example") {
		assert.NotContains(t, []string{"DATABASE_URL", "NATS_URL"}, name,
			"an address that is active in .env would be wrong inside or outside of the containers")
		if value != "" {
			vars[name] = value
		}
	}
	lookup := func(name string) (string, bool) {
		v, ok := vars[name]
		return v, ok
	}
	for _, p := range stages.Programs() {
		require.NoError(t, config.Read(p, lookup).Check(p.Types...), p.Name)
	}
}

// variable is one environment variable of all programs.
type variable struct {
	config.Field
	readers  []string          // the programs that read it
	defaults map[string]string // per program, if it is not Field.Default
}

// variables returns every variable once, in the order of the programs.
func variables() []*variable {
	var list []*variable
	byName := map[string]*variable{}
	for _, p := range stages.Programs() {
		for _, f := range p.Fields {
			v := byName[f.Name]
			if v == nil {
				v = &variable{Field: f, defaults: map[string]string{}}
				byName[f.Name] = v
				list = append(list, v)
			}
			v.readers = append(v.readers, p.Name)
			if f.Default != v.Default {
				v.defaults[p.Name] = f.Default
			}
		}
	}
	return list
}

// site is the group that a new user fills in.
var site = config.Fields(config.Confluence{})[len(config.Fields(config.Sites{}))].Group

// grouped returns the variables by the titles of their groups, in the order of the structs, the site first.
func grouped() (order []string, by map[string][]*variable) {
	order, by = []string{site}, map[string][]*variable{site: nil}
	for _, v := range variables() {
		if _, ok := by[v.Group]; !ok {
			order = append(order, v.Group)
		}
		by[v.Group] = append(by[v.Group], v)
	}
	return order, by
}

func envExample() string {
	var b strings.Builder
	b.WriteString("# Settings for docker compose, and for make and sluice once they are in the environment:\n" +
		"#\n#   cp .env.example .env && set -a && . ./.env && set +a\n#\n" +
		"# Only the site has to be filled in. What is commented out shows its default or an example.\n" +
		"# Written from shared/config by make docs; docs/configuration.md says more.\n")
	order, by := grouped()
	for _, group := range order {
		fmt.Fprintf(&b, "\n# --- %s ---\n", group)
		for _, v := range by[group] {
			fmt.Fprintf(&b, "\n# %s\n", v.Desc)
			switch {
			case group == site && v.Required:
				fmt.Fprintf(&b, "# For example %s\n%s=\n", v.Example, v.Name)
			case v.Default != "":
				fmt.Fprintf(&b, "# %s=%s\n", v.Name, v.Default)
			default:
				fmt.Fprintf(&b, "# %s=%s\n", v.Name, v.Example)
			}
		}
	}
	b.WriteString("\n# --- Only docker-compose.yml reads these ---\n\n" +
		"# The password of its Postgres, and the ports that it publishes on 127.0.0.1.\n" +
		"# POSTGRES_PASSWORD=sluice\n# POSTGRES_PORT=5432\n# NATS_PORT=4222\n# SANDBOX_PORT=8090\n# GATEWAY_PORT=8181\n" +
		"\n# The processors that NATS and Postgres may use each; 1 on a host with one.\n# SERVER_CPUS=2\n" +
		"\n# A secret may be in a file of this folder, which the containers see as /run/secrets. The user 65532 must be able to read it.\n# SECRETS_DIR=./deploy/secrets\n" +
		"# CONFLUENCE_API_TOKEN_FILE=/run/secrets/token\n# SLUICE_MASTER_KEY_FILE=/run/secrets/master\n# SLUICE_MASTER_KEYS_OLD_FILE=/run/secrets/old\n" +
		"# SLUICE_MASTER_PASSPHRASE_FILE=/run/secrets/passphrase\n# EMBEDDINGS_API_KEY_FILE=/run/secrets/embeddings\n# RERANK_API_KEY_FILE=/run/secrets/rerank\n")
	return b.String()
}

func configurationPage() string {
	var b strings.Builder
	b.WriteString(`# Settings

Every program reads its settings from the environment and checks them all before it starts. What
is missing or wrong is named at once, with what is needed and an example:

` + "```\n" + `fetcher cannot start: 2 settings are missing or wrong
  CONFLUENCE_EMAIL is not set; it needs the e-mail address of the account that the API token belongs to, for example reader@acme.com
  CONFLUENCE_CONCURRENCY is "many"; it needs a whole number from 1 to 64, for example 8
` + "```\n" + `
An empty variable counts as not set. A *secret* is never printed or logged, and may come from a
file: ` + "`NAME_FILE`" + ` names the file that holds the value of ` + "`NAME`" + `, as Docker and Kubernetes give
them ([tokens and keys](secrets.md)).

This page is written from ` + "`shared/config`" + ` by ` + "`make docs`" + `.
`)
	order, by := grouped()
	for _, group := range order {
		fmt.Fprintf(&b, "\n## %s\n\n| variable | default | what it is for | what it needs | read by |\n| --- | --- | --- | --- | --- |\n", group)
		for _, v := range by[group] {
			fmt.Fprintf(&b, "| `%s`%s | %s | %s | %s | %s |\n", v.Name, secretMark(v), defaultCell(v), descCell(v), needCell(v), readersCell(v))
		}
	}
	b.WriteString("\n`docker-compose.yml` also reads `POSTGRES_PASSWORD` and the ports that it publishes on 127.0.0.1:\n" +
		"`POSTGRES_PORT`, `NATS_PORT`, `SANDBOX_PORT` and `GATEWAY_PORT`. `SERVER_CPUS` says how many processors NATS\n" +
		"and Postgres may use each: 2, and on a host with one it must be 1. The containers see the files of `SECRETS_DIR` as\n" +
		"`/run/secrets`, for settings such as `CONFLUENCE_API_TOKEN_FILE`; the user 65532 must be able to read them.\n")
	return b.String()
}

func secretMark(v *variable) string {
	if v.Secret {
		return " *secret*"
	}
	return ""
}

func defaultCell(v *variable) string {
	cell := "–"
	switch {
	case v.Required:
		cell = "**required**"
	case v.Default != "":
		cell = "`" + v.Default + "`"
	}
	for _, p := range v.readers {
		d, ok := v.defaults[p]
		switch {
		case ok && d == "":
			cell += "; " + p + ": none"
		case ok:
			cell += "; " + p + ": `" + d + "`"
		case v.Required && p == "sluice":
			cell += " (not by sluice)"
		}
	}
	return cell
}

func descCell(v *variable) string {
	if v.Empty != "" {
		return v.Desc + " Set to nothing: " + v.Empty + "."
	}
	return v.Desc
}

func readersCell(v *variable) string {
	if len(v.readers) == len(stages.Programs()) {
		return "all"
	}
	return strings.Join(v.readers, ", ")
}

func needCell(v *variable) string { return v.Need + ", for example `" + v.Example + "`" }
