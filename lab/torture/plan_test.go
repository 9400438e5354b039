package torture

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/event"
)

// replicas are the names of the stage processes, and kinds has the indexes of each stage's replicas. Stages with a
// queue run twice, and the embedder, whose queue is in the database.
var replicas, kinds = func() (names []string, kinds [][]int) {
	for _, s := range bus.Stages {
		if len(s.Consumes) == 0 {
			continue // the HTTP API
		}
		kind := []int{len(names)}
		names = append(names, s.Name)
		if s.Consumes[0].QueueBytes > 0 || s.Name == "embedder" {
			kind = append(kind, len(names))
			names = append(names, s.Name)
		}
		kinds = append(kinds, kind)
	}
	return names, kinds
}()

// extractorName is the stage that reads files in processes of their own.
const extractorName = "extractor"

// blow is a kind of disturbance.
type blow string

const (
	killStage    blow = "kill"     // kill -9, and restarted after the pause
	freezeStage  blow = "freeze"   // stopped for the pause, while other replicas take over its work
	killNats     blow = "nats"     // kill -9
	wipeNats     blow = "wipe"     // kill -9, and restarted with an empty store
	killPostgres blow = "postgres" // kill -9 of the server and all its backends
	killReaders  blow = "readers"  // kill -9 of the processes in which extractors read files, as a system does that has no memory left
)

// strike is one disturbance.
type strike struct {
	after  time.Duration // time after the previous strike
	blow   blow
	victim int // index of the replica
	pause  time.Duration
}

func (s strike) String() string {
	name := ""
	if s.blow == killStage || s.blow == freezeStage {
		name = " " + replicas[s.victim]
	}
	return fmt.Sprintf("+%.1fs %s%s for %.1fs", s.after.Seconds(), s.blow, name, s.pause.Seconds())
}

// phase is a run and its disturbances.
type phase struct {
	mode    event.Mode
	faults  []sandbox.Fault
	strikes []strike
	changes int // number of changes that people make to the site
}

// plan is everything that a seed determines.
type plan struct {
	seed   int64
	pages  int
	phases []phase
}

func (p plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, %d pages\n", p.seed, p.pages)
	for i, ph := range p.phases {
		fmt.Fprintf(&b, "phase %d: %s, %d changes of the site\n", i+1, ph.mode, ph.changes)
		for _, s := range ph.strikes {
			fmt.Fprintf(&b, "  %v\n", s)
		}
		for _, f := range ph.faults {
			fmt.Fprintf(&b, "  fault %+v\n", f)
		}
	}
	return b.String()
}

// random returns the random source for one use of the seed.
func (p plan) random(use uint64) *rand.Rand { return rand.New(rand.NewPCG(uint64(p.seed), use)) }

func pick[T any](rng *rand.Rand, from ...T) T { return from[rng.IntN(len(from))] }

// between returns a random time from a to b.
func between(rng *rand.Rand, a, b time.Duration) time.Duration {
	return a + time.Duration(rng.Int64N(int64(b-a)))
}

// newPlan plans a full run and two incremental ones. Every stage and both servers are killed at least once; more
// pages take longer and so get more strikes.
func newPlan(seed int64, pages int) plan {
	p := plan{seed: seed, pages: pages}
	rng := p.random(0)
	more := pages / 400
	full := []blow{killNats, wipeNats, killPostgres, freezeStage, killReaders}
	for range more {
		full = append(full, pick(rng, killPostgres, killNats, freezeStage, killStage))
	}
	p.phases = []phase{
		{mode: event.Full, strikes: strikes(rng, append(full, someStages(len(kinds))...))},
		{mode: event.Incremental, strikes: strikes(rng, append([]blow{killPostgres, killReaders}, someStages(2+more/2)...))},
		{mode: event.Incremental, strikes: strikes(rng, append([]blow{pick(rng, killNats, wipeNats), killReaders}, someStages(2+more/2)...))},
	}
	for i := range p.phases {
		p.phases[i].changes = 15 + pages/13
		p.phases[i].faults = faults(rng, i == 0, pages >= 1000)
	}
	return p
}

func someStages(n int) []blow {
	list := make([]blow, n)
	for i := range list {
		list[i] = killStage
	}
	return list
}

// strikes orders the blows. Blows to stages hit the replicas in turn, so that each is hit equally often.
func strikes(rng *rand.Rand, blows []blow) []strike {
	kinds := slices.Clone(kinds)
	rng.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	rng.Shuffle(len(blows), func(i, j int) { blows[i], blows[j] = blows[j], blows[i] })
	list := make([]strike, len(blows))
	for i, b := range blows {
		s := strike{after: between(rng, 700*time.Millisecond, 4*time.Second), blow: b, pause: between(rng, 100*time.Millisecond, 4*time.Second)}
		switch b {
		case killStage:
			s.victim = pick(rng, kinds[0]...)
			kinds = append(kinds[1:], kinds[0])
		case freezeStage:
			s.victim, s.pause = rng.IntN(len(replicas)), between(rng, 2*time.Second, 2*ackWait)
		}
		list[i] = s
	}
	return list
}

// faults makes three in ten calls fail, with every fault that the stand-in has.
func faults(rng *rand.Rand, first, long bool) []sandbox.Fault {
	list := []sandbox.Fault{
		{Kind: sandbox.FaultTooMany, Rate: 0.05, RetryAfter: 1},
		{Kind: sandbox.FaultServer, Rate: 0.04, Status: pick(rng, 500, 502, 504)},
		{Kind: sandbox.FaultServer, Rate: 0.04, Status: 503, RetryAfter: 1},
		{Kind: sandbox.FaultReset, Rate: 0.04},
		{Kind: sandbox.FaultResetBody, Rate: 0.04},
		{Kind: sandbox.FaultTruncated, Rate: 0.02},
		{Kind: sandbox.FaultHTML, Rate: 0.02},
		{Kind: sandbox.FaultSlow, Rate: 0.05, DelayMS: 100 + rng.IntN(1500)},
		{Kind: sandbox.FaultShortPage, Rate: 0.05},
		{Kind: sandbox.FaultRepeatCursor, Rate: 0.005},
		{Kind: sandbox.FaultEmptyPage, Rate: 0.005},
		{Kind: sandbox.FaultEndlessNext, Rate: 0.005},
		{Kind: sandbox.FaultGatewayLimits, Rate: 0.05, MaxLimit: pick(rng, 100, 200)},
		{Kind: sandbox.FaultBurst, MaxCalls: 15 + rng.IntN(20), RetryAfter: 1},
		{Kind: sandbox.FaultEdit, Rate: 0.03},
		{Kind: sandbox.FaultMove, Rate: 0.02},
		{Kind: sandbox.FaultTrash, Rate: 0.02, Times: 4},
	}
	// Faults that a retry would not fix if they were real: the client must find out whether they are.
	refused := []sandbox.Fault{{Kind: sandbox.FaultDeadToken}, {Kind: sandbox.FaultScope}}
	for i := range refused {
		refused[i].Route, refused[i].Rate, refused[i].After = "/wiki/api/v2/*", 0.1, rng.IntN(15)
		if !first {
			refused[i].Route = pick(rng, "/wiki/api/v2/pages", "/wiki/api/v2/users-bulk", "/wiki/api/v2/spaces", "/wiki/rest/api/*")
		}
	}
	for _, f := range refused {
		f.Times = 2
		list = append(list, f)
	}
	if long { // pauses all callers for half a minute
		list = append(list, sandbox.Fault{Kind: sandbox.FaultTooMany, Rate: 0.05, Times: 1, After: rng.IntN(40)})
	}
	rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}
