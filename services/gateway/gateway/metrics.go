package gateway

import (
	"context"
	"net/http"
	"strconv"
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
}

func newMetrics(r control.Reader, log zerolog.Logger) *metrics {
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
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &storeCollector{reader: r, log: log})
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

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

// storeCollector is a collector that counts what the database contains, at each scrape.
type storeCollector struct {
	reader control.Reader
	log    zerolog.Logger
}

var (
	openRuns = prometheus.NewDesc("sluice_open_runs", "Runs that have not ended.", []string{"source", "state"}, nil)
	pages    = prometheus.NewDesc("sluice_pages", "Live pages.", []string{"source"}, nil)
	chunks   = prometheus.NewDesc("sluice_chunks", "Chunks.", []string{"source"}, nil)
)

// Describe sends the collector's metric descriptions.
func (*storeCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- openRuns
	ch <- pages
	ch <- chunks
}

// Collect sends the counts. While the database is unavailable, only these metrics are missing.
func (c *storeCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	sources, err := c.reader.Sources(ctx, viewer.All())
	if err == nil {
		var runs []store.Run
		runs, err = c.reader.OpenRuns(ctx, viewer.All())
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
}
