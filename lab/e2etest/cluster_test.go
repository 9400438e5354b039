package e2etest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
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

// natsServer is a NATS server as a separate process, with a configuration from deploy/.
type natsServer struct {
	*program
	t    *testing.T
	name string
	url  string
	dir  string // folder of its streams
	args []string
}

// newNats prepares a server. The test sets its addresses and its folder; everything else is as in the configuration.
func newNats(t *testing.T, name, config string, more ...string) *natsServer {
	t.Helper()
	dir, err := os.MkdirTemp("", "sluice-e2e-nats-") // not t.TempDir, whose name is too long for some systems
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	shipped, err := os.ReadFile("../../deploy/" + config)
	require.NoError(t, err)
	const data = "store_dir: /data\n"
	require.Contains(t, string(shipped), data)
	own := filepath.Join(dir, config)
	require.NoError(t, os.WriteFile(own, []byte(strings.Replace(string(shipped), data, "store_dir: "+dir+"\n", 1)), 0o600))
	ports := freePorts(t, 2)
	return &natsServer{
		t: t, name: name, dir: dir, url: "nats://127.0.0.1:" + ports[0],
		args: append([]string{"-c", own, "-a", "127.0.0.1", "-p", ports[0], "-m", ports[1]}, more...),
	}
}

// start starts the server with the data of its folder.
func (n *natsServer) start() {
	n.t.Helper()
	dir, err := programs()
	require.NoError(n.t, err)
	n.program = launch(n.t, n.name, exec.Command(filepath.Join(dir, "nats-server"), n.args...))
}

// freePorts returns ports that no program listens on.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	var ports []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close() // closed together at the end, so that all ports differ
		_, port, err := net.SplitHostPort(l.Addr().String())
		require.NoError(t, err)
		ports = append(ports, port)
	}
	return ports
}

// startCluster starts three servers and returns them and their addresses.
func startCluster(t *testing.T) (nodes []*natsServer, urls string) {
	t.Helper()
	var routes, list []string
	for _, port := range freePorts(t, 3) {
		routes = append(routes, "nats://127.0.0.1:"+port)
	}
	for i, route := range routes {
		name := fmt.Sprint("nats-", i+1)
		n := newNats(t, name, "nats-cluster.conf", "-n", name, "--cluster", route, "--routes", strings.Join(routes, ","))
		n.start()
		nodes, list = append(nodes, n), append(list, n.url)
	}
	return nodes, strings.Join(list, ",")
}

// leaders returns the number of streams and consumers that each server of a cluster leads. It returns nil until every
// stream and consumer has three replicas and the servers agree.
func leaders(ctx context.Context, js jetstream.JetStream) map[string]int {
	led := map[string]int{}
	copied := func(c *jetstream.ClusterInfo) bool {
		if c == nil { // the responding server does not know
			return false
		}
		led[c.Leader]++
		return c.Leader != "" && len(c.Replicas) == 2 && c.Replicas[0].Current && c.Replicas[1].Current
	}
	names := js.StreamNames(ctx) // includes the streams of buckets
	for name := range names.Name() {
		stream, err := js.Stream(ctx, name)
		if err != nil || !copied(stream.CachedInfo().Cluster) {
			return nil
		}
	}
	for _, s := range bus.Topology {
		for _, c := range s.Consumers {
			consumer, err := js.Consumer(ctx, s.Name, c.Durable)
			if err != nil || !copied(consumer.CachedInfo().Cluster) {
				return nil
			}
		}
	}
	if names.Err() != nil || len(led) == 0 {
		return nil
	}
	return led
}

// Of three servers, the one that leads most is killed during a run and stays down.
func TestAClusterLosesAServerAndTheRunGoesOn(t *testing.T) {
	t.Parallel()
	calm := newWorld(t, sandbox.GeneratedSpace, generated(400))
	stop := calm.startAll()
	require.Equal(t, event.StateCompleted, calm.sync(event.Full).State)
	stop()

	nodes, urls := startCluster(t)
	newWorldOver(t, calm.space, calm.site, calm.served, ground{natsURL: urls}) // at first with one replica
	// Messages that the dead server had delivered wait for the ack time.
	w := newWorldOver(t, calm.space, calm.site, calm.served, ground{natsURL: urls, replicas: 3, ackWait: 8 * time.Second, stallAfter: 15 * time.Second})
	nc, err := nats.Connect(urls, nats.MaxReconnects(-1))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	var led map[string]int
	require.Eventually(t, func() bool { led = leaders(t.Context(), js); return led != nil }, time.Minute, 100*time.Millisecond, "streams with one replica get two more")
	victim := nodes[0]
	for _, n := range nodes {
		if led[n.name] > led[victim.name] {
			victim = n
		}
	}

	for _, name := range stages.Names() {
		w.start(name)
	}
	id := w.ask(event.Full)
	require.Eventually(t, func() bool { return w.count(`SELECT count(*) FROM confluence_pages`) > 20 }, time.Minute, 5*time.Millisecond)
	victim.kill()
	killed := time.Now()
	require.Less(t, w.count(`SELECT count(*) FROM confluence_pages`), 400, "the run ended before the server could be killed")

	last := w.follow(id)
	t.Logf("%s led most: %v; the run ended %s after it was killed", victim.name, led, time.Since(killed).Round(time.Millisecond))
	require.Equal(t, event.StateCompleted, last.State, last.Message)
	require.Zero(t, last.Counts.Failed)
	require.Equal(t, last.Counts.Listed, last.Counts.Created+last.Counts.Skipped)
	requireSame(t, calm.rows(), w.rows(), "the run without one of three servers")
}
