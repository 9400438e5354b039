package bus

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nkeys"
)

// KeysFile is the file of public keys that the broker's configuration includes.
const KeysFile = "keys.conf"

// WriteKeys makes a new key for every role: the private half in dir/<role>.nk, readable only by its
// owner, the public half in dir/keys.conf. It never replaces existing keys: a replaced key locks out the
// service that still has the old one.
func WriteKeys(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("write keys: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, KeysFile)); err == nil {
		return fmt.Errorf("write keys: %s has keys already; remove them first, or name another folder", dir)
	}
	public := "# The public keys of the services, for nats-access.conf. They are no secret.\n"
	for _, r := range Roles {
		pair, err := nkeys.CreateUser()
		if err != nil {
			return fmt.Errorf("write keys: %w", err)
		}
		seed, err := pair.Seed()
		if err != nil {
			return fmt.Errorf("write keys: %w", err)
		}
		key, err := pair.PublicKey()
		if err != nil {
			return fmt.Errorf("write keys: %w", err)
		}
		if err := writeNew(filepath.Join(dir, r.Name+".nk"), append(seed, '\n'), 0o600); err != nil {
			return fmt.Errorf("write keys: %w", err)
		}
		pair.Wipe()
		public += KeyVariable(r.Name) + ": " + strings.TrimSpace(key) + "\n"
	}
	if err := writeNew(filepath.Join(dir, KeysFile), []byte(public), 0o644); err != nil {
		return fmt.Errorf("write keys: %w", err)
	}
	return nil
}

func writeNew(name string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(filepath.Clean(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
