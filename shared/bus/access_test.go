package bus_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/broker"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/budget"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/page"
)

// guarded is a broker with authentication, and a key for every role.
type guarded struct {
	t      *testing.T
	url    string
	keys   string
	prefix bus.Prefix
}

func newGuarded(t *testing.T, more string) *guarded { return newGuardedOf(t, "", more) }

func newGuardedOf(t *testing.T, prefix bus.Prefix, more string, changes ...func(access string) string) *guarded {
	t.Helper()
	dir := t.TempDir()
	_, err := bus.WriteKeys(dir, prefix, bus.Anyone)
	require.NoError(t, err)
	for _, change := range changes {
		access := filepath.Join(dir, bus.AccessDir, bus.AccessFile)
		require.NoError(t, os.WriteFile(access, []byte(change(bus.AccessConfig(prefix))), 0o600))
	}
	file := filepath.Join(dir, "nats.conf")
	require.NoError(t, os.WriteFile(file, []byte("include ./"+bus.AccessDir+"/"+bus.AccessFile+"\n"+more), 0o600))
	srv, err := broker.Start(broker.Options{StoreDir: t.TempDir(), Port: -1, MaxPayload: 64 << 10, ConfigFile: file, Log: zerolog.Nop()})
	require.NoError(t, err)
	t.Cleanup(srv.Stop)
	return &guarded{t: t, url: srv.URL(), keys: dir, prefix: prefix}
}

func (g *guarded) options(role string) bus.Options {
	o := bustest.Options(g.t, g.url)
	o.Prefix = g.prefix
	o.Login = bus.Login{Role: role, NkeyFile: bus.KeyFile(g.keys, role)}
	return o
}

func (g *guarded) as(role string) *bus.Bus {
	g.t.Helper()
	b, err := bus.Connect(g.t.Context(), g.options(role))
	require.NoError(g.t, err)
	g.t.Cleanup(b.Close)
	return b
}

// raw is a plain client with a role's key, like a thief's.
func (g *guarded) raw(role string) (*nats.Conn, chan error) {
	g.t.Helper()
	key, err := nats.NkeyOptionFromSeed(bus.KeyFile(g.keys, role))
	require.NoError(g.t, err)
	complaints := make(chan error, 64)
	nc, err := nats.Connect(g.url, key, nats.CustomInboxPrefix("_INBOX_"+role),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { complaints <- err }))
	require.NoError(g.t, err)
	g.t.Cleanup(nc.Close)
	return nc, complaints
}

// A body that is too large for a message goes from the fetcher to the converter and on to the
// chunk-writer, each with its own key. It is stored as an object on the way, and no object stays behind.
func TestEveryRoleDoesItsOwnWork(t *testing.T) {
	t.Parallel()
	for name, prefix := range map[string]bus.Prefix{"alone on the account": "", "beside others": "team-1"} {
		t.Run(name, func(t *testing.T) { everyRole(t, newGuardedOf(t, prefix, "")) })
	}
}

func everyRole(t *testing.T, g *guarded) {
	keeper := g.as("progress")
	waiting := make(chan error, 1)
	converter := g.as("converter")
	go func() { waiting <- converter.Apply(t.Context()) }()
	require.NoError(t, keeper.Apply(t.Context()))
	require.NoError(t, keeper.Apply(t.Context()), "again, on what is there")
	require.NoError(t, <-waiting, "who does not keep the topology waits for it")

	fetcher, writer, gateway := g.as("fetcher"), g.as("chunk-writer"), g.as("gateway")
	for _, b := range []*bus.Bus{fetcher, writer, gateway, g.as("deletion-detector"), g.as("sluice")} {
		require.NoError(t, b.Apply(t.Context()))
	}
	for role, b := range map[string]*bus.Bus{"fetcher": fetcher, "deletion-detector": g.as("deletion-detector")} {
		shares, err := budget.Join(b, "https://acme.atlassian.net", budget.Limits{PerSecond: 100, Concurrency: 4, MaxWait: time.Minute})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), bustest.Patience)
		require.NoError(t, shares.Wait(ctx), role)
		cancel()
		shares.Done()
	}

	require.NoError(t, gateway.Publish(t.Context(), event.SyncRequested{RequestID: "run-1", SourceID: "docs", Mode: event.Full}))
	asked := make(chan string, 1)
	bustest.Consume(t, fetcher, bus.Sync, func(ctx context.Context, d bus.Delivery) error {
		in, err := bus.Decode[event.SyncRequested](d)
		if err != nil {
			return err
		}
		asked <- in.RequestID
		return fetcher.Publish(ctx, event.PageFetched{SourceID: "docs", RunID: in.RequestID, Page: page.Facts{ID: "1", Version: 1}, Body: noise(300 << 10)})
	})
	tries := 0
	bustest.Consume(t, converter, bus.Convert, func(ctx context.Context, d bus.Delivery) error {
		in, err := bus.Decode[event.PageFetched](d)
		if err != nil {
			return err
		}
		if tries++; tries == 1 {
			return bus.RetryAfter(fmt.Errorf("busy"), 10*time.Millisecond) // counts in the bucket
		}
		return converter.Publish(ctx, event.PageConverted{SourceID: in.SourceID, RunID: in.RunID, Page: in.Page, Markdown: in.Body})
	}, bus.Workers(1))
	stored := make(chan int, 1)
	bustest.Consume(t, writer, bus.Write, func(ctx context.Context, d bus.Delivery) error {
		in, err := bus.Decode[event.PageConverted](d)
		if err != nil {
			return err
		}
		stored <- len(in.Markdown)
		return writer.Publish(ctx, event.PageFailed{SourceID: in.SourceID, RunID: in.RunID, PageID: in.Page.ID, Stage: "chunk-writer"})
	})
	bustest.Consume(t, keeper, bus.Ledger, func(ctx context.Context, d bus.Delivery) error {
		return keeper.Publish(ctx, event.Progress{SourceID: d.SourceID, RunID: "run-1", State: event.StateCompleted, At: time.Now()})
	})
	ctx, cancel := context.WithTimeout(t.Context(), bustest.Patience)
	defer cancel()
	var last event.Progress
	for p, err := range gateway.FollowProgress(ctx, "docs", "run-1") {
		require.NoError(t, err)
		last = p
	}
	require.Equal(t, event.StateCompleted, last.State)
	require.Equal(t, "run-1", <-asked)
	require.Equal(t, 300<<10, <-stored)
}

// A thief of the converter's key can neither request syncs, nor read, create or delete other stages'
// data, nor receive others' replies.
func TestTheConvertersKeyOpensNothingElse(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, "")
	require.NoError(t, g.as("progress").Apply(t.Context()))
	admin, _ := g.raw("sluice")
	js, err := jetstream.New(admin)
	require.NoError(t, err)
	messages := func() uint64 {
		s, err := js.Stream(t.Context(), bus.Sync.Stream)
		require.NoError(t, err)
		return s.CachedInfo().State.Msgs
	}
	require.NoError(t, g.as("sluice").Publish(t.Context(), event.SyncRequested{RequestID: "r", SourceID: "docs", Mode: event.Full}))
	require.EqualValues(t, 1, messages())

	thief, complaints := g.raw("converter")
	refused := func(what string) {
		t.Helper()
		require.NoError(t, thief.Flush())
		select {
		case err := <-complaints:
			require.ErrorIs(t, err, nats.ErrPermissionViolation, what)
		case <-time.After(bustest.Patience):
			require.Fail(t, "the broker accepted it", what)
		}
	}
	for _, subject := range []string{
		"sluice.v1.sync.requested.docs", "sluice.v1.page.stored.docs", "sluice.v1.page.fetched.docs", "sluice.v1.progress.docs.r",
		"$JS.API.STREAM.INFO." + bus.Sync.Stream, "$JS.API.STREAM.DELETE." + bus.Convert.Stream, "$JS.API.STREAM.CREATE.COPY",
		"$JS.API.STREAM.MSG.GET." + bus.Sync.Stream, "$JS.API.DIRECT.GET." + bus.Sync.Stream,
		"$JS.API.CONSUMER.MSG.NEXT." + bus.Sync.Stream + "." + bus.Sync.Durable,
		"$JS.API.CONSUMER.CREATE." + bus.Convert.Stream + ".mine", "$JS.API.CONSUMER.CREATE.OBJ_SLUICE_CLAIMS",
		"$JS.ACK." + bus.Sync.Stream + "." + bus.Sync.Durable + ".1.1.1.1.0", "$KV.SLUICE_BUDGETS.x", "$SYS.REQ.SERVER.PING",
	} {
		require.NoError(t, thief.Publish(subject, []byte(`{"request_id":"evil","source_id":"docs"}`)))
		refused("publish to " + subject)
	}
	for _, subject := range []string{">", "sluice.v1.>", "sluice.v1.page.fetched.*", "_INBOX_fetcher.>", "_INBOX.>", "$KV.>", "$JS.>"} {
		_, err := thief.SubscribeSync(subject)
		require.NoError(t, err)
		refused("subscribe to " + subject)
	}
	require.EqualValues(t, 1, messages(), "nothing was requested, nothing was consumed")
}

// Whoever keeps the server's permissions of an earlier release is told so: they do not know a stream that came later. The keeper of
// the topology waits, whether anybody uses the stream or not.
func TestPermissionsOfAnEarlierReleaseAreNamed(t *testing.T) {
	t.Parallel()
	stream := regexp.MustCompile(`(?m)^.*\.` + bus.Extract.Stream + `\b.*\n`)
	g := newGuardedOf(t, "", "", func(access string) string { return stream.ReplaceAllString(access, "") })
	o := g.options("progress")
	o.AckTimeout = 500 * time.Millisecond
	b, err := bus.Connect(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(b.Close)
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		err := b.Apply(ctx) // on a slow machine the streams before it use up the time
		require.ErrorContains(t, err, "stream "+bus.Extract.Stream)
		require.ErrorContains(t, err, "sluice nats init")
	}, bustest.Patience, time.Millisecond)
}

func TestWithoutAKeyNobodyComesIn(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, "")
	o := g.options("fetcher")
	o.Login = bus.Login{}
	_, err := bus.Connect(t.Context(), o)
	require.ErrorContains(t, err, "uthorization")

	others := filepath.Join(g.keys, "others")
	_, err = bus.WriteKeys(others, "", bus.Anyone)
	require.NoError(t, err)
	o = g.options("fetcher")
	o.Login.NkeyFile = bus.KeyFile(others, "fetcher")
	_, err = bus.Connect(t.Context(), o)
	require.ErrorContains(t, err, "uthorization", "a key that the broker does not know")

	o.Login.NkeyFile = "/nowhere.nk"
	_, err = bus.Connect(t.Context(), o)
	require.ErrorContains(t, err, "NATS_NKEY_FILE")
	o.Login = bus.Login{Role: "nobody", NkeyFile: bus.KeyFile(g.keys, "fetcher")}
	_, err = bus.Connect(t.Context(), o)
	require.ErrorContains(t, err, "no such role")
}

// A server with a certificate of the configured CA is accepted. Another server is rejected immediately
// with the reason, rather than retried forever.
func TestTLSHoldsTheBrokerAgainstTheCA(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certificates(t, dir)
	g := newGuarded(t, fmt.Sprintf("tls: {cert_file: %q, key_file: %q, ca_file: %q, verify: true}\n",
		filepath.Join(dir, "server.pem"), filepath.Join(dir, "server-key.pem"), filepath.Join(dir, "ca.pem")))
	o := g.options("progress")
	o.URL = strings.Replace(g.url, "nats://", "tls://", 1)
	o.Login.CAFile = filepath.Join(dir, "ca.pem")
	o.Login.CertFile, o.Login.KeyFile = filepath.Join(dir, "client.pem"), filepath.Join(dir, "client-key.pem")
	b, err := bus.Connect(t.Context(), o)
	require.NoError(t, err)
	require.NoError(t, b.Apply(t.Context()))
	b.Close()

	ctx, cancel := context.WithTimeout(t.Context(), bustest.Patience)
	defer cancel()
	wrong := o
	wrong.Login.CAFile = filepath.Join(dir, "other-ca.pem")
	_, err = bus.Connect(ctx, wrong)
	require.ErrorContains(t, err, "NATS_CA_FILE")
	require.NoError(t, ctx.Err(), "it does not wait for what cannot mend itself")

	wrong = o
	wrong.Login.CertFile, wrong.Login.KeyFile = filepath.Join(dir, "stranger.pem"), filepath.Join(dir, "stranger-key.pem")
	_, err = bus.Connect(ctx, wrong)
	require.ErrorContains(t, err, "NATS_CERT_FILE")

	wrong = o
	wrong.Login.CAFile = filepath.Join(dir, "missing.pem")
	_, err = bus.Connect(ctx, wrong)
	require.ErrorContains(t, err, "missing.pem")
}

// A broker that rejects a client's certificate says so after the handshake, and the client may find the
// connection closed before it has read that.
func TestABrokerThatEndsEveryConnectionIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certificates(t, dir)
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "server.pem"), filepath.Join(dir, "server-key.pem"))
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan struct{})
	var connections atomic.Int32
	go func() {
		defer close(served)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			_, _ = io.WriteString(conn, `INFO {"server_id":"X","version":"2.15.2","headers":true,"tls_required":true,"max_payload":1048576}`+"\r\n")
			_ = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}}).Handshake()
			_ = conn.Close()
		}
	}()
	defer func() {
		_ = l.Close()
		<-served
	}()
	ctx, cancel := context.WithTimeout(t.Context(), bustest.Patience)
	defer cancel()
	_, err = bus.Connect(ctx, bus.Options{URL: "tls://" + l.Addr().String(), Login: bus.Login{CAFile: filepath.Join(dir, "ca.pem")}})
	require.ErrorContains(t, err, "NATS_CERT_FILE")
	require.NoError(t, ctx.Err())
	require.Greater(t, connections.Load(), int32(3), "it may just be stopping")
}

// certificates writes a CA with certificates of a server and a client, and another CA with a stranger's
// certificate.
func certificates(t *testing.T, dir string) {
	t.Helper()
	serial := int64(0)
	issue := func(name string, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		serial++
		c := &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: parent == nil, BasicConstraintsValid: true,
			KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}
		if parent == nil {
			parent, signer = c, key
		}
		der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
		require.NoError(t, err)
		secret, err := x509.MarshalPKCS8PrivateKey(key)
		require.NoError(t, err)
		for file, block := range map[string]*pem.Block{
			name + ".pem":     {Type: "CERTIFICATE", Bytes: der},
			name + "-key.pem": {Type: "PRIVATE KEY", Bytes: secret},
		} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600))
		}
		return c, key
	}
	ca, key := issue("ca", nil, nil)
	issue("server", ca, key)
	issue("client", ca, key)
	other, otherKey := issue("other-ca", nil, nil)
	issue("stranger", other, otherKey)
}
