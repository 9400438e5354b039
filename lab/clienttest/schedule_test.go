package clienttest

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/confluence"
)

var (
	schedules = flag.Int("schedules", defaultSchedules, "number of fault schedules in TestFaultSchedules")
	firstSeed = flag.Int64("seed", 1, "seed of the first schedule")
)

// schedule is a read and the faults during it.
type schedule struct {
	seed    int64
	read    read
	faults  []sandbox.Fault
	timeout time.Duration // of a call; 0 means a long one
}

func (s schedule) String() string {
	faults, err := json.Marshal(s.faults)
	return fmt.Sprintf("%s with %s (%v)\nrepeat: go test ./lab/clienttest -run TestFaultSchedules -seed %d -schedules 1",
		s.read.name, faults, err, s.seed)
}

// A schedule has at most one of these faults: they change the right result.
var changes = []sandbox.FaultKind{sandbox.FaultLostTree, sandbox.FaultEdit, sandbox.FaultMove, sandbox.FaultTrash}

var troubles = []sandbox.FaultKind{
	sandbox.FaultTooMany, sandbox.FaultServer, sandbox.FaultReset, sandbox.FaultResetBody, sandbox.FaultTruncated,
	sandbox.FaultHTML, sandbox.FaultSlow, sandbox.FaultShortPage, sandbox.FaultRepeatCursor, sandbox.FaultEmptyPage,
	sandbox.FaultEndlessNext, sandbox.FaultDeadToken, sandbox.FaultScope, sandbox.FaultGatewayLimits, sandbox.FaultBurst,
	sandbox.FaultForbidden, sandbox.FaultAllowlist, sandbox.FaultGone, sandbox.FaultOddRow,
}

// scheduled returns the schedule of a seed; the seed determines all of it.
func scheduled(w *world, seed int64) schedule {
	rng := rand.New(rand.NewPCG(uint64(seed), 0x5ead))
	s := schedule{seed: seed, read: reads[rng.IntN(len(reads))]}
	for range 1 + rng.IntN(4) {
		f := fault(rng, w, troubles[rng.IntN(len(troubles))])
		f.Route = pick(rng, "", "", "", s.read.route, s.read.route, s.read.route, v2+"/*", v1+"/*")
		if f.Kind == sandbox.FaultSlow && rng.IntN(8) == 0 {
			f.DelayMS, f.Times, s.timeout = 60, 1+rng.IntN(2), 30*time.Millisecond
		}
		s.faults = append(s.faults, f)
	}
	if rng.IntN(3) == 0 {
		f := fault(rng, w, changes[rng.IntN(len(changes))])
		s.faults = slices.Insert(s.faults, rng.IntN(len(s.faults)+1), f)
	}
	return s
}

func pick[T any](rng *rand.Rand, from ...T) T { return from[rng.IntN(len(from))] }

// oddRow is a row whose version has an invalid time.
var oddRow = map[string]any{"version": map[string]any{"createdAt": "yesterday"}}

func fault(rng *rand.Rand, w *world, kind sandbox.FaultKind) sandbox.Fault {
	f := sandbox.Fault{
		Kind: kind, Rate: pick(rng, 0, 0.1, 0.3, 0.5, 0.5, 0.9), After: pick(rng, 0, 0, 0, 0, 1, 1, 1, 2, 4), Times: pick(rng, 0, 1, 1, 2, 3),
	}
	switch kind {
	case sandbox.FaultTooMany:
		f.RetryAfter = pick(rng, 0, 1, 2, 7, 1847)
	case sandbox.FaultServer:
		f.Status, f.RetryAfter = pick(rng, 500, 501, 502, 503, 504), pick(rng, 0, 0, 0, 1, 5, 600)
	case sandbox.FaultSlow:
		f.DelayMS = 1 + rng.IntN(3)
	case sandbox.FaultGatewayLimits:
		f.MaxLimit = pick(rng, 1, 6, 40, 100, 200)
	case sandbox.FaultBurst:
		f.MaxCalls, f.RetryAfter = 1+rng.IntN(30), pick(rng, 0, 1, 5)
	case sandbox.FaultOddRow:
		f.Row = oddRow
	case sandbox.FaultLostTree:
		f.PageID, f.Rate = w.chain[deep*2/3], 0
	case sandbox.FaultEdit, sandbox.FaultMove, sandbox.FaultTrash:
		f.Times = 1
		f.PageID = pick(rng, "", w.leaf(), w.chain[0], w.chain[deep/2], w.chain[10])
	}
	return f
}

// outcome is how a schedule ended: correctly, or with which error.
type outcome string

const right outcome = "right"

// result is the result of a schedule.
type result struct {
	end outcome
	hit bool // a fault occurred
}

// run runs a schedule and returns how it ended, or an error if it must not have ended that way.
func (w *world) run(tb testing.TB, s schedule) (result, error) {
	tb.Helper()
	before, ok := w.truths[s.read.name]
	if !ok {
		before = w.truth(tb, s.read)
		w.truths[s.read.name] = before
	}
	w.site.ResetStats()
	require.NoError(tb, w.site.SetFaults(s.seed, s.faults...))
	opts := []confluence.Option{}
	if s.timeout > 0 {
		opts = append(opts, confluence.WithTimeout(s.timeout))
	}
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	rows, err := s.read.call(ctx, w, w.client(tb, opts...))
	hits := w.site.Stats().Faults
	require.NoError(tb, w.site.SetFaults(0))

	possible := append([]truth{before}, w.after(tb, s, hits)...)
	end, err := judgeEnd(s, rows, possible, err)
	return result{end, len(hits) > 0}, err
}

func judgeEnd(s schedule, rows []row, possible []truth, err error) (outcome, error) {
	if err != nil {
		return judgeError(s, possible, err)
	}
	return right, judge(rows, possible)
}

// after returns the possible results of the read after the schedule's change.
func (w *world) after(tb testing.TB, s schedule, hits map[string]int64) []truth {
	tb.Helper()
	var after []truth
	for _, f := range s.faults {
		if hits[string(f.Kind)] == 0 {
			continue
		}
		switch f.Kind {
		case sandbox.FaultLostTree: // it ended with the faults; a restriction hides the same
			require.NoError(tb, w.site.Restrict(f.PageID, nil, nil))
			after = append(after, w.truth(tb, s.read))
			require.NoError(tb, w.site.Unrestrict(f.PageID))
		case sandbox.FaultEdit, sandbox.FaultMove, sandbox.FaultTrash:
			w.changed = true
			after = append(after, w.truth(tb, s.read))
		}
	}
	return after
}

// judge returns an error if rows are not a right result. Without a change there is one right result: all rows in
// their order. With a change, each row must be as it was before or after, no row may occur twice, and rows that exist
// before and after must not be missing.
func judge(rows []row, possible []truth) error {
	if slices.ContainsFunc(possible, func(t truth) bool { return !t.missing && reflect.DeepEqual(t.rows, rows) }) {
		return nil
	}
	if len(possible) == 1 {
		return fmt.Errorf("%d rows without an error, of %d: %s", len(rows), len(possible[0].rows), firstDifference(rows, possible[0].rows))
	}
	got := map[string]bool{}
	for _, r := range rows {
		if got[r.key] {
			return fmt.Errorf("%s was returned twice", r.key)
		}
		got[r.key] = true
		if !slices.ContainsFunc(possible, func(t truth) bool { return t.has(r) }) {
			return fmt.Errorf("%s never had this content: %+v", r.key, r.fact)
		}
	}
	lasting := map[string]int{}
	present := 0
	for _, t := range possible {
		if t.missing {
			continue
		}
		present++
		for _, r := range t.rows {
			lasting[r.key]++
		}
	}
	for key, n := range lasting {
		if n == present && !got[key] {
			return fmt.Errorf("%s is missing without an error", key)
		}
	}
	return nil
}

func (t truth) has(r row) bool {
	return slices.ContainsFunc(t.rows, func(o row) bool { return o.key == r.key && reflect.DeepEqual(o.fact, r.fact) })
}

func firstDifference(got, want []row) string {
	for i := range min(len(got), len(want)) {
		if !reflect.DeepEqual(got[i], want[i]) {
			return fmt.Sprintf("row %d is %+v, not %+v", i, got[i], want[i])
		}
	}
	return fmt.Sprintf("the first %d are right", min(len(got), len(want)))
}

// explains maps a fault to the errors that it may cause. For example, a RateLimitError without a limit would delay
// work for nothing, and a NotFoundError for an existing page would delete it.
var explains = map[sandbox.FaultKind][]outcome{
	sandbox.FaultTooMany:       {"RateLimitError"},
	sandbox.FaultBurst:         {"RateLimitError"},
	sandbox.FaultServer:        {"ServerError", "RateLimitError"},
	sandbox.FaultReset:         {"TransportError", "ServerError"}, // after many, the circuit breaker is open
	sandbox.FaultResetBody:     {"TransportError", "ServerError"},
	sandbox.FaultSlow:          {"TransportError", "ServerError"},
	sandbox.FaultTruncated:     {"ProtocolError"},
	sandbox.FaultHTML:          {"ProtocolError"},
	sandbox.FaultShortPage:     {},
	sandbox.FaultRepeatCursor:  {"ProtocolError"},
	sandbox.FaultEmptyPage:     {"ProtocolError"},
	sandbox.FaultEndlessNext:   {"ProtocolError"},
	sandbox.FaultDeadToken:     {"AuthError"},
	sandbox.FaultScope:         {"AuthError"},
	sandbox.FaultGatewayLimits: {"ServerError"},
	sandbox.FaultLostTree:      {"NotFoundError"},
	sandbox.FaultTrash:         {"NotFoundError"},
	sandbox.FaultForbidden:     {"AuthError"},
	sandbox.FaultAllowlist:     {"AuthError"},
	sandbox.FaultGone:          {"GoneError"},
	sandbox.FaultOddRow:        {"ProtocolError"},
}

func judgeError(s schedule, possible []truth, err error) (outcome, error) {
	kind := kindOf(err)
	if kind == "NotFoundError" && !slices.ContainsFunc(possible, func(t truth) bool { return t.missing }) {
		return kind, fmt.Errorf("reported as missing, but it exists: %w", err)
	}
	for _, f := range s.faults {
		if slices.Contains(explains[f.Kind], kind) {
			return kind, nil
		}
	}
	return kind, fmt.Errorf("an error that no fault explains: %w", err)
}

func kindOf(err error) outcome {
	var (
		auth      *confluence.AuthError
		limited   *confluence.RateLimitError
		missing   *confluence.NotFoundError
		server    *confluence.ServerError
		transport *confluence.TransportError
		protocol  *confluence.ProtocolError
		gone      *confluence.GoneError
	)
	switch {
	case errors.As(err, &auth):
		return "AuthError"
	case errors.As(err, &limited):
		return "RateLimitError"
	case errors.As(err, &missing):
		return "NotFoundError"
	case errors.As(err, &server):
		return "ServerError"
	case errors.As(err, &transport):
		return "TransportError"
	case errors.As(err, &protocol):
		return "ProtocolError"
	case errors.As(err, &gone):
		return "GoneError"
	default:
		return outcome(strings.TrimPrefix(fmt.Sprintf("%T", err), "*"))
	}
}
