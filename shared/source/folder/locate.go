package folder

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/sluicehq/sluice/shared/store"
)

// Locate returns the source that is the folder, with its addresses: in a git checkout whose origin
// is at a known host those of that host, for the branch that is checked out now, else file://.
//
// What left the folder is looked for with every sync: the whole of it is listed anyway.
func Locate(dir string) (store.Source, error) {
	dir, err := filepath.Abs(dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return store.Source{}, fmt.Errorf("the folder cannot be found: %w", err)
	}
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return store.Source{}, fmt.Errorf("the folder cannot be read: %w", err)
	case !info.IsDir():
		return store.Source{}, fmt.Errorf("%s is no folder", dir)
	}
	base := webAddress(dir)
	if base == "" {
		base = (&url.URL{Scheme: "file", Path: filepath.ToSlash(dir)}).String()
	}
	return store.Source{
		System: System, Location: dir, BaseURL: base, DisplayName: text(filepath.Base(dir)), DeletionStrategy: store.EverySync,
	}, nil
}

// Check says what of a new source cannot be, as systems.Check.
func Check(src store.Source) (field, reason string) {
	if !filepath.IsAbs(src.Location) {
		return "location", "is the whole path of a folder"
	}
	return "", ""
}

// remotes are the forms of a remote's address: as a URL, and as ssh has it.
var remotes = []*regexp.Regexp{
	regexp.MustCompile(`^(?:https?|ssh|git)://(?:[^@/]+@)?([^/:]+)(?::\d+)?/(.+?)(?:\.git)?/?$`),
	regexp.MustCompile(`^(?:[^@/:]+@)([^/:]+):(.+?)(?:\.git)?/?$`),
}

// hosts are the hosts whose addresses of files are known, and what stands between repository and
// branch there.
var hosts = map[string]string{"github.com": "blob", "gitlab.com": "-/blob", "codeberg.org": "src/branch", "bitbucket.org": "src"}

// webAddress returns where people read the folder, or "" when it is in no checkout of a known
// host's.
func webAddress(dir string) string {
	top := dir
	for {
		if _, err := os.Lstat(filepath.Join(top, ".git")); err == nil {
			break
		}
		parent := filepath.Dir(top)
		if parent == top {
			return ""
		}
		top = parent
	}
	gitDir, common, err := gitDirs(top)
	if err != nil {
		return ""
	}
	branch, _ := strings.CutPrefix(says(filepath.Join(gitDir, "HEAD")), "ref: refs/heads/") // else a commit by itself
	below, err := filepath.Rel(top, dir)
	if err != nil || branch == "" {
		return ""
	}
	for _, form := range remotes {
		m := form.FindStringSubmatch(origin(filepath.Join(common, "config")))
		if m == nil || hosts[strings.ToLower(m[1])] == "" {
			continue
		}
		u := url.URL{Scheme: "https", Host: strings.ToLower(m[1])}
		return u.JoinPath(m[2], hosts[u.Host], branch, filepath.ToSlash(below)).String()
	}
	return ""
}

// gitDirs returns where git keeps a checkout's HEAD, and where its configuration: for a linked
// worktree these are two folders.
func gitDirs(top string) (gitDir, common string, err error) {
	gitDir = filepath.Join(top, ".git")
	info, err := os.Stat(gitDir)
	if err != nil || info.IsDir() {
		return gitDir, gitDir, err
	}
	path, ok := strings.CutPrefix(says(gitDir), "gitdir: ")
	if !ok {
		return "", "", errors.New("a .git that is neither a folder nor names one")
	}
	gitDir = absolute(top, path)
	if common = says(filepath.Join(gitDir, "commondir")); common == "" {
		return gitDir, gitDir, nil // a submodule has all in one place
	}
	return gitDir, absolute(gitDir, common), nil
}

// says is what a small file of git's holds, "" where it cannot be read.
func says(name string) string {
	text, err := os.ReadFile(name) //nolint:gosec // G304: in the checkout of the folder that a person has named
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

func absolute(from, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(from, path)
}

// origin reads the address of the remote origin out of a configuration file.
func origin(config string) string {
	section := ""
	for line := range strings.Lines(says(config)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = line
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if ok && section == `[remote "origin"]` && strings.TrimSpace(key) == "url" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
