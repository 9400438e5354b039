package torture

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/sluicehq/sluice/lab/child"
)

// process is a program that is restarted whenever it ends, until it is told to stop.
type process struct {
	name string // unique within a seed; also the name of its log
	path string
	env  []string
	dir  string // of the seed

	mu       sync.Mutex
	running  *child.Process
	struck   bool     // another goroutine is about to restart it
	starts   int      // number of starts; it also identifies the current life
	selfEnds []string // how it ended when nothing had ended it
}

// start starts the program for a new life.
func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	log, err := os.OpenFile(filepath.Join(p.dir, p.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", p.name, err)
	}
	defer log.Close() // the process has its own copy
	p.starts++
	fmt.Fprintf(log, "--- %s %s start %d\n", time.Now().UTC().Format(time.RFC3339Nano), p.name, p.starts)
	life := p.starts
	p.running, err = child.Start(child.Spec{
		Name: p.name, Path: p.path, Env: p.env, Output: log,
		Arg0: filepath.Join(p.dir, p.name), // tells leftovers from other processes
	}, func(s *os.ProcessState) { p.ended(life, s) })
	return err
}

// ended records the end of a life that take has not claimed.
func (p *process) ended(life int, s *os.ProcessState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running != nil && p.starts == life {
		p.selfEnds = append(p.selfEnds, s.String())
		p.running = nil
	}
}

// take claims the current life, so that the caller can end it. It returns nil if the process is not running.
func (p *process) take() *child.Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.running
	p.running = nil
	return r
}

// kill ends the process at once, whatever it is doing.
func (p *process) kill() {
	if r := p.take(); r != nil {
		r.Kill()
	}
}

// terminate asks the process to end, and returns an error if it did not end properly.
func (p *process) terminate(patience time.Duration) error {
	if r := p.take(); r != nil {
		return r.Terminate(patience)
	}
	return nil
}

// freeze stops the process and continues it after the pause.
func (p *process) freeze(ctx context.Context, d time.Duration) {
	p.mu.Lock()
	r := p.running
	p.mu.Unlock()
	if r == nil {
		return
	}
	r.Signal(syscall.SIGSTOP)
	pause(ctx, d)
	r.Signal(syscall.SIGCONT)
}

// alive reports whether the process is running now.
func (p *process) alive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running != nil
}

// pid returns the process's id; 0 if it is not running.
func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == nil {
		return 0
	}
	return p.running.PID()
}

// seize reports whether the caller may strike the process now, alone.
func (p *process) seize() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.struck {
		return false
	}
	p.struck = true
	return true
}

func (p *process) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.struck = false
}

// watch restarts the process when it ends by itself, as an orchestrator would.
func (p *process) watch(ctx context.Context) {
	for pause(ctx, 500*time.Millisecond) {
		if p.seize() {
			if !p.alive() {
				_ = p.start()
			}
			p.release()
		}
	}
}

// pause waits for d and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// programs builds the stages once for all seeds.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := filepath.Abs("../../.cache/torture")
	if err != nil {
		return "", err
	}
	var packages []string
	for _, name := range slices.Compact(slices.Sorted(slices.Values(replicas))) {
		packages = append(packages, "../../services/"+name)
	}
	return dir, child.Build(context.Background(), dir, ".", packages...)
})
