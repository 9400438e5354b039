// Package folder opens folders of Markdown files as sources: each *.md file is a page, each
// folder a container.
//
// The hash of the content decides what changed: times and sizes are not reliable. Nothing outside the
// folder is ever read: symbolic links are not followed, and hidden files and folders, whose names begin
// with a dot, are ignored.
package folder

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/source"
	"github.com/sluicehq/sluice/shared/store"
)

// System is the system's name in a source of files.
const System = "folder"

// kind is the kind of a container.
const kind = "folder"

// Opener opens sources that are folders.
type Opener struct{}

// Open opens the source's folder. It reads the folder only for a call of a method.
func (Opener) Open(_ context.Context, src store.Source) (source.System, error) {
	return &folder{id: src.ID, dir: src.Location, base: strings.TrimSuffix(src.BaseURL, "/")}, nil
}

// folder is a source's folder. Paths in it have slashes and begin without one.
type folder struct {
	id   string // of the source
	dir  string // absolute
	base string // prefix of addresses
}

var (
	_ source.System     = (*folder)(nil)
	_ source.Containers = (*folder)(nil)
)

// Probe checks that the folder exists and contains a page. A folder without pages is typically an empty
// mount point.
func (f *folder) Probe(ctx context.Context) error {
	return f.within(func(root *os.Root) error {
		found := errors.New("found")
		err := walk(ctx, root, func(string) error { return found }, nil)
		if errors.Is(err, found) {
			return nil
		}
		if err == nil {
			err = f.empty()
		}
		return err
	})
}

func (f *folder) empty() error {
	return failure.New(failure.FolderNotFound, "the folder %s holds no Markdown file (*.md): is it mounted where this service runs?", f.dir)
}

// List lists every page. A file that appears or disappears during the walk may be listed or not.
func (f *folder) List(ctx context.Context, _ source.Kinds) (source.Listing, error) {
	at := time.Now().UTC()
	if err := f.Probe(ctx); err != nil {
		return source.Listing{}, err
	}
	return source.Listing{At: at, Parts: []source.Part{f.list}}, nil
}

// Changes also lists every page: an edited file may have kept its time, or have an older one. Only its
// hash tells.
func (f *folder) Changes(ctx context.Context, _ time.Time, kinds source.Kinds) (source.Listing, error) {
	return f.List(ctx, kinds)
}

func (f *folder) list(ctx context.Context) iter.Seq2[source.Item, error] {
	return func(yield func(source.Item, error) bool) {
		stop, some := errors.New("stop"), false
		err := f.within(func(root *os.Root) error {
			return walk(ctx, root, func(name string) error {
				file, err := read(root, name)
				if errors.Is(err, fs.ErrNotExist) {
					return nil // it has just been removed
				}
				// An unreadable file is listed too: it exists, and fails alone.
				some = true
				if !yield(f.item(file), nil) {
					return stop
				}
				return nil
			}, nil)
		})
		if err == nil && !some {
			err = f.empty()
		}
		if err != nil && !errors.Is(err, stop) {
			yield(source.Item{}, err)
		}
	}
}

func (f *folder) item(file file) source.Item {
	return source.Item{
		Ref: page.Ref{ID: f.pageID(file.name)}, Hash: file.hash, Title: file.title(), Status: "current",
		ParentID: f.parentID(file.name), ParentKind: parentKind(file.name), Labels: file.front.labels(),
	}
}

// Bodies reads the files of pages.
func (f *folder) Bodies(ctx context.Context, refs []page.Ref) ([]source.Page, error) {
	wanted := make(map[string]bool, len(refs))
	for _, ref := range refs {
		wanted[ref.ID] = true
	}
	var pages []source.Page
	err := f.each(ctx, wanted, func(root *os.Root, id, name string) error {
		file, err := read(root, name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			pages = append(pages, source.Page{Facts: page.Facts{ID: id}, Err: err})
		default:
			pages = append(pages, source.Page{Facts: f.facts(root, file), Body: file.body})
		}
		return nil
	})
	return pages, err
}

func (f *folder) facts(root *os.Root, file file) page.Facts {
	return page.Facts{
		ID: f.pageID(file.name), Title: file.title(), BaseURL: f.base, URL: f.address(file.name), Status: "current",
		ParentID: f.parentID(file.name), ParentType: parentKind(file.name),
		CreatedAt: file.front.created(), ModifiedAt: file.modified(),
		Format: page.Markdown, Hash: file.hash, Links: f.links(root, file),
	}
}

// Verify looks for the files of pages. The folder has been walked to its end by then, so a missing file
// is gone.
func (f *folder) Verify(ctx context.Context, refs []page.Ref, _ bool) (map[string]source.Standing, error) {
	if err := f.Probe(ctx); err != nil {
		return nil, err
	}
	wanted, found := make(map[string]bool, len(refs)), make(map[string]source.Standing, len(refs))
	for _, ref := range refs {
		wanted[ref.ID], found[ref.ID] = true, source.Deleted
	}
	err := f.each(ctx, wanted, func(_ *os.Root, id, _ string) error {
		found[id] = source.Here
		return nil
	})
	return found, err
}

// Containers looks folders up.
func (f *folder) Containers(ctx context.Context, refs []source.ContainerRef) ([]source.Container, error) {
	found, at := make([]source.Container, len(refs)), make(map[string]int, len(refs))
	for i, ref := range refs {
		found[i].ContainerRef, at[ref.ID] = ref, i
	}
	err := f.within(func(root *os.Root) error {
		return walk(ctx, root, nil, func(name string) error {
			if i, ok := at[f.folderID(name)]; ok {
				found[i].Title, found[i].ParentID, found[i].ParentKind = text(path.Base(name)), f.parentID(name), parentKind(name)
			}
			return nil
		})
	})
	return found, err
}

// each calls do for the files of the wanted pages. A page's path cannot be derived from its id, so each
// walks all names in the folder; it keeps none of them.
func (f *folder) each(ctx context.Context, wanted map[string]bool, do func(root *os.Root, id, name string) error) error {
	return f.within(func(root *os.Root) error {
		return walk(ctx, root, func(name string) error {
			if id := f.pageID(name); wanted[id] {
				return do(root, id, name)
			}
			return nil
		}, nil)
	})
}

// within opens the folder. The root follows no path that leads out of it.
func (f *folder) within(do func(root *os.Root) error) error {
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		return failure.New(failure.FolderNotFound, "the folder %s of source %s cannot be read: does it exist, and is it mounted, where this service runs? %w", f.dir, f.id, err)
	}
	defer func() { _ = root.Close() }()
	return do(root)
}

// walk visits the folder in the order of names. An unreadable part ends the walk: skipping it would look
// like removed pages.
func walk(ctx context.Context, root *os.Root, onPage, onFolder func(name string) error) error {
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && name != "." && errors.Is(err, fs.ErrNotExist):
			return nil // it has just been removed; Verify looks for its files
		case err != nil:
			return failure.New(failure.NotReadable, "the folder %s cannot be read: %w", path.Join(root.Name(), name), err)
		case name == ".":
			return nil
		case strings.HasPrefix(d.Name(), ".") && d.IsDir():
			return fs.SkipDir
		case d.IsDir() && onFolder != nil:
			return onFolder(name)
		case isPage(d) && onPage != nil:
			return onPage(name)
		}
		return nil
	})
}

func isPage(d fs.DirEntry) bool {
	return d.Type().IsRegular() && !strings.HasPrefix(d.Name(), ".") && isMarkdown(d.Name())
}

func isMarkdown(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".md", ".markdown":
		return true
	}
	return false
}

// Ids are strings of digits, as everywhere. They are derived from the source and the path, so that they
// stay the same; another path is another page.
func (f *folder) pageID(name string) string   { return id(f.id, "page", name) }
func (f *folder) folderID(name string) string { return id(f.id, kind, name) }

func id(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	// All ids have the same number of digits, more than the ids of sites.
	return fmt.Sprintf("9%018d", binary.BigEndian.Uint64(sum[:])%1e18)
}

func (f *folder) parentID(name string) string {
	if parent := path.Dir(name); parent != "." {
		return f.folderID(parent)
	}
	return ""
}

func parentKind(name string) string {
	if path.Dir(name) == "." {
		return ""
	}
	return kind
}

// address is the file's address for people.
func (f *folder) address(name string) string {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return f.base + "/" + strings.Join(parts, "/")
}

// text makes a name valid for the database.
func text(name string) string { return strings.ToValidUTF8(name, "\uFFFD") }

// describe adds the name to an error, without repeating the path in it.
func describe(name string, err error) error {
	return failure.Wrap(failure.NotReadable, fmt.Errorf("the file %s cannot be read: %w", name, err))
}
