package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluicehq/sluice/services/sluice/local"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// operator is who sits at the command line: whoever has the database may see all of it.
var operator = viewer.All()

// session is what a command works with: all that people do, as the operator.
type session struct {
	*control.Control
	store *store.Store
	cfg   config.Sluice
	bus   *lateBus
}

// withControl runs fn on the knowledge base. What fn complains about is put into the words of the
// command line.
func (a *app) withControl(ctx context.Context, fn func(*session) error) error {
	cfg, err := a.settings()
	if err != nil {
		return err
	}
	return a.withStore(ctx, func(s *store.Store) error {
		b := &lateBus{}
		defer b.close()
		tokens := &tokens{store: s, cfg: cfg}
		return inWords(fn(&session{Control: control.New(s, b, tokens), store: s, cfg: cfg, bus: b}))
	})
}

// withBroker is withControl for what publishes requests. Where no broker is named it fails before
// anything is written down; one that is named and does not answer is no failure.
func (a *app) withBroker(ctx context.Context, fn func(*session) error) error {
	cfg, err := a.settings()
	if err != nil {
		return err
	}
	url := cfg.NatsURL.Reveal()
	if url == "" {
		there, err := local.Running(cfg.DataDir)
		if errors.Is(err, local.ErrNotRunning) {
			return fmt.Errorf("%w: start it in another terminal with: sluice up, or set NATS_URL and DATABASE_URL", err)
		}
		if err != nil {
			return err
		}
		url = there.NatsURL
	}
	return a.withControl(ctx, func(s *session) error {
		s.bus.options = a.busOptions(cfg, url, a.logger(cfg.Process))
		return fn(s)
	})
}

// lateBus is a connection to the broker that is made when it is first needed. It is used by one
// goroutine.
type lateBus struct {
	options bus.Options
	bus     *bus.Bus
}

func (l *lateBus) connect(ctx context.Context) (_ *bus.Bus, err error) {
	if l.bus == nil {
		l.bus, err = bus.Connect(ctx, l.options)
	}
	return l.bus, err
}

// Publish connects and publishes, and waits for the broker until ctx ends.
func (l *lateBus) Publish(ctx context.Context, e event.Event) error {
	b, err := l.connect(ctx)
	if err != nil {
		return err
	}
	return b.Publish(ctx, e)
}

func (l *lateBus) close() {
	if l.bus != nil {
		l.bus.Close()
	}
}

// tokens is the vault of the settings. The master key is looked up where a token is stored, and
// not for what needs none.
type tokens struct {
	store *store.Store
	cfg   config.Sluice
}

func (t *tokens) vault(ctx context.Context) (control.Vault, error) {
	ring, err := service.Keys(ctx, t.cfg.Master, t.store)
	trust := t.trust()
	trust.Ring = ring
	return control.NewVault(trust, t.store), err
}

func (t *tokens) trust() service.Trust {
	return service.Trust{Hosts: t.cfg.Confluence.Hosts(), AllowHTTP: t.cfg.AllowHTTP}
}

// Site returns a site's address as sources keep it.
func (t *tokens) Site(address string) (string, error) { return t.trust().Site(address) }

// Ready reports whether SetToken would take the token.
func (t *tokens) Ready(ctx context.Context, name, site string, given service.GivenToken) error {
	v, err := t.vault(ctx)
	if err != nil {
		return err
	}
	return v.Ready(ctx, name, site, given)
}

// SetToken stores a token.
func (t *tokens) SetToken(ctx context.Context, name, site string, given service.GivenToken) (service.StoredToken, error) {
	v, err := t.vault(ctx)
	if err != nil {
		return service.StoredToken{}, err
	}
	return v.SetToken(ctx, name, site, given)
}
