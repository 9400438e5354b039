package house

import (
	"maps"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	standin "github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/services/stages"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/config"
)

// compose loads docker-compose.yml with the library that docker compose uses. Checking only the JSON schema would
// need fewer modules, but would miss merges, dependencies on services that do not exist, and a wrong
// ${NAME:-default}.
func compose(t *testing.T, env map[string]string) *types.Project {
	t.Helper()
	p, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  root(),
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(root(), "docker-compose.yml")}},
		Environment: env,
	}, loader.WithProfiles([]string{"*"}))
	require.NoError(t, err)
	return p
}

// Settings of a service that compose does not set, with the reason.
var notInCompose = map[string]string{
	"SANDBOX_CORPUS":   "a container cannot access the host's folders",
	"EMBEDDINGS_PATH":  "see SANDBOX_CORPUS",
	"GATEWAY_KEY_FILE": "a container cannot access the host's files: sluice key create creates the keys",
	"NATS_CREDS_FILE":  "the job nats-keys gives each service an nkey",
	"NATS_CA_FILE":     "only its own containers can reach its NATS, without TLS",
	"NATS_CERT_FILE":   "see NATS_CA_FILE",
	"NATS_KEY_FILE":    "see NATS_CA_FILE",
}

// Variables that only the compose file reads.
var composeOnly = []string{"POSTGRES_PASSWORD", "POSTGRES_PORT", "NATS_PORT", "SANDBOX_PORT", "GATEWAY_PORT", "SERVER_CPUS", "SECRETS_DIR"}

// Variables that compose sets itself: the addresses inside its network.
var ownInCompose = map[string]string{
	"NATS_URL":       "nats://nats:4222",
	"NATS_NKEY_FILE": "/keys/nkey",
	"DATABASE_URL":   "host=postgres port=5432 user=sluice dbname=sluice sslmode=disable",
	"HEALTH_ADDR":    ":8080",
	"SANDBOX_ADDR":   ":8090",
	"GATEWAY_ADDR":   ":8181",
}

// Compose gives every program exactly the variables that it reads, with the same defaults.
func TestComposeNamesTheSameVariables(t *testing.T) {
	p := compose(t, nil)
	for _, prog := range stages.Programs() {
		service, ok := p.Services[prog.Name]
		if !assert.True(t, ok, "compose has no service %s", prog.Name) {
			continue
		}
		given := map[string]string{}
		for name, value := range service.Environment {
			if !strings.HasPrefix(name, "GO") && name != "PGPASSWORD" { // variables of the Go runtime and of the Postgres client
				given[name] = *value
			}
		}
		for _, f := range prog.Fields {
			value, ok := given[f.Name]
			delete(given, f.Name)
			if f.Secret && given[f.Name+"_FILE"] == "" {
				delete(given, f.Name+"_FILE")
			}
			own := ownInCompose[f.Name]
			switch {
			case notInCompose[f.Name] != "":
				assert.False(t, ok, "%s: notInCompose says that %s is not set", prog.Name, f.Name)
			case prog.Name == "sluice" && !ok:
				// A short-lived command gets only the variables that it needs.
			case !ok:
				assert.Failf(t, "variable missing in compose", "%s: %s", prog.Name, f.Name)
			case own != "":
				assert.Equal(t, own, value, "%s: %s", prog.Name, f.Name)
			default:
				assert.Equal(t, f.Default, value, "%s: the default of %s", prog.Name, f.Name)
			}
		}
		assert.Empty(t, given, "%s does not read these", prog.Name)
	}
}

// .env.example contains every variable that compose takes from .env, so that nobody has to read the compose file.
func TestComposeReadsWhatTheExampleNames(t *testing.T) {
	example := read(t, ".env.example")
	for _, m := range regexp.MustCompile(`\$\{([A-Z_]+)`).FindAllStringSubmatch(read(t, "docker-compose.yml"), -1) {
		if m[1] == "COMPOSE_PROJECT_NAME" { // compose sets it itself
			continue
		}
		assert.Regexp(t, `(?m)^(# )?`+m[1]+`=`, example)
		assert.True(t, known(strings.TrimSuffix(m[1], "_FILE")) || known(m[1]) || slices.Contains(composeOnly, m[1]), "nothing reads %s", m[1])
	}
}

func known(variable string) bool {
	for _, p := range stages.Programs() {
		for _, f := range p.Fields {
			if f.Name == variable {
				return true
			}
		}
	}
	return false
}

// A value from .env reaches the service.
func TestComposePassesValuesOn(t *testing.T) {
	p := compose(t, map[string]string{
		"CONFLUENCE_BASE_URL": "https://acme.atlassian.net/wiki", "CHUNK_MAX_TOKENS": "300", "NATS_URL": "nats://nats-1:4222,nats://nats-2:4222",
		"CONFLUENCE_API_TOKEN_FILE": "/run/secrets/token", "SECRETS_DIR": "/srv/secrets",
	})
	assert.Equal(t, "nats://nats-1:4222,nats://nats-2:4222", *p.Services["converter"].Environment["NATS_URL"])
	for _, name := range []string{"fetcher", "deletion-detector", "sluice"} {
		assert.Equal(t, "/run/secrets/token", *p.Services[name].Environment["CONFLUENCE_API_TOKEN_FILE"], name)
	}
	for name, s := range p.Services {
		for variable := range s.Environment {
			if strings.HasSuffix(variable, "_FILE") && variable != "NATS_NKEY_FILE" {
				assert.True(t, slices.ContainsFunc(s.Volumes, func(v types.ServiceVolumeConfig) bool {
					return v.Source == "/srv/secrets" && v.Target == "/run/secrets"
				}), name)
			}
		}
	}
	assert.Equal(t, "https://acme.atlassian.net/wiki", *p.Services["fetcher"].Environment["CONFLUENCE_BASE_URL"])
	assert.Equal(t, "300", *p.Services["chunk-writer"].Environment["CHUNK_MAX_TOKENS"])
}

// A password may have characters that mean something in an address.
func TestComposePassesAnyPasswordOn(t *testing.T) {
	const password = `p@ss/w#rd%?: &='"\`
	p := compose(t, map[string]string{"POSTGRES_PASSWORD": password, "SERVER_CPUS": "1"})
	vars := p.Services["fetcher"].Environment
	t.Setenv("PGPASSWORD", *vars["PGPASSWORD"])
	cfg, err := pgx.ParseConfig(*vars["DATABASE_URL"])
	require.NoError(t, err)
	assert.Equal(t, []any{"postgres", "sluice", "sluice", password}, []any{cfg.Host, cfg.User, cfg.Database, cfg.Password})
	assert.Equal(t, password, *p.Services["postgres"].Environment["POSTGRES_PASSWORD"])
	assert.InDelta(t, 1, float64(p.Services["postgres"].Deploy.Resources.Limits.NanoCPUs), 0.001, "a host may have one processor")
}

// Every container has a pinned version, resource limits, no privileges and a health check.
func TestComposeServicesAreHoused(t *testing.T) {
	p := compose(t, nil)
	names := slices.Collect(maps.Keys(p.Services))
	require.ElementsMatch(t, append(programs(t), "nats", "nats-keys", "postgres", "migrate"), names)
	for name, s := range p.Services {
		if s.Build != nil {
			assert.Equal(t, "deploy/Dockerfile", s.Build.Dockerfile, name)
			require.NotNil(t, s.Build.Args["SERVICE"], name)
			assert.Contains(t, programs(t), *s.Build.Args["SERVICE"], name)
		} else if s.Image != p.Services["nats-keys"].Image {
			assert.Regexp(t, `:\d+\.\d+(\.\d+)?-`, s.Image, "%s: the image's version is pinned", name)
		}
		assert.True(t, s.ReadOnly, "%s: the file system is read-only", name)
		assert.Equal(t, []string{"ALL"}, s.CapDrop, name)
		switch name {
		case "nats-keys": // root, with one right: to give the keys away
			assert.Equal(t, []string{"CHOWN"}, s.CapAdd)
			assert.Equal(t, "none", s.NetworkMode)
		case "postgres": // its image begins as root, and becomes its own user
			assert.Equal(t, []string{"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}, s.CapAdd)
		case "nats": // reads its configuration whoever owns it
			assert.Equal(t, []string{"DAC_READ_SEARCH"}, s.CapAdd)
		default:
			assert.Empty(t, s.CapAdd, name)
			assert.Empty(t, s.User, "%s: the image's own user", name)
		}
		assert.Equal(t, []string{"no-new-privileges:true"}, s.SecurityOpt, name)
		if assert.NotNil(t, s.Logging, "%s: its log fills no disk", name) {
			assert.NotEmpty(t, s.Logging.Options["max-size"], name)
		}
		if assert.NotNil(t, s.Deploy, name) && assert.NotNil(t, s.Deploy.Resources.Limits, name) {
			limits := s.Deploy.Resources.Limits
			assert.Positive(t, limits.MemoryBytes, name)
			assert.Positive(t, limits.NanoCPUs, name)
			assert.Positive(t, limits.Pids, name)
		}
		once := s.Restart == "no"
		if assert.NotNil(t, s.HealthCheck, name) {
			assert.Equal(t, once, s.HealthCheck.Disable, "%s: only services that end by themselves have no health check", name)
		}
		for _, port := range s.Ports {
			assert.Equal(t, "127.0.0.1", port.HostIP, "%s: published on the loopback interface only", name)
		}
		for other, d := range s.DependsOn {
			want := types.ServiceConditionHealthy
			if p.Services[other].Restart == "no" {
				want = types.ServiceConditionCompletedSuccessfully
			}
			assert.Equal(t, want, d.Condition, "%s waits for %s", name, other)
		}
	}
}

// Every image is built once, and no registry is asked for it, where somebody else may own its name.
func TestComposeBuildsEveryImageOnce(t *testing.T) {
	built := map[string]string{}
	p := compose(t, nil)
	for name, s := range p.Services {
		if s.Build != nil {
			program := *s.Build.Args["SERVICE"]
			assert.Empty(t, built[program], "%s and %s build the same image", name, built[program])
			built[program] = name
		}
	}
	assert.ElementsMatch(t, programs(t), slices.Collect(maps.Keys(built)))
	assert.Contains(t, p.Services["migrate"].DependsOn, "nats-keys", "which builds its image")
	assert.Contains(t, p.Services["sluice"].DependsOn, "migrate")
	for _, name := range []string{"nats-keys", "migrate", "sluice"} {
		assert.Equal(t, []string{"sluice-sluice", types.PullPolicyNever}, []string{p.Services[name].Image, p.Services[name].PullPolicy}, name)
	}
}

// The containers run the versions that the tests run.
func TestImagesAreOfTheTestedVersions(t *testing.T) {
	goVersion := goEdit(t, "work", "go.work").Go
	// A digest may follow the version.
	assert.Regexp(t, "FROM golang:"+regexp.QuoteMeta(goVersion)+"-alpine(@sha256:[0-9a-f]{64})? ", read(t, "deploy/Dockerfile"))
	// Of the same major version, compose runs the Postgres that sluice up downloads.
	postgres, _, _ := strings.Cut(strings.TrimPrefix(compose(t, nil).Services["postgres"].Image, "postgres:"), "-")
	assert.Contains(t, read(t, "shared/localpg/download.go"), `{"`+postgres+`.0", `)
	for _, r := range goEdit(t, "mod", "shared/go.mod").Require {
		if r.Path == "github.com/nats-io/nats-server/v2" {
			want := "nats:" + strings.TrimPrefix(r.Version, "v") + "-alpine"
			image, _, _ := strings.Cut(compose(t, nil).Services["nats"].Image, "@sha256:")
			assert.Equal(t, want, image)
			return
		}
	}
	assert.Fail(t, "shared/go.mod does not require nats-server")
}

// The stand-in's own env file is a complete configuration.
func TestSandboxEnvIsAWorkingSite(t *testing.T) {
	env := dotenv(t, "deploy/sandbox.env")
	p := compose(t, env)
	vars := p.Services["fetcher"].Environment
	_, err := config.Load[config.Fetcher](func(name string) (string, bool) {
		v, ok := vars[name]
		if !ok {
			return "", false
		}
		return *v, true
	})
	require.NoError(t, err)
	sandbox := p.Services["sandbox"].Environment
	assert.Equal(t, *sandbox["SANDBOX_EMAIL"], env["CONFLUENCE_EMAIL"])
	assert.Equal(t, *sandbox["SANDBOX_TOKEN"], env["CONFLUENCE_API_TOKEN"])
	assert.Contains(t, p.Services["sandbox"].Profiles, env["COMPOSE_PROFILES"], "up starts the stand-in, and down stops it")
	assert.Contains(t, read(t, "deploy/sandbox.env"), "--space "+standin.BuiltinSpace+"\n")
}

// dotenv returns the NAME=value lines of a file.
func dotenv(t *testing.T, name string) map[string]string {
	t.Helper()
	vars := map[string]string{}
	for line := range strings.Lines(read(t, name)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(k, "#") {
			vars[k] = v
		}
	}
	require.NotEmpty(t, vars, name)
	return vars
}

// Every service that uses NATS has its own key and cannot read another one. The job that creates the keys
// mounts all their volumes, as sluice nats init fills them, and NATS gets the public keys.
func TestComposeGivesEveryServiceItsOwnKey(t *testing.T) {
	p := compose(t, map[string]string{"NATS_PREFIX": "team-1"})
	mounts := func(name string) map[string]string {
		at := map[string]string{}
		for _, v := range p.Services[name].Volumes {
			if strings.HasPrefix(v.Source, "keys-") {
				assert.Equal(t, name != "nats-keys", v.ReadOnly, "%s must mount %s read-only", name, v.Source)
				at[v.Target] = v.Source
			}
		}
		return at
	}
	filled := map[string]string{path.Join("/keys", bus.AccessDir): "keys-nats"}
	for _, r := range bus.Roles {
		filled[path.Dir(bus.KeyFile("/keys", r.Name))] = "keys-" + r.Name
	}
	job := p.Services["nats-keys"]
	assert.Equal(t, filled, mounts("nats-keys"))
	assert.Equal(t, types.ShellCommand{"nats", "init", "/keys", "--owner", imageUser(t)}, job.Command)
	assert.Equal(t, "team-1", *job.Environment["NATS_PREFIX"], "the permissions contain the prefix")

	nats := p.Services["nats"]
	assert.Equal(t, types.ShellCommand{"-c", "/etc/nats/nats-secured.conf"}, nats.Command)
	assert.Equal(t, map[string]string{path.Join("/etc/nats", bus.AccessDir): "keys-nats"}, mounts("nats"))
	assert.True(t, nats.DependsOn["nats-keys"].Restart, "NATS restarts with the permissions of an update")
	assert.Contains(t, read(t, "deploy/nats-secured.conf"), "include ./"+path.Join(bus.AccessDir, bus.AccessFile))
	for name, s := range p.Services {
		if s.Environment["NATS_URL"] == nil {
			assert.True(t, strings.HasPrefix(name, "nats") || len(mounts(name)) == 0, "%s needs no key", name)
			continue
		}
		assert.Equal(t, map[string]string{"/keys": "keys-" + name}, mounts(name), name)
	}
}

// imageUser returns the user that the image of our programs runs as.
func imageUser(t *testing.T) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^USER (\d+):\d+$`).FindStringSubmatch(read(t, "deploy/Dockerfile"))
	require.NotNil(t, m)
	return m[1]
}
