package peers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluicehq/sluice/lab/bench/warm"
	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/services/sluice/local"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// sluice is the complete program: every stage in one process, its own NATS and its own Postgres.
type sluice struct {
	program string
	dir     string // its data folder
	env     []string
	up      *child
	drained sync.WaitGroup
}

// source is the id of the one source.
const source = "bench"

// startSluice starts the program on an empty folder, with more settings, and adds the space as a source.
func startSluice(ctx context.Context, program string, s standIn, space string, perSecond int, more ...string) (_ *sluice, err error) {
	dir, err := dataFolder()
	if err != nil {
		return nil, err
	}
	p := &sluice{program: program, dir: dir, env: slices.Concat(bare(os.Environ()), settingsOf(s, perSecond), more)}
	defer func() {
		if err != nil {
			p.stop()
		}
	}()
	if p.up, err = begin(ctx, p.env, program, "up", "--data", dir); err != nil {
		return nil, err
	}
	if _, err := p.up.hear("Sluice is up"); err != nil {
		return nil, fmt.Errorf("start sluice: %w", err)
	}
	p.drained.Go(func() { _, _ = io.Copy(io.Discard, p.up.lines) })
	if out, err := p.command(ctx, "source", "add", source, "--space", space).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("add the source: %s", lastLine(out))
	}
	return p, warm.Up(ctx)
}

// dataFolder makes a folder for servers.
func dataFolder() (string, error) {
	dir, err := os.MkdirTemp("", "sluice-peers-")
	if err != nil {
		return "", fmt.Errorf("make a data folder: %w", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // Postgres's own user has to get in
		return "", errors.Join(fmt.Errorf("open the data folder to Postgres: %w", err), os.RemoveAll(dir))
	}
	return dir, nil
}

// settingsOf are Sluice's, for the site.
func settingsOf(s standIn, perSecond int) []string {
	return []string{
		"CONFLUENCE_BASE_URL=" + s.URL + "/wiki", "CONFLUENCE_EMAIL=" + sandbox.DefaultEmail, "CONFLUENCE_API_TOKEN=" + sandbox.DefaultToken,
		"CONFLUENCE_ALLOW_HTTP=true", fmt.Sprintf("CONFLUENCE_REQUESTS_PER_SECOND=%d", perSecond),
		"GATEWAY_ADDR=", "HEALTH_ADDR=", "LOG_LEVEL=warn",
	}
}

// bare is the environment without a user's settings for Sluice.
func bare(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(e string) bool {
		return slices.ContainsFunc([]string{"CONFLUENCE_", "NATS_", "DATABASE_URL", "EMBEDDINGS_", "RERANK_"}, func(begins string) bool { return strings.HasPrefix(e, begins) })
	})
}

func (p *sluice) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.program, append(args, "--data", p.dir)...) //nolint:gosec // the sluice program that the person at the prompt names
	cmd.Env = p.env
	return cmd
}

// sync requests a sync and waits for its end. It returns its duration, from the request until the last
// page is searchable and the run has ended.
func (p *sluice) sync(ctx context.Context, mode event.Mode) (time.Duration, error) {
	began := time.Now()
	out, err := p.command(ctx, "sync", source, "--mode", string(mode), "--wait", "--output", "json").Output()
	took := time.Since(began)
	if err != nil {
		return took, fmt.Errorf("sync: %w: %s", err, lastLine(out))
	}
	var end struct{ State string }
	if err := json.Unmarshal(out, &end); err != nil || end.State != "completed" {
		return took, fmt.Errorf("sync: it ended as %q", end.State)
	}
	return took, nil
}

// write writes the stored Markdown to files, as the other drivers do.
func (p *sluice) write(ctx context.Context, pages []pageTruth, dir string) error {
	servers, err := local.Running(p.dir)
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, servers.DatabaseURL)
	if err != nil {
		return err
	}
	defer db.Close()
	for _, t := range pages {
		stored, err := db.Reader().Page(ctx, viewer.All(), t.ID)
		if errors.Is(err, store.ErrNotFound) {
			continue // it will be missed
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, t.ID+".md"), []byte(stored.Markdown), 0o600); err != nil {
			return fmt.Errorf("write a page: %w", err)
		}
	}
	return nil
}

// stop stops the program and removes its folder.
func (p *sluice) stop() {
	if p.up != nil {
		_ = p.up.cmd.Process.Signal(os.Interrupt)
		p.drained.Wait()
		p.up.end()
	}
	_ = os.RemoveAll(p.dir)
}

func lastLine(out []byte) string {
	t := tail{text: out}
	return t.last()
}
