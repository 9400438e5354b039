package gateway

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// metrics are the Prometheus metrics of the API.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	streams  prometheus.Gauge
	whole    *storeCollector // for those who oversee the sources
}

func newMetrics(c *control.Control, log zerolog.Logger) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_gateway_requests_total", Help: "Requests by route and status; the route is empty for paths that do not exist.",
		}, []string{"method", "route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sluice_gateway_request_duration_seconds", Help: "Duration of requests, without event streams.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"method", "route"}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{Name: "sluice_gateway_event_streams", Help: "Open event streams."}),
	}
	m.registry.MustRegister(m.requests, m.seconds, m.streams, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.whole = &storeCollector{control: c, reader: c.Reader, log: log, viewer: viewer.All()}
	return m
}

// observe counts a request. If no route matched, the method is dropped too: clients can make up any, and each would
// be a new series.
func (m *metrics) observe(method, route string, status int, took time.Duration) {
	if route == "" {
		method = ""
	}
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
	if route != eventsPath {
		m.seconds.WithLabelValues(method, route).Observe(took.Seconds())
	}
}

// handler serves the metrics to a viewer: those of the sources count the pages that it may see. Who oversees the sources
// is told of all pages.
func (m *metrics) handler(ctx context.Context, v viewer.Viewer) http.Handler {
	of, whole := m.whole, v.Oversees()
	if !whole {
		var err error
		whole, err = of.reader.SeesEveryPage(ctx, v, "")
		whole = whole && err == nil
	}
	if !whole {
		of = &storeCollector{control: m.whole.control, reader: m.whole.reader, log: m.whole.log, viewer: v}
	}
	counts := prometheus.NewRegistry()
	counts.MustRegister(of)
	return promhttp.HandlerFor(prometheus.Gatherers{m.registry, counts}, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

// storeCollector is a collector that counts what the database contains, at each scrape.
type storeCollector struct {
	control *control.Control
	reader  control.Reader
	log     zerolog.Logger
	viewer  viewer.Viewer

	mu      sync.Mutex
	counted time.Time
	vectors control.Embeddings
}

var (
	openRuns = prometheus.NewDesc("sluice_open_runs", "Runs that have not ended.", []string{"source", "state"}, nil)
	pages    = prometheus.NewDesc("sluice_pages", "Live pages.", []string{"source"}, nil)
	embedded = prometheus.NewDesc("sluice_embedded_chunks", "Chunks by what became of their vector: embedded, pending or failed.", []string{"source", "space", "state", "code"}, nil)
	expiry   = prometheus.NewDesc("sluice_credential_expiry_timestamp_seconds", "When a stored token stops working, as whoever stored it said.", []string{"credential"}, nil)
	chunks   = prometheus.NewDesc("sluice_chunks", "Chunks.", []string{"source"}, nil)
)

// Describe sends the collector's metric descriptions.
func (*storeCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- openRuns
	ch <- pages
	ch <- chunks
	ch <- embedded
	ch <- expiry
}

// Collect sends the counts. While the database is unavailable, only these metrics are missing.
func (c *storeCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	sources, err := c.reader.Sources(ctx, c.viewer, store.Whole())
	if err == nil {
		var runs []store.Run
		runs, err = c.reader.OpenRuns(ctx, c.viewer, store.Whole())
		open := map[[2]string]int{}
		for _, r := range runs {
			open[[2]string{r.SourceID, string(r.State)}]++
		}
		for of, n := range open {
			ch <- prometheus.MustNewConstMetric(openRuns, prometheus.GaugeValue, float64(n), of[0], of[1])
		}
	}
	if err != nil {
		c.log.Warn().Err(err).Msg("cannot read the counts for the metrics")
		return
	}
	for _, s := range sources {
		ch <- prometheus.MustNewConstMetric(pages, prometheus.GaugeValue, float64(s.Pages), s.ID)
		ch <- prometheus.MustNewConstMetric(chunks, prometheus.GaugeValue, float64(s.Chunks), s.ID)
	}
	c.collectEmbedded(ctx, ch)
	c.collectExpiry(ctx, ch)
}

// collectExpiry sends when stored tokens expire, to those who see all sources.
func (c *storeCollector) collectExpiry(ctx context.Context, ch chan<- prometheus.Metric) {
	if !c.viewer.SeesAll() {
		return
	}
	list, err := c.control.Secrets(ctx, c.viewer)
	if err != nil {
		c.log.Warn().Err(err).Msg("cannot read the stored tokens for the metrics")
		return
	}
	if at := c.control.Servers.Site.EnvironmentExpires(); !at.IsZero() {
		ch <- prometheus.MustNewConstMetric(expiry, prometheus.GaugeValue, float64(at.Unix()), "CONFLUENCE_API_TOKEN")
	}
	for _, s := range list {
		if !s.Expires.IsZero() {
			ch <- prometheus.MustNewConstMetric(expiry, prometheus.GaugeValue, float64(s.Expires.Unix()), s.Name)
		}
	}
}

// recount is the least time between two counts of vectors, which read every chunk.
const recount = 15 * time.Second

// collectEmbedded sends how many chunks have a vector.
func (c *storeCollector) collectEmbedded(ctx context.Context, ch chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.counted) > recount {
		e, err := c.control.Embeddings(ctx, c.viewer)
		if err != nil {
			c.log.Warn().Err(err).Msg("cannot count the vectors for the metrics")
			return
		}
		c.vectors, c.counted = e, time.Now()
	}
	for _, s := range c.vectors.Spaces {
		for source, n := range s.Sources {
			send := func(chunks int, state, code string) {
				ch <- prometheus.MustNewConstMetric(embedded, prometheus.GaugeValue, float64(chunks), source, strconv.Itoa(s.ID), state, code)
			}
			send(n.Embedded, "embedded", "")
			send(n.Pending, "pending", "")
			for code, failed := range n.Failed {
				send(failed, "failed", string(code))
			}
		}
	}
}
