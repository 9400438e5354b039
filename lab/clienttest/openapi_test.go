//go:build openapi

package clienttest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/sluicehq/sluice/shared/confluence"
)

// The table of routes is held against Atlassian's own documents, which cannot be part of this repository: see
// TestAnswersFitTheOfficialDocument of the stand-in.
func TestTheTableOfRoutesFitsTheOfficialDocument(t *testing.T) {
	t.Parallel()
	type operation struct {
		Deprecated bool `yaml:"deprecated"`
		Scopes     []struct {
			Scopes []string `yaml:"scopes"`
		} `yaml:"x-atlassian-oauth2-scopes"`
	}
	placeholder := regexp.MustCompile(`\{[^}]*\}`)
	official := map[string]operation{}
	for name, prefix := range map[string]string{"confluence-v1.yaml": "", "confluence-v2.json": "/wiki/api/v2"} {
		raw, err := os.ReadFile(filepath.Join(os.Getenv("SANDBOX_OPENAPI"), name))
		require.NoError(t, err)
		var d struct {
			Paths map[string]map[string]operation `yaml:"paths"`
		}
		require.NoError(t, yaml.Unmarshal(raw, &d)) // JSON is YAML
		for path, operations := range d.Paths {
			if prefix == "" && !strings.HasPrefix(path, "/wiki") {
				path = "/wiki" + path
			}
			for method, o := range operations {
				official[strings.ToUpper(method)+" "+prefix+placeholder.ReplaceAllString(path, "{}")] = o
			}
		}
	}
	for _, r := range confluence.Routes() {
		o, is := official[placeholder.ReplaceAllString(r.Name(), "{}")]
		require.True(t, is, "%s is not in Atlassian's document", r.Name())
		require.False(t, o.Deprecated, r.Name())
		var scopes []string
		for _, s := range o.Scopes {
			scopes = append(scopes, s.Scopes...)
		}
		for _, s := range r.Scopes {
			require.Contains(t, scopes, s, "of %s", r.Name())
		}
	}
}
