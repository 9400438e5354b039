package converter_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/services/converter/converter"
	"github.com/sluicehq/sluice/services/converter/markdown"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/service"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const site = "https://acme.atlassian.net/wiki"

// fetched is the n-th page, with every fact that a page can have.
func fetched(n int, body string) event.PageFetched {
	return event.PageFetched{
		SourceID: "docs", RunID: "run-1", Attempt: 2, Body: body,
		Page: page.Facts{
			ID: fmt.Sprint(1000 + n), Version: n, Title: fmt.Sprintf("Page %d", n), SpaceKey: "DOCS",
			BaseURL: site, URL: fmt.Sprintf("%s/spaces/DOCS/pages/%d", site, 1000+n), Status: "current",
			ParentID: "1000", ParentType: "folder", AuthorID: "ann", Labels: []string{"howto"},
			CreatedAt:  time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
			ModifiedAt: time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC),
			Users:      map[string]string{"ann": "Ann Author", "bob": "Bob Builder"},
			Links:      map[string]page.Link{"Other": {PageID: "1009", PageTitle: "Other", PageURL: site + "/spaces/DOCS/pages/1009"}},
		},
	}
}

func TestSuite(t *testing.T) {
	bustest.Suite(t, bustest.Stage{
		Consumer:  bus.Convert,
		Handler:   func(b *bus.Bus) bus.Handler { return service.Steered(converter.Handler(b)) },
		Event:     func(n int) event.Event { return fetched(n, "<p>Body</p>") },
		Publishes: event.TypePageConverted,
		Fails:     1,
	})
}

func TestABodyBecomesMarkdownWithTheSameFacts(t *testing.T) {
	k := bustest.New(t)
	converted := bustest.Collect[event.PageConverted](k)
	k.Consume(bus.Convert, service.Steered(converter.Handler(k.Bus)))
	in := fetched(1, `<h2>Set up</h2><p>Ask <ac:link><ri:user ri:account-id="bob"/></ac:link> or see `+
		`<ac:link><ri:page ri:content-title="Other"/></ac:link>.</p><ac:structured-macro ac:name="no-such-macro"/>`)
	k.Publish(in)

	out := converted.Wait(1)[0]
	require.Equal(t, in.Page, out.Page)
	require.Equal(t, []any{in.SourceID, in.RunID, in.Attempt}, []any{out.SourceID, out.RunID, out.Attempt})
	require.Contains(t, out.Markdown, "## Set up\n")
	require.Contains(t, out.Markdown, "Bob Builder")
	require.Contains(t, out.Markdown, "/pages/1009")
	require.Len(t, out.Headings, 1)
	require.Equal(t, "Set up", out.Headings[0].Text)
	require.Equal(t, len(out.Markdown), out.Metadata.ContentLength)
	require.Equal(t, []page.User{{AccountID: "bob", DisplayName: "Bob Builder", ProfileURL: out.Metadata.UserMentions[0].ProfileURL}}, out.Metadata.UserMentions)
	require.Equal(t, "1009", out.Metadata.InternalLinks[0].PageID)
	require.NotEmpty(t, out.Losses, "the unknown macro is recorded")
}

// An oversized body fails on its first attempt with the converter's own code; the pages behind it
// pass.
func TestABodyBeyondTheBoundsFailsAtOnce(t *testing.T) {
	k := bustest.New(t)
	failed := bustest.Collect[event.PageFailed](k)
	converted := bustest.Collect[event.PageConverted](k)
	calls := make(chan bus.Delivery, 10)
	handler := service.Steered(converter.Handler(k.Bus))
	k.Consume(bus.Convert, func(ctx context.Context, d bus.Delivery) error {
		calls <- d
		return handler(ctx, d)
	})
	deep := strings.Repeat("<div>", markdown.MaxDepth+1) + "x" + strings.Repeat("</div>", markdown.MaxDepth+1)
	k.Publish(
		fetched(1, "<p>"+strings.Repeat("a ", markdown.MaxBody/2)+"</p>"),
		fetched(2, deep),
		fetched(3, "<p>fine</p>"),
	)

	codes := map[string]failure.Code{}
	for _, f := range failed.Wait(2) {
		codes[f.PageID] = f.Code
		require.Equal(t, "converter", f.Stage)
		require.Equal(t, 1, f.Attempts)
		require.Equal(t, "run-1", f.RunID)
		require.NotEmpty(t, f.Message)
	}
	require.Equal(t, map[string]failure.Code{"1001": failure.ConvertTooLarge, "1002": failure.ConvertTooDeep}, codes)
	require.Equal(t, "1003", converted.Wait(1)[0].Page.ID)
	k.Empty(bus.Convert)
	require.Len(t, calls, 3, "a page that cannot be converted is not retried")
	failed.Wait(2)
	require.Len(t, failed.All(), 2)
}

// held returns the size of the object store in bytes; deleted objects leave little behind.
func held(t *testing.T, k *bustest.Kit) uint64 {
	t.Helper()
	store, err := k.JetStream().ObjectStore(t.Context(), "SLUICE_CLAIMS")
	require.NoError(t, err)
	status, err := store.Status(t.Context())
	require.NoError(t, err)
	return status.Size()
}

const little = 64 << 10

// A body that does not fit into a message, even compressed, travels as a claim check in and out.
func TestALargeBodyTravelsAsAClaimBothWays(t *testing.T) {
	k := bustest.New(t)
	var body strings.Builder
	rng := rand.New(rand.NewPCG(1, 2))
	var words []string
	for body.Len() < 3<<20 {
		words = append(words, fmt.Sprintf("w%016xx%016x", rng.Uint64(), rng.Uint64()))
		fmt.Fprintf(&body, "<p>%s</p>", words[len(words)-1])
	}
	k.Publish(fetched(1, body.String()))
	one := held(t, k)
	require.Greater(t, one, uint64(1<<20), "the body is too large for a message")

	converted := bustest.Collect[event.PageConverted](k)
	k.Consume(bus.Convert, service.Steered(converter.Handler(k.Bus)))
	out := converted.Wait(1)[0]
	k.Empty(bus.Convert)
	require.Equal(t, strings.Join(words, "\n\n")+"\n", out.Markdown)
	require.Equal(t, fetched(1, "").Page, out.Page)
	require.Eventually(t, func() bool { return held(t, k) < one+little }, bustest.Patience, 10*time.Millisecond,
		"the body that was read is deleted, the Markdown waits for its reader")
	require.Greater(t, held(t, k), uint64(1<<20))

	got := make(chan event.PageConverted, 1)
	k.Consume(bus.Write, func(_ context.Context, d bus.Delivery) error {
		in, err := bus.Decode[event.PageConverted](d)
		got <- in
		return err
	})
	require.Equal(t, out, next(t, got))
	require.Eventually(t, func() bool { return held(t, k) < little }, bustest.Patience, 10*time.Millisecond)
}

// next returns the next value from ch.
func next[T any](t *testing.T, ch <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(bustest.Patience):
		require.Fail(t, "nothing comes")
	}
	return v
}
