package sandbox

import (
	"maps"
	"net/http"
	"sync"
	"time"
)

// Stats counts the site's calls since it started or since ResetStats. It does not count control
// routes and browsable pages.
type Stats struct {
	Calls    map[string]int64 `json:"calls"`     // by route template, e.g. /wiki/api/v2/pages/{id}
	Statuses map[int]int64    `json:"statuses"`  // by HTTP status
	Faults   map[string]int64 `json:"faults"`    // by kind of fault
	Total    int64            `json:"total"`     // calls
	Bodies   int64            `json:"bodies"`    // page bodies in answers
	Bytes    int64            `json:"bytes"`     // of answers' bodies
	Active   int              `json:"active"`    // calls being answered now
	Peak     int              `json:"peak"`      // most concurrent calls
	PeakRate int              `json:"peak_rate"` // most calls that came within one second
}

// recorder counts Stats.
type recorder struct {
	mu   sync.Mutex
	now  Stats
	came []time.Time // the calls of the last second
}

// Stats returns the counts so far.
func (s *Site) Stats() Stats {
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	out := s.stats.now
	out.Calls, out.Statuses, out.Faults = maps.Clone(out.Calls), maps.Clone(out.Statuses), maps.Clone(out.Faults)
	return out
}

// ResetStats sets the counts to zero; calls in progress stay counted as active.
func (s *Site) ResetStats() {
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	s.stats.now = Stats{Active: s.stats.now.Active, Peak: s.stats.now.Active}
	s.stats.came = nil
}

// lastSecond drops the times that are at least a second old.
func lastSecond(times []time.Time, now time.Time) []time.Time {
	for len(times) > 0 && now.Sub(times[0]) >= time.Second {
		times = times[1:]
	}
	return times
}

func (c *recorder) counted(template string, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		c.now.Active++
		c.now.Peak = max(c.now.Peak, c.now.Active)
		now := time.Now()
		c.came = append(lastSecond(c.came, now), now)
		c.now.PeakRate = max(c.now.PeakRate, len(c.came))
		c.mu.Unlock()
		m := &meter{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.now.Calls == nil {
				c.now.Calls, c.now.Statuses = map[string]int64{}, map[int]int64{}
			}
			c.now.Active--
			c.now.Calls[template]++
			c.now.Statuses[m.status]++
			c.now.Total++
			c.now.Bytes += m.bytes
		}()
		h(m, r)
	}
}

func (c *recorder) bodies(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now.Bodies += int64(n)
}

func (c *recorder) fault(kind FaultKind) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now.Faults == nil {
		c.now.Faults = map[string]int64{}
	}
	c.now.Faults[string(kind)]++
}

// meter counts one answer.
type meter struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (m *meter) WriteHeader(status int) {
	m.status = status
	m.ResponseWriter.WriteHeader(status)
}

func (m *meter) Write(p []byte) (int, error) {
	n, err := m.ResponseWriter.Write(p)
	m.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (m *meter) Unwrap() http.ResponseWriter { return m.ResponseWriter }
