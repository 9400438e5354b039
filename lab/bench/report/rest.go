package report

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sluicehq/sluice/lab/bench/figure"
	"github.com/sluicehq/sluice/lab/bench/table"
)

func stages(b *bytes.Buffer, r Results) {
	if len(r.Stages) == 0 {
		return
	}
	fmt.Fprintf(b, "## Where a page's time goes\n\nOf a full sync of %s pages, each followed by what the stages log when they have handled it (at the level\n"+
		"`debug`, which the other sections leave off). The share is that of the step in the time of all pages from\n"+
		"the start of the run to their end, so what is slow shows in the waiting before it.\n\n", whole(float64(r.Stages[0].Pages)))
	t := table.Table{Head: []string{"a page …", "median:", "95th:", "share:"}}
	for i, step := range r.Stages[0].Steps {
		of := func(one func(StepTime) float64) figure.Spread {
			return figure.Over(r.Stages, func(s Stages) float64 { return one(s.Steps[i]) })
		}
		t.Row(step.Name,
			spread(of(func(s StepTime) float64 { return s.P50 }), millis),
			spread(of(func(s StepTime) float64 { return s.P95 }), millis),
			spread(of(func(s StepTime) float64 { return s.Share }), percent))
	}
	t.Write(b)
}

func incremental(b *bytes.Buffer, r Results) {
	if len(r.Incremental) == 0 {
		return
	}
	fmt.Fprintf(b, "## Incremental sync\n\nOf a space of %s pages that is in step, from the request to the end of the run. Rows are those that are\n"+
		"different afterwards; pages count with their Markdown, so two rows each.\n\n", whole(float64(r.Incremental[0].Pages)))
	t := table.Table{Head: []string{"changed", "time:", "calls:", "pages listed:", "updated:", "rows of pages:", "chunks new:", "changed:", "gone:", "rows of the ledger:"}}
	for _, in := range r.Incremental {
		count := func(one func(Step) int64) string {
			return spread(figure.Over(in.Rounds, func(s Step) float64 { return float64(one(s)) }), whole)
		}
		t.Row(in.What,
			spread(figure.Over(in.Rounds, func(s Step) float64 { return took(s.Took) }), seconds),
			count(func(s Step) int64 { return s.Calls }),
			count(func(s Step) int64 { return int64(s.Listed) }),
			count(func(s Step) int64 { return int64(s.Updated) }),
			count(func(s Step) int64 { return s.Rows.Pages }),
			count(func(s Step) int64 { return s.Rows.Inserted }),
			count(func(s Step) int64 { return s.Rows.Updated }),
			count(func(s Step) int64 { return s.Rows.Deleted }),
			count(func(s Step) int64 { return s.Rows.Ledger }))
	}
	t.Write(b)
	b.WriteString("A page that has changed within the last minutes is listed again by the next runs, because the search\n" +
		"index of Confluence knows minutes only; it ends as unchanged, without a call of its own.\n\n")
}

func latency(b *bytes.Buffer, r Results) {
	if len(r.Latency) == 0 {
		return
	}
	fmt.Fprintf(b, "## From an edit to its being found\n\nOne edit at a time, %d a round, with nothing else going on. Sluice does not poll: a sync is asked for, by\n"+
		"a person, a timer or a message, and that request is where the time begins. Who asks every minute adds half\n"+
		"a minute on average. The edited page is searched for every 2 ms.\n\n", r.Latency[0].Found.N)
	t := table.Table{Head: []string{"", "median:", "95th:", "99th:"}}
	for _, row := range []struct {
		name string
		of   func(Latency) figure.Tail
	}{
		{"from the request to being found", func(l Latency) figure.Tail { return l.Found }},
		{"from the body's being fetched to being found", func(l Latency) figure.Tail { return l.Seen }},
		{"from the request to the end of the run", func(l Latency) figure.Tail { return l.Ended }},
	} {
		t.Row(append([]string{row.name}, tails(tailsOf(r.Latency, row.of))...)...)
	}
	t.Write(b)
}

func tailsOf[T any](items []T, of func(T) figure.Tail) []figure.Tail {
	list := make([]figure.Tail, len(items))
	for i, item := range items {
		list[i] = of(item)
	}
	return list
}

// tails shows the percentiles of several rounds.
func tails(list []figure.Tail) []string {
	return []string{
		spread(figure.Over(list, func(t figure.Tail) float64 { return t.P50 }), millis),
		spread(figure.Over(list, func(t figure.Tail) float64 { return t.P95 }), millis),
		spread(figure.Over(list, func(t figure.Tail) float64 { return t.P99 }), millis),
	}
}

func rate(b *bytes.Buffer, r Results) {
	if len(r.Rate) == 0 {
		return
	}
	first := r.Rate[0]
	fmt.Fprintf(b, "## Under a real site's limits\n\nA full sync of %s pages from a stand-in that refuses what is more than %s calls within a second, and takes\n"+
		"%d ms for an answer. `CONFLUENCE_REQUESTS_PER_SECOND` is what it is by default. The least time is that\n"+
		"of its calls at this rate, the first at once, and one answer. A call brings many pages, so that the rate\n"+
		"allows more pages a second than two cores may convert and write; the last call's answer shows how well\n"+
		"the rate is used, and the end of the run whether the rest keeps up.\n\n", whole(float64(first.Pages)), figure.Number(first.PerSecond), first.Answer.Milliseconds())
	t := table.Table{Head: []string{"calls:", "refused:", "least time:", "until all is fetched:", "of the limit:", "to the end of the run:", "of the limit:"}}
	t.Row(
		spread(figure.Over(r.Rate, func(x Rate) float64 { return float64(x.Calls) }), whole),
		spread(figure.Over(r.Rate, func(x Rate) float64 { return float64(x.Refused) }), whole),
		spread(figure.Over(r.Rate, func(x Rate) float64 { return took(x.Least()) }), seconds),
		spread(figure.Over(r.Rate, func(x Rate) float64 { return took(x.Fetched) }), seconds),
		spread(ofLimit(r.Rate, func(x Rate) time.Duration { return x.Fetched }), percent),
		spread(figure.Over(r.Rate, func(x Rate) float64 { return took(x.Took) }), seconds),
		spread(ofLimit(r.Rate, func(x Rate) time.Duration { return x.Took }), percent))
	t.Write(b)
}

// ofLimit is the least possible time divided by the measured time.
func ofLimit(list []Rate, taken func(Rate) time.Duration) figure.Spread {
	return figure.Over(list, func(x Rate) float64 { return figure.Ratio(took(x.Least()), took(taken(x))) })
}

func scaling(b *bytes.Buffer, r Results) {
	if len(r.Scaling) == 0 {
		return
	}
	b.WriteString("## More of a stage\n\n" +
		"Fetchers: from the request until the bodies of all pages wait for a converter, from a stand-in that takes\n" +
		"200 ms for an answer and has no limit; nothing is converted meanwhile, and `CONFLUENCE_CONCURRENCY` is 64,\n" +
		"so that the budget of calls is not what is measured. Converters: all bodies wait, and time is taken from\n" +
		"the start of the converters until all Markdown waits; each converter has one core (`GOMAXPROCS=1`), and\n" +
		"nothing is written meanwhile. On two cores, NATS and two converters share what one converter and NATS have\n" +
		"nearly to themselves, so that less than twice the speed is what can be seen here.\n\n")
	t := table.Table{Head: []string{"stage", "replicas:", "time:", "pages/s:", "against one:", "CPU of the stage:"}}
	var one figure.Spread // and of which stage that is
	var of string
	for _, s := range r.Scaling {
		all := figure.Over(s.Rounds, func(x Scaled) float64 { return took(x.Took) })
		against := "–"
		if s.Replicas == 1 {
			one, of = all, s.Stage
		} else if of == s.Stage {
			against = times(figure.Ratio(one.Median, all.Median))
		}
		t.Row(s.Stage, fmt.Sprint(s.Replicas), spread(all, seconds),
			spread(figure.Over(s.Rounds, func(x Scaled) float64 { return float64(s.Pages) / took(x.Took) }), whole), against,
			spread(figure.Over(s.Rounds, func(x Scaled) float64 { return took(x.CPU) }), seconds))
	}
	t.Write(b)
}

func search(b *bytes.Buffer, r Results) {
	if len(r.Search) == 0 {
		return
	}
	b.WriteString("## Search\n\nOne person searching, through the store as the HTTP API does: words that most chunks have, titles, phrases,\n" +
		"questions, and what one page alone has. During a sync: twenty searches a second while another source\n" +
		"is synced for the first time. The large knowledge base is made of the small one's pages, each many times\n" +
		"with an id, a title and a number of its own.\n\n")
	t := table.Table{Head: []string{"pages:", "chunks:", "filter", "meanwhile", "median:", "95th:", "99th:"}}
	for _, s := range r.Search {
		meanwhile := "nothing"
		if s.During {
			meanwhile = "a sync"
		}
		t.Row(append([]string{whole(float64(s.Pages)), whole(float64(s.Chunks)), s.What, meanwhile}, tails(s.Rounds)...)...)
	}
	t.Write(b)
}

func durations(b *bytes.Buffer, r Results) {
	if len(r.Took) == 0 {
		return
	}
	var all time.Duration
	t := table.Table{Head: []string{"section", "took:"}}
	for _, name := range slices.Sorted(maps.Keys(r.Took)) {
		all += r.Took[name]
		t.Row(name, r.Took[name].Round(time.Second).String())
	}
	t.Row("together", all.Round(time.Second).String())
	b.WriteString("## How long this takes\n\n`make bench BENCH_ARGS=\"-only incremental,latency\"` measures some sections and prints them; `ROUNDS=1` is\nshorter. `make bench BENCH=small` sees that every part works, on 200 pages.\n\n")
	t.Write(b)
}
