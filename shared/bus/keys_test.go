package bus_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/bus"
)

func roleNames() []string {
	var names []string
	for _, r := range bus.Roles {
		names = append(names, r.Name)
	}
	return names
}

// contents are the files below dir, by name.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[name] = string(text)
		return err
	}))
	return files
}

// A second run changes nothing, and a role that comes later gets its key beside the others'.
func TestKeysAreNotReplaced(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys")
	made, err := bus.WriteKeys(dir, "", bus.Anyone)
	require.NoError(t, err)
	require.Equal(t, roleNames(), made)
	before := contents(t, dir)
	require.Len(t, before, len(bus.Roles)+2, "a key for every role, and two files for the broker")

	made, err = bus.WriteKeys(dir, "", bus.Anyone)
	require.NoError(t, err)
	require.Empty(t, made)
	require.Equal(t, before, contents(t, dir))

	require.NoError(t, os.RemoveAll(filepath.Join(dir, "converter")))
	made, err = bus.WriteKeys(dir, "", bus.Anyone)
	require.NoError(t, err)
	require.Equal(t, []string{"converter"}, made)
	after := contents(t, dir)
	require.NotEqual(t, before["converter/nkey"], after["converter/nkey"])
	require.NotEqual(t, before["nats/keys.conf"], after["nats/keys.conf"])
	for _, role := range roleNames() {
		if role != "converter" {
			require.Equal(t, before[role+"/nkey"], after[role+"/nkey"], role)
		}
	}

	// The broker's half follows from the keys alone.
	require.NoError(t, os.RemoveAll(filepath.Join(dir, bus.AccessDir)))
	_, err = bus.WriteKeys(dir, "", bus.Anyone)
	require.NoError(t, err)
	require.Equal(t, after, contents(t, dir))
}

// Only its owner reads a key, and the broker's files hold none.
func TestKeysArePrivate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := bus.WriteKeys(dir, "", bus.Anyone)
	require.NoError(t, err)
	files := contents(t, dir)
	for _, role := range roleNames() {
		info, err := os.Stat(bus.KeyFile(dir, role))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), role)
		for name, text := range files {
			if name != role+"/nkey" {
				require.NotContains(t, text, files[role+"/nkey"][:20], "%s in %s", role, name)
			}
		}
	}

	// For another user, as compose's job does it: the user reads it, the job by its group, nobody writes it.
	dir = t.TempDir()
	_, err = bus.WriteKeys(dir, "", os.Geteuid())
	require.NoError(t, err)
	info, err := os.Stat(bus.KeyFile(dir, "fetcher"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o440), info.Mode().Perm())
}

// The permissions that are written are those of the prefix, also when it changes.
func TestWrittenPermissionsAreOfThePrefix(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, prefix := range []bus.Prefix{"", "team-1"} {
		_, err := bus.WriteKeys(dir, prefix, bus.Anyone)
		require.NoError(t, err)
		require.Equal(t, bus.AccessConfig(prefix), contents(t, dir)["nats/nats-access.conf"])
	}
}

func TestWhatIsNoKeyIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := bus.KeyFile(dir, "fetcher")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := bus.WriteKeys(dir, "", bus.Anyone)
	require.ErrorContains(t, err, file)
	require.ErrorContains(t, err, "remove it")

	// What a crash left beside the key is no key.
	require.NoError(t, os.Rename(file, file+".new"))
	_, err = bus.WriteKeys(dir, "", bus.Anyone)
	require.NoError(t, err)
	require.NoFileExists(t, file+".new")

	// A folder of an earlier release has its keys in another form: making others beside them would lock
	// the services out.
	dir = t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, bus.KeysFile), nil, 0o600))
	_, err = bus.WriteKeys(dir, "", bus.Anyone)
	require.ErrorContains(t, err, "another folder")
}
