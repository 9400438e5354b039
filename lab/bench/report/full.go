package report

import (
	"bytes"
	"fmt"

	"github.com/sluicehq/sluice/lab/bench/figure"
	"github.com/sluicehq/sluice/lab/bench/table"
)

// groups are the full syncs; the one in a single process comes last.
func (r Results) groups() []Group {
	list := append([]Group{}, r.Full...)
	if r.One != nil {
		list = append(list, *r.One)
	}
	return list
}

func (r Results) name(i int) string {
	g := r.groups()[i]
	if i == len(r.Full) {
		return whole(float64(g.Pages)) + ", one process"
	}
	return whole(float64(g.Pages))
}

func full(b *bytes.Buffer, r Results) {
	if len(r.groups()) == 0 {
		return
	}
	b.WriteString("## Full sync\n\nA space of generated pages, 1 to 75 KB each in a tree of seven levels, into an empty knowledge base:\n" +
		"from the request to the end of the run. MB are of storage format. \"One process\" is `sluice up`, with\n" +
		"NATS in it and Postgres beside it.\n\n")
	t := table.Table{Head: []string{"pages:", "seconds:", "pages/s:", "MB/s:", "CPU s a 1,000 pages:", "API calls:", "pages a call:", "chunks a page:"}}
	for i, g := range r.groups() {
		n := float64(g.Pages)
		t.Row(r.name(i),
			spread(figure.Over(g.Rounds, func(f Full) float64 { return took(f.Took) }), figure.Number),
			spread(figure.Over(g.Rounds, func(f Full) float64 { return n / took(f.Took) }), whole),
			spread(figure.Over(g.Rounds, func(f Full) float64 { return float64(f.Bytes) / 1e6 / took(f.Took) }), figure.Number),
			spread(figure.Over(g.Rounds, func(f Full) float64 { return sum(f.Processes) / n * 1000 }), figure.Number),
			spread(figure.Over(g.Rounds, func(f Full) float64 { return float64(f.Calls) }), whole),
			spread(figure.Over(g.Rounds, func(f Full) float64 { return n / float64(f.Calls) }), figure.Number),
			spread(figure.Over(g.Rounds, func(f Full) float64 { return float64(f.Chunks) / n }), figure.Number))
	}
	t.Write(b)
	b.WriteString("CPU seconds a thousand pages, by process:\n\n")
	byProcess(b, r, func(g Group, p Process) float64 { return p.CPU.Seconds() / float64(g.Pages) * 1000 }, figure.Number)
}

// cpu is the CPU seconds of every process.
func (f Full) cpu() float64 {
	var s float64
	for _, p := range f.Processes {
		s += p.CPU.Seconds()
	}
	return s
}

// sum is the CPU seconds of all processes except the stand-in, which is not part of Sluice.
func sum(list []Process) float64 {
	var s float64
	for _, p := range list {
		if p.Name != "stand-in" {
			s += p.CPU.Seconds()
		}
	}
	return s
}

// byProcess writes one figure of every process, one row each.
func byProcess(b *bytes.Buffer, r Results, one func(Group, Process) float64, show func(float64) string) {
	t := table.Table{Head: []string{"process"}}
	var order []string
	values := map[string]map[int][]float64{}
	for i, g := range r.groups() {
		t.Head = append(t.Head, r.name(i)+":")
		for _, round := range g.Rounds {
			for _, p := range round.Processes {
				if values[p.Name] == nil {
					values[p.Name] = map[int][]float64{}
					order = append(order, p.Name)
				}
				values[p.Name][i] = append(values[p.Name][i], one(g, p))
			}
		}
	}
	for _, name := range order {
		cells := []string{name}
		for i := range r.groups() {
			cells = append(cells, spread(figure.Of(values[name][i]), show))
		}
		t.Row(cells...)
	}
	t.Write(b)
}

func limits(b *bytes.Buffer, r Results) {
	if len(r.Full) == 0 {
		return
	}
	b.WriteString("## Against the limit of the machine\n\nMeasured after each of the syncs above, with every stage stopped: (a) the calls that the sync made,\n" +
		"made again by a plain HTTP client, as many at a time, their answers read and dropped; (b) the same\n" +
		"bodies converted on all cores, from memory into memory; (c) the rows of the finished knowledge base,\n" +
		"copied by `COPY` into empty tables with the same indexes, on a connection a core.\n\n")
	t := table.Table{Head: []string{"pages:", "(a) fetch:", "(b) convert:", "(c) COPY:", "end to end:", "against the largest:", "against their sum:"}}
	for _, g := range r.Full {
		t.Row(whole(float64(g.Pages)),
			spread(figure.Over(g.Rounds, func(f Full) float64 { return took(f.Limits.Fetch) }), seconds),
			spread(figure.Over(g.Rounds, func(f Full) float64 { return took(f.Limits.Convert) }), seconds),
			spread(figure.Over(g.Rounds, func(f Full) float64 { return took(f.Limits.Copy) }), seconds),
			spread(figure.Over(g.Rounds, func(f Full) float64 { return took(f.Took) }), seconds),
			spread(largest(g), times),
			spread(figure.Over(g.Rounds, func(f Full) float64 { return figure.Ratio(took(f.Took), took(f.Limits.Sum())) }), times))
	}
	t.Write(b)
	b.WriteString("The same by processor time, which other work on the machine hardly changes; end to end with the stand-in:\n\n")
	c := table.Table{Head: []string{"pages:", "(a) fetch:", "(b) convert:", "(c) COPY:", "end to end:", "against their sum:"}}
	for _, g := range r.Full {
		c.Row(whole(float64(g.Pages)),
			spread(figure.Over(g.Rounds, func(f Full) float64 { return took(f.Limits.FetchCPU) }), seconds),
			spread(figure.Over(g.Rounds, func(f Full) float64 { return took(f.Limits.ConvertCPU) }), seconds),
			spread(figure.Over(g.Rounds, func(f Full) float64 { return took(f.Limits.CopyCPU) }), seconds),
			spread(figure.Over(g.Rounds, Full.cpu), seconds),
			spread(figure.Over(g.Rounds, func(f Full) float64 { return figure.Ratio(f.cpu(), took(f.Limits.CPU())) }), times))
	}
	c.Write(b)
	f := r.Full[0].Rounds[0].Limits
	fmt.Fprintf(b, "For %s pages (a) reads %s, (b) reads %s, (c) writes %s in %s chunks.\n\n",
		whole(float64(r.Full[0].Pages)), size(float64(f.FetchedBytes)), size(float64(f.ConvertedBytes)), size(float64(f.CopiedBytes)), whole(float64(f.Chunks)))
}

// largest is the end-to-end time divided by the largest limit of its own round.
func largest(g Group) figure.Spread {
	return figure.Over(g.Rounds, func(f Full) float64 { return figure.Ratio(took(f.Took), took(f.Limits.Most())) })
}

func memory(b *bytes.Buffer, r Results) {
	if len(r.groups()) == 0 {
		return
	}
	b.WriteString("## Peak memory\n\nThe most that was resident at any moment of a full sync, as the kernel keeps it (`VmHWM`). For Postgres,\n" +
		"whose processes come and go, what all of them had together, five times a second, with its shared\n" +
		"buffers counted once. The stand-in is no part of Sluice and holds the space.\n\n")
	byProcess(b, r, func(_ Group, p Process) float64 { return float64(p.Peak) }, size)
}
