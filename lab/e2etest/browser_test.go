//go:build browser

package e2etest

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/gateway/gateway"
	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/confluence/outgoing"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/store/vault"
)

// axe is axe-core 4.14.1 from npm, under MPL-2.0, unchanged. Only tests use it.
//
//go:embed testdata/axe.min.js
var axe string

// line is a listener whose connections a test can cut.
type line struct {
	net.Listener
	cut atomic.Bool
}

func (l *line) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil || !l.cut.Load() {
			return conn, err
		}
		_ = conn.Close()
	}
}

// served is the console of a world.
type served struct {
	url  string
	line *line
	srv  *httptest.Server
}

// serveConsole serves the gateway of a world.
func (w *world) serveConsole() *served {
	w.t.Helper()
	trust := credential.Trust{Hosts: outgoing.Hosts{strings.TrimPrefix(w.served.URL, "http://")}, AllowHTTP: true}
	site, err := credential.NewSite(config.Confluence{
		Sites: config.Sites{AllowHTTP: true}, BaseURL: w.served.URL, Email: sandbox.DefaultEmail, APIToken: secret.New(sandbox.DefaultToken),
		RequestsPerSecond: 1000, Concurrency: 8,
	}, zerolog.Nop(), credential.Stored(w.store.Vault(), nil))
	require.NoError(w.t, err)
	operations := control.New(w.store, w.bus, control.NewVault(trust, w.store))
	operations.Servers.Bus, operations.Servers.Site = w.bus, site
	g, err := gateway.New(gateway.Options{
		Control: operations,
		Record:  w.store, Keys: w.store.Vault(), Sessions: w.store.Vault(), Bus: w.bus, Log: zerolog.Nop(),
		API: config.API{Addr: "127.0.0.1:0", MaxBody: 1 << 20, Timeout: time.Minute, MaxStreams: 100},
	})
	require.NoError(w.t, err)
	s := &served{srv: httptest.NewUnstartedServer(g.Handler())}
	s.line = &line{Listener: s.srv.Listener}
	s.srv.Listener = s.line
	s.srv.Start()
	w.t.Cleanup(s.srv.Close)
	s.url = s.srv.URL
	return s
}

// newKey makes a key, and returns its id and the whole key.
func (w *world) newKey(name string, role apikey.Role) (id, key string) {
	w.t.Helper()
	id, token, hash := apikey.New()
	require.NoError(w.t, w.store.Vault().AddAPIKey(w.t.Context(), vault.APIKey{Key: apikey.Key{ID: id, Name: name, Role: role}, Hash: hash}))
	return id, token.Reveal()
}

// browser is one tab of a headless Chromium, which notes what must not happen.
type browser struct {
	t    testing.TB
	ctx  context.Context
	base string

	mu     sync.Mutex
	hosts  map[string]bool
	faults []string
}

func newBrowser(t testing.TB, base string) *browser {
	t.Helper()
	b := &browser{t: t, base: base, hosts: map[string]bool{}}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("disable-background-networking", true), chromedp.WSURLReadTimeout(time.Minute))
	alloc, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(alloc, chromedp.WithListener(b.note))
	t.Cleanup(end)
	b.ctx = ctx
	require.NoError(t, chromedp.Do(ctx, command(network.Enable, network.EnableParams{}), command(cdplog.Enable, cdp.Empty{})), "is there a Chromium? On Debian: apt-get install chromium")
	return b
}

// command is an action that sends one command.
func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

func (b *browser) note(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err == nil && u.Scheme != "data" && u.Scheme != "about" {
			b.hosts[u.Host] = true
		}
	case *cdplog.EventEntryAdded:
		// A status that a test asked for is no fault, nor is what Chromium would like better.
		if e.Entry.Source != cdplog.EntrySourceNetwork && e.Entry.Source != cdplog.EntrySourceRecommendation {
			b.faults = append(b.faults, fmt.Sprintf("%s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *runtime.EventExceptionThrown:
		b.faults = append(b.faults, "exception: "+e.ExceptionDetails.Text)
	case *page.EventJavascriptDialogOpening:
		b.faults = append(b.faults, "dialog: "+e.Message)
		go func() {
			_ = chromedp.Do(b.ctx, command(page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true}))
		}()
	}
}

// clean requires that nothing happened that must not: no message of the browser, no script of a page's, no other host.
func (b *browser) clean() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	assert.Empty(b.t, b.faults)
	u, err := url.Parse(b.base)
	require.NoError(b.t, err)
	assert.Equal(b.t, map[string]bool{u.Host: true}, b.hosts, "requests to other hosts")
}

func (b *browser) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, stepTakes)
	defer cancel()
	require.NoError(b.t, chromedp.Do(ctx, actions...), what)
}

// stepTakes is how long a step may take at most.
const stepTakes = 30 * time.Second

// value is the value of a JavaScript expression on the page.
func value[T any](b *browser, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, stepTakes)
	defer cancel()
	got, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, func(p *runtime.EvaluateParams) { wait := true; p.AwaitPromise = &wait }))
	require.NoError(b.t, err)
	return got
}

// open goes to a path below the console.
func (b *browser) open(path string) {
	b.t.Helper()
	b.do("open "+path, chromedp.Navigate(b.base+"/console"+path))
}

// until waits until an expression is true, over whatever pages.
func (b *browser) until(what, expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, stepTakes)
	defer cancel()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`!!(`+expression+`)`)); err == nil && ok {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			require.Fail(b.t, what, "the browser is at %s and shows:\n%s", b.path(), value[string](b, `document.body.innerText`))
		}
	}
}

func quoted(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err) // a text has always a JSON form
	}
	return string(b)
}

// see waits until the page shows a text.
func (b *browser) see(text string) {
	b.t.Helper()
	b.until("see "+text, `document.body && document.body.innerText.includes(`+quoted(text)+`)`)
}

// press presses the button or link with this text in its own, or with this label, by the keyboard.
func (b *browser) press(text string) {
	b.t.Helper()
	find := `[...document.querySelectorAll("main a, main button")].find(e => e.innerText.trim().replace(/\s+/g, " ").includes(` + quoted(text) + `) || e.ariaLabel === ` + quoted(text) + `)`
	b.until("find "+text, find)
	_ = value[bool](b, `(e => { e.focus(); return true })(`+find+`)`)
	b.do("press "+text, chromedp.KeyEvent("\r"))
}

// fill writes into a field.
func (b *browser) fill(id, text string) {
	b.t.Helper()
	b.until("find "+id, `document.getElementById(`+quoted(id)+`)`)
	_ = value[bool](b, `(e => { e.value = ""; e.focus(); return true })(document.getElementById(`+quoted(id)+`))`)
	b.do("fill "+id, chromedp.KeyEvent(text))
}

func (b *browser) path() string {
	b.t.Helper()
	return strings.TrimPrefix(value[string](b, `location.href`), b.base)
}

func (b *browser) logIn(key string) {
	b.t.Helper()
	b.fill("key", key)
	b.press("Log in")
	b.see("Log out")
}

// screen sets the size of the window and the colours that the reader prefers.
func (b *browser) screen(phone, dark bool) {
	b.t.Helper()
	scheme, width, height := "light", int64(1280), int64(900)
	if dark {
		scheme = "dark"
	}
	if phone {
		width, height = 390, 844
	}
	b.do("screen",
		command(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1, Mobile: phone}),
		command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}))
}

// accessible requires that axe-core finds nothing on the page, and that it needs no scrolling to the side.
func (b *browser) accessible(what string) {
	b.t.Helper()
	found := value[string](b, axe+`;axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.map(v => v.id + ": " + v.help + "\n" + v.nodes.slice(0, 3).map(n => n.html + "\n" + n.failureSummary).join("\n")).join("\n\n"))`)
	assert.Empty(b.t, found, what)
	wide := value[int](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`)
	assert.LessOrEqual(b.t, wide, 0, "%s is wider than the window", what)
}

// shoot writes a picture of the page into a folder.
func (b *browser) shoot(dir, name string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, stepTakes)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	require.NoError(b.t, err)
	require.NoError(b.t, os.MkdirAll(dir, 0o755))
	require.NoError(b.t, os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644))
}
