package confluence

import (
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/shared/confluence/outgoing"
)

// Option changes one setting of a Client.
type Option func(*options)

type options struct {
	transport    http.RoundTripper
	perSecond    float64
	burst        int
	concurrency  int
	timeout      time.Duration
	maxWait      time.Duration
	longestPause time.Duration
	maxBody      int64
	limiter      Limiter
	log          zerolog.Logger
	trace        func(Call)
	bearer       bool
	insecureHTTP bool
	hosts        outgoing.Hosts // nil allows every host
	gateway      string
	etagBytes    int64
	delays       []time.Duration
	breakAfter   uint
	breakFor     time.Duration
}

func defaults() options {
	return options{
		perSecond:   10,
		burst:       5,
		concurrency: 5, // Atlassian recommends at most 5 to 10 concurrent calls
		timeout:     30 * time.Second,
		maxWait:     30 * time.Second,
		maxBody:     32 << 20, // of an answer, after decompression
		log:         zerolog.Nop(),
		delays:      []time.Duration{time.Second, 2 * time.Second, 4 * time.Second},
		breakAfter:  12, // consecutive failures: three calls with all their retries
		breakFor:    15 * time.Second,

		longestPause: time.Hour, // quotas are filled again on the hour
	}
}

// WithTransport sends every call through rt.
func WithTransport(rt http.RoundTripper) Option { return func(o *options) { o.transport = rt } }

// WithRate limits the calls per second; up to burst of them may go out together. The default is 10 per
// second and a burst of 5.
func WithRate(perSecond float64, burst int) Option {
	return func(o *options) { o.perSecond, o.burst = perSecond, burst }
}

// WithConcurrency limits the concurrent calls. The default is 5.
func WithConcurrency(n int) Option { return func(o *options) { o.concurrency = n } }

// WithTimeout limits one exchange, from the first byte sent to the last byte of the body read; each
// retry has its own timeout. The default is 30 s.
func WithTimeout(d time.Duration) Option { return func(o *options) { o.timeout = d } }

// WithMaxWait limits the requested wait that the client waits in place; a longer one is returned
// immediately as *RateLimitError. The default is 30 s.
func WithMaxWait(d time.Duration) Option { return func(o *options) { o.maxWait = d } }

// WithLongestPause limits the requested wait that the client accepts at all: after a longer request it
// calls again after d, and the error states the requested wait. The default is an hour. Calling too
// early costs one call.
func WithLongestPause(d time.Duration) Option { return func(o *options) { o.longestPause = d } }

// WithLimiter takes the budget from l instead of WithRate's: one budget for several clients, or for a
// fleet of processes.
func WithLimiter(l Limiter) Option { return func(o *options) { o.limiter = l } }

// WithLogger logs retries and the circuit breaker's changes. The default logs nothing.
func WithLogger(log zerolog.Logger) Option { return func(o *options) { o.log = log } }

// WithTrace calls f after every exchange, from the goroutine that made it.
func WithTrace(f func(Call)) Option { return func(o *options) { o.trace = f } }

// WithBearer sends the token as "Authorization: Bearer", without the e-mail address: for OAuth access
// tokens, which only the gateway accepts.
func WithBearer() Option { return func(o *options) { o.bearer = true } }

// WithInsecureHTTP permits a base URL with http, and names that resolve to addresses that are not
// public: for a stand-in of Confluence on the same machine or network. The token is then sent
// unencrypted.
func WithInsecureHTTP() Option { return func(o *options) { o.insecureHTTP = true } }

// WithAllowedHosts rejects a base URL and a gateway whose host is not in hosts.
func WithAllowedHosts(hosts outgoing.Hosts) Option {
	return func(o *options) { o.hosts = append(outgoing.Hosts{}, hosts...) }
}

// WithRetryDelays replaces the waits of 1 s, 2 s and 4 s before the retries; each delay makes one retry.
// It is for tests.
func WithRetryDelays(d ...time.Duration) Option { return func(o *options) { o.delays = d } }

func (o *options) check() error {
	switch {
	case o.limiter == nil && !(o.perSecond > 0):
		return errors.New("the rate must be above 0 a second")
	case o.limiter == nil && o.burst < 1:
		return errors.New("the burst must be 1 or more")
	case o.concurrency < 1:
		return errors.New("the concurrency must be 1 or more")
	case o.timeout <= 0:
		return errors.New("the timeout must be above 0")
	case o.maxWait < 0:
		return errors.New("the longest wait must not be below 0")
	case o.longestPause <= 0:
		return errors.New("the longest pause must be above 0")
	}
	return nil
}

func (o *options) httpClient() *http.Client {
	transport := o.transport
	if transport == nil {
		transport = newTransport(o.concurrency, !o.insecureHTTP)
	}
	return &http.Client{Transport: transport, CheckRedirect: redirect} // without a timeout: every exchange has a context that ends
}

// newTransport keeps one idle connection for each concurrent call. It requests gzip and decompresses it
// itself. If guarded, it rejects names that resolve to addresses that are not public.
func newTransport(concurrency int, guarded bool) *http.Transport {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment}
	if d, ok := http.DefaultTransport.(*http.Transport); ok {
		t = d.Clone()
	}
	if guarded {
		outgoing.Guard(t, net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second})
	}
	t.MaxIdleConnsPerHost = concurrency
	return t
}

// redirect follows a GET inside one origin, three times at most. It returns any other redirect as an
// answer: the credential must not travel, and a POST must not turn into a GET.
func redirect(next *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) > 3 || first.Method != http.MethodGet || next.URL.User != nil ||
		next.URL.Scheme != first.URL.Scheme || next.URL.Host != first.URL.Host || isLogin(next.URL.Path) {
		return http.ErrUseLastResponse
	}
	return nil
}
