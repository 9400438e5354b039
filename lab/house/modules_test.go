package house

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// goMod is the part of the output of go mod edit -json and go work edit -json that is used here.
type goMod struct {
	Module  struct{ Path string }
	Go      string
	Require []struct {
		Path, Version string
		Indirect      bool
	}
	Replace []struct {
		Old, New struct{ Path, Version string }
	}
	Exclude []struct{ Path, Version string }
	Use     []struct{ DiskPath string }
}

func goEdit(t *testing.T, kind, file string) goMod {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", kind, "edit", "-json", file)
	cmd.Dir = root()
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	var m goMod
	require.NoError(t, json.Unmarshal(out, &m))
	return m
}

var (
	release = regexp.MustCompile(`^v\d+\.\d+\.\d+(-[A-Za-z0-9.]+)?(\+incompatible)?$`)
	pseudo  = regexp.MustCompile(`\d{14}-[0-9a-f]{12}`)
)

// The workspace consists of the four modules. They require only released versions, the same in each, and replace only
// their siblings.
func TestModules(t *testing.T) {
	work := goEdit(t, "work", "go.work")
	var uses []string
	for _, u := range work.Use {
		uses = append(uses, filepath.Base(u.DiskPath))
	}
	require.ElementsMatch(t, modules, uses)
	require.Empty(t, work.Replace)

	version := map[string]string{}
	for _, name := range modules {
		m := goEdit(t, "mod", name+"/go.mod")
		assert.Equal(t, module+name, m.Module.Path)
		assert.Equal(t, work.Go, m.Go, "%s/go.mod and go.work name the same Go", name)
		assert.Empty(t, m.Exclude, name)
		for _, r := range m.Require {
			// Our dependencies choose their own dependencies' versions.
			if r.Indirect || strings.HasPrefix(r.Path, module) {
				continue
			}
			if version[r.Path] == "" {
				version[r.Path] = r.Version
			}
			assert.Equal(t, version[r.Path], r.Version, "%s is required at two versions", r.Path)
			assert.Regexp(t, release, r.Version, r.Path)
			assert.NotRegexp(t, pseudo, r.Version, "%s is a commit, not a release", r.Path)
		}
		for _, r := range m.Replace {
			sibling, ok := strings.CutPrefix(r.Old.Path, module)
			assert.True(t, ok && r.New.Path == "../"+sibling, "%s replaces %s by %s", name, r.Old.Path, r.New.Path)
		}
	}
}
