package extractor

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/extractor/extract"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/source"
	"github.com/sluicehq/sluice/shared/store"
)

// place is everything around the extractor: one open run, and a system whose files say their ids.
type place struct {
	source.System
	downloads, readings atomic.Int64
	known               store.FileText
	skipped             chan string
	err                 error // of a download
	readErr             error
	sum                 string // of every file; "" gives each its own
	content             string // of every file, which is then read as the extractor's processes do
	before              int    // older files of the page

	mu     sync.Mutex
	unread map[string]store.Unread // by id and bounds
}

func (*place) Run(_ context.Context, id string) (store.Run, error) {
	return store.Run{ID: id, State: event.StateFetching}, nil
}
func (*place) Source(_ context.Context, id string) (store.Source, error) {
	return store.Source{ID: id}, nil
}
func (*place) UnfinishedPages(_ context.Context, _ string, ids []string) ([]string, error) {
	return ids, nil
}
func (p *place) SkipPage(_ context.Context, _, _, reason string) error {
	p.skipped <- reason
	return nil
}
func (*place) AddUsage(context.Context, string, int, int64) error { return nil }

func (p *place) FileText(_ context.Context, _ string, of page.Facts, _ string) (store.FileText, error) {
	if p.known.Markdown != "" && of.File.SHA256 == p.known.File.SHA256 {
		return p.known, nil
	}
	return store.FileText{}, store.ErrNotFound
}
func (p *place) Open(context.Context, store.Source) (source.System, error) { return p, nil }

func (p *place) Download(_ context.Context, of page.Facts, _ int64, _ *os.File) (string, error) {
	p.downloads.Add(1)
	if p.sum != "" {
		return p.sum, p.err
	}
	return "sum of " + of.ID, p.err
}
func (p *place) take(context.Context) (desk, error) { return p, nil }
func (*place) leave()                               {}
func (*place) file() *os.File                       { return nil }
func (p *place) read(_ context.Context, of page.Facts) (extract.Document, error) {
	p.readings.Add(1)
	if p.content != "" {
		a := carryOut(order{Name: of.Title, MediaType: of.File.MediaType, Size: int64(len(p.content))}, strings.NewReader(p.content))
		if a.Error != "" {
			return a.Document, failure.New(a.Code, "%s", a.Error)
		}
		return a.Document, nil
	}
	return extract.Document{Format: "pdf", Parts: []extract.Part{{Place: "page 1", Markdown: "It is " + of.ID + ".\n"}}}, p.readErr
}

func found(n int) event.FileFound {
	return event.FileFound{SourceID: "docs", RunID: "run-1", Attempt: 1, FoundAt: time.Now().UTC(), Page: page.Facts{
		ID: fmt.Sprintf("att%d", n), Kind: page.Attachment, Version: 1, Title: "Plan.pdf", AuthorID: "712020:ada", Users: map[string]string{"712020:ada": "Ada"},
		BaseURL: "https://acme.atlassian.net/wiki", File: &page.File{MediaType: "application/pdf", Size: 7},
	}}
}

func (p *place) extractor(b *bus.Bus) bus.Handler {
	p.skipped = make(chan string, 1)
	return service.Steered(newExtractor(p, b, p, p, 100, all, zerolog.Nop()).Handle)
}

func TestSuite(t *testing.T) {
	bustest.Suite(t, bustest.Stage{
		Consumer:  bus.Extract,
		Handler:   func(b *bus.Bus) bus.Handler { return new(place).extractor(b) },
		Event:     func(n int) event.Event { return found(n) },
		Publishes: event.TypePageConverted, Fails: 1,
	})
}

func TestAFileBecomesAPage(t *testing.T) {
	k, p := bustest.New(t), new(place)
	converted := bustest.Collect[event.PageConverted](k)
	k.Consume(bus.Extract, p.extractor(k.Bus), bus.Workers(1))
	k.Publish(found(1))
	out := converted.Wait(1)[0]
	require.Equal(t, "## page 1\n\nIt is att1.\n", out.Markdown)
	require.Equal(t, &page.File{MediaType: "application/pdf", Size: 7, Format: "pdf", SHA256: "sum of att1", Reader: version + " pdf"}, out.Metadata.File)
	require.Equal(t, &page.User{AccountID: "712020:ada", DisplayName: "Ada", ProfileURL: "https://acme.atlassian.net/wiki/people/712020:ada"}, out.Metadata.CreatedBy)
	require.Equal(t, found(1).Page, out.Page)

	// The same bytes are read once, although each file is fetched.
	p.sum = "the same"
	k.Publish(found(2))
	k.Publish(found(3))
	all := converted.Wait(3)
	require.Equal(t, all[1].Markdown, all[2].Markdown)
	require.EqualValues(t, 3, p.downloads.Load())
	require.EqualValues(t, 2, p.readings.Load())
	k.Empty(bus.Extract)
}

// What is stored of a version, or of the same bytes, is not made again.
func TestWhatIsStoredIsNotReadAgain(t *testing.T) {
	k, p := bustest.New(t), &place{known: store.FileText{Markdown: "Stored.\n", File: page.File{Format: "docx"}}}
	converted := bustest.Collect[event.PageConverted](k)
	k.Consume(bus.Extract, p.extractor(k.Bus), bus.Workers(1))
	k.Publish(found(1))
	require.Equal(t, "Stored.\n", converted.Wait(1)[0].Markdown)
	require.Zero(t, p.downloads.Load(), "of this version")
	p.known.File.SHA256 = "sum of att2"
	k.Publish(found(2))
	out := converted.Wait(2)[1]
	require.Equal(t, []string{"Stored.\n", "docx", "application/pdf"}, []string{out.Markdown, out.Metadata.File.Format, out.Metadata.File.MediaType})
	require.EqualValues(t, 1, p.downloads.Load())
	require.Zero(t, p.readings.Load())
	k.Empty(bus.Extract)
}

// Files with the same bytes share a text, and whoever sees one of them may not see the other: its name does not come along.
func TestANameReachesNoOtherFile(t *testing.T) {
	k, p := bustest.New(t), &place{sum: "the same", content: "\x89PNG\r\n\x1a\n"}
	converted := bustest.Collect[event.PageConverted](k)
	k.Consume(bus.Extract, p.extractor(k.Bus), bus.Workers(1))
	one, other := found(1), found(2)
	one.Page.Title, other.Page.Title, other.SourceID = "layoffs in May.png", "logo.PNG", "public"
	k.Publish(one)
	k.Publish(other)
	all := converted.Wait(2)
	require.Equal(t, all[0].Markdown, all[1].Markdown)
	require.EqualValues(t, 1, p.readings.Load())
	for _, c := range all {
		require.NotContains(t, c.Markdown, "layoffs")
		require.NotContains(t, c.Metadata.File.Reader, "layoffs")
	}
	k.Empty(bus.Extract)
}

// waiting is a desk whose first reading goes on until its reader is told to stop.
type waiting struct {
	desk
	readings atomic.Int64
}

func (w *waiting) read(ctx context.Context, of page.Facts) (extract.Document, error) {
	if w.readings.Add(1) == 1 {
		<-ctx.Done()
		return extract.Document{}, ctx.Err()
	}
	return extract.Document{}, failure.New(failure.FileEncrypted, "it needs a password")
}

// Who waits for another file's reading does not stop with it, and names its own file when it fails.
func TestAFileFailsUnderItsOwnName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, at := new(place), new(waiting)
		x := newExtractor(p, nil, p, p, 100, all, zerolog.Nop())
		ctx, stop := context.WithCancel(t.Context())
		var first, second error
		go func() { _, first = x.read(ctx, found(1), "the same", at) }()
		synctest.Wait()
		go func() { _, second = x.read(t.Context(), found(2), "the same", at) }()
		synctest.Wait()
		stop()
		synctest.Wait()
		require.ErrorIs(t, first, context.Canceled)
		require.Equal(t, failure.FileEncrypted, failure.CodeOf(second))
		require.ErrorContains(t, second, "read att2: ")
		require.NotContains(t, second.Error(), "att1")
	})
}

// The same bytes are read again under a name that makes another text of them.
func TestANameThatMakesAnotherText(t *testing.T) {
	k, p := bustest.New(t), &place{sum: "the same", content: "FROM scratch\n"}
	converted := bustest.Collect[event.PageConverted](k)
	k.Consume(bus.Extract, p.extractor(k.Bus), bus.Workers(1))
	for i, name := range []string{"Dockerfile", "LICENSE"} {
		f := found(i)
		f.Page.Title, f.Page.File.MediaType = name, "text/plain"
		k.Publish(f)
	}
	all := converted.Wait(2)
	require.ElementsMatch(t, []string{"```dockerfile\nFROM scratch\n```\n", "FROM scratch\n"}, []string{all[0].Markdown, all[1].Markdown})
	k.Empty(bus.Extract)
}

func TestAFileEndsAsSkippedOrFailed(t *testing.T) {
	k := bustest.New(t)
	failed := bustest.Collect[event.PageFailed](k)
	p := &place{readErr: &extract.SkippedError{Format: "audio", Reason: "it has no text"}}
	k.Consume(bus.Extract, p.extractor(k.Bus), bus.Workers(1))
	k.Publish(found(1))
	require.Equal(t, "format_audio", <-p.skipped)
	p.err = failure.New(failure.NotFound, "it is gone")
	k.Publish(found(2))
	require.Equal(t, "missing", <-p.skipped)
	p.err, p.readErr = nil, failure.New(failure.FileEncrypted, "it needs a password")
	k.Publish(found(3))
	f := failed.Wait(1)[0]
	require.Equal(t, []any{"att3", "extractor", failure.FileEncrypted, 1}, []any{f.PageID, f.Stage, f.Code, f.Attempts})
	k.Empty(bus.Extract)
}
