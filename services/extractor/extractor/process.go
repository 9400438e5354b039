package extractor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/services/extractor/extract"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/service"
)

const (
	// mostFiles is how many files one process reads: what it leaks ends with it.
	mostFiles = 200
	grace     = 5 * time.Second
	// mostAnswer bounds a process's answer, in bytes of JSON.
	mostAnswer = 8 * page.MaxBody
)

// order is what a process is asked: what is in its file.
type order struct {
	Name      string         `json:"name"`
	MediaType string         `json:"media_type"`
	Size      int64          `json:"size"`
	Limits    extract.Limits `json:"limits"`
}

// answer is what a process says of its file.
type answer struct {
	Document extract.Document      `json:"document"`
	Skipped  *extract.SkippedError `json:"skipped,omitempty"`
	Code     failure.Code          `json:"code,omitempty"`
	Error    string                `json:"error,omitempty"`
}

// processes are the processes that read files: as many as files are read at a time.
type processes struct {
	limits extract.Limits
	memory int64         // bytes of one process
	grace  time.Duration // how much longer than its limit a file may take before its process is killed
	log    zerolog.Logger

	mu   sync.Mutex
	idle []*process
}

// process is a process that reads one file at a time. The file has no name: nothing is left of it, whatever happens.
type process struct {
	of   *processes
	on   *os.File
	cmd  *exec.Cmd // nil before the first file
	in   io.WriteCloser
	out  *json.Decoder
	most *io.LimitedReader
	said bytes.Buffer // on its standard error
	done int          // files that it has read
}

func (p *processes) take(context.Context) (desk, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		one := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return one, nil
	}
	on, err := os.CreateTemp("", "sluice-file-*")
	if err != nil {
		return nil, fmt.Errorf("make room for a file: %w", err)
	}
	if err := os.Remove(on.Name()); err != nil {
		_ = on.Close()
		return nil, fmt.Errorf("make room for a file: %w", err)
	}
	return &process{of: p, on: on}, nil
}

// close ends the processes that nobody uses.
func (p *processes) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.idle {
		_ = one.end() // how it ended is told where it matters
		_ = one.on.Close()
	}
	p.idle = nil
}

func (p *process) file() *os.File { return p.on }

// leave empties the file and gives the process back.
func (p *process) leave() {
	if p.done >= mostFiles {
		_ = p.end() // how it ended is told where it matters
	}
	if err := p.on.Truncate(0); err != nil {
		p.of.log.Warn().Err(err).Msg("a file that was read cannot be emptied")
		_ = p.end() // how it ended is told where it matters
		_ = p.on.Close()
		return
	}
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	p.of.idle = append(p.of.idle, p)
}

// start starts the process: this program again, as the stage's child. It gets no environment, and so no secrets.
func (p *process) start() error {
	if p.cmd != nil {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if os.Getenv(service.ChildVariable) != "" {
		return errors.New("a child starts no other") // a program that does not look at its arguments
	}
	p.cmd = exec.Command(self, service.ChildArgs(name, strconv.FormatInt(p.of.memory, 10))...) //nolint:gosec,noctx // this program itself; it is killed by end
	p.cmd.Env = []string{service.ChildVariable + "=" + name}
	p.said.Reset()
	p.cmd.Stderr = &tail{to: &p.said}
	handOver(p.cmd, p.on)
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		p.cmd = nil
		return fmt.Errorf("start a process that reads files: %w", err)
	}
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		p.cmd = nil
		return fmt.Errorf("start a process that reads files: %w", err)
	}
	p.most = &io.LimitedReader{R: out}
	p.out, p.done = json.NewDecoder(p.most), 0
	return nil
}

// end kills the process and returns how it ended. A file it was reading stays for the next one.
func (p *process) end() error {
	if p.cmd == nil {
		return nil
	}
	_ = p.in.Close()
	_ = p.cmd.Process.Kill()
	err := p.cmd.Wait()
	p.cmd = nil
	return err
}

// read has the process read its file.
func (p *process) read(ctx context.Context, of page.Facts) (extract.Document, error) {
	if err := p.start(); err != nil {
		return extract.Document{}, err
	}
	info, err := p.on.Stat()
	if err != nil {
		return extract.Document{}, fmt.Errorf("look at the file: %w", err)
	}
	kill := p.cmd.Process.Kill
	late := time.AfterFunc(p.of.limits.Time+p.of.grace, func() { _ = kill() })
	unbind := context.AfterFunc(ctx, func() { _ = kill() })
	p.most.N = mostAnswer
	o := order{Name: of.Title, Size: info.Size(), Limits: p.of.limits}
	if of.File != nil {
		o.MediaType = of.File.MediaType
	}
	var a answer
	err = json.NewEncoder(p.in).Encode(o)
	if err == nil {
		err = p.out.Decode(&a)
	}
	inTime := late.Stop()
	unbind()
	if err != nil {
		return extract.Document{}, p.died(ctx, of, inTime)
	}
	p.done++
	switch {
	case a.Skipped != nil:
		return extract.Document{}, a.Skipped
	case a.Error != "" && a.Code == failure.Internal:
		return extract.Document{}, errors.New(a.Error)
	case a.Error != "":
		return extract.Document{}, failure.New(a.Code, "%s", a.Error)
	}
	return a.Document, nil
}

// died says why the process did not answer, without naming the file, because others may have the same bytes. The next file gets a new one.
func (p *process) died(ctx context.Context, of page.Facts, inTime bool) error {
	how := p.end()
	switch said := p.said.String(); {
	case ctx.Err() != nil:
		return ctx.Err()
	case !inTime:
		return failure.New(failure.FileTooSlow, "the file's process did not answer within %v and was killed", p.of.limits.Time+p.of.grace)
	case strings.Contains(said, "out of memory") || strings.Contains(said, "cannot allocate memory"):
		return failure.New(failure.FileTooLarge, "the file's process needs more than %d MiB of memory", p.of.memory>>20)
	default:
		first, _, _ := strings.Cut(strings.TrimSpace(said), "\n")
		p.of.log.Warn().Str("page", of.ID).Str("said", first).AnErr("how", how).Msg("the process that reads a file died")
		return failure.New(failure.FileCrashed, "the file's process died: %v %s", how, first)
	}
}

// tail keeps the first bytes of what a process says before it dies.
type tail struct{ to *bytes.Buffer }

func (t *tail) Write(p []byte) (int, error) {
	const most = 4 << 10
	if left := most - t.to.Len(); left > 0 {
		t.to.Write(p[:min(left, len(p))])
	}
	return len(p), nil
}
