package bus

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nkeys"
)

// The files that WriteKeys makes for the broker, in the folder AccessDir.
const (
	AccessDir  = "nats"             // the broker's folder, beside those of the roles
	AccessFile = "nats-access.conf" // AccessConfig, which the broker's configuration includes
	KeysFile   = "keys.conf"        // the public keys, which AccessFile includes
)

// KeyFile is where WriteKeys keeps a role's private key. It is alone in its folder, so that a container
// can be given the folder.
func KeyFile(dir, role string) string { return filepath.Join(dir, role, "nkey") }

// Anyone is the owner for WriteKeys that leaves every file to the user who runs it.
const Anyone = -1

// WriteKeys gives every role a key, and the broker what it needs to know them: dir/<role>/nkey is the
// private half, dir/nats holds AccessFile for the prefix and KeysFile. It returns the roles that it made
// a key for. A key that is there stays, and its public half is read from it: a replaced key locks out the
// service that still has the old one.
//
// A private key is readable only by its owner: the user who runs this, or the user id owner, which
// needs root or the right to give files away. In that case the group stays root's, so that the next run
// reads the keys by it and needs no further right.
func WriteKeys(dir string, p Prefix, owner int) ([]string, error) {
	if _, err := os.Stat(filepath.Join(dir, KeysFile)); err == nil {
		return nil, fmt.Errorf("write keys: %s has keys as an earlier release made them; name another folder, and give every service its new key", dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("write keys: %w", err)
	}
	var made []string
	public := "# The public keys of the services, for " + AccessFile + ". They are no secret.\n"
	for _, r := range Roles {
		key, fresh, err := ensureKey(KeyFile(dir, r.Name), owner)
		if err != nil {
			return nil, fmt.Errorf("write keys: %s: %w", r.Name, err)
		}
		if fresh {
			made = append(made, r.Name)
		}
		public += KeyVariable(r.Name) + ": " + key + "\n"
	}
	broker := filepath.Join(dir, AccessDir)
	if err := os.MkdirAll(broker, 0o755); err != nil { //nolint:gosec // public keys, for the broker's own user
		return nil, fmt.Errorf("write keys: %w", err)
	}
	for name, text := range map[string]string{KeysFile: public, AccessFile: AccessConfig(p)} {
		if err := replace(filepath.Join(broker, name), []byte(text), 0o644, Anyone); err != nil {
			return nil, fmt.Errorf("write keys: %w", err)
		}
	}
	return made, nil
}

// ensureKey returns the public half of the key in the file, and whether it had to make the key.
func ensureKey(file string, owner int) (public string, fresh bool, err error) {
	seed, err := os.ReadFile(file) //nolint:gosec // the folder is the caller's
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return makeKey(file, owner)
	case err != nil:
		return "", false, err
	}
	pair, err := nkeys.FromSeed([]byte(strings.TrimSpace(string(seed))))
	if err != nil {
		return "", false, fmt.Errorf("%s holds no key (%w); remove it to have a new one made", file, err)
	}
	defer pair.Wipe()
	public, err = pair.PublicKey()
	return public, false, err
}

func makeKey(file string, owner int) (public string, fresh bool, err error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return "", false, err
	}
	defer pair.Wipe()
	seed, err := pair.Seed()
	if err != nil {
		return "", false, err
	}
	if public, err = pair.PublicKey(); err != nil {
		return "", false, err
	}
	mode, folder := os.FileMode(0o600), os.FileMode(0o700)
	if owner != Anyone {
		mode, folder = 0o440, 0o755 // the owner enters the folder, and changes nothing in it
	}
	if err := os.MkdirAll(filepath.Dir(file), folder); err != nil {
		return "", false, err
	}
	return public, true, replace(file, append(seed, '\n'), mode, owner)
}

// replace puts a file in its place when it is complete and on disk: a crash leaves no half of a key,
// which would be taken for one.
func replace(name string, data []byte, mode os.FileMode, owner int) error {
	work := name + ".new"
	if err := os.Remove(work); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(work, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode) //nolint:gosec // the folder is the caller's
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil && owner != Anyone {
		err = os.Chown(work, owner, -1)
	}
	if err == nil {
		err = os.Rename(work, name)
	}
	return err
}
