package localpg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// oldest is the oldest major version that Sluice runs on.
const oldest = 14

// waysOut ends every error about missing binaries.
const waysOut = "install PostgreSQL with the system's package manager (apt-get install postgresql, brew install postgresql), " +
	"set DATABASE_URL to a server that runs already, " +
	"or set SLUICE_PG_BINDIR to the folder that holds postgres and initdb"

// Binaries are a PostgreSQL server's programs.
type Binaries struct {
	Dir     string // the folder that holds postgres and initdb
	Version string // "17.11"
	major   int
	minor   int
}

func (b Binaries) path(program string) string { return filepath.Join(b.Dir, program) }

// search is the list of places to look for binaries.
type search struct {
	globs []string // bin folders of installed packages
	path  string   // a PATH
}

func usualPlaces() search {
	return search{
		globs: []string{
			"/usr/lib/postgresql/*/bin", // Debian, Ubuntu
			"/usr/pgsql-*/bin",          // PostgreSQL's own RPMs
			"/usr/libexec/postgresql*",  // Alpine
			"/opt/homebrew/opt/postgresql@*/bin",
			"/usr/local/opt/postgresql@*/bin",
			"/Applications/Postgres.app/Contents/Versions/*/bin",
		},
		path: os.Getenv("PATH"),
	}
}

// FindBinaries looks for binaries that can serve o.DataDir, without downloading. If o.BinDir is set, it
// checks only that; otherwise it takes the newest in the package managers' usual folders, then the
// postgres in PATH, then o.CacheDir. The errors are ErrVersion and ErrNoBinaries.
func FindBinaries(ctx context.Context, o Options) (Binaries, error) {
	o, err := o.resolve()
	if err != nil {
		return Binaries{}, err
	}
	f, err := newFinder(ctx, o)
	if err != nil {
		return Binaries{}, err
	}
	return f.find()
}

// EnsureBinaries is FindBinaries, and downloads binaries into o.CacheDir if there are none.
func EnsureBinaries(ctx context.Context, o Options) (Binaries, error) {
	found, err := FindBinaries(ctx, o)
	if !errors.Is(err, ErrNoBinaries) || o.BinDir != "" {
		return found, err
	}
	o, rerr := o.resolve()
	if rerr != nil {
		return Binaries{}, rerr
	}
	as, aerr := accountFor(o.DataDir)
	if aerr != nil {
		return Binaries{}, aerr
	}
	major, merr := majorOf(o.DataDir)
	if merr != nil {
		return Binaries{}, merr
	}
	dir, derr := download(ctx, o, cmp.Or(major, pinnedMajor))
	if derr != nil {
		return Binaries{}, fmt.Errorf("%w, and getting one failed: %w; %s", err, derr, waysOut)
	}
	b, perr := probe(ctx, runner{as: as}, dir)
	if perr != nil {
		return Binaries{}, fmt.Errorf("%w: the downloaded PostgreSQL does not run here "+
			"(it needs glibc and libstdc++, and a folder that the user %s can enter; remove %s to have it downloaded again): %w; %s",
			ErrNoBinaries, as, filepath.Dir(dir), perr, waysOut)
	}
	return b, nil
}

// finder looks for binaries of one major version; 0 means any.
type finder struct {
	ctx     context.Context
	run     runner
	want    int
	opts    Options
	accept  func(Binaries) bool // what else is wanted of them; nil = nothing
	refused []string            // rejected binaries, with the reason
}

// newFinder looks for binaries of the version that made o.DataDir, or of any if there is no cluster.
func newFinder(ctx context.Context, o Options) (*finder, error) {
	want, err := majorOf(o.DataDir)
	if err != nil {
		return nil, err
	}
	as, err := accountFor(o.DataDir)
	if err != nil {
		return nil, err
	}
	return &finder{ctx: ctx, run: runner{as: as}, want: want, opts: o}, nil
}

func (f *finder) find() (Binaries, error) {
	if f.opts.BinDir != "" {
		if b, ok := f.best([]string{f.opts.BinDir}); ok {
			return b, nil
		}
		return Binaries{}, f.fail(ErrNoBinaries)
	}
	places := f.opts.search
	if places == nil {
		usual := usualPlaces()
		places = &usual
	}
	for _, dirs := range [][]string{
		globAll(places.globs),
		dirsInPath(places.path),
		globAll([]string{filepath.Join(f.opts.CacheDir, "postgres-*", "bin")}),
	} {
		if b, ok := f.best(dirs); ok {
			return b, nil
		}
	}
	return Binaries{}, f.fail(ErrNoBinaries)
}

// best returns the newest usable binaries in dirs.
func (f *finder) best(dirs []string) (Binaries, bool) {
	var usable []Binaries
	for _, dir := range dirs {
		b, err := probe(f.ctx, f.run, dir)
		switch {
		case err != nil:
			f.refused = append(f.refused, err.Error())
		case b.major < oldest:
			f.refused = append(f.refused, fmt.Sprintf("PostgreSQL %s in %s is older than %d", b.Version, dir, oldest))
		case f.want != 0 && b.major != f.want:
			f.refused = append(f.refused, fmt.Sprintf("PostgreSQL %s in %s is of another version", b.Version, dir))
		case f.accept != nil && !f.accept(b):
		default:
			usable = append(usable, b)
		}
	}
	if len(usable) == 0 {
		return Binaries{}, false
	}
	return slices.MaxFunc(usable, func(a, b Binaries) int {
		return cmp.Or(cmp.Compare(a.major, b.major), cmp.Compare(a.minor, b.minor))
	}), true
}

// fail lists where it looked and what it found instead. If the data folder's version cannot be
// downloaded, the error is ErrVersion: only a person can help then.
func (f *finder) fail(kind error) error {
	if err := f.ctx.Err(); err != nil {
		return fmt.Errorf("looking for PostgreSQL: %w", context.Cause(f.ctx))
	}
	found := "none was found"
	if len(f.refused) > 0 {
		found = "found only: " + strings.Join(f.refused, "; ")
	}
	if f.want == 0 || (pinned[f.want] != nil && f.opts.BinDir == "") {
		if f.opts.BinDir != "" {
			return fmt.Errorf("%w: %s (SLUICE_PG_BINDIR must name a folder that holds postgres and initdb)", kind, found)
		}
		return fmt.Errorf("%w: %s", kind, found)
	}
	return fmt.Errorf("%w: %s was made by PostgreSQL %d; %s, and what can be downloaded is %s. "+
		"Install PostgreSQL %d beside it (for example, apt-get install postgresql-%d), or set SLUICE_PG_BINDIR to its bin folder, "+
		"or begin with another data folder and synchronise again; nothing was changed",
		ErrVersion, f.opts.DataDir, f.want, found, downloadable(), f.want, f.want)
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) ((\d+)(?:\.(\d+))?\S*)`)

// probe runs the server program in dir for its version, as the account that would run the server.
func probe(ctx context.Context, run runner, dir string) (Binaries, error) {
	b := Binaries{Dir: dir}
	if _, err := os.Stat(b.path("initdb")); err != nil {
		return b, fmt.Errorf("%s is not usable: %w", dir, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 20*time.Second, errors.New("postgres --version does not end"))
	defer cancel()
	out, err := run.output(ctx, "", b.path("postgres"), "--version")
	if err != nil {
		return b, fmt.Errorf("%s is not usable: %w: %s", dir, err, strings.TrimSpace(string(out)))
	}
	m := versionPattern.FindStringSubmatch(string(out))
	if m == nil {
		return b, fmt.Errorf("%s is not usable: its version is %q", dir, strings.TrimSpace(string(out)))
	}
	b.Version = m[1]
	if b.major, err = strconv.Atoi(m[2]); err != nil {
		return b, fmt.Errorf("%s is not usable: version %s: %w", dir, m[1], err)
	}
	b.minor, _ = strconv.Atoi(m[3]) // a beta has none
	return b, nil
}

func globAll(patterns []string) []string {
	var dirs []string
	for _, p := range patterns {
		found, _ := filepath.Glob(p) // the only possible error is a bad pattern, and these are constants
		dirs = append(dirs, found...)
	}
	return slices.DeleteFunc(dirs, func(dir string) bool {
		_, err := os.Stat(filepath.Join(dir, "postgres"))
		return err != nil
	})
}

// dirsInPath are the folders of the postgres programs in path. Symbolic links are followed to the folder
// that also has initdb.
func dirsInPath(path string) []string {
	var dirs []string
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) {
			continue // as exec.LookPath: never run a program from the working folder
		}
		program, err := exec.LookPath(filepath.Join(dir, "postgres"))
		if err != nil {
			continue
		}
		if real, err := filepath.EvalSymlinks(program); err == nil && !slices.Contains(dirs, filepath.Dir(real)) {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	return dirs
}
