package gateway

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// keyBudget limits the requests of each key, so that one key cannot take the API from the others.
type keyBudget struct {
	perSecond float64
	mu        sync.Mutex
	keys      map[string]*rate.Limiter // only keys that were verified, so no caller can make it grow
}

// burstSeconds is for how long a key may have saved requests.
const burstSeconds = 10

// newKeyBudget returns a budget of so many requests a second for each key; 0 is no limit.
func newKeyBudget(perSecond float64) *keyBudget {
	return &keyBudget{perSecond: perSecond, keys: map[string]*rate.Limiter{}}
}

// take takes one request of the key, or returns the problem.
func (b *keyBudget) take(key string) *Problem {
	if b.perSecond <= 0 {
		return nil
	}
	b.mu.Lock()
	l := b.keys[key]
	if l == nil {
		l = rate.NewLimiter(rate.Limit(b.perSecond), max(1, int(burstSeconds*b.perSecond)))
		b.keys[key] = l
	}
	b.mu.Unlock()
	r := l.Reserve()
	wait := r.Delay()
	if wait == 0 {
		return nil
	}
	r.Cancel()
	p := fail(http.StatusTooManyRequests, "too_many_requests", fmt.Sprintf("this key may make %g requests a second (GATEWAY_KEY_RATE); wait before the next one", b.perSecond))
	p.retryAfter = max(time.Second, wait)
	return p
}

// streams are the places for event streams. A key has at most a quarter of them, and the last quarter is for keys that
// have none.
type streams struct {
	most int
	mu   sync.Mutex
	all  int
	by   map[string]int
}

func newStreams(most int) *streams { return &streams{most: most, by: map[string]int{}} }

// enter takes a place for the key, which leave gives back, or returns the problem.
func (s *streams) enter(key string) *Problem {
	s.mu.Lock()
	defer s.mu.Unlock()
	share, mine := max(1, s.most/4), s.by[key]
	var p *Problem
	switch {
	case mine >= share:
		p = fail(http.StatusTooManyRequests, "too_many_streams", fmt.Sprintf("this key has %d event streams open, as many as one may; ask for the progress instead", mine))
	case s.all >= s.most, mine > 0 && s.all >= s.most-share:
		p = fail(http.StatusServiceUnavailable, "too_many_streams", "too many event streams are open; ask for the progress instead")
	default:
		s.all++
		s.by[key]++
		return nil
	}
	p.retryAfter = streamHeartbeat
	return p
}

func (s *streams) leave(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.by[key]--; s.by[key] == 0 {
		delete(s.by, key)
	}
}

func (s *streams) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all
}
