package config

import (
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sluicehq/sluice/shared/confluence/outgoing"
	"github.com/sluicehq/sluice/shared/seal"
	"github.com/sluicehq/sluice/shared/secret"
)

// Process is what every long-running program has.
type Process struct {
	_             struct{}      `title:"Every program"`
	LogLevel      string        `env:"LOG_LEVEL" default:"info" need:"debug, info, warn or error" example:"info" desc:"The least severe line that is logged."`
	LogFormat     string        `env:"LOG_FORMAT" default:"json" need:"json or console" example:"json" desc:"How log lines look: json for machines, console for people."`
	HealthAddr    string        `env:"HEALTH_ADDR" default:":8080" empty:"no health page" need:"a host and port to listen on" example:":8080" desc:"Where /healthz (the process is alive) and /readyz (its servers answer) are served."`
	ShutdownGrace time.Duration `env:"SHUTDOWN_GRACE" default:"20s" need:"a time from 1s to 10m" example:"20s" desc:"How long running work may take to finish after SIGTERM."`
}

func (p Process) check(c *checker) {
	c.ensure("LOG_LEVEL", oneOf(p.LogLevel, "debug", "info", "warn", "error"))
	c.ensure("LOG_FORMAT", oneOf(p.LogFormat, "json", "console"))
	c.ensure("HEALTH_ADDR", isAddr(p.HealthAddr))
	c.ensure("SHUTDOWN_GRACE", p.ShutdownGrace >= time.Second && p.ShutdownGrace <= 10*time.Minute)
}

// Service is what every stage has.
type Service struct {
	_ struct{} `title:"Every stage"`
	Process
	Workers int `env:"WORKERS" default:"0" need:"a whole number from 0 to 256" example:"8" desc:"How many messages one process works on at a time; 0 leaves it to the stage. Those that wait for a slow site do not count."`
}

func (s Service) check(c *checker) {
	c.ensure("WORKERS", s.Workers >= 0 && s.Workers <= 256)
}

// Nats says where the bus is. The URL may hold a user and password, so it is a secret.
type Nats struct {
	_            struct{}      `title:"NATS"`
	NatsURL      secret.String `env:"NATS_URL" default:"nats://127.0.0.1:4222" need:"comma-separated addresses with nats://, tls://, ws:// or wss://" example:"nats://127.0.0.1:4222" desc:"The NATS server with JetStream. It may contain a user and password. Without it, sluice starts its own server."`
	NatsAckWait  time.Duration `env:"NATS_ACK_WAIT" default:"1m" need:"a time from 1s to 10m" example:"1m" desc:"How long a worker may be silent before its message goes to another worker. Use the same value for all processes on one NATS."`
	NatsReplicas int           `env:"NATS_REPLICAS" default:"1" need:"1, 3 or 5" example:"3" desc:"How many servers of a NATS cluster keep a copy of each stream; 3 survive the loss of one server. More than 1 needs a cluster of at least that many. Use the same value for all processes on one NATS."`
	NatsPrefix   string        `env:"NATS_PREFIX" need:"up to 32 letters, digits, '-' and '_', beginning with a letter or digit" example:"staging" desc:"Begins the names of all subjects, streams and buckets, so that two installations can use one NATS account. Use the same value for all processes of an installation; each installation needs a database of its own."`

	NatsCredsFile string `env:"NATS_CREDS_FILE" need:"a file, without NATS_NKEY_FILE, and NATS_URL" example:"/run/secrets/fetcher.creds" desc:"The credentials file by which the service logs in to NATS. The service then makes no streams, unless it is progress or sluice."`
	NatsNkeyFile  string `env:"NATS_NKEY_FILE" need:"a file, and NATS_URL" example:"/run/secrets/fetcher.nk" desc:"The file with the seed of the service's nkey, as sluice nats init makes it; in place of NATS_CREDS_FILE."`
	NatsCAFile    string `env:"NATS_CA_FILE" need:"a file, and NATS_URL" example:"/run/secrets/nats-ca.pem" desc:"The CA certificates that verify the NATS server, instead of the system's. TLS itself is requested by tls:// or by the server."`
	NatsCertFile  string `env:"NATS_CERT_FILE" need:"a file, and NATS_KEY_FILE" example:"/run/secrets/fetcher.pem" desc:"The service's own certificate, for a NATS server that asks for one."`
	NatsKeyFile   string `env:"NATS_KEY_FILE" need:"a file, and NATS_CERT_FILE" example:"/run/secrets/fetcher-key.pem" desc:"The key of NATS_CERT_FILE."`
}

var prefixes = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$`)

func (n Nats) check(c *checker) {
	named := c.raw["NATS_URL"] != "" // a server that sluice starts itself asks nobody who he is
	c.ensure("NATS_CREDS_FILE", named && n.NatsNkeyFile == "")
	c.ensure("NATS_NKEY_FILE", named)
	c.ensure("NATS_CA_FILE", named)
	c.ensure("NATS_CERT_FILE", n.NatsKeyFile != "")
	c.ensure("NATS_KEY_FILE", n.NatsCertFile != "")
	c.ensure("NATS_PREFIX", prefixes.MatchString(n.NatsPrefix))
	c.ensure("NATS_URL", areNatsURLs(c.raw["NATS_URL"]))
	c.ensure("NATS_ACK_WAIT", n.NatsAckWait >= time.Second && n.NatsAckWait <= 10*time.Minute)
	c.ensure("NATS_REPLICAS", slices.Contains([]int{1, 3, 5}, n.NatsReplicas))
}

// Postgres is the address of the system of record and how it is searched. Every program that opens the
// database uses all of these settings.
type Postgres struct {
	_           struct{}      `title:"Postgres"`
	DatabaseURL secret.String `env:"DATABASE_URL" required:"true" need:"a Postgres URL or a list of key=value" example:"postgres://sluice:password@127.0.0.1:5432/sluice" desc:"The Postgres database; through a pooler in transaction mode too (PgBouncer, Supabase's port 6543), which is detected. Without it, sluice starts its own server."`
	Search
}

func (Postgres) check(c *checker) { c.ensure("DATABASE_URL", isPostgres(c.raw["DATABASE_URL"])) }

// Sites says on which sites sources may be, which is where tokens are sent.
type Sites struct {
	_            struct{} `title:"The sites that may be read"`
	AllowHTTP    bool     `env:"CONFLUENCE_ALLOW_HTTP" default:"false" need:"true or false" example:"false" desc:"Permits a site without TLS, and host names that resolve to private addresses. For the stand-in only: the token is sent unencrypted."`
	AllowedHosts string   `env:"CONFLUENCE_ALLOWED_HOSTS" default:"*.atlassian.net,api.atlassian.com" need:"comma-separated hosts, each with *. in front for all hosts below it, or with :port" example:"acme.atlassian.net,api.atlassian.com" desc:"The hosts that sources may be on and that tokens are sent to, in addition to those of CONFLUENCE_BASE_URL and CONFLUENCE_GATEWAY where a service has these. A source on another host is refused, also by the HTTP API."`
}

func (s Sites) check(c *checker) {
	_, err := outgoing.ParseHosts(s.AllowedHosts)
	c.ensure("CONFLUENCE_ALLOWED_HOSTS", err == nil)
}

// Hosts are the hosts that are allowed.
func (s Sites) Hosts() outgoing.Hosts {
	hosts, err := outgoing.ParseHosts(s.AllowedHosts)
	if err != nil {
		return nil // which Load has complained about
	}
	return hosts
}

// Confluence says which site is read, as whom and how fast.
type Confluence struct {
	_ struct{} `title:"The Confluence site"`
	Sites
	BaseURL           string        `env:"CONFLUENCE_BASE_URL" required:"true" need:"the address of a Confluence Cloud site with https:// (http:// with CONFLUENCE_ALLOW_HTTP=true), without user, query or fragment; for a scoped token set CONFLUENCE_GATEWAY as well" example:"https://acme.atlassian.net/wiki" desc:"The site. The /wiki at its end may be left out."`
	Email             string        `env:"CONFLUENCE_EMAIL" required:"true" need:"the e-mail address of the account that the API token belongs to" example:"reader@acme.com" desc:"The account that pages are read as."`
	APIToken          secret.String `env:"CONFLUENCE_API_TOKEN" required:"true" need:"an API token from https://id.atlassian.com/manage-profile/security/api-tokens" example:"ATATT3xFfGF0…" desc:"The account's API token."`
	TokenExpires      string        `env:"CONFLUENCE_API_TOKEN_EXPIRES" need:"a day such as 2027-03-01" example:"2027-03-01" desc:"The day on which CONFLUENCE_API_TOKEN stops working, as Atlassian shows it. Sluice warns 30 days before it."`
	Gateway           string        `env:"CONFLUENCE_GATEWAY" need:"https://api.atlassian.com (http:// with CONFLUENCE_ALLOW_HTTP=true)" example:"https://api.atlassian.com" desc:"Where a scoped API token is taken. Leave it empty for a classic token, which the site takes itself."`
	RequestsPerSecond float64       `env:"CONFLUENCE_REQUESTS_PER_SECOND" default:"10" need:"a number above 0, at most 1000" example:"10" desc:"The most requests a second that all processes on one NATS together send to the site. Tell all of them the same."`
	Concurrency       int           `env:"CONFLUENCE_CONCURRENCY" default:"8" need:"a whole number from 1 to 64" example:"8" desc:"How many requests all processes on one NATS together have under way at a time."`
}

func (f Confluence) check(c *checker) {
	if c.fine("CONFLUENCE_ALLOW_HTTP") {
		c.ensure("CONFLUENCE_BASE_URL", isSite(f.BaseURL, f.AllowHTTP) && !isGateway(f.BaseURL))
	}
	if c.fine("CONFLUENCE_ALLOW_HTTP") && f.Gateway != "" {
		c.ensure("CONFLUENCE_GATEWAY", isSite(f.Gateway, f.AllowHTTP))
	}
	c.ensure("CONFLUENCE_EMAIL", IsEmail(f.Email))
	if f.TokenExpires != "" {
		_, err := time.Parse(time.DateOnly, f.TokenExpires)
		c.ensure("CONFLUENCE_API_TOKEN_EXPIRES", err == nil)
	}
	c.ensure("CONFLUENCE_API_TOKEN", !strings.ContainsAny(c.raw["CONFLUENCE_API_TOKEN"], " \t\r\n"))
	// Written so that NaN fails too.
	c.ensure("CONFLUENCE_REQUESTS_PER_SECOND", f.RequestsPerSecond > 0 && f.RequestsPerSecond <= 1000)
	c.ensure("CONFLUENCE_CONCURRENCY", f.Concurrency >= 1 && f.Concurrency <= 64)
}

// Hosts are the hosts that may be called: those that are allowed, and those of the site and of the
// gateway, which were named here.
func (f Confluence) Hosts() outgoing.Hosts { return f.Sites.Hosts().With(f.BaseURL).With(f.Gateway) }

// Master says with which key the secrets in archon_settings are sealed. With a key and a
// passphrase, the key seals and what the passphrase sealed still opens.
type Master struct {
	_                struct{}      `title:"The key that stored tokens are encrypted with"`
	MasterKey        secret.String `env:"SLUICE_MASTER_KEY" need:"32 random bytes as base64 or hex, as openssl rand -base64 32 makes them" example:"dGhpcyBpcyBhbiBleGFtcGxlLCBub3QgYSBrZXkhISE=" desc:"The key that stored tokens are encrypted with. Without one and without a passphrase none can be stored or used."`
	MasterKeysOld    secret.String `env:"SLUICE_MASTER_KEYS_OLD" need:"keys like SLUICE_MASTER_KEY, separated by commas or white space" example:"YW4gb2xkIGtleSwgYW4gZXhhbXBsZSBsaWtld2lzZSE=" desc:"Keys that were SLUICE_MASTER_KEY before: what they encrypted still opens, and sluice secret rotate encrypts it again with the current key."`
	MasterPassphrase secret.String `env:"SLUICE_MASTER_PASSPHRASE" need:"a text of 12 characters or more" example:"correct horse battery staple" desc:"A passphrase from which argon2id derives the key, if SLUICE_MASTER_KEY is not set."`
}

func (m Master) check(c *checker) {
	_, err := seal.ParseKey(m.MasterKey)
	c.ensure("SLUICE_MASTER_KEY", err == nil)
	_, err = Master{MasterKeysOld: m.MasterKeysOld}.Keys()
	c.ensure("SLUICE_MASTER_KEYS_OLD", err == nil)
	if !m.MasterKeysOld.IsZero() && m.MasterKey.IsZero() && m.MasterPassphrase.IsZero() &&
		c.fine("SLUICE_MASTER_KEYS_OLD") && c.fine("SLUICE_MASTER_PASSPHRASE") {
		c.wrong("SLUICE_MASTER_KEY", "is not set although SLUICE_MASTER_KEYS_OLD is")
	}
	if c.fine("SLUICE_MASTER_KEY") && m.shown() {
		c.wrong("SLUICE_MASTER_KEY", "is the key that the documentation shows, which everybody knows")
	}
	// Beside a key it only opens what it once sealed.
	if m.MasterKey.IsZero() && strings.EqualFold(m.MasterPassphrase.Reveal(), example(m, "SLUICE_MASTER_PASSPHRASE")) {
		c.wrong("SLUICE_MASTER_PASSPHRASE", "is the one that the documentation shows, which everybody knows")
	}
	c.ensure("SLUICE_MASTER_PASSPHRASE", utf8.RuneCountInString(m.MasterPassphrase.Reveal()) >= 12)
}

// shown reports whether the key that seals is an example, in whatever way it is written. As an old key an
// example still opens what was sealed with it.
func (m Master) shown() bool {
	key, err := seal.ParseKey(m.MasterKey)
	if err != nil {
		return false
	}
	return slices.ContainsFunc([]string{"SLUICE_MASTER_KEY", "SLUICE_MASTER_KEYS_OLD"}, func(name string) bool {
		known, err := seal.ParseKey(secret.New(example(m, name)))
		return err == nil && known.ID() == key.ID()
	})
}

// example is what .env.example and the documentation show as the value of a variable.
func example(group any, name string) string {
	for _, f := range Fields(group) {
		if f.Name == name {
			return f.Example
		}
	}
	return ""
}

// Keys are SLUICE_MASTER_KEY, where it is set, and those of SLUICE_MASTER_KEYS_OLD. The error is
// seal.ErrKey.
func (m Master) Keys() ([]seal.Key, error) {
	var keys []seal.Key
	separator := func(r rune) bool { return r == ',' || unicode.IsSpace(r) }
	for _, text := range append(strings.Fields(m.MasterKey.Reveal()), strings.FieldsFunc(m.MasterKeysOld.Reveal(), separator)...) {
		k, err := seal.ParseKey(secret.New(text))
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// Chunks says how Markdown is split.
type Chunks struct {
	_             struct{} `title:"Chunks"`
	MaxTokens     int      `env:"CHUNK_MAX_TOKENS" default:"448" need:"a whole number from 64 to 8000" example:"448" desc:"The most tokens that a chunk holds, by an estimate. Many embedding models read 512 and drop the rest."`
	OverlapTokens int      `env:"CHUNK_OVERLAP_TOKENS" default:"0" need:"a whole number from 0 to half of CHUNK_MAX_TOKENS" example:"40" desc:"How many tokens of a chunk the next one repeats when a section is split."`
}

func (k Chunks) check(c *checker) {
	c.ensure("CHUNK_MAX_TOKENS", k.MaxTokens >= 64 && k.MaxTokens <= 8000)
	if c.fine("CHUNK_MAX_TOKENS") {
		c.ensure("CHUNK_OVERLAP_TOKENS", k.OverlapTokens >= 0 && k.OverlapTokens <= k.MaxTokens/2)
	}
}

// Brake says how many removals at a time are taken for a mistake until a person approves them.
type Brake struct {
	_       struct{} `title:"The brake on removals"`
	Pages   int      `env:"REMOVAL_BRAKE_PAGES" default:"10" need:"a whole number from 0 to 1000000" example:"10" desc:"A run that would remove more pages than this, and more than REMOVAL_BRAKE_PERCENT, is held and removes nothing."`
	Percent int      `env:"REMOVAL_BRAKE_PERCENT" default:"20" need:"a whole number from 0 to 100" example:"20" desc:"The share of a source's pages in percent; see REMOVAL_BRAKE_PAGES."`
}

func (b Brake) check(c *checker) {
	c.ensure("REMOVAL_BRAKE_PAGES", b.Pages >= 0 && b.Pages <= 1_000_000)
	c.ensure("REMOVAL_BRAKE_PERCENT", b.Percent >= 0 && b.Percent <= 100)
}

// History says how long what is only of the past is kept.
type History struct {
	_    struct{}      `title:"How long history is kept"`
	Keep time.Duration `env:"HISTORY_KEEP" default:"2160h" need:"a time of at least 24h" example:"2160h" desc:"How long ended runs with their pages, and the Markdown of removed pages, are kept. The newest complete run of a source is kept anyway."`
}

func (h History) check(c *checker) { c.ensure("HISTORY_KEEP", h.Keep >= 24*time.Hour) }

// Permissions says how often the permissions of sources are read, and when what was read is too old.
type Permissions struct {
	_                 struct{}      `title:"Who may see what"`
	PermissionsEvery  time.Duration `env:"PERMISSIONS_EVERY" default:"1h" need:"a time from 1m to 12h" example:"1h" desc:"How often Confluence's permissions are read again, for sources that enforce them. A restriction takes effect within this time and that of one reading; docs/permissions.md says what one costs."`
	PermissionsMaxAge time.Duration `env:"PERMISSIONS_MAX_AGE" default:"24h" need:"a time from 10m to 720h, at least twice PERMISSIONS_EVERY: make this longer, or PERMISSIONS_EVERY shorter" example:"24h" desc:"How long what was read of permissions counts while it cannot be read again. What is older counts as unknown, so that its pages are hidden. The fetcher stores it with each source within seconds after its start. Use the same value for all fetchers."`
}

func (p Permissions) check(c *checker) {
	c.ensure("PERMISSIONS_EVERY", p.PermissionsEvery >= time.Minute && p.PermissionsEvery <= 12*time.Hour)
	// One failed reading must not hide everything, nor a reading that takes a while.
	c.ensure("PERMISSIONS_MAX_AGE", p.PermissionsMaxAge >= 10*time.Minute && p.PermissionsMaxAge <= 30*24*time.Hour && (!c.fine("PERMISSIONS_EVERY") || p.PermissionsMaxAge >= 2*p.PermissionsEvery))
}

// Search says how chunks are found. Whether the database knows the language, it says itself.
type Search struct {
	_              struct{} `title:"Search"`
	SearchLanguage string   `env:"SEARCH_LANGUAGE" default:"english" need:"the name of a text search configuration of the database, such as english, german or simple" example:"german" desc:"The language in which search stems words. For a language other than English, migrating creates extra indexes, so use the same value for all programs on a database."`
}

func (f Search) check(c *checker) {
	c.ensure("SEARCH_LANGUAGE", !strings.ContainsAny(f.SearchLanguage, "\x00") && utf8.ValidString(f.SearchLanguage) && len(f.SearchLanguage) <= 40)
}

// API says where the HTTP API is served, and how much one request may take.
type API struct {
	_          struct{}      `title:"The HTTP API"`
	Addr       string        `env:"GATEWAY_ADDR" default:"127.0.0.1:8181" empty:"no HTTP API; for the sluice command only" need:"a host and port to listen on" example:"127.0.0.1:8181" desc:"Where the HTTP API is served. It needs an API key: sluice key create, or GATEWAY_KEY_FILE."`
	PublicURL  string        `env:"GATEWAY_PUBLIC_URL" need:"an address with https:// or http://, without user, query or fragment" example:"https://sluice.acme.com" desc:"Where clients reach the HTTP API, behind a proxy for example. MCP clients are told so when they ask how to log in; without it, they are told the host that they asked."`
	KeyFile    string        `env:"GATEWAY_KEY_FILE" need:"a file in a folder that can be written" example:"/var/lib/sluice/api-key" desc:"A file with an admin key for everyone who may read the file. If it is missing, Sluice creates it, readable by its owner only. sluice up uses api-key in its data folder."`
	MaxBody    int           `env:"GATEWAY_MAX_BODY" default:"1048576" need:"a whole number from 1024 to 104857600" example:"1048576" desc:"The largest request body that the HTTP API reads, in bytes."`
	Timeout    time.Duration `env:"GATEWAY_TIMEOUT" default:"30s" need:"a time from 1s to 10m" example:"30s" desc:"How long one request may take, reading its body included. Event streams are not bound by it."`
	MaxStreams int           `env:"GATEWAY_MAX_STREAMS" default:"256" need:"a whole number from 1 to 100000" example:"256" desc:"How many event streams may be open at a time. One key may have a quarter of them."`
	KeyRate    float64       `env:"GATEWAY_KEY_RATE" default:"50" need:"a number from 0 to 100000" example:"50" desc:"The most requests a second of one API key, on average over ten seconds; 0 is no limit."`

	TrustedProxies string `env:"GATEWAY_TRUSTED_PROXIES" need:"comma-separated addresses or networks, such as 10.0.0.0/8" example:"10.0.0.2, fd00::/8" desc:"The proxies in front of the HTTP API. Only theirs is X-Forwarded-For, or Forwarded, believed when clients are told apart; each must add the address of its client."`
}

func (a API) check(c *checker) {
	c.ensure("GATEWAY_ADDR", isAddr(a.Addr))
	c.ensure("GATEWAY_PUBLIC_URL", isWeb(a.PublicURL))
	c.ensure("GATEWAY_MAX_BODY", a.MaxBody >= 1<<10 && a.MaxBody <= 100<<20)
	c.ensure("GATEWAY_TIMEOUT", a.Timeout >= time.Second && a.Timeout <= 10*time.Minute)
	c.ensure("GATEWAY_MAX_STREAMS", a.MaxStreams >= 1 && a.MaxStreams <= 100_000)
	c.ensure("GATEWAY_KEY_RATE", a.KeyRate >= 0 && a.KeyRate <= 100_000)
	_, err := parseNetworks(a.TrustedProxies)
	c.ensure("GATEWAY_TRUSTED_PROXIES", err == nil)
}

// Proxies are the networks of the trusted proxies.
func (a API) Proxies() []netip.Prefix {
	list, err := parseNetworks(a.TrustedProxies)
	if err != nil {
		return nil // which Load has complained about
	}
	return list
}

func parseNetworks(text string) ([]netip.Prefix, error) {
	var list []netip.Prefix
	for one := range strings.SplitSeq(text, ",") {
		one = strings.TrimSpace(one)
		if one == "" {
			continue
		}
		p, err := netip.ParsePrefix(one)
		if err != nil {
			a, err := netip.ParseAddr(one)
			if err != nil {
				return nil, err
			}
			p = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

// Remote says where the HTTP API is that sluice mcp reads in place of a database.
type Remote struct {
	_      struct{}      `title:"An HTTP API elsewhere, for sluice mcp"`
	APIURL string        `env:"SLUICE_API" need:"an address with https:// or http://, without user, query or fragment" example:"https://sluice.acme.com" desc:"The HTTP API that sluice mcp answers from. Without it, sluice mcp reads a database."`
	APIKey secret.String `env:"SLUICE_KEY" need:"an API key, as sluice key create shows it" example:"sluice_k3yk3yk3yk3y_…" desc:"The API key for SLUICE_API."`
}

func (r Remote) check(c *checker) { c.ensure("SLUICE_API", isWeb(r.APIURL)) }

func oneOf(v string, allowed ...string) bool { return slices.Contains(allowed, v) }

func isAddr(v string) bool {
	_, port, err := net.SplitHostPort(v)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// IsEmail reports whether v is a bare e-mail address.
func IsEmail(v string) bool {
	a, err := mail.ParseAddress(v)
	return err == nil && a.Address == v
}

func isWeb(v string) bool {
	u, err := url.Parse(v)
	return err == nil && oneOf(u.Scheme, "http", "https") && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
}

func areNatsURLs(list string) bool {
	for v := range strings.SplitSeq(list, ",") {
		u, err := url.Parse(strings.TrimSpace(v))
		if err != nil || u.Host == "" || !oneOf(u.Scheme, "nats", "tls", "ws", "wss") {
			return false
		}
	}
	return true
}

// isPostgres accepts both ways of writing a connection; the driver has the last word.
func isPostgres(v string) bool {
	if !strings.Contains(v, "://") {
		return strings.Contains(v, "=")
	}
	u, err := url.Parse(v)
	return err == nil && oneOf(u.Scheme, "postgres", "postgresql")
}

func isSite(v string, allowHTTP bool) bool {
	u, err := outgoing.ParseAddress(v)
	if err != nil || strings.HasPrefix(u.Path, "/ex/confluence/") {
		return false // a site's address at the gateway: sources are kept by their site's
	}
	return u.Scheme == "https" || allowHTTP
}

// isGateway reports whether an address is that of the gateway, which every site shares.
func isGateway(v string) bool {
	u, err := outgoing.ParseAddress(v)
	return err == nil && u.Host == outgoing.GatewayHost
}
