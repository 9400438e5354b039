package localpg

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ulikunitz/xz"
)

// maxUnpacked limits the unpacked size of an archive.
const maxUnpacked = 1 << 30

// unpackJar unpacks the only .txz in the jar into the folder dir.
func unpackJar(ctx context.Context, jar, dir string) error {
	z, err := zip.OpenReader(jar)
	if err != nil {
		return fmt.Errorf("opening the archive: %w", err)
	}
	defer z.Close()
	for _, f := range z.File {
		if !strings.HasSuffix(f.Name, ".txz") {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return fmt.Errorf("opening %s: %w", f.Name, err)
		}
		defer r.Close()
		return unpackTxz(ctx, r, dir)
	}
	return errors.New("the archive holds no .txz")
}

// unpackTxz unpacks an xz-compressed tar archive into dir. Everything is written through an os.Root, so
// that no name and no symbolic link leads out of dir.
func unpackTxz(ctx context.Context, r io.Reader, dir string) error {
	x, err := xz.NewReader(bufio.NewReaderSize(r, 1<<20))
	if err != nil {
		return fmt.Errorf("decompressing: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	t := tar.NewReader(x)
	left := int64(maxUnpacked)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the archive: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if left -= h.Size; left < 0 {
			return fmt.Errorf("the archive is larger than %d bytes", maxUnpacked)
		}
		if err := unpackEntry(root, t, h); err != nil {
			return fmt.Errorf("unpacking %q: %w", h.Name, err)
		}
	}
}

// unpackZip unpacks the named folders of a zip file into dir, as unpackTxz does.
func unpackZip(ctx context.Context, file, dir string, folders []string) error {
	z, err := zip.OpenReader(file)
	if err != nil {
		return fmt.Errorf("opening the archive: %w", err)
	}
	defer z.Close()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	left := uint64(maxUnpacked)
	for _, f := range z.File {
		if !slices.ContainsFunc(folders, func(folder string) bool { return strings.HasPrefix(f.Name, folder) }) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if f.UncompressedSize64 > left {
			return fmt.Errorf("the archive is larger than %d bytes", maxUnpacked)
		}
		left -= f.UncompressedSize64
		if err := unpackZipEntry(root, f); err != nil {
			return fmt.Errorf("unpacking %q: %w", f.Name, err)
		}
	}
	if left == maxUnpacked {
		return fmt.Errorf("the archive holds none of %s", strings.Join(folders, ", "))
	}
	return nil
}

func unpackZipEntry(root *os.Root, f *zip.File) error {
	name := path.Clean(f.Name)
	if !filepath.IsLocal(name) {
		return errors.New("the name leads out of the archive")
	}
	if f.FileInfo().IsDir() {
		return makeDir(root, name)
	}
	if !f.Mode().IsRegular() {
		return fmt.Errorf("entries of mode %s are not expected", f.Mode())
	}
	if err := makeDir(root, path.Dir(name)); err != nil {
		return err
	}
	r, err := f.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	return writeFile(root, name, r, f.Mode().Perm())
}

func unpackEntry(root *os.Root, content io.Reader, h *tar.Header) error {
	name := path.Clean(h.Name)
	if !filepath.IsLocal(name) {
		return errors.New("the name leads out of the archive")
	}
	if h.Typeflag == tar.TypeDir {
		return makeDir(root, name)
	}
	if err := makeDir(root, path.Dir(name)); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeSymlink:
		if path.IsAbs(h.Linkname) || !filepath.IsLocal(path.Join(path.Dir(name), h.Linkname)) { //nolint:gosec // only compared; os.Root below confines every name
			return fmt.Errorf("the link to %q leads out of the archive", h.Linkname)
		}
		return root.Symlink(h.Linkname, name)
	case tar.TypeReg:
		return writeFile(root, name, content, h.FileInfo().Mode().Perm())
	default:
		return fmt.Errorf("entries of type %q are not expected", h.Typeflag)
	}
}

// makeDir makes a folder that everyone may enter, whatever the umask: the server may run as another
// user.
func makeDir(root *os.Root, name string) error {
	if name == "." {
		return nil
	}
	if info, err := root.Stat(name); err == nil && info.IsDir() {
		return nil
	}
	if err := makeDir(root, path.Dir(name)); err != nil {
		return err
	}
	if err := root.Mkdir(name, 0o755); err != nil {
		return err
	}
	return root.Chmod(name, 0o755)
}

func writeFile(root *os.Root, name string, content io.Reader, perm os.FileMode) (err error) {
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, perm)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.Copy(f, content); err != nil {
		return err
	}
	return f.Chmod(perm&0o755 | 0o444)
}
