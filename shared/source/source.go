// Package source is the only interface to the systems that pages come from. The stages use only System;
// a system's own terms for spaces, kinds and links stay behind it, in its own package.
//
// Failure codes classify the errors: failure.Unauthorized for a rejected credential,
// failure.SpaceNotFound and failure.FolderNotFound for a missing source, failure.Unavailable for a
// system that does not answer. failure.RetryAt returns the earliest retry that a system accepts.
package source

import (
	"context"
	"errors"
	"iter"
	"os"
	"time"

	"github.com/sluicehq/sluice/shared/page"
)

// System is the system of one source, opened for one piece of work. Its methods may be called
// concurrently.
type System interface {
	// Probe proves that the source exists and that its credential is valid. An unreachable system, a
	// dead token and an unmounted folder all look like a source without pages; the probe distinguishes
	// them.
	Probe(ctx context.Context) error

	// List lists every page of the source. It proves the source's content: a part ends after its last
	// page, or with an error.
	List(ctx context.Context, kinds Kinds) (Listing, error)

	// Changes lists the pages that may have changed since a time by the system's own clock. It may list
	// too many; the ledger knows which of them are stored in the listed version.
	Changes(ctx context.Context, since time.Time, kinds Kinds) (Listing, error)

	// Bodies reads pages with their bodies. A page that is not in the result is proven to be missing.
	// Pages that could not be read alone have an Err. With an error, the result has only what was read, or
	// failed alone, before it, and says nothing of the others.
	Bodies(ctx context.Context, refs []page.Ref) ([]Page, error)

	// Verify returns the standing of pages that a listing lacks. A page that is not in the result was
	// not found. Without proof, that may only mean an incomplete answer; with proof, each page is looked
	// up separately, which may cost one call each.
	Verify(ctx context.Context, refs []page.Ref, proof bool) (map[string]Standing, error)
}

// Kinds are the kinds to read in addition to plain pages, by their names in page.Kinds. A system has nothing of a kind
// that it does not know.
type Kinds []string

// Listing is a started listing.
type Listing struct {
	// At is its start by the system's own clock. It becomes the source's watermark.
	At time.Time
	// Parts together are the listing. They may be walked concurrently.
	Parts []Part
}

// Part walks a part of a listing, to its proven end or to an error. An error that is a *KindError concerns one kind only: a
// run can do without it, and then knows nothing of what the source has of the kind.
type Part func(ctx context.Context) iter.Seq2[Item, error]

// Item is one page of a listing. An Item with an Err is an unusable row: it has only an ID and perhaps a
// Kind. Fields that the listing does not know are empty.
type Item struct {
	page.Ref
	Hash       string // of the content, if the system has no version numbers; Version is 0 then
	Title      string
	Status     string    // current, archived; "" counts as current
	ParentID   string    // "" for a page at the top
	ParentKind string    // page, or a kind of container
	Labels     []string  // nil: not known
	HashPart   string    // what the stored Hash contains if it has what this item has seen, for an item that has not seen all
	Err        error     // why the row is unusable
	ModifiedAt time.Time // when this version was made; zero if the listing omits it
}

// Page is a page with its body, or the reason why it has none.
type Page struct {
	Facts page.Facts // ID is always set; a Version of 0 means the requested version
	Body  string
	// Gone is the reason why the page is not a current page of the source: archived, trashed, moved.
	Gone string
	// Err is the reason why this page alone cannot be read.
	Err error
	// People are the account ids on the page, including its author's; see People.
	People []string
	// Titles are the titles of this source's pages to which the body links; see TitleLinks.
	Titles []string
}

// Standing is the whereabouts of a page that a listing lacks.
type Standing string

// The standings. A page that was not found has none.
const (
	Here     Standing = "here" // a current page of the source after all
	Trashed  Standing = "trashed"
	Archived Standing = "archived"
	Moved    Standing = "moved"    // in another space
	Deleted  Standing = "deleted"  // known to be gone, not only unreadable
	Excluded Standing = "excluded" // still there, and the source's settings leave it out
)

// KindError is the error of a Part that lists only content of one kind, while the rest of the listing may be complete.
type KindError struct {
	Kind string // of page.Kinds
	Err  error
}

func (e *KindError) Error() string { return e.Err.Error() }

// Unwrap returns the error without the kind.
func (e *KindError) Unwrap() error { return e.Err }

// ErrBroken is in an error's chain if the system answers with an error of its own. Requesting fewer
// pages at a time, callers may still get most of them.
var ErrBroken = errors.New("the system answers with an error of its own")

// ErrTooMuch is in the chain of an error of Bodies when the pages together exceed what is held in memory
// at once: request fewer of them.
var ErrTooMuch = errors.New("the pages are too much to be held together")

// ErrUnsearchable is in the chain of an error of Changes when the system cannot say what changed:
// then all of the source is listed.
var ErrUnsearchable = errors.New("what changed cannot be searched for")

// Labels is implemented by a system whose listing lacks the pages' labels.
type Labels interface {
	// Labels lists the labels of the source's pages, page by page.
	Labels(ctx context.Context, kinds Kinds) iter.Seq2[Labelled, error]
}

// Labelled is a page's labels.
type Labelled struct {
	PageID string
	Labels []string
}

// Containers is implemented by a system in which other things than pages can be parents.
type Containers interface {
	// Containers looks up containers. A container that is hidden, or of an unknown kind, has no title
	// and no parent; one whose look-up failed has an Err. The returned error concerns the whole call.
	Containers(ctx context.Context, refs []ContainerRef) ([]Container, error)
}

// ContainerRef names a container.
type ContainerRef struct{ ID, Kind string }

// Container is a folder, or another kind of parent.
type Container struct {
	ContainerRef
	Title      string
	ParentID   string // "" at the top
	ParentKind string
	Err        error // why its look-up failed
}

// People is implemented by a system whose pages contain people's account ids.
type People interface {
	// Names returns the known display names of accounts. The map may contain an account without a name.
	Names(ctx context.Context, ids []string) (map[string]string, error)
}

// TitleLinks is implemented by a system whose pages link to each other by title. The caller of Bodies
// looks up the titles in the ledger.
type TitleLinks interface {
	// PageAddress returns the address of the source's page for people.
	PageAddress(pageID string) string
}

// Files is implemented by a system whose pages have files.
type Files interface {
	// Download reads the version of an attachment that the facts name, at most most bytes, into a file, which it empties first. A
	// larger one is an error with the code failure.FileTooLarge, and one that is gone has failure.NotFound.
	Download(ctx context.Context, of page.Facts, most int64, to *os.File) (sum string, err error)
}

// Holder is implemented by a system that holds something for one piece of work, such as room for what
// it has read. Whoever opened the system releases it at the end.
type Holder interface{ Release() }

// Identified is implemented by a system that tells its sources apart by ids, which stay whatever a
// source or its site is called.
type Identified interface {
	// Identity says what the source is. It is asked after a listing has begun.
	Identity(ctx context.Context) (Identity, error)
}

// Identity is what a source is. What is empty is not known.
type Identity struct {
	Site string   // id of the site
	ID   string   // of what the source is there
	Key  string   // by which it is called now
	Keys []string // all by which it answers now
}

// Metered is implemented by a system whose calls are counted.
type Metered interface {
	// Usage returns the number of calls since the system was opened, retries included, and the bytes of
	// their answers.
	Usage() (calls int, bytes int64)
}
