package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/lab/bench/proc"
	"github.com/sluicehq/sluice/lab/bench/report"
	"github.com/sluicehq/sluice/lab/storebench"
	"github.com/sluicehq/sluice/services/converter/markdown"
	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// limits measures the machine's time for the parts of the previous sync, each alone, without running
// stages.
func (w *world) limits(ctx context.Context, calls []call, atOnce int) (l report.Limits, err error) {
	used := w.cpu()
	if l.Fetch, l.FetchedBytes, err = w.replay(ctx, calls, atOnce); err != nil {
		return l, err
	}
	l.FetchCPU = w.cpu() - used
	if l.Convert, l.ConvertCPU, l.ConvertedBytes, err = convertAll(ctx, w.layout.pages); err != nil {
		return l, err
	}
	err = w.copyAll(ctx, &l)
	return l, err
}

// cpu is the CPU time of this process, the stand-in and Postgres so far.
func (w *world) cpu() time.Duration {
	used := proc.Of(os.Getpid()).CPU + proc.OfFamily(w.pg.PID()).CPU
	for _, p := range w.procs {
		used += proc.Of(p.PID()).CPU
	}
	return used
}

// replay repeats the same calls with a plain HTTP client that reads and drops the answers.
func (w *world) replay(ctx context.Context, calls []call, atOnce int) (time.Duration, int64, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: atOnce, MaxConnsPerHost: atOnce}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var total atomic.Int64
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, atOnce))
	for _, c := range calls {
		group.Go(func() error {
			req, err := http.NewRequestWithContext(ctx, c.Method, w.site.URL+c.URI, bytes.NewReader(c.Body))
			if err != nil {
				return fmt.Errorf("ask again: %w", err)
			}
			req.SetBasicAuth(sandbox.DefaultEmail, sandbox.DefaultToken)
			if len(c.Body) > 0 {
				req.Header.Set("Content-Type", "application/json")
			}
			res, err := client.Do(req)
			if err != nil {
				return fmt.Errorf("ask again: %w", err)
			}
			defer res.Body.Close()
			n, err := io.Copy(io.Discard, res.Body)
			if err != nil || res.StatusCode != http.StatusOK {
				return fmt.Errorf("ask again: %s %s: %s, %w", c.Method, c.URI, res.Status, err)
			}
			total.Add(n)
			return nil
		})
	}
	err := group.Wait()
	return time.Since(began), total.Load(), err
}

// inMemory is the number of bodies generated before they are converted: the time of generating is not
// measured.
const inMemory = 2_000

// convertAll converts the bodies of the generated space on every core.
func convertAll(ctx context.Context, pages int) (took, cpu time.Duration, total int64, err error) {
	site := sandbox.New(sandbox.Options{})
	site.AddGenerated(sandbox.GeneratedSpace, pages, seed)
	list := site.Pages(sandbox.GeneratedSpace)
	for len(list) > 0 {
		some := list[:min(inMemory, len(list))]
		list = list[len(some):]
		bodies := make([]string, len(some))
		for i, p := range some {
			if bodies[i], err = site.Body(p.ID); err != nil {
				return 0, 0, 0, err
			}
			total += int64(len(bodies[i]))
		}
		began, used := time.Now(), proc.Of(os.Getpid()).CPU
		group, ctx := errgroup.WithContext(ctx)
		var next atomic.Int64
		for range runtime.GOMAXPROCS(0) {
			group.Go(func() error {
				for i := next.Add(1) - 1; i < int64(len(some)) && ctx.Err() == nil; i = next.Add(1) - 1 {
					p := some[i]
					facts := page.Facts{
						ID: p.ID, Version: p.Version, Title: p.Title, SpaceKey: p.Space, Status: "current", BaseURL: "http://site/wiki",
						URL: "http://site/wiki/spaces/GEN/pages/" + p.ID, AuthorID: p.AuthorID, Labels: p.Labels,
					}
					if _, err := markdown.Convert(bodies[i], facts); err != nil {
						return fmt.Errorf("convert page %s: %w", p.ID, err)
					}
				}
				return ctx.Err()
			})
		}
		if err := group.Wait(); err != nil {
			return 0, 0, 0, err
		}
		took += time.Since(began)
		cpu += proc.Of(os.Getpid()).CPU - used
	}
	return took, cpu, total, nil
}

// copyAll copies the rows of the knowledge base into another database with the same tables and indexes,
// with one connection for each core.
func (w *world) copyAll(ctx context.Context, l *report.Limits) error {
	dir := filepath.Join(w.dir, "copied")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	cores := runtime.GOMAXPROCS(0)
	out, err := storebench.CopyOut(ctx, w.pg.URL(), dir, cores)
	if err != nil {
		return err
	}
	l.Chunks, l.CopiedBytes = out.Chunks, out.Bytes
	url, err := storebench.Create(ctx, w.pg.URL(), "copied")
	if err != nil {
		return err
	}
	st, err := store.Open(ctx, url)
	if err != nil {
		return err
	}
	defer st.Close()
	if _, err := st.Migrate(ctx); err != nil {
		return err
	}
	// The copy must not pay for writes that the sync left.
	if err := storebench.Checkpoint(ctx, url); err != nil {
		return err
	}
	used := w.cpu()
	if l.Copy, err = storebench.CopyIn(ctx, url, out, cores); err != nil {
		return err
	}
	l.CopyCPU = w.cpu() - used
	got, err := st.Reader().Source(ctx, viewer.All(), source)
	if err == nil && (got.Pages != w.layout.pages || int64(got.Chunks) != out.Chunks) {
		err = fmt.Errorf("copied %d pages and %d chunks, and not %d and %d", got.Pages, got.Chunks, w.layout.pages, out.Chunks)
	}
	return err
}
