package sandbox

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// FaultKind names a kind of fault.
type FaultKind string

// The kinds of faults.
const (
	FaultTooMany       FaultKind = "too-many-requests" // 429 with Retry-After, or the gateway's without it
	FaultServer        FaultKind = "server-error"      // Status, with an HTML page, as proxies answer
	FaultReset         FaultKind = "reset"             // the connection breaks before the answer
	FaultResetBody     FaultKind = "reset-in-body"     // the connection breaks in the middle of the answer
	FaultTruncated     FaultKind = "truncated-json"    // 200 with half of the JSON, and a length that fits
	FaultHTML          FaultKind = "html"              // 200 with a login page
	FaultSlow          FaultKind = "slow"              // the answer comes after DelayMS
	FaultShortPage     FaultKind = "short-page"        // a list has half as many rows as requested, and a good next
	FaultRepeatCursor  FaultKind = "repeated-cursor"   // a list's next leads to the same rows
	FaultEmptyPage     FaultKind = "empty-page"        // a list has no rows, and a next to the same position
	FaultEndlessNext   FaultKind = "endless-next"      // a list's last page has a next, to a page without rows and with a next, without end
	FaultDeadToken     FaultKind = "dead-token"        // the credential is rejected
	FaultScope         FaultKind = "scope"             // 401: the token lacks the scope
	FaultLostTree      FaultKind = "lost-permission"   // PageID and all its descendants are hidden from then on
	FaultGatewayLimits FaultKind = "limit-too-big"     // 504 for calls whose limit is above MaxLimit
	FaultBurst         FaultKind = "burst-limit"       // 429 for calls beyond MaxCalls within a second
	FaultEdit          FaultKind = "edit"              // a page gets a new version just before the answer
	FaultMove          FaultKind = "move"              // a page moves below its space's homepage just before the answer
	FaultTrash         FaultKind = "trash"             // a page is trashed just before the answer
	FaultForbidden     FaultKind = "forbidden"         // 403 in the format of the route
	FaultAllowlist     FaultKind = "ip-allowlist"      // 403 with an HTML page: the caller's address is not allowed
	FaultGone          FaultKind = "gone"              // 410: the route was removed
	FaultMissing       FaultKind = "not-found"         // 404 that names the object, as for what is hidden
	FaultCutOff        FaultKind = "cut-off"           // lists in the answer of v1 have at most MaxLimit rows, and say so
	FaultTrickle       FaultKind = "trickle"           // the answer comes byte by byte, with DelayMS between them
	FaultOddRow        FaultKind = "odd-row"           // Row overwrites one row of a list, or the answer for one item
)

var faultKinds = []FaultKind{
	FaultTooMany, FaultServer, FaultReset, FaultResetBody, FaultTruncated, FaultHTML, FaultSlow, FaultShortPage,
	FaultRepeatCursor, FaultEmptyPage, FaultEndlessNext, FaultDeadToken, FaultScope, FaultLostTree, FaultGatewayLimits,
	FaultBurst, FaultEdit, FaultMove, FaultTrash, FaultForbidden, FaultAllowlist, FaultGone, FaultMissing, FaultCutOff,
	FaultTrickle, FaultOddRow,
}

// Fault is one fault and its conditions.
type Fault struct {
	Kind  FaultKind `json:"kind"`
	Route string    `json:"route,omitempty"` // a route template, a prefix of templates with a * at its end, or "" for all
	Query string    `json:"query,omitempty"` // only calls whose query contains this text
	Rate  float64   `json:"rate,omitempty"`  // the share of calls that it hits; 0 means all
	After int       `json:"after,omitempty"` // that many calls of the route succeed first
	Times int       `json:"times,omitempty"` // maximum number of hits; 0 means no limit

	Status     int    `json:"status,omitempty"`      // server-error: 500 to 599, default 500
	RetryAfter int    `json:"retry_after,omitempty"` // too-many-requests, burst-limit and server-error: seconds; 0 sends none
	DelayMS    int    `json:"delay_ms,omitempty"`    // slow; trickle, where 0 means a second
	MaxLimit   int    `json:"max_limit,omitempty"`   // limit-too-big, cut-off
	MaxCalls   int    `json:"max_calls,omitempty"`   // burst-limit
	PageID     string `json:"page_id,omitempty"`     // lost-permission; edit, move and trash, where "" means any page; odd-row, where "" means the first row

	// Row is written over a row by odd-row: its keys replace the row's keys, inside objects too,
	// and null removes a key.
	Row map[string]any `json:"row,omitempty"`
}

func (f Fault) check(templates []string) error {
	switch {
	case !slices.Contains(faultKinds, f.Kind):
		return fmt.Errorf("fault %q: %w: there is no such kind; there are %v", f.Kind, ErrInvalid, faultKinds)
	case !slices.ContainsFunc(templates, f.on):
		return fmt.Errorf("fault %s: %w: there is no route %q", f.Kind, ErrInvalid, f.Route)
	case f.Rate < 0 || f.Rate > 1:
		return fmt.Errorf("fault %s: %w: rate %v is not between 0 and 1", f.Kind, ErrInvalid, f.Rate)
	case f.After < 0 || f.Times < 0 || f.RetryAfter < 0 || f.DelayMS < 0:
		return fmt.Errorf("fault %s: %w: a number is below zero", f.Kind, ErrInvalid)
	case f.Kind == FaultServer && f.Status != 0 && (f.Status < 500 || f.Status > 599):
		return fmt.Errorf("fault %s: %w: status %d is not between 500 and 599", f.Kind, ErrInvalid, f.Status)
	case f.Kind == FaultLostTree && parseID(f.PageID) == 0:
		return fmt.Errorf("fault %s: %w: page_id %q is not an id", f.Kind, ErrInvalid, f.PageID)
	case f.Kind != FaultLostTree && f.PageID != "" && parseID(f.PageID) == 0:
		return fmt.Errorf("fault %s: %w: page_id %q is not an id", f.Kind, ErrInvalid, f.PageID)
	case (f.Kind == FaultGatewayLimits || f.Kind == FaultCutOff) && f.MaxLimit < 1:
		return fmt.Errorf("fault %s: %w: max_limit is missing", f.Kind, ErrInvalid)
	case f.Kind == FaultOddRow && len(f.Row) == 0:
		return fmt.Errorf("fault %s: %w: row is missing", f.Kind, ErrInvalid)
	case f.Kind == FaultBurst && f.MaxCalls < 1:
		return fmt.Errorf("fault %s: %w: max_calls is missing", f.Kind, ErrInvalid)
	}
	return nil
}

// on reports whether the fault applies to the route.
func (f Fault) on(template string) bool {
	if prefix, ok := strings.CutSuffix(f.Route, "*"); ok {
		return strings.HasPrefix(template, prefix)
	}
	return f.Route == "" || f.Route == template
}

// asks reports whether the fault applies to the call's query.
func (f Fault) asks(r *http.Request) bool {
	if f.Query == "" {
		return true
	}
	query, err := url.QueryUnescape(r.URL.RawQuery)
	return err == nil && strings.Contains(query, f.Query)
}

// faultBox holds the current faults. The seed, the call's address and the number of calls to that
// address decide whether a fault with a rate hits a call. The order of calls and other calls do not
// change it, and a retry gets a new draw.
type faultBox struct {
	mu    sync.Mutex
	seed  uint64
	set   []Fault
	calls []int          // by fault: calls of its route
	hits  []int          // by fault
	asked map[uint64]int // by address
	burst [][]time.Time  // by fault: the calls of the last second, for burst-limit
}

// SetFaults replaces the site's faults; without faults the site behaves well again. If several
// faults would hit a call, the first one does.
func (s *Site) SetFaults(seed int64, faults ...Fault) error {
	var templates []string
	for _, e := range s.endpoints() {
		if e.guard != open {
			templates = append(templates, e.template())
		}
	}
	for _, f := range faults {
		if err := f.check(templates); err != nil {
			return err
		}
	}
	s.lose(0)
	b := &s.faults
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seed, b.set = uint64(seed), slices.Clone(faults) //nolint:gosec // a seed: any bits will do
	b.calls, b.hits, b.asked = make([]int, len(faults)), make([]int, len(faults)), map[uint64]int{}
	b.burst = make([][]time.Time, len(faults))
	return nil
}

// Faults returns the current faults.
func (s *Site) Faults() []Fault {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	return slices.Clone(s.faults.set)
}

// lose hides a page and its descendants; 0 shows them again.
func (s *Site) lose(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost = id
	s.moment++
}

// draw returns the fault that hits this call, if any, with a number for its remaining choices.
func (b *faultBox) draw(template string, r *http.Request) (f Fault, choice uint64, hit bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.set) == 0 {
		return Fault{}, 0, false
	}
	address := hash(r.Method + " " + r.URL.RequestURI())
	b.asked[address]++
	chosen := -1
	for i, f := range b.set {
		if !f.on(template) || !f.asks(r) {
			continue
		}
		b.calls[i]++
		if chosen >= 0 || b.calls[i] <= f.After || f.Times > 0 && b.hits[i] >= f.Times {
			continue
		}
		if f.Rate > 0 && float64(mix(b.seed^address, b.asked[address], i)>>11)/(1<<53) >= f.Rate {
			continue
		}
		if f.Kind == FaultGatewayLimits && int(parseID(r.URL.Query().Get("limit"))) <= f.MaxLimit {
			continue
		}
		if f.Kind == FaultBurst && b.within(i, f.MaxCalls) {
			continue
		}
		chosen = i
	}
	if chosen < 0 {
		return Fault{}, 0, false
	}
	b.hits[chosen]++
	return b.set[chosen], mix(b.seed, b.hits[chosen], chosen), true
}

// within lets a call through if fewer than most calls were within the last second. It uses real
// time, whatever the site's clock says.
func (b *faultBox) within(fault, most int) bool {
	b.burst[fault] = lastSecond(b.burst[fault], time.Now())
	if len(b.burst[fault]) >= most {
		return false
	}
	b.burst[fault] = append(b.burst[fault], time.Now())
	return true
}

// faulty is the only place that makes calls fail on purpose.
func (s *Site) faulty(template string, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("cursor") == endlessCursor {
			s.endless(w, r)
			return
		}
		f, choice, hit := s.faults.draw(template, r)
		if !hit {
			h(w, r)
			return
		}
		s.stats.fault(f.Kind)
		switch f.Kind {
		case FaultLostTree:
			s.lose(parseID(f.PageID))
			h(w, r)
		case FaultEdit, FaultMove, FaultTrash:
			s.meddle(f, choice)
			h(w, r)
		default:
			s.misbehave(f, w, r, h)
		}
	}
}

func (s *Site) misbehave(f Fault, w http.ResponseWriter, r *http.Request, h http.HandlerFunc) {
	switch f.Kind {
	case FaultTooMany, FaultBurst:
		tooMany(w, f, s.opt.Now())
	case FaultServer:
		proxyPage(w, cmpZero(f.Status, http.StatusInternalServerError), f.RetryAfter)
	case FaultGatewayLimits:
		proxyPage(w, http.StatusGatewayTimeout, 0)
	case FaultReset:
		breakConnection(w, nil)
	case FaultHTML:
		w.Header().Set("Content-Type", "text/html;charset=UTF-8")
		_, _ = w.Write([]byte("<!DOCTYPE html><html><head><title>Log in with Atlassian account</title></head><body></body></html>\n"))
	case FaultForbidden:
		forbidden(w, r)
	case FaultAllowlist:
		notAllowed(w)
	case FaultGone:
		goneRoute(w, r)
	case FaultMissing:
		missingRoute(w, r)
	case FaultTrickle:
		trickle(f, w, r, h)
	case FaultScope:
		write(w, http.StatusUnauthorized, map[string]any{"code": http.StatusUnauthorized, "message": "Unauthorized; scope does not match"})
	case FaultSlow:
		wait := time.NewTimer(time.Duration(f.DelayMS) * time.Millisecond)
		defer wait.Stop()
		select {
		case <-wait.C:
			h(w, r)
		case <-r.Context().Done():
		}
	case FaultDeadToken:
		r.Header.Del("Authorization")
		h(w, r)
	default:
		spoil(f, w, r, h)
	}
}

func cmpZero(n, fallback int) int {
	if n == 0 {
		return fallback
	}
	return n
}
