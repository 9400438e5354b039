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

// Locate returns the source for the folder, with its addresses: in a git checkout whose origin is a
// known host, that host's addresses for the current branch, else file:// addresses.
//
// Every sync looks for removed files, because it lists the whole folder anyway.
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
		return store.Source{}, fmt.Errorf("%s is not a folder", dir)
	}
	base := webAddress(dir)
	if base == "" {
		base = (&url.URL{Scheme: "file", Path: filepath.ToSlash(dir)}).String()
	}
	return store.Source{
		System: System, Location: dir, BaseURL: base, DisplayName: text(filepath.Base(dir)), DeletionStrategy: store.EverySync,
	}, nil
}

// Check reports invalid fields of a new source; see systems.Check.
func Check(src store.Source) (field, reason string) {
	if !filepath.IsAbs(src.Location) {
		return "location", "is the absolute path of a folder"
	}
	return "", ""
}

// remotes are the forms of a remote's address: as a URL and in ssh's form.
var remotes = []*regexp.Regexp{
	regexp.MustCompile(`^(?:https?|ssh|git)://(?:[^@/]+@)?([^/:]+)(?::\d+)?/(.+?)(?:\.git)?/?$`),
	regexp.MustCompile(`^(?:[^@/:]+@)([^/:]+):(.+?)(?:\.git)?/?$`),
}

// hosts are the hosts with known file addresses, and the path element between repository and branch in
// them.
var hosts = map[string]string{"github.com": "blob", "gitlab.com": "-/blob", "codeberg.org": "src/branch", "bitbucket.org": "src"}

// webAddress returns the folder's web address, or "" if it is not in a checkout of a known host.
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
	branch, _ := strings.CutPrefix(says(filepath.Join(gitDir, "HEAD")), "ref: refs/heads/") // else a detached commit
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

// gitDirs returns the folders of a checkout's HEAD and of its configuration: a linked worktree has two
// folders.
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
		return gitDir, gitDir, nil // a submodule has one folder for both
	}
	return gitDir, absolute(gitDir, common), nil
}

// says is the content of one of git's small files, "" if it cannot be read.
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

// origin reads the address of the remote origin from a configuration file.
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
