package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluicehq/sluice/services/sluice/local"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/service"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/vault"
	"github.com/sluicehq/sluice/shared/viewer"
)

// operator is the viewer of the command line: whoever can access the database may see all of it.
var operator = viewer.All()

// session is what a command works with: all operator commands, and the connections behind them.
type session struct {
	*control.Control
	host  *service.Host
	store *store.Store
	cfg   config.Sluice
}

// newSession returns a session on the host.
func newSession(ctx context.Context, h *service.Host) (*session, error) {
	cfg, err := service.Config[config.Sluice](h)
	if err != nil {
		return nil, err
	}
	s, err := h.Store(ctx)
	if err != nil {
		return nil, err
	}
	return &session{Control: control.New(s, lateBus{h}, &tokens{h, cfg, s}), host: h, store: s, cfg: cfg}, nil
}

// withControl runs fn with a session. It rewords fn's errors for the command line.
func (a *app) withControl(ctx context.Context, fn func(*session) error) error {
	return a.withHost(ctx, func(h *service.Host) error {
		s, err := newSession(ctx, h)
		if err != nil {
			return err
		}
		return reword(fn(s))
	})
}

// withBroker is withControl for commands that publish requests. If no broker is configured, it fails before anything
// is stored; a broker that does not respond is no error.
func (a *app) withBroker(ctx context.Context, fn func(*session) error) error {
	cfg, err := a.settings()
	if err != nil {
		return err
	}
	if cfg.NatsURL.IsZero() {
		_, err := local.Running(cfg.DataDir)
		if errors.Is(err, local.ErrNotRunning) {
			return fmt.Errorf("%w: start it in another terminal with: sluice up, or set NATS_URL and DATABASE_URL", err)
		}
		if err != nil {
			return err
		}
	}
	return a.withControl(ctx, fn)
}

// lateBus connects to the broker when it is first needed.
type lateBus struct{ host *service.Host }

// Publish connects and publishes. It waits for the broker until ctx ends.
func (l lateBus) Publish(ctx context.Context, e event.Event) error {
	b, err := l.host.Bus(ctx)
	if err != nil {
		return err
	}
	return b.Publish(ctx, e)
}

// tokens is a vault that reads the master key only when a token is stored, so that other commands do not need one.
type tokens struct {
	host  *service.Host
	cfg   config.Sluice
	store *store.Store
}

func (t *tokens) vault(ctx context.Context) (control.Vault, error) {
	trust, err := t.host.Trust(ctx)
	return control.NewVault(trust, t.store), err
}

// Site returns a site's address in the form that sources store.
func (t *tokens) Site(address string) (string, error) {
	return credential.Trust{Hosts: t.cfg.Confluence.Hosts(), AllowHTTP: t.cfg.AllowHTTP}.Site(address)
}

// Ready returns the credential that SetToken would store.
func (t *tokens) Ready(ctx context.Context, name, site string, given credential.GivenToken) (vault.Credential, error) {
	v, err := t.vault(ctx)
	if err != nil {
		return vault.Credential{}, err
	}
	return v.Ready(ctx, name, site, given)
}

// SetToken stores a token.
func (t *tokens) SetToken(ctx context.Context, name, site string, given credential.GivenToken) (credential.StoredToken, error) {
	v, err := t.vault(ctx)
	if err != nil {
		return credential.StoredToken{}, err
	}
	return v.SetToken(ctx, name, site, given)
}

// Tokens describes the stored tokens.
func (t *tokens) Tokens(ctx context.Context) ([]credential.Kept, error) {
	v, err := t.vault(ctx)
	if err != nil {
		return nil, err
	}
	return v.Tokens(ctx)
}

// Forget deletes a token.
func (t *tokens) Forget(ctx context.Context, name string) error {
	return t.store.Vault().DeleteSecret(ctx, name)
}
