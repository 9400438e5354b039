package gateway

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/secret"
)

// localKey is the key of whoever may read a file of this machine; see config.API.
type localKey struct{ digest [sha256.Size]byte }

// LocalKeyID is the key id that the log has for it.
const LocalKeyID = "local"

// readLocalKey reads the key in a file, and makes both where there is no file. Whoever has the key may do
// everything, so a file that others may read is refused.
func readLocalKey(file string) (*localKey, error) {
	token, err := keyIn(file)
	if errors.Is(err, fs.ErrNotExist) {
		token, err = newKeyIn(file)
	}
	if err != nil {
		return nil, fmt.Errorf("the API key in GATEWAY_KEY_FILE: %w", err)
	}
	return &localKey{digest: sha256.Sum256([]byte(token.Reveal()))}, nil
}

func keyIn(file string) (secret.String, error) {
	info, err := os.Lstat(file)
	switch {
	case err != nil:
		return secret.String{}, err
	case !info.Mode().IsRegular():
		return secret.String{}, fmt.Errorf("%s is no regular file; remove it, and a key is made anew", file)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return secret.String{}, fmt.Errorf("%s may be read by others; remove it, and a key is made anew", file)
	}
	text, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		return secret.String{}, err
	}
	token := strings.TrimSpace(string(text))
	if _, _, ok := apikey.Parse(token); !ok {
		return secret.String{}, fmt.Errorf("%s holds no API key; remove it, and one is made anew", file)
	}
	return secret.New(token), nil
}

// newKeyIn makes a key in a file that is there as a whole or not at all.
func newKeyIn(file string) (secret.String, error) {
	_, token, _, err := apikey.New()
	if err != nil {
		return token, err
	}
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // Postgres, as another user, enters the data folder; the file in it is 0600
		return token, err
	}
	f, err := os.CreateTemp(dir, ".api-key-*") // made with 0600
	if err != nil {
		return token, err
	}
	_, err = f.WriteString(token.Reveal() + "\n")
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return token, errors.Join(err, os.Remove(f.Name()))
	}
	return token, nil
}
