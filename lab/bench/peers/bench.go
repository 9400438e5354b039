package peers

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sluicehq/sluice/lab/bench/figure"
	"github.com/sluicehq/sluice/lab/bench/site"
	"github.com/sluicehq/sluice/lab/bench/versus"
	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/event"
)

// Options set the size of the comparison.
type Options struct {
	Pages   []int     // sizes of the generated space
	Rounds  int       // how often each is measured; the medians count
	Limited int       // pages of the comparison at 10 requests a second; 0 leaves it out
	Slow    int       // pages of the comparison at 200 ms an answer; 0 leaves it out
	Dir     string    // where the peers are installed
	Program string    // the sluice program
	Self    string    // this program, which serves the stand-in with "serve N" and is our own drivers
	Raw     string    // the file that takes what was measured, after each table; "" for none
	Notice  io.Writer // is told what is being done
}

// conditions describe the site while a space is read.
type conditions struct {
	name      string // "" for a site that answers at once
	faults    []sandbox.Fault
	perSecond int           // what Sluice may ask at the most
	patience  time.Duration // how long one run may take
}

// perSecond is the limit of the limited comparison.
const perSecond = 10

var (
	atOnce  = conditions{perSecond: 1000, patience: 20 * time.Minute}
	limited = conditions{name: fmt.Sprintf("%d requests a second", perSecond), faults: []sandbox.Fault{site.AtMost(perSecond)}, perSecond: perSecond, patience: 20 * time.Minute}
	slow    = conditions{name: fmt.Sprintf("%d ms an answer", site.Answer.Milliseconds()), faults: []sandbox.Fault{site.Slow}, perSecond: 1000, patience: 3 * time.Minute}
)

// result is one peer's results in the report.
type result struct {
	peer   peer
	rounds []versus.Run
	scores Scores
}

func (r result) row() versus.Row {
	return versus.Row{Name: r.peer.name, Ours: r.peer.isOurs(), Rounds: r.rounds}
}

// comparison is all runs over one space.
type comparison struct {
	site    conditions
	pages   int
	bytes   int // of the bodies in storage format
	results []result
}

// plain is the comparison without the fields that only the report needs.
func (t comparison) plain() versus.Table {
	out := versus.Table{Site: t.site.name, Pages: t.pages}
	for _, r := range t.results {
		out.Rows = append(out.Rows, r.row())
	}
	return out
}

type bench struct {
	Options
	kitchen kitchen
	raw     versus.Results
}

// Compare measures everything and writes the report to out.
func Compare(ctx context.Context, o Options, out io.Writer) error {
	tables := report{options: o, machine: thisMachine(ctx)}
	b := &bench{Options: o, raw: versus.Results{Began: time.Now().UTC(), Machine: tables.machine, Command: tables.command()}}
	var err error
	if b.kitchen, err = setUp(o.Dir, b.note); err != nil {
		return err
	}
	for _, n := range o.Pages {
		t, err := b.load(ctx, n, sandbox.GeneratedSpace, o.Rounds, atOnce)
		if err != nil {
			return err
		}
		tables.loads = append(tables.loads, t)
	}
	if o.Slow > 0 {
		if tables.slow, err = b.load(ctx, o.Slow, sandbox.GeneratedSpace, 1, slow); err != nil {
			return err
		}
	}
	if o.Limited > 0 {
		if tables.limited, err = b.load(ctx, o.Limited, sandbox.GeneratedSpace, 1, limited); err != nil {
			return err
		}
	}
	if tables.macros, err = b.load(ctx, 1, sandbox.BuiltinSpace, 1, atOnce); err != nil {
		return err
	}
	if tables.generated, err = b.convert(ctx, o.Pages[0], sandbox.GeneratedSpace); err != nil {
		return err
	}
	if tables.builtin, err = b.convert(ctx, 1, sandbox.BuiltinSpace); err != nil {
		return err
	}
	return tables.write(out)
}

// note prints a progress message.
func (b *bench) note(format string, args ...any) {
	fmt.Fprintf(b.Notice, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

// stand starts a stand-in as a separate process.
func (b *bench) stand(ctx context.Context, pages int) (standIn, func(), error) {
	c, err := begin(ctx, os.Environ(), b.Self, "serve", fmt.Sprint(pages))
	if err != nil {
		return standIn{}, nil, err
	}
	url, err := c.hear("http://")
	if err != nil {
		return standIn{}, nil, fmt.Errorf("serve the stand-in: %w", err)
	}
	return standIn{site.Site{URL: "http://" + url}, c.cmd.Process.Pid}, c.end, nil
}

// load lets each peer that reads whole spaces read one, in turns.
func (b *bench) load(ctx context.Context, pages int, space string, rounds int, c conditions) (comparison, error) {
	s, end, err := b.stand(ctx, pages)
	if err != nil {
		return comparison{}, err
	}
	defer end()
	j, err := newJudge(ctx, s, space)
	if err != nil {
		return comparison{}, err
	}
	t := comparison{site: c, pages: len(j.pages)}
	for _, p := range j.pages {
		t.bytes += len(p.Body)
	}
	for _, p := range append(slices.Clone(ours), loaders...) {
		t.results = append(t.results, result{peer: p})
	}
	b.note("=== %s pages of %s, %s", figure.Thousands(float64(t.pages)), space, cmp.Or(c.name, "answered at once"))
	for round := range rounds {
		for i := range t.results {
			r := &t.results[i]
			b.note("round %d of %d: %s", round+1, rounds, r.peer.name)
			if err := s.Behave(ctx, c.faults...); err != nil {
				return t, err
			}
			run, got, err := b.once(ctx, s, j, r.peer, space, c)
			if err != nil {
				return t, err
			}
			b.note("  %s", told(run))
			r.rounds, r.scores = append(r.rounds, run), got
		}
	}
	if space == sandbox.GeneratedSpace {
		b.raw.Tables = append(b.raw.Tables, t.plain())
	}
	if b.Raw == "" {
		return t, nil
	}
	return t, b.raw.Save(b.Raw)
}

// told describes a run in one line.
func told(r versus.Run) string {
	if r.Err != "" {
		return r.Err
	}
	how := ""
	if r.Stopped {
		how = "stopped: "
	}
	return fmt.Sprintf("%s%s pages in %s, %d calls", how, figure.Thousands(float64(r.Pages)), r.Wall.Round(time.Millisecond), r.Calls)
}

// once lets one peer read the space once, into a folder that is scored and removed.
func (b *bench) once(ctx context.Context, s standIn, j *judge, p peer, space string, c conditions) (versus.Run, Scores, error) {
	dir, err := os.MkdirTemp("", "peers-out-")
	if err != nil {
		return versus.Run{}, nil, fmt.Errorf("make a folder for pages: %w", err)
	}
	defer os.RemoveAll(dir)
	var r versus.Run
	switch env := []string{"SPACE=" + space, "OUT=" + dir}; {
	case p.role != "":
		env = append(append(env, settingsOf(s, c.perSecond)...), fmt.Sprint("PAGES=", len(j.pages)))
		r, err = drive(ctx, s, c.patience, driver{b.Self, []string{p.role}, env, os.Interrupt})
	case p.isOurs():
		r, err = b.sluice(ctx, s, j, space, dir, c)
	default:
		r, err = b.foreign(ctx, s, c.patience, p, env)
	}
	if better := s.Behave(ctx); err == nil {
		err = better
	}
	if err != nil {
		return r, nil, err
	}
	return b.judged(r, j, dir, space)
}

// judged counts and scores the files in a run's folder. A stopped run says nothing about the quality of
// its pages.
func (b *bench) judged(r versus.Run, j *judge, dir, space string) (versus.Run, Scores, error) {
	if r.Err != "" {
		return r, nil, nil
	}
	scores, there, err := j.score(dir, space)
	r.Pages = there
	if r.Stopped {
		scores = nil
	}
	return r, scores, err
}

// foreign runs a peer other than Sluice, with processes beside it that work for it.
func (b *bench) foreign(ctx context.Context, s standIn, patience time.Duration, p peer, env []string, beside ...int) (versus.Run, error) {
	program, args, more, err := p.ready(ctx, b.kitchen)
	if err != nil {
		if ctx.Err() != nil {
			return versus.Run{}, ctx.Err()
		}
		return versus.Run{Err: err.Error()}, nil
	}
	address := s.URL + "/wiki"
	if p.driver == "exporter.py" {
		address = s.URL
	}
	env = append(env, more...)
	env = append(env, "SITE="+address, "MODE="+p.mode, "EMAIL="+sandbox.DefaultEmail, "TOKEN="+sandbox.DefaultToken)
	return drive(ctx, s, patience, driver{program, args, env, os.Kill}, beside...)
}

// sluice runs all of Sluice and measures from the request to the end of the run.
func (b *bench) sluice(ctx context.Context, s standIn, j *judge, space, dir string, c conditions) (versus.Run, error) {
	p, err := startSluice(ctx, b.Program, s, space, c.perSecond)
	if err != nil {
		return versus.Run{Err: err.Error()}, nil
	}
	defer p.stop()
	r, err := s.watched(ctx, c.patience, func(ctx context.Context) (time.Duration, error) { return p.sync(ctx, event.Full) }, p.up.cmd.Process.Pid)
	if err != nil {
		return r, err
	}
	return r, p.write(ctx, j.pages, dir)
}

// convert lets each converter convert the bodies of a space.
func (b *bench) convert(ctx context.Context, pages int, space string) (comparison, error) {
	s, end, err := b.stand(ctx, pages)
	if err != nil {
		return comparison{}, err
	}
	j, err := newJudge(ctx, s, space)
	end()
	if err != nil {
		return comparison{}, err
	}
	t := comparison{pages: len(j.pages)}
	folders := map[bool]string{}
	for _, view := range []bool{false, true} {
		dir, err := os.MkdirTemp("", "peers-in-")
		if err != nil {
			return t, fmt.Errorf("make a folder for bodies: %w", err)
		}
		defer os.RemoveAll(dir)
		folders[view] = dir
		for _, p := range j.pages {
			body := p.Body
			if view {
				body = p.View
			} else {
				t.bytes += len(body)
			}
			if err := os.WriteFile(filepath.Join(dir, p.ID+".html"), []byte(body), 0o600); err != nil {
				return t, fmt.Errorf("write a body: %w", err)
			}
		}
	}
	b.note("=== converting %s pages of %s", figure.Thousands(float64(t.pages)), space)
	for _, p := range append([]peer{ourConverter}, converters...) {
		b.note("%s", p.name)
		r := result{peer: p}
		for range b.Rounds {
			run, got, err := b.convertOnce(ctx, j, p, space, folders[p.view])
			if err != nil {
				return t, err
			}
			b.note("  %s", told(run))
			r.rounds, r.scores = append(r.rounds, run), got
		}
		t.results = append(t.results, r)
	}
	return t, nil
}

func (b *bench) convertOnce(ctx context.Context, j *judge, p peer, space, in string) (r versus.Run, _ Scores, err error) {
	dir, err := os.MkdirTemp("", "peers-out-")
	if err != nil {
		return r, nil, fmt.Errorf("make a folder for pages: %w", err)
	}
	defer os.RemoveAll(dir)
	env := []string{"IN=" + in, "OUT=" + dir}
	if p.role != "" {
		env = append(env, "SITE="+j.site+"/wiki", "SPACE="+space)
		r, err = drive(ctx, standIn{}, atOnce.patience, driver{b.Self, []string{p.role}, env, os.Kill})
	} else {
		r, err = b.foreign(ctx, standIn{}, atOnce.patience, p, env)
	}
	if err != nil {
		return r, nil, err
	}
	return b.judged(r, j, dir, space)
}
