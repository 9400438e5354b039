package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/config"
)

func TestGatewaySettings(t *testing.T) {
	load := func(env map[string]string) error {
		_, err := config.Load[config.Gateway](func(name string) (string, bool) {
			v, ok := env[name]
			if !ok && name == "DATABASE_URL" {
				return "postgres://sluice@127.0.0.1/sluice", true
			}
			return v, ok
		})
		return err
	}
	require.NoError(t, load(nil))
	require.NoError(t, load(map[string]string{"CONFLUENCE_ALLOWED_HOSTS": "*.atlassian.net, 127.0.0.1:8090", "GATEWAY_ADDR": ":8181"}))
	for name, values := range map[string][]string{
		"CONFLUENCE_ALLOWED_HOSTS": {"*", "*.net", "https://acme.atlassian.net", "a.*.net", "user@acme.atlassian.net"},
		"SLUICE_MASTER_KEY":        {"short"},
		"GATEWAY_ADDR":             {"", "8181", "127.0.0.1:http-api", "127.0.0.1:99999"},
		"GATEWAY_MAX_BODY":         {"0", "1e9", "104857601"},
		"GATEWAY_TIMEOUT":          {"0s", "11m", "soon"},
		"GATEWAY_MAX_STREAMS":      {"0", "-1"},
		"GATEWAY_KEY_RATE":         {"-1", "NaN", "many"},
		"GATEWAY_TRUSTED_PROXIES":  {"proxy", "10.0.0.0/33", "10.0.0.1;10.0.0.2", "*"},
	} {
		for _, v := range values {
			require.ErrorContains(t, load(map[string]string{name: v}), name, "%q", v)
		}
	}
	cfg, err := config.Load[config.Sluice](func(name string) (string, bool) { return "", name == "GATEWAY_ADDR" })
	require.NoError(t, err)
	require.Empty(t, cfg.API.Addr, "no HTTP API")
}
