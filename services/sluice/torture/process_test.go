package torture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// process is a program that is started again whenever it has ended, until it is told to stop.
type process struct {
	name string // unique within a seed, and the name of its log
	path string
	env  []string
	dir  string // of the seed

	mu       sync.Mutex
	running  *running
	struck   bool // somebody is about to start it again
	starts   int
	selfEnds []string // how it ended when nobody had ended it
}

// running is one life of a process.
type running struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// start begins a new life.
func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	log, err := os.OpenFile(filepath.Join(p.dir, p.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", p.name, err)
	}
	p.starts++
	fmt.Fprintf(log, "--- %s %s start %d\n", time.Now().UTC().Format(time.RFC3339Nano), p.name, p.starts)
	r := &running{cmd: exec.Command(p.path), done: make(chan struct{})}
	r.cmd.Args[0] = filepath.Join(p.dir, p.name) // by which leftovers are told from strangers
	r.cmd.Env, r.cmd.Stdout, r.cmd.Stderr, r.cmd.SysProcAttr = p.env, log, log, dieWithParent()
	started := make(chan error, 1)
	go func() {
		// The kernel's word to a child that its parent has died is about the thread that forked.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer log.Close()
		err := r.cmd.Start()
		started <- err
		if err == nil {
			_ = r.cmd.Wait()
			p.ended(r)
		}
		close(r.done)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.running = r
	return nil
}

// ended notes a life that nobody took.
func (p *process) ended(r *running) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == r {
		p.selfEnds = append(p.selfEnds, r.cmd.ProcessState.String())
		p.running = nil
	}
}

// take returns the life that is now to be ended by whoever asked for it. It is nil when there
// is none.
func (p *process) take() *running {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.running
	p.running = nil
	return r
}

// kill ends the process at once, wherever it is.
func (p *process) kill() {
	if r := p.take(); r != nil {
		_ = r.cmd.Process.Kill()
		<-r.done
	}
}

// terminate asks the process to end and says how it did not.
func (p *process) terminate(patience time.Duration) error {
	r := p.take()
	if r == nil {
		return nil
	}
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-r.done:
		if code := r.cmd.ProcessState.ExitCode(); code != 0 {
			return fmt.Errorf("%s ended with %s when it was asked to stop", p.name, r.cmd.ProcessState)
		}
		return nil
	case <-time.After(patience):
		_ = r.cmd.Process.Kill()
		<-r.done
		return fmt.Errorf("%s did not stop within %s", p.name, patience)
	}
}

// freeze stops the process and lets it go on after the pause.
func (p *process) freeze(ctx context.Context, d time.Duration) {
	p.mu.Lock()
	r := p.running
	p.mu.Unlock()
	if r == nil {
		return
	}
	_ = r.cmd.Process.Signal(syscall.SIGSTOP)
	pause(ctx, d)
	_ = r.cmd.Process.Signal(syscall.SIGCONT)
}

// alive reports whether it runs now.
func (p *process) alive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running != nil
}

// seize reports whether the caller alone may strike the process now.
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

// watch starts the process again when it ends by itself, as an orchestrator would.
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
	dir, err := filepath.Abs("../../../.cache/torture")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	built := map[string]bool{}
	for _, name := range replicas {
		if built[name] {
			continue
		}
		built[name] = true
		build := exec.Command("go", "build", "-o", filepath.Join(dir, name), "../../"+name)
		if out, err := build.CombinedOutput(); err != nil {
			return "", errors.Join(fmt.Errorf("build %s: %w", name, err), errors.New(string(out)))
		}
	}
	return dir, nil
})
