// Package child runs programs as separate processes that do not outlive this one.
package child

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Spec describes the program to run. Path is required.
type Spec struct {
	Name   string // for error messages
	Path   string // path of the program
	Arg0   string // argument 0 of the process; "" means Path
	Args   []string
	Env    []string  // the complete environment: nothing is inherited
	Output io.Writer // receives the output; nil discards it
}

// Process is a started program.
type Process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{}
}

// Start starts a program. On Linux the kernel kills it when this process ends, for whatever reason. If ended is not
// nil, it is called when the program has ended, before Done is closed.
func Start(s Spec, ended func(*os.ProcessState)) (*Process, error) {
	p := &Process{name: s.Name, cmd: exec.CommandContext(context.Background(), s.Path, s.Args...), done: make(chan struct{})} //nolint:gosec // programs of this repository, without a shell
	if s.Arg0 != "" {
		p.cmd.Args[0] = s.Arg0
	}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr, p.cmd.SysProcAttr = s.Env, s.Output, s.Output, dieWithParent()
	started := make(chan error, 1)
	go func() {
		// The kernel kills the child when the thread that forked it ends, so the thread must live as long as the
		// child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.done)
		err := p.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		_ = p.cmd.Wait()
		if ended != nil {
			ended(p.cmd.ProcessState)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Name, err)
	}
	return p, nil
}

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Signal sends a signal; it does nothing if the process has ended.
func (p *Process) Signal(sig os.Signal) { _ = p.cmd.Process.Signal(sig) }

// Kill ends the process at once and waits until it has ended.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Terminate asks the process to end and waits until it has ended. The error says that it ended with a failure, or
// that it did not end in time and was killed.
func (p *Process) Terminate(patience time.Duration) error {
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		if code := p.cmd.ProcessState.ExitCode(); code != 0 {
			return fmt.Errorf("%s ended with %s when it was asked to stop", p.name, p.cmd.ProcessState)
		}
		return nil
	case <-time.After(patience):
		p.Kill()
		return fmt.Errorf("%s did not stop within %s", p.name, patience)
	}
}

// Build compiles programs into a folder, which it creates if necessary. Each program is named after the last part of
// its package's path. Packages have the form that go build accepts, relative to the folder from.
func Build(ctx context.Context, into, from string, packages ...string) error {
	if err := os.MkdirAll(into, 0o750); err != nil {
		return fmt.Errorf("create the folder for programs: %w", err)
	}
	args := append([]string{"build", "-trimpath", "-ldflags=-s -w", "-o", into + string(filepath.Separator)}, packages...)
	build := exec.CommandContext(ctx, "go", args...) //nolint:gosec // programs of this repository, without a shell
	build.Dir, build.Env = from, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("build %s: %w", strings.Join(packages, ", "), err), errors.New(string(out)))
	}
	return nil
}
