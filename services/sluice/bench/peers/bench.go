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

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
)

// Options say how much is measured.
type Options struct {
	Pages   []int     // sizes of the generated space
	Rounds  int       // how often each is measured; the medians count
	Limited int       // pages of the comparison at 10 requests a second; 0 leaves it out
	Dir     string    // where the peers are installed
	Program string    // the sluice program
	Self    string    // this program, which serves the stand-in with "serve N"
	Notice  io.Writer // is told what is being done
}

// perSecond is the limit of the limited comparison.
const perSecond = 10

// result is what a report says of one peer: its median run, and the slowest and fastest.
type result struct {
	peer     peer
	run      Run // the median by wall time
	low, top time.Duration
	scores   Scores
	total    int // pages that it should have handed over
}

// table is one comparison.
type table struct {
	what    string
	pages   int
	bytes   int // of the bodies in storage format
	results []result
}

type bench struct {
	Options
	kitchen kitchen
}

// Compare measures everything and writes the report to out.
func Compare(ctx context.Context, o Options, out io.Writer) error {
	k, err := setUp(o.Dir)
	if err != nil {
		return err
	}
	b := &bench{Options: o, kitchen: k}
	var tables report
	for _, n := range o.Pages {
		t, err := b.load(ctx, n, sandbox.GeneratedSpace, o.Rounds, 0)
		if err != nil {
			return err
		}
		tables.loads = append(tables.loads, t)
	}
	if tables.macros, err = b.load(ctx, 1, sandbox.BuiltinSpace, 1, 0); err != nil {
		return err
	}
	if o.Limited > 0 {
		if tables.limited, err = b.load(ctx, o.Limited, sandbox.GeneratedSpace, 1, perSecond); err != nil {
			return err
		}
	}
	if tables.generated, err = b.convert(ctx, o.Pages[0], sandbox.GeneratedSpace); err != nil {
		return err
	}
	if tables.builtin, err = b.convert(ctx, 1, sandbox.BuiltinSpace); err != nil {
		return err
	}
	tables.options, tables.machine = o, thisMachine(ctx)
	return tables.write(out)
}

func (b *bench) note(format string, args ...any) { fmt.Fprintf(b.Notice, format+"\n", args...) }

// stand starts a stand-in as a process of its own.
func (b *bench) stand(ctx context.Context, pages int) (site, func(), error) {
	c, err := begin(ctx, os.Environ(), b.Self, "serve", fmt.Sprint(pages))
	if err != nil {
		return site{}, nil, err
	}
	url, err := c.hear("http://")
	if err != nil {
		return site{}, nil, fmt.Errorf("serve the stand-in: %w", err)
	}
	return site{url: "http://" + url, pid: c.cmd.Process.Pid}, c.end, nil
}

// load lets each of those that get whole spaces get one, by turns.
func (b *bench) load(ctx context.Context, pages int, space string, rounds, limit int) (table, error) {
	s, end, err := b.stand(ctx, pages)
	if err != nil {
		return table{}, err
	}
	defer end()
	j, err := newJudge(ctx, s, space)
	if err != nil {
		return table{}, err
	}
	t := table{what: space, pages: len(j.pages)}
	for _, p := range j.pages {
		t.bytes += len(p.Body)
	}
	all := append([]peer{ours}, loaders...)
	runs := make([][]Run, len(all))
	scores := make([]Scores, len(all))
	for round := range rounds {
		for i, p := range all {
			b.note("%d pages of %s, round %d of %d%s: %s", t.pages, space, round+1, rounds, map[bool]string{true: ", limited"}[limit > 0], p.name)
			if err := s.limit(ctx, limit); err != nil {
				return t, err
			}
			r, got, err := b.once(ctx, s, j, p, space, limit)
			if err != nil {
				return t, err
			}
			if r.Err != "" {
				b.note("  %s", r.Err)
			}
			runs[i], scores[i] = append(runs[i], r), got
		}
	}
	for i, p := range all {
		t.results = append(t.results, summed(p, runs[i], scores[i], len(j.pages)))
	}
	return t, nil
}

// once lets one peer get the space once, into a folder that is scored and removed.
func (b *bench) once(ctx context.Context, s site, j *judge, p peer, space string, limit int) (Run, Scores, error) {
	dir, err := os.MkdirTemp("", "peers-out-")
	if err != nil {
		return Run{}, nil, fmt.Errorf("make a folder for pages: %w", err)
	}
	defer os.RemoveAll(dir)
	var r Run
	if p.driver == "" {
		r, err = b.sluice(ctx, s, j, space, dir, cmp.Or(limit, 1000))
	} else {
		r, err = b.foreign(ctx, s, p, []string{"SPACE=" + space, "OUT=" + dir})
	}
	if lifted := s.limit(ctx, 0); err == nil {
		err = lifted
	}
	if err != nil {
		return r, nil, err
	}
	return b.judged(r, j, dir, space)
}

// judged scores what a run left in the folder, where it ended well.
func (b *bench) judged(r Run, j *judge, dir, space string) (Run, Scores, error) {
	if r.Err != "" {
		return r, nil, nil
	}
	scores, there, err := j.score(dir, space)
	r.Pages = there
	return r, scores, err
}

// foreign runs a peer that is not ours.
func (b *bench) foreign(ctx context.Context, s site, p peer, env []string) (Run, error) {
	program, args, more, err := p.ready(ctx, b.kitchen)
	if err != nil {
		if ctx.Err() != nil {
			return Run{}, ctx.Err()
		}
		return Run{Err: err.Error()}, nil
	}
	address := s.url + "/wiki"
	if p.driver == "exporter.py" {
		address = s.url
	}
	env = append(env, more...)
	return drive(ctx, s, append(env, "SITE="+address, "MODE="+p.mode, "EMAIL="+sandbox.DefaultEmail, "TOKEN="+sandbox.DefaultToken), program, args...)
}

// sluice runs the whole of Sluice: what is measured is from the request to the end of the run.
func (b *bench) sluice(ctx context.Context, s site, j *judge, space, dir string, limit int) (Run, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	p, err := startSluice(ctx, b.Program, s, space, limit)
	if err != nil {
		return Run{Err: err.Error()}, nil
	}
	defer p.stop()
	r, err := s.watched(ctx, p.up.cmd.Process.Pid, func() (time.Duration, error) { return p.sync(ctx) })
	if err != nil {
		return r, err
	}
	return r, p.write(ctx, j.pages, dir)
}

// convert lets each converter convert the bodies of a space.
func (b *bench) convert(ctx context.Context, pages int, space string) (table, error) {
	s, end, err := b.stand(ctx, pages)
	if err != nil {
		return table{}, err
	}
	j, err := newJudge(ctx, s, space)
	end()
	if err != nil {
		return table{}, err
	}
	t := table{what: space, pages: len(j.pages)}
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
	for _, p := range append([]peer{ourConverter}, converters...) {
		b.note("converting %d pages of %s: %s", t.pages, space, p.name)
		var runs []Run
		var scores Scores
		for range b.Rounds {
			r, got, err := b.convertOnce(ctx, j, p, space, folders[p.view])
			if err != nil {
				return t, err
			}
			runs, scores = append(runs, r), got
		}
		t.results = append(t.results, summed(p, runs, scores, t.pages))
	}
	return t, nil
}

func (b *bench) convertOnce(ctx context.Context, j *judge, p peer, space, in string) (r Run, _ Scores, err error) {
	dir, err := os.MkdirTemp("", "peers-out-")
	if err != nil {
		return r, nil, fmt.Errorf("make a folder for pages: %w", err)
	}
	defer os.RemoveAll(dir)
	if p.driver == "" {
		r, err = drive(ctx, site{}, []string{"IN=" + in, "OUT=" + dir, "SITE=" + j.site + "/wiki", "SPACE=" + space}, b.Self, "convert")
	} else {
		r, err = b.foreign(ctx, site{}, p, []string{"IN=" + in, "OUT=" + dir})
	}
	if err != nil {
		return r, nil, err
	}
	return b.judged(r, j, dir, space)
}

// summed takes the median of the runs that went well, or the first error.
func summed(p peer, runs []Run, scores Scores, total int) result {
	out := result{peer: p, scores: scores, total: total}
	for _, r := range runs {
		if r.Err != "" {
			out.run = r
			return out
		}
	}
	runs = slices.Clone(runs)
	slices.SortFunc(runs, func(a, b Run) int { return cmp.Compare(a.Wall, b.Wall) })
	if len(runs) > 0 {
		out.run, out.low, out.top = runs[(len(runs)-1)/2], runs[0].Wall, runs[len(runs)-1].Wall
	}
	return out
}
