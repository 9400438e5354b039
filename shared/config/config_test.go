package config

import (
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/confluence/outgoing"
)

const token = "ATATT-very-secret"

const masterKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

// from makes a lookup out of a map.
func from(m map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := m[name]
		return v, ok
	}
}

func fetcherEnv(changes map[string]string) map[string]string {
	m := map[string]string{
		"DATABASE_URL":         "postgres://u:p@db:5432/sluice",
		"CONFLUENCE_BASE_URL":  "https://acme.atlassian.net/wiki",
		"CONFLUENCE_EMAIL":     "reader@acme.com",
		"CONFLUENCE_API_TOKEN": token,
	}
	for k, v := range changes {
		m[k] = v
	}
	return m
}

func problems(t *testing.T, err error) map[string]Problem {
	t.Helper()
	var ce *ConfigurationError
	require.ErrorAs(t, err, &ce)
	require.NotEmpty(t, ce.Problems)
	byName := map[string]Problem{}
	for _, p := range ce.Problems {
		require.NotContains(t, byName, p.Name, "one problem a variable")
		require.NotEmpty(t, p.Is)
		require.NotEmpty(t, p.Need, p.Name)
		require.NotEmpty(t, p.Example, p.Name)
		require.Contains(t, err.Error(), p.String())
		byName[p.Name] = p
	}
	return byName
}

func TestLoadFillsDefaultsAndValues(t *testing.T) {
	c, err := Load[Fetcher](from(fetcherEnv(map[string]string{
		"CONFLUENCE_CONCURRENCY": "3", "CONFLUENCE_REQUESTS_PER_SECOND": "2.5",
		"SHUTDOWN_GRACE": "1m", "LOG_LEVEL": " debug ", "WORKERS": "",
	})))
	require.NoError(t, err)
	require.Equal(t, 3, c.Concurrency)
	require.InDelta(t, 2.5, c.RequestsPerSecond, 0)
	require.Equal(t, time.Minute, c.ShutdownGrace)
	require.Equal(t, "debug", c.LogLevel, "space around a value is not part of it")
	require.Equal(t, "json", c.LogFormat)
	require.Equal(t, ":8080", c.HealthAddr)
	require.Equal(t, 0, c.Workers)
	require.Equal(t, "nats://127.0.0.1:4222", c.NatsURL.Reveal())
	require.Equal(t, "postgres://u:p@db:5432/sluice", c.DatabaseURL.Reveal())
	require.Equal(t, token, c.APIToken.Reveal())
}

func TestEmptyMeansDefaultExceptWhereItHasAMeaning(t *testing.T) {
	c, err := Load[Converter](from(map[string]string{"HEALTH_ADDR": "", "LOG_LEVEL": ""}))
	require.NoError(t, err)
	require.Empty(t, c.HealthAddr)
	require.Equal(t, "info", c.LogLevel)
}

func TestErrorNamesEveryBadSetting(t *testing.T) {
	c, err := Load[Fetcher](from(map[string]string{
		"CONFLUENCE_API_TOKEN":           token,
		"CONFLUENCE_BASE_URL":            "http://acme.atlassian.net",
		"CONFLUENCE_CONCURRENCY":         "many",
		"CONFLUENCE_REQUESTS_PER_SECOND": "NaN",
		"LOG_LEVEL":                      "loud",
		"NATS_URL":                       "http://admin:hunter2@nats",
		"WORKERS":                        "-1",
	}))
	require.Zero(t, c, "half a configuration is never used")
	p := problems(t, err)
	require.ElementsMatch(t, []string{
		"CONFLUENCE_BASE_URL", "CONFLUENCE_CONCURRENCY", "CONFLUENCE_EMAIL", "CONFLUENCE_REQUESTS_PER_SECOND",
		"DATABASE_URL", "LOG_LEVEL", "NATS_URL", "WORKERS",
	}, keys(p))
	require.Equal(t, "is not set", p["DATABASE_URL"].Is)
	require.Equal(t, `is "many"`, p["CONFLUENCE_CONCURRENCY"].Is)
	require.Equal(t, `CONFLUENCE_CONCURRENCY is "many"; it needs a whole number from 1 to 64, for example 8`,
		p["CONFLUENCE_CONCURRENCY"].String())
	require.Contains(t, err.Error(), "fetcher cannot start: 8 settings are missing or wrong")
	require.NotContains(t, err.Error(), token)
	require.NotContains(t, err.Error(), "hunter2")
}

func TestEachRuleRejects(t *testing.T) {
	for _, tc := range []struct{ name, value string }{
		{"CONFLUENCE_BASE_URL", "acme.atlassian.net"},
		{"CONFLUENCE_BASE_URL", "https://acme..atlassian.net"},
		{"CONFLUENCE_BASE_URL", "https://*.atlassian.net"},
		{"CONFLUENCE_BASE_URL", "https://api.atlassian.com/wiki"},
		{"CONFLUENCE_BASE_URL", "https://u:p@acme.atlassian.net"},
		{"CONFLUENCE_BASE_URL", "https://acme.atlassian.net/?a=b"},
		{"CONFLUENCE_EMAIL", "reader"},
		{"CONFLUENCE_EMAIL", "Reader <reader@acme.com>"},
		{"CONFLUENCE_API_TOKEN", "two words"},
		{"CONFLUENCE_ALLOW_HTTP", "perhaps"},
		{"CONFLUENCE_ALLOWED_HOSTS", "*"},
		{"CONFLUENCE_ALLOWED_HOSTS", "*.net"},
		{"CONFLUENCE_ALLOWED_HOSTS", "acme.atlassian.net,https://acme.com"},
		{"CONFLUENCE_CONCURRENCY", "65"},
		{"CONFLUENCE_REQUESTS_PER_SECOND", "0"},
		{"DATABASE_URL", "mysql://db/sluice"},
		{"DATABASE_URL", "sluice"},
		{"HEALTH_ADDR", "8080"},
		{"HEALTH_ADDR", ":http-or-so"},
		{"LOG_FORMAT", "xml"},
		{"NATS_REPLICAS", "2"},
		{"NATS_URL", "nats://a:4222,b"},
		{"SHUTDOWN_GRACE", "20"},
		{"SHUTDOWN_GRACE", "10ms"},
		{"SLUICE_MASTER_KEY", "too short"},
		{"SLUICE_MASTER_KEYS_OLD", masterKey + ",too short"},
		{"SLUICE_MASTER_PASSPHRASE", "eleven char"},
		{"WORKERS", "1.5"},
	} {
		t.Run(tc.name+"="+tc.value, func(t *testing.T) {
			_, err := Load[Fetcher](from(fetcherEnv(map[string]string{tc.name: tc.value})))
			p := problems(t, err)
			require.Len(t, p, 1, "nothing else is blamed")
			require.Contains(t, p, tc.name)
		})
	}
	for _, tc := range []struct{ name, value string }{{"CHUNK_MAX_TOKENS", "10"}, {"CHUNK_MAX_TOKENS", "x"}, {"CHUNK_OVERLAP_TOKENS", "225"}} {
		_, err := Load[ChunkWriter](from(map[string]string{"DATABASE_URL": "host=db dbname=sluice", tc.name: tc.value}))
		require.Equal(t, []string{tc.name}, keys(problems(t, err)))
	}
}

func TestHTTPOnlyWithLeave(t *testing.T) {
	site := map[string]string{"CONFLUENCE_BASE_URL": "http://127.0.0.1:8090", "CONFLUENCE_ALLOW_HTTP": "true"}
	_, err := Load[Fetcher](from(fetcherEnv(site)))
	require.NoError(t, err)
}

func TestSecretFromFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
		return file
	}
	m := fetcherEnv(map[string]string{"CONFLUENCE_API_TOKEN_FILE": write("token", token+"\n")})
	delete(m, "CONFLUENCE_API_TOKEN")
	c, err := Load[Fetcher](from(m))
	require.NoError(t, err)
	require.Equal(t, token, c.APIToken.Reveal())

	for name, file := range map[string]string{
		"missing": filepath.Join(dir, "none"),
		"empty":   write("empty", "\n"),
		"large":   write("large", token+string(make([]byte, maxSecretFile))),
		"folder":  dir,
	} {
		t.Run(name, func(t *testing.T) {
			m["CONFLUENCE_API_TOKEN_FILE"] = file
			_, err := Load[Fetcher](from(m))
			p := problems(t, err)
			require.Equal(t, []string{"CONFLUENCE_API_TOKEN"}, keys(p))
			require.Contains(t, p["CONFLUENCE_API_TOKEN"].Is, "CONFLUENCE_API_TOKEN_FILE")
			require.NotContains(t, err.Error(), token)
		})
	}

	m["CONFLUENCE_API_TOKEN"] = token
	_, err = Load[Fetcher](from(m))
	require.Contains(t, problems(t, err)["CONFLUENCE_API_TOKEN"].Is, "is set twice")
}

func TestMasterKeys(t *testing.T) {
	other := "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
	c, err := Load[Sluice](from(map[string]string{"SLUICE_MASTER_KEY": masterKey, "SLUICE_MASTER_KEYS_OLD": other + ",\n" + masterKey + " "}))
	require.NoError(t, err)
	ring, err := c.Keys()
	require.NoError(t, err)
	require.Len(t, ring, 3)
	require.Equal(t, ring[0].ID(), ring[2].ID(), "the current one first")
	require.NotEqual(t, ring[0].ID(), ring[1].ID())

	_, err = Load[Sluice](from(map[string]string{"SLUICE_MASTER_KEYS_OLD": other}))
	require.Equal(t, []string{"SLUICE_MASTER_KEY"}, keys(problems(t, err)))
}

func TestHostsAreThoseAllowedAndThoseNamed(t *testing.T) {
	c, err := Load[Fetcher](from(fetcherEnv(map[string]string{"CONFLUENCE_BASE_URL": "https://wiki.acme.example"})))
	require.NoError(t, err)
	require.Equal(t, outgoing.Hosts{"*.atlassian.net", "api.atlassian.com", "wiki.acme.example"}, c.Hosts())
	require.Equal(t, outgoing.Hosts{"127.0.0.1:8090"}, Confluence{BaseURL: "http://127.0.0.1:8090/wiki"}.Hosts())
}

func TestOptionalGroupIsAllOrNothing(t *testing.T) {
	c, err := Load[Sluice](from(nil))
	require.NoError(t, err)
	require.Empty(t, c.NatsURL.Reveal())
	require.Empty(t, c.DatabaseURL.Reveal())
	require.Empty(t, c.HealthAddr)
	require.Equal(t, "console", c.LogFormat)
	require.Equal(t, 8, c.Concurrency)

	_, err = Load[Sluice](from(map[string]string{"CONFLUENCE_BASE_URL": "https://acme.atlassian.net"}))
	p := problems(t, err)
	require.ElementsMatch(t, []string{"CONFLUENCE_EMAIL", "CONFLUENCE_API_TOKEN"}, keys(p))
	require.Equal(t, "is not set although CONFLUENCE_BASE_URL is", p["CONFLUENCE_EMAIL"].Is)
}

func TestSandboxServesOneThing(t *testing.T) {
	_, err := Load[Sandbox](from(map[string]string{"SANDBOX_PAGES": "5", "SANDBOX_CORPUS": "bodies"}))
	require.Equal(t, []string{"SANDBOX_CORPUS"}, keys(problems(t, err)))
	_, err = Load[Sandbox](from(map[string]string{"SANDBOX_PAGES": "1000001"}))
	require.Equal(t, []string{"SANDBOX_PAGES"}, keys(problems(t, err)))
}

func TestSandboxRefusesASiteThatCannotBe(t *testing.T) {
	bad := map[string]string{
		"SANDBOX_BASE_URL": "acme", "SANDBOX_MOVED_TO": "https://acme.example/x", "SANDBOX_CLOUD_ID": "a/b", "SANDBOX_LATENCY": "2m",
		"SANDBOX_INDEX_LAG": "25h", "SANDBOX_TIME_ZONE": "Mars/Olympus", "SANDBOX_OLD_API": "perhaps",
	}
	_, err := Load[Sandbox](from(bad))
	require.ElementsMatch(t, slices.Collect(maps.Keys(bad)), keys(problems(t, err)))
	good, err := Load[Sandbox](from(map[string]string{"SANDBOX_MOVED_TO": "http://acme2.localhost:8090/wiki", "SANDBOX_TIME_ZONE": "America/Halifax"}))
	require.NoError(t, err)
	require.Equal(t, "America/Halifax", good.TimeZone)
}

// A field that Load cannot fill is a fault of the struct and must not look like one of the
// environment.
func TestUnusableStruct(t *testing.T) {
	type odd struct {
		F func() `env:"ODD"`
	}
	_, err := Load[odd](from(map[string]string{"ODD": "x"}))
	require.Error(t, err)
	var ce *ConfigurationError
	require.NotErrorAs(t, err, &ce)
}

// Half a certificate, two credentials, or a credential for a server that sluice starts itself.
func TestTheNatsLoginFitsTogether(t *testing.T) {
	for _, tc := range []struct {
		given map[string]string
		wrong string
	}{
		{map[string]string{"NATS_CREDS_FILE": "/a", "NATS_NKEY_FILE": "/b"}, "NATS_CREDS_FILE"},
		{map[string]string{"NATS_CERT_FILE": "/a"}, "NATS_CERT_FILE"},
		{map[string]string{"NATS_KEY_FILE": "/a"}, "NATS_KEY_FILE"},
	} {
		_, err := Load[Fetcher](from(fetcherEnv(tc.given)))
		require.Equal(t, []string{tc.wrong}, keys(problems(t, err)))
	}
	for _, name := range []string{"NATS_CREDS_FILE", "NATS_NKEY_FILE", "NATS_CA_FILE"} {
		_, err := Load[Sluice](from(map[string]string{name: "/a"}))
		require.Equal(t, []string{name}, keys(problems(t, err)))
		_, err = Load[Sluice](from(map[string]string{name: "/a", "NATS_URL": "tls://nats"}))
		require.NoError(t, err)
	}
}

func TestKebab(t *testing.T) {
	require.Equal(t, "deletion-detector", kebab(reflect.TypeFor[DeletionDetector]().Name()))
}

func FuzzLoadNeverEchoesSecrets(f *testing.F) {
	f.Add("12", "nats://h", "x")
	f.Add("1e400", "http://u:p@h", "%zz")
	f.Fuzz(func(t *testing.T, rate, nats, site string) {
		c, err := Load[Fetcher](from(fetcherEnv(map[string]string{
			"CONFLUENCE_REQUESTS_PER_SECOND": rate, "NATS_URL": nats, "CONFLUENCE_BASE_URL": site,
		})))
		if err != nil {
			require.NotContains(t, err.Error(), token)
			return
		}
		require.False(t, math.IsNaN(c.RequestsPerSecond) || c.RequestsPerSecond <= 0)
	})
}

func keys(m map[string]Problem) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	return names
}

// Sources that are folders, or have tokens of their own, need no site in the settings.
func TestWhoReadsSourcesNeedsNoSite(t *testing.T) {
	given := map[string]string{"DATABASE_URL": "postgres://localhost/db"}
	lookup := func(name string) (string, bool) { v, ok := given[name]; return v, ok }
	_, err := Load[Fetcher](lookup)
	require.NoError(t, err)
	_, err = Load[DeletionDetector](lookup)
	require.NoError(t, err)
	given["CONFLUENCE_BASE_URL"] = "https://acme.atlassian.net"
	_, err = Load[Fetcher](lookup)
	require.ErrorContains(t, err, "CONFLUENCE_EMAIL", "half a credential is a mistake")
}
