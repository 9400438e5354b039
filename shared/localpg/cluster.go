package localpg

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	superuser = "sluice"
	database  = "sluice"
	// The password is inside the cluster's folder: one rename creates both, and they are backed up,
	// moved and deleted together.
	passwordFile = "sluice.password"
)

// cluster is a data folder with the settings to work on it.
type cluster struct {
	dir  string
	bin  Binaries
	run  runner
	opts Options

	extensions string // a folder with pgvector for this cluster; "" = none
}

// majorOf reads the major version that made the cluster in dir; 0 means there is none.
func majorOf(dir string) (int, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "PG_VERSION")) //nolint:gosec // its own file in the data folder
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading the data folder's version: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		return 0, fmt.Errorf("reading the data folder's version in %s: %w", dir, err)
	}
	return major, nil
}

// ensure makes the cluster if there is none and returns its password.
func (c cluster) ensure(ctx context.Context) (string, error) {
	if err := c.run.checkEnter(ctx, c.bin, filepath.Dir(c.dir)); err != nil {
		return "", err
	}
	major, err := majorOf(c.dir)
	if err != nil {
		return "", err
	}
	if major == 0 {
		return c.create(ctx)
	}
	password, err := os.ReadFile(filepath.Join(c.dir, passwordFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s holds a PostgreSQL cluster that Sluice did not make (it has no %s): "+
			"choose another data folder, or run that cluster yourself and set DATABASE_URL", c.dir, passwordFile)
	}
	if err != nil {
		return "", fmt.Errorf("reading the database password: %w", err)
	}
	if err := c.run.as.own(c.dir); err != nil {
		return "", err
	}
	return strings.TrimSpace(string(password)), nil
}

// create makes a cluster in a temporary folder next to its place and moves it there when it is complete,
// so that a crash never leaves half a cluster that looks complete.
func (c cluster) create(ctx context.Context) (string, error) {
	if err := checkVacant(c.dir); err != nil {
		return "", err
	}
	c.opts.Notice(fmt.Sprintf("Setting up a PostgreSQL %s database in %s …", c.bin.Version, c.dir))
	// This process holds the cluster's lock: a crash left any content here.
	work := c.dir + ".init"
	if err := os.RemoveAll(work); err != nil {
		return "", fmt.Errorf("removing the leftovers of an interrupted start: %w", err)
	}
	if err := os.Mkdir(work, 0o700); err != nil {
		return "", fmt.Errorf("making the data folder: %w", err)
	}
	defer os.RemoveAll(work)
	password := rand.Text()
	pwfile := filepath.Join(work, "password")
	if err := writeSynced(pwfile, password+"\n"); err != nil {
		return "", fmt.Errorf("writing the database password: %w", err)
	}
	if err := c.run.as.own(work); err != nil {
		return "", err
	}
	fresh := filepath.Join(work, "data")
	if err := c.initdb(ctx, fresh, pwfile); err != nil {
		return "", err
	}
	if err := c.createDatabase(ctx, fresh); err != nil {
		return "", err
	}
	if err := os.Rename(pwfile, filepath.Join(fresh, passwordFile)); err != nil {
		return "", fmt.Errorf("keeping the database password: %w", err)
	}
	return password, c.moveIn(fresh)
}

// writeSynced writes a new private file that is on disk when it returns.
func writeSynced(path, content string) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // its own file in the data folder
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.WriteString(content); err != nil {
		return err
	}
	return f.Sync()
}

// checkVacant rejects a folder with other content.
func checkVacant(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking into the data folder: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty and holds no PostgreSQL cluster (it has %s, but no PG_VERSION): "+
			"choose another data folder, or move its content away", dir, entries[0].Name())
	}
	return nil
}

// moveIn puts the finished cluster in its place, durably.
func (c cluster) moveIn(fresh string) error {
	// An empty folder may exist already. Remove fails on anything else.
	if err := os.Remove(c.dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replacing the empty data folder: %w; if it is a mount point, use a folder inside it", err)
	}
	if err := os.Rename(fresh, c.dir); err != nil {
		return fmt.Errorf("moving the new cluster into its place: %w", err)
	}
	if c.opts.NoSync {
		return nil
	}
	return errors.Join(syncDir(c.dir), syncDir(filepath.Dir(c.dir)))
}

func syncDir(dir string) error {
	f, err := os.Open(dir) //nolint:gosec // its own file in the data folder
	if err != nil {
		return fmt.Errorf("syncing %s: %w", dir, err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("syncing %s: %w", dir, err)
	}
	return nil
}

// initdb makes the cluster's files. Sorting is always by bytes, so that new locale data of an operating
// system never breaks an index. Letters are classified by Unicode if the system has a locale for it;
// otherwise search would ignore case for ASCII only.
func (c cluster) initdb(ctx context.Context, dir, pwfile string) error {
	locales := [][]string{
		{"--locale=C.UTF-8"},
		{"--locale=C", "--lc-ctype=en_US.UTF-8"},
		{"--locale=C"},
	}
	args := []string{
		"-D", dir, "--encoding=UTF8", "--username=" + superuser, "--pwfile=" + pwfile,
		"--auth=scram-sha-256", "--data-checksums", "--no-instructions",
	}
	if c.opts.NoSync {
		args = append(args, "--no-sync")
	}
	var out []byte
	var err error
	for _, locale := range locales {
		out, err = c.run.output(ctx, "", c.bin.path("initdb"), append(locale, args...)...)
		if err == nil {
			return nil
		}
		if !strings.Contains(string(out), "locale") {
			break
		}
	}
	return fmt.Errorf("making a PostgreSQL cluster with %s: %w%s", c.bin.path("initdb"), err, quoteTail(out, 20))
}

// createDatabase uses single-user mode: it needs no client program, which the
// downloaded binaries lack, and no running server.
func (c cluster) createDatabase(ctx context.Context, dir string) error {
	args := []string{"--single", "-D", dir, "-c", "exit_on_error=on", "-c", "log_checkpoints=off"}
	if c.opts.NoSync {
		args = append(args, "-F")
	}
	out, err := c.run.output(ctx, "CREATE DATABASE "+database+";\n", c.bin.path("postgres"), append(args, "postgres")...)
	if err != nil {
		return fmt.Errorf("creating the database %q: %w%s", database, err, quoteTail(out, 20))
	}
	return nil
}
