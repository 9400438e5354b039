package peers

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

//go:embed drivers
var drivers embed.FS

// needs are the oldest interpreters that the pinned packages support.
const (
	needsPython = "3.10"
	needsNode   = "18"
)

// kitchen is the folder in which the peers are installed, each set of packages separately.
type kitchen struct {
	dir  string
	note func(format string, args ...any) // tells a person what takes its time
}

// setUp writes the drivers into the folder.
func setUp(dir string, note func(format string, args ...any)) (kitchen, error) {
	k := kitchen{dir, note}
	files, err := fs.Glob(drivers, "drivers/*")
	if err != nil {
		return k, fmt.Errorf("list the drivers: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "drivers"), 0o750); err != nil {
		return k, fmt.Errorf("make the peers' folder: %w", err)
	}
	for _, name := range files {
		text, err := drivers.ReadFile(name)
		if err != nil {
			return k, fmt.Errorf("read a driver: %w", err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return k, fmt.Errorf("write a driver: %w", err)
		}
	}
	return k, nil
}

// fresh reports whether the folder was made from exactly these pins; the function that it returns
// records this.
func fresh(dir string, pins []byte) (bool, func() error) {
	sum := sha256.Sum256(pins)
	want, mark := hex.EncodeToString(sum[:]), filepath.Join(dir, ".made-from")
	have, err := os.ReadFile(mark)                                                                             //nolint:gosec // its own pins and marks
	return err == nil && string(have) == want, func() error { return os.WriteFile(mark, []byte(want), 0o600) } //nolint:gosec // its own mark
}

// python installs the set of packages, unless it is already there, and returns its interpreter. Every
// archive must have a hash that the set names.
func (k kitchen) python(ctx context.Context, set string) (string, error) {
	pins := filepath.Join(k.dir, "drivers", set+".txt")
	dir := filepath.Join(k.dir, set)
	program := filepath.Join(dir, "bin", "python")
	return program, k.install(dir, pins, func() error {
		base, err := interpreter(ctx, "python3", needsPython, "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
		if err != nil {
			return err
		}
		if err := quiet(ctx, k.dir, base, "-m", "venv", "--clear", dir); err != nil {
			return err
		}
		return quiet(ctx, k.dir, program, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes", "-r", pins)
	})
}

// overlay installs a set of packages without what they need, to be laid over another by
// PYTHONPATH, and returns its folder.
func (k kitchen) overlay(ctx context.Context, set, python string) (string, error) {
	pins := filepath.Join(k.dir, "drivers", set+".txt")
	dir := filepath.Join(k.dir, set)
	return dir, k.install(dir, pins, func() error {
		return quiet(ctx, k.dir, python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--upgrade", "--target", dir, "-r", pins)
	})
}

// node installs the packages of package-lock.json beside the drivers and returns node.
func (k kitchen) node(ctx context.Context) (string, error) {
	dir := filepath.Join(k.dir, "drivers")
	program, err := interpreter(ctx, "node", needsNode, "-p", "process.versions.node")
	if err != nil {
		return "", err
	}
	return program, k.install(dir, filepath.Join(dir, "package-lock.json"), func() error {
		return quiet(ctx, dir, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	})
}

func (k kitchen) install(dir, pins string, make func() error) error {
	text, err := os.ReadFile(pins) //nolint:gosec // its own pins and marks
	if err != nil {
		return fmt.Errorf("read the pins: %w", err)
	}
	done, mark := fresh(dir, text)
	if done {
		return nil
	}
	k.note("  installing what %s pins", filepath.Base(pins))
	if err := make(); err != nil {
		return fmt.Errorf("install %s: %w", filepath.Base(pins), err)
	}
	return mark()
}

// interpreter finds the program on PATH and checks its version.
func interpreter(ctx context.Context, name, least string, args ...string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s is not on PATH: %w", name, exec.ErrNotFound)
	}
	out, err := exec.CommandContext(ctx, path, args...).Output() //nolint:gosec // Python, Node and npm on PATH, without a shell
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w", name, err)
	}
	if version := strings.TrimSpace(string(out)); older(version, least) {
		return "", fmt.Errorf("%s is %s, and %s is needed", name, version, least)
	}
	return path, nil
}

// older compares versions number by number.
func older(version, least string) bool {
	have, want := strings.Split(version, "."), strings.Split(least, ".")
	for i, w := range want {
		if i >= len(have) {
			return true
		}
		if len(have[i]) != len(w) {
			return len(have[i]) < len(w)
		}
		if have[i] != w {
			return have[i] < w
		}
	}
	return false
}

// quiet runs a program and, if it fails, returns the end of its output.
func quiet(ctx context.Context, dir, program string, args ...string) error {
	said := &tail{}
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // Python, Node and npm on PATH, without a shell
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, said, said
	if err := cmd.Run(); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", filepath.Base(program), err), errors.New(said.last()))
	}
	return nil
}

var (
	pythonPin = regexp.MustCompile(`(?m)^([A-Za-z0-9._-]+)==([^ \\;]+)`)
	nodePin   = regexp.MustCompile(`"((?:@[a-z0-9-]+/)?[a-z0-9-]+)": "(\d[^"]*)"`)
)

// pinned is the version of a package in one of the drivers' files, or "".
func pinned(file, name string) string {
	text, err := drivers.ReadFile("drivers/" + file)
	if err != nil {
		return ""
	}
	pin := pythonPin
	if strings.HasSuffix(file, ".json") {
		pin = nodePin
	}
	for _, m := range pin.FindAllStringSubmatch(string(text), -1) {
		if m[1] == name {
			return m[2]
		}
	}
	return ""
}
