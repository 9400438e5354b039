// Package source is the one door to the systems that pages come from. The stages speak only to
// System; whatever a system calls its spaces, kinds and links stays behind it, in a package of
// its own.
//
// Errors say what they mean by their failure code: failure.Unauthorized for a credential that is
// refused, failure.SpaceNotFound and failure.FolderNotFound for a source that is not there,
// failure.Unavailable for a system that does not answer. failure.RetryAt tells when a system
// wants to be asked again.
package source

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/sluicehq/sluice/shared/page"
)

// System is the system of one source, opened for one piece of work. Its methods may be called
// concurrently.
type System interface {
	// Probe proves that the source is there and that its credential counts. A system that is
	// away, a dead token and an unmounted folder all look like a source without pages; the probe
	// tells them apart.
	Probe(ctx context.Context) error

	// List lists every page of the source. It proves what the source holds: a part ends after its
	// last page, or with an error.
	List(ctx context.Context, kinds Kinds) (Listing, error)

	// Changes lists what may have changed since a time by the system's own clock. Too much is
	// fine; which of it is stored as listed is known to the ledger.
	Changes(ctx context.Context, since time.Time, kinds Kinds) (Listing, error)

	// Bodies reads pages with their bodies. What the answer leaves out is proven to be missing.
	// Pages that could not be read by themselves have an Err, and are there also when an error
	// about something else is returned.
	Bodies(ctx context.Context, refs []page.Ref) ([]Page, error)

	// Verify says where pages are that a listing lacks. What it leaves out was not found. Only
	// with proof is that more than an answer that came short: then each page is asked for by
	// itself, which may cost a call each.
	Verify(ctx context.Context, refs []page.Ref, proof bool) (map[string]Standing, error)
}

// Kinds are the kinds of pages that are wanted beside plain ones: page.BlogPost.
type Kinds []string

// Listing is a listing that has begun.
type Listing struct {
	// At is when it began, by the system's own clock. It becomes the source's watermark.
	At time.Time
	// Parts together are the listing. They may be walked side by side.
	Parts []Part
}

// Part walks a part of a listing, to its proven end or to an error.
type Part func(ctx context.Context) iter.Seq2[Item, error]

// Item is a page as a listing gives it. With an Err its row is no use: then there is only its ID, and
// perhaps its Kind. What the listing does not know is empty.
type Item struct {
	page.Ref
	Hash       string // of the content, where the system counts no versions; Version is 0 then
	Title      string
	Status     string    // current, archived; "" counts as current
	ParentID   string    // "" for a page at the top
	ParentKind string    // page, or a kind of container
	Labels     []string  // nil: not known
	Err        error     // why the row is no use
	ModifiedAt time.Time // when this version was made; zero where the listing does not say
}

// Page is a page with its body, or what became of it.
type Page struct {
	Facts page.Facts // with ID always; a Version of 0 stands for the one that was asked for
	Body  string
	// Gone says why the page is none of the source's current pages: archived, trashed, moved.
	Gone string
	// Err says why this page alone cannot be read.
	Err error
	// People are the account ids that the page names, its author's among them; see People.
	People []string
	// Titles are the titles of pages of this source to which the body links; see TitleLinks.
	Titles []string
}

// Standing is where a page is that a listing lacks.
type Standing string

// The standings. A page that is not found has none.
const (
	Here     Standing = "here" // a current page of the source after all
	Trashed  Standing = "trashed"
	Archived Standing = "archived"
	Moved    Standing = "moved"   // in another space
	Deleted  Standing = "deleted" // known to be gone, not only unreadable
)

// ErrBroken is in the chain of an error when the system does answer, but with an error of its
// own. Asked for fewer pages at a time, it may answer for most of them.
var ErrBroken = errors.New("the system answers with an error of its own")

// ErrTooMuch is in the chain of an error of Bodies when the pages together are more than is held at
// a time: fewer of them are to be asked for.
var ErrTooMuch = errors.New("the pages are too much to be held together")

// ErrUnsearchable is in the chain of an error of Changes when the system cannot say what changed:
// then all of the source is listed.
var ErrUnsearchable = errors.New("what changed cannot be searched for")

// Labels is implemented by a system whose listing lacks the labels of its pages.
type Labels interface {
	// Labels lists the labels of the source's pages, a page at a time.
	Labels(ctx context.Context, kinds Kinds) iter.Seq2[Labelled, error]
}

// Labelled is a page's labels.
type Labelled struct {
	PageID string
	Labels []string
}

// Containers is implemented by a system in which something else than a page can be a parent.
type Containers interface {
	// Containers looks containers up. One that is hidden, or of a kind that is not known, has no
	// title and no parent; one that could not be looked up has an Err. An error about the whole is
	// returned.
	Containers(ctx context.Context, refs []ContainerRef) ([]Container, error)
}

// ContainerRef names a container.
type ContainerRef struct{ ID, Kind string }

// Container is a folder, or whatever else can be a page's parent.
type Container struct {
	ContainerRef
	Title      string
	ParentID   string // "" at the top
	ParentKind string
	Err        error // why it could not be looked up
}

// People is implemented by a system whose pages name people by account id.
type People interface {
	// Names returns the display names of accounts, as far as they are known. An account without
	// a name may be in the map too.
	Names(ctx context.Context, ids []string) (map[string]string, error)
}

// TitleLinks is implemented by a system whose pages link to each other by title. Titles are
// looked up in the ledger, by whoever asked for the bodies.
type TitleLinks interface {
	// PageAddress returns where a person reads the page of this source.
	PageAddress(pageID string) string
}

// Holder is implemented by a system that holds something for one piece of work, such as room for what
// it has read. Whoever opened the system releases it at the end.
type Holder interface{ Release() }

// Metered is implemented by a system whose calls are counted.
type Metered interface {
	// Usage returns the calls since the system was opened, repetitions included, and the bytes of
	// their answers.
	Usage() (calls int, bytes int64)
}
