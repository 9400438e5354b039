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

// localKey is the key in a file on this machine: whoever can read the file can use it. See config.API.
type localKey struct{ digest [sha256.Size]byte }

// LocalKeyID is the id of the local key in the log.
const LocalKeyID = "local"

// theLocalKey is what the local key may do.
var theLocalKey = apikey.Key{ID: LocalKeyID, Name: "this machine", Role: apikey.Admin}

// readLocalKey reads the key in a file; if the file does not exist, it creates one with a new key. The key has the
// role admin, so a file that others can read is refused.
func readLocalKey(file string) (*localKey, error) {
	token, err := readKey(file)
	if errors.Is(err, fs.ErrNotExist) {
		token, err = writeNewKey(file)
	}
	if err != nil {
		return nil, fmt.Errorf("the API key in GATEWAY_KEY_FILE: %w", err)
	}
	return &localKey{digest: sha256.Sum256([]byte(token.Reveal()))}, nil
}

func readKey(file string) (secret.String, error) {
	info, err := os.Lstat(file)
	switch {
	case err != nil:
		return secret.String{}, err
	case !info.Mode().IsRegular():
		return secret.String{}, fmt.Errorf("%s is not a regular file; delete it, and a new key is created", file)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return secret.String{}, fmt.Errorf("%s can be read by other users; delete it, and a new key is created", file)
	}
	text, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		return secret.String{}, err
	}
	token := strings.TrimSpace(string(text))
	if _, _, ok := apikey.Parse(token); !ok {
		return secret.String{}, fmt.Errorf("%s contains no API key; delete it, and a new one is created", file)
	}
	return secret.New(token), nil
}

// writeNewKey writes a new key to a file. The file appears with its full content or not at all.
func writeNewKey(file string) (secret.String, error) {
	_, token, _ := apikey.New()
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // Postgres, as another user, enters the data folder; the file in it is 0600
		return token, err
	}
	f, err := os.CreateTemp(dir, ".api-key-*") // creates it with mode 0600
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
