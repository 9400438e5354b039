package cli

import (
	"context"
	"sync"
	"time"

	"github.com/sluicehq/sluice/services/sluice/local"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/control"
)

// idleFor is how long sluice mcp keeps a database after a call.
const idleFor = 5 * time.Second

// database is what sluice mcp reads. Its client leaves it switched on for days, while sluice is started and stopped
// beside it, and other clients start one of their own. So it holds the data folder only while it is asked, and looks
// for the database anew where that of the last call is gone.
type database struct {
	app  *app
	cfg  config.Sluice
	life context.Context // what is opened for one call serves the next ones too

	mu   sync.Mutex
	open *opened
}

// opened is a database that is open. Its fields may be read once ready is closed.
type opened struct {
	ready   chan struct{}
	session *session
	err     error

	users int // guarded by database.mu
	idle  *time.Timer
	over  chan struct{} // closed when nobody needs it any more
	ended chan struct{} // closed when it is given back
}

// lend opens the database, or takes that of the last call. The caller gives it back.
func (d *database) lend(ctx context.Context) (*control.Control, func(), error) {
	d.mu.Lock()
	if d.open != nil && d.gone(d.open) {
		d.drop()
	}
	if d.open == nil {
		d.open = d.start()
	}
	o := d.open
	o.users++
	if o.idle != nil {
		o.idle.Stop()
	}
	d.mu.Unlock()
	select {
	case <-o.ready:
	case <-ctx.Done():
		d.back(o)
		return nil, nil, ctx.Err()
	}
	if o.err != nil {
		d.back(o)
		return nil, nil, o.err
	}
	return o.session.Control, func() { d.back(o) }, nil
}

// start opens a database.
func (d *database) start() *opened {
	o := &opened{ready: make(chan struct{}), over: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(o.ended)
		err := d.app.withControl(d.life, func(s *session) error {
			o.session = s
			close(o.ready)
			<-o.over
			return nil
		})
		if o.session == nil {
			o.err = err
			close(o.ready)
		}
	}()
	return o
}

// gone reports whether it could not be opened, or its server ended or makes room for another.
func (d *database) gone(o *opened) bool {
	select {
	case <-o.ready:
	default:
		return false
	}
	if o.err != nil {
		return true
	}
	if !d.cfg.DatabaseURL.IsZero() {
		return false
	}
	at, err := local.Database(d.cfg.DataDir)
	return err != nil || at != o.session.cfg.DatabaseURL.Reveal()
}

// back gives an opened database back, which is closed if nobody asks for it for a while.
func (d *database) back(o *opened) {
	d.mu.Lock()
	defer d.mu.Unlock()
	o.users--
	switch {
	case o.users > 0:
		return
	case o != d.open:
		close(o.over)
		return
	case !d.cfg.DatabaseURL.IsZero(): // its server does not wait for anybody
		return
	}
	o.idle = time.AfterFunc(idleFor, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if o.users == 0 && o == d.open {
			d.drop()
		}
	})
}

// drop gives up what is open; calls that still read from it are waited for.
func (d *database) drop() {
	if d.open.users == 0 {
		close(d.open.over)
	}
	d.open = nil
}

// close gives back what is open, once the last call has.
func (d *database) close() {
	d.mu.Lock()
	o := d.open
	if o != nil {
		d.drop()
	}
	d.mu.Unlock()
	if o != nil {
		<-o.ended
	}
}
