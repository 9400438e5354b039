package service

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/embedding"
	"github.com/sluicehq/sluice/shared/embedding/asking"
	"github.com/sluicehq/sluice/shared/seal"
	"github.com/sluicehq/sluice/shared/source/systems"
	"github.com/sluicehq/sluice/shared/store"
)

// Host holds what the stages and commands of a process share: its settings, and the database, the bus
// and the credentials in them. It opens each once, on first use. Its methods are safe for concurrent
// use.
type Host struct {
	// Log is the process's logger; a stage's own Host has one that names the stage.
	Log zerolog.Logger

	*opened
}

// HostOptions configure a host.
type HostOptions struct {
	// Name is the process's name on the bus, and the role that its credential has there.
	Name string
	Env  config.Environment
	Log  zerolog.Logger
	// Health is told of what was opened, and is ready once the stages have been; may be nil.
	Health *Health

	// Patience is how long the host waits for the database; 0 means without limit, for services.
	Patience time.Duration

	// Database and Broker say how they are prepared when they are opened.
	Database, Broker Care

	// Store and Bus replace those in the settings, and Close leaves them open. They may be nil.
	Store *store.Store
	Bus   *bus.Bus
}

// Care says how an opened server is prepared.
type Care int

const (
	// Usual is for stages: wait until the database has been migrated, and make sure that the broker's
	// streams exist.
	Usual Care = iota
	// Make creates what is missing: the migrations, the streams.
	Make
	// Leave changes nothing.
	Leave
	// Refuse changes nothing, and refuses a database that lacks migrations: it may be another program's.
	Refuse
)

// opened is what the hosts of one process share.
type opened struct {
	o HostOptions

	// Each is held while its part is opened, which may wait for a server: the other parts stay
	// available.
	storeOnce, busOnce, siteOnce sync.Mutex

	store   *store.Store
	asker   *asking.Asker
	ranker  *embedding.Reranker
	bus     *bus.Bus
	site    *credential.Site
	systems *systems.Systems
	ring    *seal.Ring
	keyed   bool // the ring was made
}

// NewHost returns a host on which nothing is open yet.
func NewHost(o HostOptions) *Host {
	return &Host{Log: o.Log, opened: &opened{o: o, store: o.Store, bus: o.Bus}}
}

// named returns the host of one stage: the same, with a log of its own.
func (h *Host) named(stage string) *Host {
	return &Host{Log: h.Log.With().Str("stage", stage).Logger(), opened: h.opened}
}

// Config returns T from the settings of the host's process: a stage's own configuration, or a
// group of settings. The error is that of config.Of.
func Config[T any](h *Host) (T, error) { return config.Of[T](h.o.Env) }

// Open returns what nearly every stage uses: its own configuration, the database and the bus. The errors
// are those of Config, Host.Store and Host.Bus.
func Open[T any](ctx context.Context, h *Host) (cfg T, s *store.Store, b *bus.Bus, err error) {
	if cfg, err = Config[T](h); err != nil {
		return cfg, nil, nil, err
	}
	if s, err = h.Store(ctx); err != nil {
		return cfg, nil, nil, err
	}
	b, err = h.Bus(ctx)
	return cfg, s, b, err
}

// Store returns the database, waiting for it up to the host's patience. The error says that the settings
// have none, that it is unusable or does not answer, or that ctx ended.
func (h *Host) Store(ctx context.Context) (*store.Store, error) {
	h.storeOnce.Lock()
	defer h.storeOnce.Unlock()
	if h.store != nil {
		return h.store, nil
	}
	cfg, err := Config[config.Postgres](h)
	if err != nil {
		return nil, err
	}
	defer h.o.Health.waiting("Postgres")()
	s, err := store.Open(ctx, cfg.DatabaseURL.Reveal(), store.SearchLanguage(cfg.SearchLanguage), store.Waiting(h.o.Patience, h.waits))
	if err != nil {
		return nil, err
	}
	switch h.o.Database {
	case Usual:
		defer h.o.Health.waiting("the migrations of the database")()
		err = s.Ready(ctx)
	case Make:
		_, err = s.Migrate(ctx)
	case Refuse:
		if err = s.Migrated(ctx); err == nil {
			err = s.Ready(ctx)
		}
	case Leave:
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	if err := h.rerank(s); err != nil {
		s.Close()
		return nil, err
	}
	h.store = s
	h.ask(s)
	h.o.Health.Check("postgres", s.Ping)
	return s, nil
}

// ask has searches of the database go by meaning too, if the process has settings for it.
func (h *Host) ask(s *store.Store) {
	cfg, err := Config[config.Embeddings](h)
	if err != nil {
		return // it has none
	}
	if h.asker = asking.New(cfg, h.o.Log); h.asker != nil {
		s.Searcher().Ask(h.asker)
	}
}

// rerank has searches of the database order their best hits again, if the process has settings for it.
func (h *Host) rerank(s *store.Store) error {
	cfg, err := Config[config.Reranking](h)
	if err != nil {
		return nil //nolint:nilerr // it has none
	}
	if h.ranker, err = embedding.OpenReranker(cfg, h.o.Log); err == nil && h.ranker != nil {
		s.Searcher().RerankBy(h.ranker)
	}
	return err
}

// waits logs a wait of the host for a server.
func (h *Host) waits(what string, why error) { h.Log.Warn().Err(why).Msg("waiting for " + what) }

// Bus returns the connection to the broker, waiting for it. The error says that the settings have none,
// that the broker rejects the connection, or that ctx ended.
func (h *Host) Bus(ctx context.Context) (*bus.Bus, error) {
	h.busOnce.Lock()
	defer h.busOnce.Unlock()
	if h.bus != nil {
		return h.bus, nil
	}
	cfg, err := Config[config.Nats](h)
	if err != nil {
		return nil, err
	}
	installation, err := h.installation(ctx)
	if err != nil {
		return nil, err
	}
	defer h.o.Health.waiting("NATS")()
	b, err := bus.Connect(ctx, busOptions(h.o.Name, cfg, h.o.Log))
	if err != nil {
		return nil, err
	}
	if err := b.Own(ctx, installation); err != nil {
		b.Close()
		return nil, err
	}
	if h.o.Broker != Leave {
		if err := b.Apply(ctx); err != nil {
			b.Close()
			return nil, err
		}
	}
	h.bus = b
	h.o.Health.Check("nats", func(context.Context) error { return b.Healthy() })
	return b, nil
}

// installation is the id by which the broker's streams are known as those of the host's database. It is
// "" for a process that has none, and for one that takes its database as it is and has not opened it.
func (h *Host) installation(ctx context.Context) (string, error) {
	h.storeOnce.Lock()
	s := h.store
	h.storeOnce.Unlock()
	if s == nil {
		if _, err := Config[config.Postgres](h); err != nil || h.o.Database != Usual {
			return "", nil //nolint:nilerr // whoever needs the database hears of it there
		}
		var err error
		if s, err = h.Store(ctx); err != nil {
			return "", err
		}
	}
	return s.Installation(ctx, h.o.Database == Leave)
}

// Adopt assigns the broker's streams to the host's database, whichever database they belonged to.
func (h *Host) Adopt(ctx context.Context) error {
	cfg, err := Config[config.Nats](h)
	if err != nil {
		return err
	}
	s, err := h.Store(ctx)
	if err != nil {
		return err
	}
	id, err := s.Installation(ctx, false)
	if err != nil {
		return err
	}
	b, err := bus.Connect(ctx, busOptions(h.o.Name, cfg, h.o.Log))
	if err != nil {
		return err
	}
	defer b.Close()
	return b.Adopt(ctx, id)
}

// Keys returns the ring of the configured master keys, nil if there is none. It opens the database,
// which stores a passphrase's salt.
func (h *Host) Keys(ctx context.Context) (*seal.Ring, error) {
	h.siteOnce.Lock()
	defer h.siteOnce.Unlock()
	return h.keys(ctx)
}

// keys is Keys for a caller that holds siteOnce.
func (h *Host) keys(ctx context.Context) (*seal.Ring, error) {
	if h.keyed {
		return h.ring, nil
	}
	cfg, err := Config[config.Master](h)
	if err != nil {
		return nil, err
	}
	s, err := h.Store(ctx)
	if err != nil {
		return nil, err
	}
	if h.ring, err = credential.Keys(ctx, cfg, s); err != nil {
		return nil, err
	}
	h.keyed = true
	return h.ring, nil
}

// Trust returns where tokens may be sent and which keys encrypt them, for callers that store tokens.
func (h *Host) Trust(ctx context.Context) (credential.Trust, error) {
	cfg, err := Config[config.Sites](h)
	if err != nil {
		return credential.Trust{}, err
	}
	hosts := cfg.Hosts()
	// A process that reads a site itself trusts it, and its gateway, as well.
	if c, err := Config[config.Confluence](h); err == nil {
		hosts = c.Hosts()
	}
	ring, err := h.Keys(ctx)
	return credential.Trust{Hosts: hosts, AllowHTTP: cfg.AllowHTTP, Ring: ring}, err
}

// Credentials returns the Confluence clients for sources. It opens the database, which stores tokens,
// and the bus, over which all processes share the request budget.
func (h *Host) Credentials(ctx context.Context) (*credential.Site, error) {
	h.siteOnce.Lock()
	defer h.siteOnce.Unlock()
	if h.site != nil {
		return h.site, nil
	}
	cfg, s, b, err := Open[config.Confluence](ctx, h)
	if err != nil {
		return nil, err
	}
	ring, err := h.keys(ctx)
	if err != nil {
		return nil, err
	}
	site, err := credential.NewSite(cfg, h.o.Log, credential.Sharing(b), credential.Stored(s.Vault(), ring), credential.Telling(s))
	if err != nil {
		return nil, err
	}
	for _, e := range site.Expiring(nil, time.Now()) {
		h.o.Log.Warn().Str("credential", e.Name).Time("expires_at", e.At).Str("mend", e.Mend()).Msg(e.Says())
	}
	h.site = site
	return site, nil
}

// Systems returns the opener for sources of all systems.
func (h *Host) Systems(ctx context.Context) (*systems.Systems, error) {
	clients, err := h.Credentials(ctx)
	if err != nil {
		return nil, err
	}
	h.siteOnce.Lock()
	defer h.siteOnce.Unlock()
	if h.systems == nil {
		h.systems = systems.New(systems.Means{Confluence: clients, Log: h.o.Log})
	}
	return h.systems, nil
}

// Close closes what the host has opened itself.
func (h *Host) Close() {
	h.busOnce.Lock()
	defer h.busOnce.Unlock()
	h.storeOnce.Lock()
	defer h.storeOnce.Unlock()
	if h.bus != nil && h.bus != h.o.Bus {
		h.bus.Close()
	}
	if h.store != nil && h.store != h.o.Store {
		h.store.Close()
	}
	h.ranker.Close()
	if err := h.asker.Close(); err != nil {
		h.o.Log.Warn().Err(err).Msg("closing the embedding model")
	}
}

// busOptions are the options of a process's connection to the bus.
func busOptions(name string, n config.Nats, log zerolog.Logger) bus.Options {
	return bus.Options{
		URL: n.NatsURL.Reveal(), Name: name, Prefix: bus.Prefix(n.NatsPrefix), AckWait: n.NatsAckWait, Replicas: n.NatsReplicas, Log: log,
		Login: bus.Login{
			Role: name, CredsFile: n.NatsCredsFile, NkeyFile: n.NatsNkeyFile,
			CAFile: n.NatsCAFile, CertFile: n.NatsCertFile, KeyFile: n.NatsKeyFile,
		},
	}
}
