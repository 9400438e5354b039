package localpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

const (
	// vectorMajor is the version of PostgreSQL that the pgvector to download is for. It loads into every build of
	// that version, which is also the first that finds extensions outside of its own folders.
	vectorMajor = 18
	// vectorFolder holds pgvector inside of the cluster's folder: the cluster cannot be used without it any more, so
	// that both are backed up, moved and deleted together, and an emptied cache breaks nothing.
	vectorFolder = "sluice.pgvector"
	// checkFolder is vectorFolder before it is known that the server loads it.
	checkFolder = vectorFolder + ".new"
)

// binariesFor is EnsureBinaries, but with o.Vector and a new cluster it prefers binaries that have pgvector or can be
// given it. lacking is why there are none of these.
func binariesFor(ctx context.Context, o Options) (bin Binaries, lacking, err error) {
	major, err := majorOf(o.DataDir)
	if err != nil {
		return bin, nil, err
	}
	if !o.Vector || o.BinDir != "" || major != 0 {
		bin, err = EnsureBinaries(ctx, o)
		return bin, nil, err
	}
	f, err := newFinder(ctx, o)
	if err != nil {
		return bin, nil, err
	}
	f.accept = Binaries.hasVector
	if bin, err = f.find(); err == nil {
		return bin, nil, nil
	}
	bin, lacking = extensible(ctx, o)
	if lacking == nil {
		return bin, nil, nil
	}
	if bin, err = EnsureBinaries(ctx, o); err != nil {
		return bin, nil, err
	}
	return bin, fmt.Errorf("PostgreSQL %s in %s has no pgvector, and getting one that has it failed: %w; "+
		"install pgvector for it (on Debian: %s)", bin.Version, bin.Dir, lacking, bin.vectorPackage()), nil
}

// extensible returns binaries that pgvector can be given to, once it is downloaded.
func extensible(ctx context.Context, o Options) (Binaries, error) {
	if _, err := FetchVector(ctx, o); err != nil {
		return Binaries{}, err
	}
	f, err := newFinder(ctx, o)
	if err != nil {
		return Binaries{}, err
	}
	f.want = vectorMajor
	if bin, err := f.find(); err == nil {
		return bin, nil
	}
	dir, err := download(ctx, o, vectorMajor)
	if err != nil {
		return Binaries{}, err
	}
	return probe(ctx, f.run, dir)
}

func (b Binaries) vectorPackage() string {
	return "apt-get install postgresql-" + strconv.Itoa(b.major) + "-pgvector"
}

var controlVersion = regexp.MustCompile(`(?m)^default_version\s*=\s*'0\.(\d+)\.`)

// hasVector reports whether pgvector is installed beside the binaries, 0.8.0 or newer: with an older one nothing is
// searched by meaning.
func (b Binaries) hasVector() bool {
	major := strconv.Itoa(b.major)
	for _, dir := range []string{
		filepath.Join(b.Dir, "..", "share", "extension"),
		filepath.Join(b.Dir, "..", "share", "postgresql", "extension"),
		filepath.Join(b.Dir, "..", "share", "postgresql@"+major, "extension"), // Homebrew
		filepath.Join("/usr/share/postgresql", major, "extension"),            // Debian
		"/usr/share/postgresql" + major + "/extension",                        // Alpine
	} {
		if strings.HasPrefix(dir, "/usr/") && !strings.HasPrefix(b.Dir, "/usr/") {
			continue // of other binaries
		}
		control, err := os.ReadFile(filepath.Join(dir, "vector.control")) //nolint:gosec // beside the programs that are run
		if err != nil {
			continue
		}
		m := controlVersion.FindSubmatch(control)
		if m == nil {
			return true // 1.0 or newer
		}
		minor, _ := strconv.Atoi(string(m[1]))
		return minor >= 8
	}
	return false
}

// giveVector returns the folder with pgvector for this cluster. If there is none and Options.Vector asks for it,
// pgvector is downloaded, unless the binaries have it. The error is why the cluster goes on without.
func (c cluster) giveVector(ctx context.Context) (string, error) {
	place := filepath.Join(c.dir, vectorFolder)
	if _, err := os.Stat(place); err == nil {
		return place, nil
	}
	if !c.opts.Vector || c.bin.hasVector() {
		return "", nil
	}
	if c.bin.major != vectorMajor {
		return "", fmt.Errorf("PostgreSQL %s, which this cluster needs, has no pgvector: install it (on Debian: %s), "+
			"or begin with another data folder", c.bin.Version, c.bin.vectorPackage())
	}
	err := c.installVector(ctx, place)
	if err != nil {
		return "", fmt.Errorf("giving pgvector to PostgreSQL %s failed: %w; it is tried again at the next start", c.bin.Version, err)
	}
	return place, nil
}

// installVector puts pgvector into the folder place, if the server can load it: an extension that is offered but
// cannot be loaded would stop every migration.
func (c cluster) installVector(ctx context.Context, place string) error {
	if strings.Contains(c.dir, ":") {
		return fmt.Errorf("the name of the data folder has a colon: %s", c.dir)
	}
	bin, err := FetchVector(ctx, c.opts)
	if err != nil {
		return err
	}
	work := filepath.Join(c.dir, checkFolder)
	if err := os.RemoveAll(work); err != nil {
		return fmt.Errorf("removing the leftovers of an interrupted start: %w", err)
	}
	defer os.RemoveAll(work)
	library, err := copyVector(filepath.Dir(bin), work)
	if err != nil {
		return fmt.Errorf("copying pgvector: %w", err)
	}
	if c.run.as.drop {
		if err := c.run.as.ownTree(work); err != nil {
			return fmt.Errorf("handing pgvector to the user %s: %w", c.run.as, err)
		}
	}
	out, err := c.run.output(ctx, "LOAD '"+strings.ReplaceAll(library, "'", "''")+"';\n", c.bin.path("postgres"),
		"--single", "-D", c.dir, "-c", "exit_on_error=on", "-c", "log_checkpoints=off", "postgres")
	if err != nil {
		return fmt.Errorf("loading it: %w%s", err, quoteTail(out, 5))
	}
	if err := os.Rename(work, place); err != nil {
		return err
	}
	return syncDir(c.dir)
}

// copyVector copies pgvector's files from an installation into the folder to, and returns the path of its library
// without the ending.
func copyVector(from, to string) (library string, err error) {
	for _, part := range [][3]string{
		{"lib", "lib/postgresql", "vector.*"},
		{"share/extension", "share/postgresql/extension", "vector.control"},
		{"share/extension", "share/postgresql/extension", "vector--*.sql"},
	} {
		dir := filepath.Join(to, filepath.FromSlash(part[0]))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return "", err
		}
		files, err := filepath.Glob(filepath.Join(from, filepath.FromSlash(part[1]), part[2]))
		if err != nil {
			return "", err
		}
		if len(files) == 0 {
			return "", fmt.Errorf("%s has no %s", from, part[2])
		}
		for _, file := range files {
			if err := copyTo(filepath.Join(dir, filepath.Base(file)), file); err != nil {
				return "", err
			}
		}
		if err := syncDir(dir); err != nil {
			return "", err
		}
	}
	return filepath.Join(to, "lib", "vector"), nil
}

func copyTo(to, from string) (err error) {
	in, err := os.Open(from) //nolint:gosec // a file of the checked download
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o700) //nolint:gosec // in the data folder; a library is executable
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Sync()
}
