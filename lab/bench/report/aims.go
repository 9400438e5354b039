package report

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/sluicehq/sluice/lab/bench/figure"
	"github.com/sluicehq/sluice/lab/bench/table"
	"github.com/sluicehq/sluice/lab/bench/versus"
	pipeline "github.com/sluicehq/sluice/services/stages"
)

// aim is one aim and its result.
type aim struct {
	what, aim, is string
	met           verdict
}

type verdict int

const (
	notMeasured verdict = iota
	met
	missed
)

func (v verdict) String() string { return [...]string{"not measured", "met", "not met"}[v] }

func judge(ok bool) verdict {
	if ok {
		return met
	}
	return missed
}

// aimed is the number of pages in the aims.
const aimed = 4_000

func aims(b *bytes.Buffer, r Results) {
	b.WriteString("## Aims\n\nOn two cores. What counts is the median of the rounds.\n\n")
	t := table.Table{Head: []string{"what", "aim", "measured", ""}}
	for _, a := range r.aims() {
		t.Row(a.what, a.aim, a.is, a.met.String())
	}
	t.Write(b)
	b.WriteString("[Where the time goes](where-the-time-goes.md) says what stands in the way of what is not met.\n\n")
}

func (r Results) aims() []aim {
	list := append(r.speed(), r.peers()...)
	list = append(list,
		r.memory(), r.nothing(), r.found(),
		r.limit("until all is fetched", func(x Rate) time.Duration { return x.Fetched }),
		r.limit("to the end of the run", func(x Rate) time.Duration { return x.Took }),
		r.searched(), r.embedded(), r.edited(), r.meant(100_000, 30), r.meant(1_000_000, 60), r.recalled())
	for i := range list {
		if list[i].is == "" {
			list[i].is = "–"
		}
	}
	return list
}

func (r Results) speed() []aim {
	ratio := aim{what: "full sync against the largest of the three limits", aim: "at most 1.6 ×"}
	whole := aim{what: "4,000 pages end to end", aim: "under 20 s"}
	for _, g := range r.Full {
		if g.Pages != aimed {
			continue
		}
		s := largest(g)
		ratio.is, ratio.met = spread(s, times), judge(s.Median <= 1.6)
		s = figure.Over(g.Rounds, func(f Full) float64 { return took(f.Took) })
		whole.is, whole.met = spread(s, seconds), judge(s.Median < 20)
	}
	return []aim{ratio, whole}
}

// peers are the aims against the fastest peer, one for each way of measuring Sluice.
func (r Results) peers() []aim {
	a := aim{what: "against the fastest peer", aim: fmt.Sprintf("at least %d × pages a second, a tenth of the calls", versus.AimSpeed), is: "[beside the peers](benchmarks-peers.md)"}
	if r.Peers == nil {
		return []aim{a}
	}
	t, _ := r.Peers.Whole(aimed)
	fastest, found := t.Fastest()
	if !found {
		return []aim{a}
	}
	var list []aim
	for _, s := range t.Standings(fastest) {
		is := fmt.Sprintf("%s ([%s](benchmarks-peers.md), %s pages)", s, s.Peer, whole(float64(t.Pages)))
		list = append(list, aim{a.what + ": " + s.Name, a.aim, is, judge(s.Met())})
	}
	if len(list) == 0 {
		return []aim{a}
	}
	return list
}

// ours are the stages, with the memory limit of each.
var ours = func() map[string]float64 {
	most := map[string]float64{}
	for _, name := range pipeline.Names() {
		most[name] = 64 << 20
	}
	most["converter"] = 128 << 20
	return most
}()

// flat is the largest ratio of a stage's memory between the largest and the smallest space that still
// counts as constant.
const flat = 1.25

func (r Results) memory() aim {
	a := aim{what: "peak memory of any stage", aim: "under 64 MiB, converter 128 MiB, flat over all sizes (± 25 %)"}
	if len(r.Full) == 0 {
		return a
	}
	peaks := func(g Group) map[string]float64 {
		values := map[string][]float64{}
		for _, round := range g.Rounds {
			for _, p := range round.Processes {
				values[p.Name] = append(values[p.Name], float64(p.Peak))
			}
		}
		out := map[string]float64{}
		for name := range ours {
			out[name] = figure.Of(values[name]).Median
		}
		return out
	}
	small, large := peaks(r.Full[0]), peaks(r.Full[len(r.Full)-1])
	ok, most, growth := true, map[bool]float64{}, 0.0
	for name, may := range ours {
		growth = math.Max(growth, figure.Ratio(large[name], small[name]))
		for _, g := range r.Full {
			peak := peaks(g)[name]
			ok = ok && peak < may
			most[name == "converter"] = math.Max(most[name == "converter"], peak)
		}
	}
	a.is = fmt.Sprintf("%s, converter %s; at most %s from %s to %s pages", size(most[false]), size(most[true]), times(growth),
		whole(float64(r.Full[0].Pages)), whole(float64(r.Full[len(r.Full)-1].Pages)))
	a.met = judge(ok && growth <= flat)
	return a
}

func (r Results) nothing() aim {
	a := aim{what: "incremental, nothing changed", aim: "under 0.3 s and 2 calls"}
	for _, in := range r.Incremental {
		if in.What != "nothing" {
			continue
		}
		taken := figure.Over(in.Rounds, func(s Step) float64 { return took(s.Took) })
		calls := figure.Over(in.Rounds, func(s Step) float64 { return float64(s.Calls) })
		a.is = spread(taken, seconds) + ", calls: " + spread(calls, whole)
		a.met = judge(taken.Median < 0.3 && calls.Median <= 2)
	}
	return a
}

func (r Results) found() aim {
	a := aim{what: "edit to searchable, from the request", aim: "95th under 250 ms"}
	if len(r.Latency) > 0 {
		s := figure.Over(r.Latency, func(l Latency) float64 { return l.Found.P95 })
		a.is, a.met = spread(s, millis), judge(s.Median < 250)
	}
	return a
}

func (r Results) limit(until string, taken func(Rate) time.Duration) aim {
	a := aim{what: "under 10 requests a second, " + until, aim: "at least 95 % of the limit"}
	if len(r.Rate) > 0 {
		s := ofLimit(r.Rate, taken)
		a.is, a.met = spread(s, percent), judge(s.Median >= 0.95)
	}
	return a
}

func (r Results) searched() aim {
	a := aim{what: "search at 4,000 pages, during a sync", aim: "95th under 20 ms"}
	var worst []figure.Spread
	for _, s := range r.Search {
		if s.Pages == aimed && s.During {
			worst = append(worst, figure.Over(s.Rounds, func(t figure.Tail) float64 { return t.P95 }))
		}
	}
	if len(worst) > 0 {
		s := slices.MaxFunc(worst, func(a, b figure.Spread) int {
			if a.Median < b.Median {
				return -1
			}
			return 1
		})
		a.is, a.met = spread(s, millis)+" with the slowest filter", judge(s.Median < 20)
	}
	return a
}
