package e2etest

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/services/stages"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/event"
)

const mib = 1 << 20

// noise returns a site whose bodies compress badly. The words are long, because indexing many words is what costs the
// database most.
func noise(t *testing.T, space string, pages, words int) *sandbox.Site {
	t.Helper()
	site := sandbox.New(sandbox.Options{})
	require.NoError(t, site.AddSpace(space, "Noise"))
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range pages - 1 {
		var body strings.Builder
		for range 5 {
			body.WriteString("<p>")
			for range words / 5 {
				for range 8 {
					body.WriteString(strconv.FormatUint(rng.Uint64(), 36))
				}
				body.WriteByte(' ')
			}
			body.WriteString("</p>")
		}
		_, err := site.CreatePage(sandbox.Draft{Space: space, Title: fmt.Sprintf("Noise %d", i), Body: body.String()})
		require.NoError(t, err)
	}
	return site
}

// narrow makes a stream smaller than the topology says; Apply would undo it.
func narrow(t *testing.T, js jetstream.JetStream, name string, bytes int64) {
	t.Helper()
	stream, err := js.Stream(t.Context(), name)
	require.NoError(t, err)
	c := stream.CachedInfo().Config
	c.MaxBytes = bytes
	_, err = js.UpdateStream(t.Context(), c)
	require.NoError(t, err)
}

// memory returns how much memory a process uses now, in bytes; 0 if the system does not report it.
func (p *program) memory() int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0 // it has ended
	}
	kib, _ := strconv.ParseInt(fields[0], 10, 64)
	return kib << 10
}

// size returns the total size of the files in a folder.
func size(t *testing.T, dir string) (sum int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if info, err := d.Info(); err == nil {
				sum += info.Size()
			}
		}
		return nil // a file may be deleted during the walk
	})
	require.NoError(t, err)
	return sum
}

// The chunk-writer is down for a whole run. The streams before it fill up and stop, and nothing is lost.
func TestAStageThatIsDownForTheWholeRun(t *testing.T) {
	t.Parallel()
	const (
		space, pages = "NOISE", 2000
		bound        = mib // of each stream of bodies, instead of 512 MiB
		hold         = 12 * time.Second
	)
	site := noise(t, space, pages, 30)
	served, err := sandbox.Serve("127.0.0.1:0", site)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, served.Close()) })
	server := newNats(t, "nats", "nats.conf")
	server.start()
	// The hold lasts five times the ack time, and longer than the time after which a run without progress is sent
	// again.
	w := newWorldOver(t, space, site, served, ground{natsURL: server.url, ackWait: 2 * time.Second, stallAfter: 5 * time.Second})
	running := []*program{server.program}
	for _, name := range stages.Names() {
		if name != "chunk-writer" {
			running = append(running, w.start(name))
		}
	}
	nc, err := nats.Connect(server.url)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	stream := func(name string) *jetstream.StreamInfo {
		s, err := js.Stream(t.Context(), name)
		require.NoError(t, err)
		return s.CachedInfo()
	}
	// Consumers that wait for messages have applied the topology and do not apply it again.
	for _, c := range []bus.Consumer{bus.Sync, bus.Fetch, bus.Convert, bus.Removals, bus.Ledger} {
		require.Eventually(t, func() bool {
			consumer, err := js.Consumer(t.Context(), c.Stream, c.Durable)
			return err == nil && consumer.CachedInfo().NumWaiting > 0
		}, time.Minute, 50*time.Millisecond, c.Durable)
	}
	bodies := []string{bus.Convert.Stream, bus.Write.Stream}
	for _, name := range bodies {
		narrow(t, js, name, bound)
	}

	id := w.ask(event.Full)
	for _, name := range bodies {
		require.Eventually(t, func() bool { return stream(name).State.Bytes > bound*9/10 }, time.Minute, 50*time.Millisecond, "%s fills up", name)
	}
	full, asked := time.Now(), w.count(`SELECT attempt FROM confluence_sync_runs WHERE run_id = $1`, id)
	peak := map[string]int64{}
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		for _, p := range running {
			peak[p.name] = max(peak[p.name], p.memory())
		}
		peak["store"] = max(peak["store"], size(t, server.dir))
		if time.Since(full) > hold {
			break
		}
	}
	for _, name := range bodies {
		require.EqualValues(t, bound, stream(name).Config.MaxBytes)
		require.LessOrEqual(t, stream(name).State.Bytes, uint64(bound))
	}
	fetched := site.Stats().Bodies
	t.Logf("held for %s with %d of %d bodies fetched; at the most, in MiB:", hold, fetched, pages)
	for name, bytes := range peak {
		t.Logf("  %-18s %5.1f", name, float64(bytes)/mib)
		if name == "store" {
			require.Greater(t, bytes, int64(bound), "size on disk")
			require.Less(t, bytes, int64(4*bound), "size on disk, including finished messages that are not yet deleted")
		} else {
			require.Less(t, bytes, int64(128*mib), "memory of %s", name)
		}
	}
	require.Less(t, fetched, int64(pages), "the fetcher continues although nothing consumes its pages")
	require.Equal(t, asked, w.count(`SELECT attempt FROM confluence_sync_runs WHERE run_id = $1`, id), "waiting pages are fetched, and not requested again")
	require.Zero(t, w.count(`SELECT count(*) FROM confluence_pages`))
	require.Zero(t, w.count(`SELECT count(*) FROM confluence_sync_pages WHERE outcome IS NOT NULL`), "no page fails because a stream is full")

	w.start("chunk-writer")
	w.whole(id, pages)
	require.EqualValues(t, pages, site.Stats().Bodies, "each body is fetched once")
	for _, name := range append(bodies, bus.Fetch.Stream) {
		require.Eventually(t, func() bool { return stream(name).State.Msgs == 0 }, time.Minute, 50*time.Millisecond, "%s is empty again", name)
	}
}
