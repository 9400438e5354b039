package gateway

import (
	"context"
	"net/http"

	"github.com/sluicehq/sluice/services/gateway/console"
	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/control"
)

// door gives the console what the API has: the same keys, limits, errors and event streams.
type door struct{ g *Gateway }

var _ console.Door = door{}

// serveConsole serves the console below its root. Its views have their own table of roles, and its requests pass the
// same steps as the API's: their limits here, their guard in the console, which calls Admit.
func (g *Gateway) serveConsole(o Options) error {
	c, err := console.New(console.Options{Control: o.Control, Sessions: o.Sessions, Door: door{g}, Version: version})
	if err != nil {
		return err
	}
	limited := g.withLimits(c)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rec := recordOf(r.Context()); rec != nil {
			rec.route = c.Pattern(r)
		}
		if console.Streams(r) { // it ends when its run ends
			c.ServeHTTP(w, r)
			return
		}
		limited.ServeHTTP(w, r)
	})
	g.router.mux.Handle(console.Root, h)
	g.router.mux.Handle(console.Root+"/", h)
	return nil
}

func (d door) Foreign(r *http.Request) bool { return d.g.crossOrigin.Check(r) != nil }

func (d door) Key(r *http.Request, token string) (apikey.Key, error) {
	return d.g.keys.verify(r.Context(), token, d.g.proxies.peer(r))
}

func (d door) Local() []byte {
	if d.g.keys.local == nil {
		return nil
	}
	return d.g.keys.local.digest[:]
}

func (d door) LocalKey() apikey.Key { return theLocalKey }

func (d door) Admit(r *http.Request, c console.Caller) (*http.Request, error) {
	if rec := recordOf(r.Context()); rec != nil {
		rec.key = c.Key.ID
	}
	if p := d.g.budget.take(c.Key.ID); p != nil {
		return r, p
	}
	who := caller{key: c.Key, account: c.Account, peer: d.g.proxies.peer(r), again: c.Again}
	return r.WithContext(context.WithValue(r.Context(), callerKey, who)), nil
}

func (d door) Problem(ctx context.Context, err error) console.Problem {
	p := d.g.problem(ctx, err)
	return console.Problem{Status: p.Status, Code: p.Code, Detail: p.Detail}
}

func (d door) Public(r *http.Request) string { return d.g.public(r) }

func (d door) Step(op control.Operation) string { return sentence(op.Progress) }

func (d door) Follow(w http.ResponseWriter, r *http.Request, runID string, show func(control.Operation) ([]byte, error)) error {
	op, err := d.g.control.Progress(r.Context(), viewerOf(r.Context()), runID)
	if err != nil {
		return err
	}
	key := callerOf(r.Context()).key.ID
	if p := d.g.streams.enter(key); p != nil {
		return p
	}
	defer d.g.streams.leave(key)
	d.g.serveEvents(w, r, op, r.Header.Get("Last-Event-ID"), show)
	return nil
}
