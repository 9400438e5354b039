package bus_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
)

// last returns the newest stored message of a stream.
func last(t *testing.T, k *bustest.Kit, stream string) *jetstream.RawStreamMsg {
	t.Helper()
	s, err := k.JetStream().Stream(t.Context(), stream)
	require.NoError(t, err)
	msg, err := s.GetMsg(t.Context(), s.CachedInfo().State.LastSeq)
	require.NoError(t, err)
	return msg
}

func stored(t *testing.T, k *bustest.Kit, stream string) int {
	t.Helper()
	s, err := k.JetStream().Stream(t.Context(), stream)
	require.NoError(t, err)
	return int(s.CachedInfo().State.Msgs)
}

// noise returns n characters that do not compress.
func noise(n int) string {
	raw := make([]byte, n)
	_, _ = rand.Read(raw)
	return base64.StdEncoding.EncodeToString(raw)[:n]
}

func TestWhatAMessageLooksLike(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	long := fetched(2)
	long.Body = strings.Repeat("<p>R&D</p>", 500)
	many := event.PagesListed{SourceID: "docs", RunID: "run-1", Attempt: 1}
	for range event.MaxListed {
		many.Pages = append(many.Pages, page.Ref{ID: "12345678", Version: 3})
	}
	wordy := event.PageFailed{SourceID: "docs", RunID: "run-1", PageID: "1", Message: strings.Repeat("long ", 400)}
	for name, tc := range map[string]struct {
		event  event.Event
		stream string
		zstd   bool
	}{
		"a short body":         {fetched(1), bus.Convert.Stream, false},
		"a long body":          {long, bus.Convert.Stream, true},
		"a long list":          {many, bus.Fetch.Stream, true},
		"a fact stays plain":   {wordy, bus.Ledger.Stream, false},
		"a request":            {event.SyncRequested{SourceID: "docs", RequestID: "nightly-7"}, bus.Sync.Stream, false},
		"progress stays plain": {event.Progress{SourceID: "docs", RunID: "run-1", Message: strings.Repeat("long ", 400)}, "SLUICE_PROGRESS", false},
	} {
		t.Run(name, func(t *testing.T) {
			k.Publish(tc.event)
			msg := last(t, k, tc.stream)
			require.Equal(t, tc.event.Subject(), msg.Subject)
			require.Equal(t, tc.event.MsgID(), msg.Header.Get("Nats-Msg-Id"))
			require.Equal(t, string(tc.event.EventType()), msg.Header.Get("Sluice-Event"))
			require.Empty(t, msg.Header.Get("Sluice-Claim"))
			doc := msg.Data
			if tc.zstd {
				require.Equal(t, "zstd", msg.Header.Get("Sluice-Encoding"))
				dec, err := zstd.NewReader(nil)
				require.NoError(t, err)
				defer dec.Close()
				doc, err = dec.DecodeAll(msg.Data, nil)
				require.NoError(t, err)
				require.Less(t, len(msg.Data), len(doc)/2)
			} else {
				require.NotContains(t, msg.Header, "Sluice-Encoding")
			}
			want, err := json.Marshal(tc.event)
			require.NoError(t, err)
			require.JSONEq(t, string(want), string(doc))
			require.NotContains(t, string(doc), `\u003c`, "HTML is not escaped")
		})
	}
}

func TestDuplicateIsSuccess(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	k.Publish(fetched(1), fetched(1), fetched(2))
	require.Equal(t, 2, stored(t, k, bus.Convert.Stream))
}

// narrow limits a stream to n messages.
func narrow(t *testing.T, k *bustest.Kit, stream string, n int64) {
	t.Helper()
	js := k.JetStream()
	s, err := js.Stream(t.Context(), stream)
	require.NoError(t, err)
	c := s.CachedInfo().Config
	c.MaxMsgs = n
	c.Discard = jetstream.DiscardNew
	_, err = js.UpdateStream(t.Context(), c)
	require.NoError(t, err)
}

func TestFullStreamSlowsItsPublisher(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	narrow(t, k, bus.Convert.Stream, 2)
	k.Publish(fetched(1), fetched(2))

	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := k.Bus.Publish(ctx, fetched(3))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, k.Bus.PublishAll(ctx, []event.Event{fetched(4), fetched(5)}), context.DeadlineExceeded)

	var log lines
	b := k.Connect(func(o *bus.Options) { o.Log = zerolog.New(&log) })
	published := make(chan error, 1)
	go func() {
		published <- b.PublishAll(context.Background(), []event.Event{fetched(3), fetched(4), fetched(5)})
	}()
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "no room") }, bustest.Patience, 5*time.Millisecond)
	require.Empty(t, published)
	require.Equal(t, 2, stored(t, k, bus.Convert.Stream))

	got := newRecorder()
	k.Consume(bus.Convert, got.handle(nil))
	require.NoError(t, <-published)
	var versions []int
	for range 5 {
		in, err := bus.Decode[event.PageFetched](got.next(t))
		require.NoError(t, err)
		versions = append(versions, in.Page.Version)
	}
	require.ElementsMatch(t, []int{1, 2, 3, 4, 5}, versions, "nothing is lost and nothing comes twice")
}

func TestPublishAllStoresAll(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	var events []event.Event
	for n := range 200 {
		events = append(events, fetched(n))
	}
	require.NoError(t, k.Bus.PublishAll(t.Context(), events))
	require.Equal(t, 200, stored(t, k, bus.Convert.Stream))
	require.NoError(t, k.Bus.PublishAll(t.Context(), nil))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, k.Bus.PublishAll(ctx, events), context.Canceled)
}

func TestPublishOutlastsTheBroker(t *testing.T) {
	t.Parallel()
	for name, between := range map[string]func(*bustest.Kit){
		"restart":   func(*bustest.Kit) {},
		"new store": func(k *bustest.Kit) { k.Wipe() },
	} {
		t.Run(name, func(t *testing.T) {
			k := bustest.New(t)
			k.Stop()
			published := make(chan error, 1)
			go func() { published <- k.Bus.Publish(context.Background(), fetched(1)) }()
			require.Eventually(t, func() bool { return k.Bus.Healthy() != nil }, bustest.Patience, 5*time.Millisecond)
			require.Empty(t, published)
			between(k)
			k.Start()
			require.NoError(t, <-published)
			require.Equal(t, 1, stored(t, k, bus.Convert.Stream))
		})
	}
}

func TestPublishRefusesWhatNeverFits(t *testing.T) {
	t.Parallel()
	k := bustest.New(t, bustest.MaxPayload(8<<10))
	huge := fetched(1)
	huge.Body = strings.Repeat("x", 64<<20)
	for name, e := range map[string]event.Event{
		"a body above the bound":         huge,
		"a fact that is not claimed":     event.PageFailed{SourceID: "docs", RunID: "r", PageID: "1", Message: noise(9 << 10)},
		"a time that JSON does not know": event.PageStored{SourceID: "docs", At: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		t.Run(name, func(t *testing.T) {
			err := k.Bus.Publish(t.Context(), e)
			require.Error(t, err)
			require.Equal(t, failure.BadEvent, failure.CodeOf(err))
		})
	}
}

// objects lists the objects in the object store.
func objects(t *testing.T, k *bustest.Kit) []*jetstream.ObjectInfo {
	t.Helper()
	store, err := k.JetStream().ObjectStore(t.Context(), "SLUICE_CLAIMS")
	require.NoError(t, err)
	list, err := store.List(t.Context())
	if err != nil {
		require.ErrorIs(t, err, jetstream.ErrNoObjectsFound)
	}
	return list
}

func large(n int) event.PageFetched {
	e := fetched(n)
	e.Body = noise(300 << 10)
	return e
}

func TestLargeBodyIsClaimed(t *testing.T) {
	t.Parallel()
	k := bustest.New(t, bustest.MaxPayload(64<<10))
	sent := large(1)
	k.Publish(sent)
	msg := last(t, k, bus.Convert.Stream)
	require.NotEmpty(t, msg.Header.Get("Sluice-Claim"))
	require.JSONEq(t, `{"run_id":"run-1","pages":[{"id":"101","version":1}]}`, string(msg.Data))
	require.Len(t, objects(t, k), 1)

	k.Publish(sent)
	require.Len(t, objects(t, k), 1, "a duplicate leaves no object behind")
	require.Equal(t, 1, stored(t, k, bus.Convert.Stream))

	got, attempts := newRecorder(), 0
	failed := bustest.Collect[event.PageFailed](k)
	k.Consume(bus.Convert, got.handle(func(bus.Delivery) error {
		if attempts++; attempts == 1 {
			return context.DeadlineExceeded
		}
		return nil
	}))
	for want := 1; want <= 2; want++ {
		d := got.next(t)
		require.Equal(t, want, d.Attempt)
		in, err := bus.Decode[event.PageFetched](d)
		require.NoError(t, err)
		require.Equal(t, sent, in, "the body is there for each attempt")
	}
	k.Empty(bus.Convert)
	require.Eventually(t, func() bool { return len(objects(t, k)) == 0 }, bustest.Patience, 10*time.Millisecond)
	require.Empty(t, got.ch)
	require.Empty(t, failed.All())
}

func TestMissingClaimFailsItsPage(t *testing.T) {
	t.Parallel()
	k := bustest.New(t, bustest.MaxPayload(64<<10))
	failed := bustest.Collect[event.PageFailed](k)
	k.Publish(large(1))
	store, err := k.JetStream().ObjectStore(t.Context(), "SLUICE_CLAIMS")
	require.NoError(t, err)
	for _, o := range objects(t, k) {
		require.NoError(t, store.Delete(t.Context(), o.Name))
	}
	k.Consume(bus.Convert, func(context.Context, bus.Delivery) error {
		t.Error("there is nothing to handle")
		return nil
	})
	f := failed.Wait(1)[0]
	require.Equal(t, failure.ClaimMissing, f.Code)
	require.Equal(t, "101", f.PageID)
	require.Equal(t, 1, f.Version)
	require.Equal(t, "run-1", f.RunID)
	k.Empty(bus.Convert)
}

func TestGivenUpClaimIsDeleted(t *testing.T) {
	t.Parallel()
	k := bustest.New(t, bustest.MaxPayload(64<<10))
	k.Publish(large(1))
	k.Consume(bus.Convert, func(context.Context, bus.Delivery) error {
		return bus.Permanent(failure.New(failure.ConvertTooLarge, "too large"))
	})
	k.Empty(bus.Convert)
	require.Eventually(t, func() bool { return len(objects(t, k)) == 0 }, bustest.Patience, 10*time.Millisecond)
}

func TestForeignClientAsksForASync(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	got := newRecorder()
	k.Consume(bus.Sync, got.handle(nil))
	_, err := k.JetStream().Publish(t.Context(), "sluice.v1.sync.requested.docs", []byte(`{"request_id": "nightly-7"}`))
	require.NoError(t, err)
	d := got.next(t)
	require.Equal(t, event.TypeSyncRequested, d.Type)
	require.Equal(t, "docs", d.SourceID)
	require.Equal(t, "sluice.v1.sync.requested.docs", d.Subject)
	in, err := bus.Decode[event.SyncRequested](d)
	require.NoError(t, err)
	require.Equal(t, "nightly-7", in.RequestID)
}

func TestUnreadableMessagesAreGivenUp(t *testing.T) {
	t.Parallel()
	k := bustest.New(t)
	enc, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	bomb := enc.EncodeAll(make([]byte, 65<<20), nil)
	require.NoError(t, enc.Close())
	require.Less(t, len(bomb), 64<<10)

	type given struct {
		d     bus.Delivery
		cause error
	}
	causes := make(chan given, 1)
	k.Consume(bus.Convert, func(_ context.Context, d bus.Delivery) error {
		_, err := bus.Decode[event.PageFetched](d)
		return err
	}, bus.OnPermanent(func(_ context.Context, d bus.Delivery, cause error) error {
		causes <- given{d, cause}
		return nil
	}))
	js := k.JetStream()
	for name, m := range map[string]*nats.Msg{
		"not JSON":         {Data: []byte("{"), Header: nats.Header{"Sluice-Event": {"page.fetched"}}},
		"nothing":          {Data: nil},
		"a bomb":           {Data: bomb, Header: nats.Header{"Sluice-Encoding": {"zstd"}}},
		"not zstd":         {Data: []byte("hello"), Header: nats.Header{"Sluice-Encoding": {"zstd"}}},
		"unknown encoding": {Data: []byte("{}"), Header: nats.Header{"Sluice-Encoding": {"br"}}},
		"another type":     {Data: []byte("{}"), Header: nats.Header{"Sluice-Event": {"page.stored"}}},
		"wrong shape":      {Data: []byte(`{"page": "12"}`)},
	} {
		m.Subject = "sluice.v1.page.fetched.docs"
		_, err := js.PublishMsg(t.Context(), m)
		require.NoError(t, err)
		g := <-causes
		require.Equal(t, failure.BadEvent, failure.CodeOf(g.cause), name)
		require.Equal(t, 1, g.d.Attempt, name)
		require.Equal(t, "docs", g.d.SourceID, name)
	}
	k.Empty(bus.Convert)
}
