package extractor

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/singleflight"

	"github.com/sluicehq/sluice/services/extractor/extract"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/source"
	"github.com/sluicehq/sluice/shared/source/systems"
	"github.com/sluicehq/sluice/shared/store"
)

// version is stored with each text. Text of another version is made again, when its file is next read.
const version = "2"

// reader is stored with each text: the version, and what the file's name and media type said that its bytes are. Only texts of the
// same reader are the same.
func reader(of page.Facts) string {
	return strings.TrimSpace(version + " " + extract.Claim(of.Title, of.File.MediaType))
}

// ledger is the part of the store that the extractor uses.
type ledger interface {
	Run(ctx context.Context, id string) (store.Run, error)
	Source(ctx context.Context, id string) (store.Source, error)
	UnfinishedPages(ctx context.Context, runID string, ids []string) ([]string, error)
	SkipPage(ctx context.Context, runID, pageID, reason string) error
	LeaveExcluded(ctx context.Context, run store.Run, ids []string, reason string) error
	Removals(ctx context.Context, runID string) ([]store.Removal, error)
	FilesBefore(ctx context.Context, sourceID string, of page.Facts) (int, error)
	Unread(ctx context.Context, sourceID string, of page.Facts, reader, bounds string) (store.Unread, error)
	KeepUnread(ctx context.Context, sourceID string, of page.Facts, reader, bounds string, u store.Unread) error
	FileText(ctx context.Context, sourceID string, of page.Facts, reader string) (store.FileText, error)
	AddUsage(ctx context.Context, runID string, calls int, bytes int64) error
}

// publisher is the part of the bus that the extractor uses.
type publisher interface {
	Publish(ctx context.Context, e event.Event) error
}

// opener opens sources; the error says that this process may not read the source.
type opener interface {
	Open(ctx context.Context, src store.Source) (source.System, error)
}

// desks are where files are read.
type desks interface {
	take(ctx context.Context) (desk, error)
}

// desk is where one file at a time is put and read.
type desk interface {
	file() *os.File
	read(ctx context.Context, of page.Facts) (extract.Document, error)
	leave()
}

var (
	_ ledger    = (*store.Store)(nil)
	_ publisher = (*bus.Bus)(nil)
	_ opener    = (*systems.Systems)(nil)
)

// Extractor handles found files.
type Extractor struct {
	ledger  ledger
	bus     publisher
	systems opener
	desks   desks
	most    int64
	wanted  wanted
	log     zerolog.Logger
	flight  singleflight.Group
	recent  recent
}

func newExtractor(l ledger, b publisher, s opener, d desks, most int64, w wanted, log zerolog.Logger) *Extractor {
	return &Extractor{ledger: l, bus: b, systems: s, desks: d, most: most, wanted: w, log: log}
}

// text is what a file says.
type text struct {
	markdown string
	losses   []page.Loss
	file     page.File
}

// Handle reads one file and publishes its text. A file whose format is not read ends as skipped.
func (x *Extractor) Handle(ctx context.Context, d bus.Delivery) error {
	in, err := bus.Decode[event.FileFound](d)
	if err != nil {
		return err
	}
	if in.Page.File == nil {
		return failure.New(failure.BadEvent, "page %s is no file", in.Page.ID)
	}
	left, err := x.ledger.UnfinishedPages(ctx, in.RunID, []string{in.Page.ID})
	if err != nil {
		return err
	}
	if len(left) == 0 {
		return x.announce(ctx, in) // only a message that comes again finds no work
	}
	run, err := x.ledger.Run(ctx, in.RunID)
	// No stage needs the files of a run that was given up, and a run that was sent again has newer events.
	if errors.Is(err, store.ErrNotFound) || err == nil && (run.State.Final() || in.Attempt < run.Attempt) {
		return nil
	}
	if err != nil {
		return err
	}
	t, err := x.wantedText(ctx, run, in)
	var skipped *skippedError
	switch {
	case errors.As(err, &skipped):
		return x.skip(ctx, run, in, skipped)
	case failure.CodeOf(err) == failure.NotFound:
		return x.ledger.SkipPage(ctx, in.RunID, in.Page.ID, "missing")
	case err != nil:
		return err
	}
	return x.bus.Publish(ctx, converted(in, t))
}

// text is the file's text: as it is stored for this version or for the same bytes, or as it is read now.
func (x *Extractor) text(ctx context.Context, in event.FileFound) (text, error) {
	known, err := x.ledger.FileText(ctx, in.SourceID, in.Page, reader(in.Page))
	if err == nil {
		return text{known.Markdown, known.Losses, known.File}, nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return text{}, err
	}
	src, err := x.ledger.Source(ctx, in.SourceID)
	if err != nil {
		if errors.Is(err, store.ErrNotFound) {
			err = failure.Wrap(failure.SourceGone, err)
		}
		return text{}, err
	}
	system, err := x.systems.Open(ctx, src)
	if err != nil {
		return text{}, err
	}
	defer x.end(ctx, system, in.RunID)
	files, ok := system.(source.Files)
	if !ok {
		return text{}, failure.New(failure.UnknownSystem, "the system of source %s has no files", src.ID)
	}
	at, err := x.desks.take(ctx)
	if err != nil {
		return text{}, err
	}
	defer at.leave()
	sum, err := files.Download(ctx, in.Page, x.most, at.file())
	if err != nil {
		return text{}, err
	}
	return x.read(ctx, in, sum, at)
}

// read returns the text of bytes that have arrived. The same bytes are read once: here, on another page, or right now.
func (x *Extractor) read(ctx context.Context, in event.FileFound, sum string, at desk) (text, error) {
	as, same := reader(in.Page), in.Page
	same.File = &page.File{SHA256: sum}
	known, err := x.ledger.FileText(ctx, in.SourceID, same, as)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return text{}, err
	}
	out := text{known.Markdown, known.Losses, page.File{Format: known.File.Format}}
	if err != nil {
		key := sum + " " + as
		if out, err = x.readOnce(ctx, key, in.Page, at); err != nil {
			return text{}, fmt.Errorf("read %s: %w", in.Page.ID, err)
		}
	}
	out.file.MediaType, out.file.Size, out.file.SHA256, out.file.Reader = in.Page.File.MediaType, in.Page.File.Size, sum, as
	return out, nil
}

// readOnce reads a file, or waits for the reading of the same bytes that is going on. The text and the error are about the bytes alone.
func (x *Extractor) readOnce(ctx context.Context, key string, of page.Facts, at desk) (text, error) {
	for {
		own := false
		made, err, _ := x.flight.Do(key, func() (any, error) {
			own = true
			if t, ok := x.recent.get(key); ok {
				return t, nil
			}
			doc, err := at.read(ctx, of)
			if err != nil {
				return text{}, err
			}
			t := text{doc.Markdown(), doc.Losses, page.File{Format: doc.Format}}
			x.recent.put(key, t)
			return t, nil
		})
		if err != nil && !own && ctx.Err() == nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
			continue // the other one was told to stop
		}
		out, _ := made.(text)
		return out, err
	}
}

// recentBytes bounds the texts that are remembered until they are stored.
const recentBytes = 16 << 20

// recent remembers the texts that were made last, by what they were made of.
type recent struct {
	mu    sync.Mutex
	texts map[string]text
	order []string
	size  int
}

func (r *recent) get(key string) (text, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t, ok := r.texts[key]
	return t, ok
}

func (r *recent) put(key string, t text) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.texts == nil {
		r.texts = map[string]text{}
	}
	if _, ok := r.texts[key]; ok {
		return
	}
	r.texts[key], r.order, r.size = t, append(r.order, key), r.size+len(t.markdown)
	for r.size > recentBytes {
		r.size -= len(r.texts[r.order[0]].markdown)
		delete(r.texts, r.order[0])
		r.order = r.order[1:]
	}
}

const endTimeout = 3 * time.Second

// end releases the system's resources and records what the download cost.
func (x *Extractor) end(ctx context.Context, system source.System, runID string) {
	if held, ok := system.(source.Holder); ok {
		defer held.Release()
	}
	metered, ok := system.(source.Metered)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	calls, bytes := metered.Usage()
	if err := x.ledger.AddUsage(ctx, runID, calls, bytes); err != nil {
		x.log.Warn().Str("run", runID).Err(err).Msg("usage is not recorded")
	}
}

// converted is the file as a page.
func converted(in event.FileFound, t text) event.PageConverted {
	labels := in.Page.Labels
	if labels == nil {
		labels = []string{}
	}
	meta := page.Metadata{
		Ancestors: []page.Ancestor{}, Children: []string{}, Labels: labels, JiraIssueLinks: []page.JiraIssue{}, UserMentions: []page.User{},
		InternalLinks: []page.Link{}, ExternalLinks: []page.External{}, AssetLinks: []page.Asset{},
		WordCount: len(strings.Fields(t.markdown)), ContentLength: len(t.markdown), File: &t.file,
	}
	if id := in.Page.AuthorID; id != "" {
		meta.CreatedBy = &page.User{AccountID: id, DisplayName: in.Page.Users[id], ProfileURL: in.Page.BaseURL + "/people/" + url.PathEscape(id)}
	}
	return event.PageConverted{
		SourceID: in.SourceID, RunID: in.RunID, Attempt: in.Attempt, FetchedAt: in.FoundAt, ConvertedAt: time.Now().UTC(),
		BodyBytes: int(in.Page.File.Size), Page: in.Page, Markdown: t.markdown, Metadata: meta, Headings: []page.Heading{}, Losses: t.losses,
	}
}
