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
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/service"
)

const (
	// mostFiles is how many files one process reads: what it leaks ends with it.
	mostFiles = 200
	grace     = 5 * time.Second
	// startWithin is how long a process may take to begin with a file, which is nothing but its own start.
	startWithin = time.Minute
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

// begun is what a process says before it looks at its file. If it dies after that, the file is to blame.
type begun struct {
	Begun bool `json:"begun"`
}

// answer is what a process says of its file.
type answer struct {
	Document extract.Document      `json:"document"`
	Skipped  *extract.SkippedError `json:"skipped,omitempty"`
	Code     failure.Code          `json:"code,omitempty"`
	Error    string                `json:"error,omitempty"`
}

// processes are the processes that read files, never more than there are turns. Each may take as much memory as its limit, also
// while it waits for its next file.
type processes struct {
	limits extract.Limits
	memory int64         // bytes of one process
	grace  time.Duration // how much longer than its limit a file may take before its process is killed
	log    zerolog.Logger
	turns  chan struct{} // has one for each process that has a file
	server *server       // reads what they skip; nil if there is none

	mu   sync.Mutex
	idle []*process
}

// openProcesses makes room for at most most processes, with the settings' limits and server.
func openProcesses(c config.Files, most int, log zerolog.Logger) (*processes, error) {
	s, err := newServer(c, most)
	if err != nil {
		return nil, err
	}
	limits := extract.DefaultLimits()
	limits.Bytes, limits.Time = c.MaxBytes, c.Time
	p := newProcesses(limits, c.Memory, most, log)
	p.server = s
	return p, nil
}

// newProcesses makes room for at most most processes.
func newProcesses(limits extract.Limits, memory int64, most int, log zerolog.Logger) *processes {
	return &processes{limits: limits, memory: memory, grace: grace, log: log, turns: make(chan struct{}, most)}
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

// tray is a file without a name that is written, and then waits for a process. A slow download keeps no process.
type tray struct {
	of *processes
	on *os.File
}

func (p *processes) take(context.Context) (desk, error) {
	on, err := nameless()
	if err != nil {
		return nil, err
	}
	return &tray{p, on}, nil
}

// nameless makes an empty file that ends with whoever has it open.
func nameless() (*os.File, error) {
	on, err := os.CreateTemp("", "sluice-file-*")
	if err != nil {
		return nil, fmt.Errorf("make room for a file: %w", err)
	}
	if err := os.Remove(on.Name()); err != nil {
		_ = on.Close()
		return nil, fmt.Errorf("make room for a file: %w", err)
	}
	return on, nil
}

func (t *tray) file() *os.File { return t.on }

func (t *tray) leave() { _ = t.on.Close() }

// read has a process read the file, and a server one that is of another format.
func (t *tray) read(ctx context.Context, of page.Facts) (extract.Document, error) {
	doc, err := t.hand(ctx, t.on, of)
	if skipped := new(extract.SkippedError); errors.As(err, &skipped) && t.of.server.reads(skipped) {
		return t.ask(ctx, skipped)
	}
	return doc, err
}

// hand hands a file to a process, when one is free.
func (t *tray) hand(ctx context.Context, on *os.File, of page.Facts) (extract.Document, error) {
	p, err := t.of.turn(ctx)
	if err != nil {
		return extract.Document{}, err
	}
	defer p.leave()
	if err := p.put(on); err != nil {
		return extract.Document{}, err
	}
	return p.read(ctx, of)
}

// turn waits for a process that has nothing to do.
func (p *processes) turn(ctx context.Context) (*process, error) {
	select {
	case p.turns <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		one := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return one, nil
	}
	on, err := nameless()
	if err != nil {
		<-p.turns
		return nil, err
	}
	return &process{of: p, on: on}, nil
}

// close ends the processes that nobody uses.
func (p *processes) close() {
	p.server.close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.idle {
		_ = one.end() // how it ended is told where it matters
		_ = one.on.Close()
	}
	p.idle = nil
}

// leave empties the file and gives the process back.
func (p *process) leave() {
	defer func() { <-p.of.turns }()
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

// put copies a file to the process's own, which is the only one that it has open.
func (p *process) put(from *os.File) error {
	for _, f := range []*os.File{from, p.on} {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("hand a file to a process: %w", err)
		}
	}
	if _, err := io.Copy(p.on, from); err != nil {
		return fmt.Errorf("hand a file to a process: %w", err)
	}
	return nil
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

// errStillborn is in the error of a process that died before it looked at its file.
var errStillborn = errors.New("a process that reads files died before it had one")

// read has the process read its file. A process that died while it had nothing to do says nothing of the file: a new one reads it.
func (p *process) read(ctx context.Context, of page.Facts) (extract.Document, error) {
	a, err := p.ask(ctx, of)
	if errors.Is(err, errStillborn) {
		p.of.log.Warn().Err(err).Msg("the file goes to a new process")
		a, err = p.ask(ctx, of)
	}
	if err != nil {
		return extract.Document{}, err
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

// ask starts the process, unless it runs, and waits for its answer. It kills a process that takes too long.
func (p *process) ask(ctx context.Context, of page.Facts) (a answer, err error) {
	if err := p.start(); err != nil {
		return a, err
	}
	info, err := p.on.Stat()
	if err != nil {
		return a, fmt.Errorf("look at the file: %w", err)
	}
	kill := p.cmd.Process.Kill
	late := time.AfterFunc(startWithin, func() { _ = kill() })
	defer context.AfterFunc(ctx, func() { _ = kill() })()
	p.most.N = mostAnswer
	o := order{Name: of.Title, Size: info.Size(), Limits: p.of.limits}
	if of.File != nil {
		o.MediaType = of.File.MediaType
	}
	var b begun
	err = json.NewEncoder(p.in).Encode(o)
	if err == nil {
		err = p.out.Decode(&b)
	}
	if inTime := late.Stop(); err != nil || !inTime {
		if how := p.end(); ctx.Err() == nil {
			return a, fmt.Errorf("%w: %s %s", errStillborn, fmt.Sprint(how), firstLine(p.said.String()))
		}
		return a, ctx.Err()
	}
	late.Reset(p.of.limits.Time + p.of.grace)
	err = p.out.Decode(&a)
	if inTime := late.Stop(); err != nil {
		return a, p.died(ctx, of, inTime)
	}
	return a, nil
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
		first := firstLine(said)
		p.of.log.Warn().Str("page", of.ID).Str("said", first).AnErr("how", how).Msg("the process that reads a file died")
		return failure.New(failure.FileCrashed, "the file's process died: %v %s", how, first)
	}
}

func firstLine(s string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return first
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
