package peers

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/sluicehq/sluice/lab/bench/versus"
)

// startPatience is the longest start of a driver.
const startPatience = 5 * time.Minute

// errStopped says that a run did not end within its time.
var errStopped = errors.New("it was stopped")

// child is a process that takes turns with the benchmark over its standard input and output.
type child struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Reader
	said  *tail
}

// begin starts the program. It ends with ctx.
func begin(ctx context.Context, env []string, program string, args ...string) (*child, error) {
	c := &child{cmd: exec.CommandContext(ctx, program, args...), said: &tail{}} //nolint:gosec // our own drivers, without a shell
	c.cmd.Env, c.cmd.Stderr, c.cmd.WaitDelay = env, c.said, 30*time.Second
	c.cmd.Cancel = func() error { return c.cmd.Process.Signal(os.Interrupt) }
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	c.lines = bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	return c, nil
}

// hear waits for the next line that begins with the word and returns the rest of the line. If the child
// ends first, the error is the child's last output.
func (c *child) hear(word string) (string, error) {
	for {
		line, err := c.lines.ReadString('\n')
		if rest, ok := strings.CutPrefix(line, word); ok {
			return strings.TrimSpace(rest), nil
		}
		if err != nil {
			_ = c.cmd.Wait()
			return "", errors.New(c.said.last())
		}
	}
}

// tell sends the child a line.
func (c *child) tell() error {
	if _, err := io.WriteString(c.in, "\n"); err != nil {
		return fmt.Errorf("speak to a driver: %w", err)
	}
	return nil
}

// end lets the child end and waits for it.
func (c *child) end() {
	_ = c.in.Close()
	_, _ = io.Copy(io.Discard, c.lines) // until it has closed its side
	_ = c.cmd.Wait()
}

// driver is a program that takes turns with the benchmark.
type driver struct {
	program string
	args    []string
	env     []string  // beside what it inherits
	stop    os.Signal // what ends it where its time is over
}

// drive lets a driver work once, within patience, and measures only that work, not its start. The processes beside it
// work for it, and count.
func drive(ctx context.Context, s standIn, patience time.Duration, d driver, beside ...int) (versus.Run, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c, err := begin(ctx, append(bare(os.Environ()), d.env...), d.program, d.args...)
	if err != nil {
		return versus.Run{}, err
	}
	defer c.end()
	late := time.AfterFunc(startPatience, cancel)
	_, err = c.hear("ready")
	late.Stop()
	if err != nil {
		return versus.Run{Err: err.Error()}, nil
	}
	return s.watched(ctx, patience, func(ctx context.Context) (time.Duration, error) {
		if err := c.tell(); err != nil {
			return 0, err
		}
		defer context.AfterFunc(ctx, func() { _ = c.cmd.Process.Signal(d.stop) })()
		text, err := c.hear("done")
		if err != nil {
			return 0, err
		}
		var done struct {
			Seconds float64
			Error   string
		}
		if err := json.Unmarshal([]byte(text), &done); err != nil {
			return 0, fmt.Errorf("read what a driver says: %w", err)
		}
		if done.Error != "" {
			err = errors.New(done.Error)
		}
		return time.Duration(done.Seconds * float64(time.Second)), err
	}, append(beside, c.cmd.Process.Pid)...)
}

// watched measures the processes with the ids, and the stand-in, during work, within patience. The error of
// the work is part of the run.
func (s standIn) watched(ctx context.Context, patience time.Duration, work func(context.Context) (time.Duration, error), pids ...int) (versus.Run, error) {
	if s.URL != "" {
		if err := s.Forget(ctx); err != nil {
			return versus.Run{}, err
		}
	}
	limited, cancel := context.WithTimeoutCause(ctx, patience, errStopped)
	defer cancel()
	peer, server := measure(pids...), measure(s.pid)
	began := time.Now()
	wall, err := work(limited)
	r := versus.Run{Wall: wall}
	r.CPU, r.Memory = peer.stop()
	r.SiteCPU, _ = server.stop()
	switch {
	case err != nil && errors.Is(context.Cause(limited), errStopped):
		r.Stopped, r.Wall = true, time.Since(began)
	case err != nil:
		r.Err = err.Error()
	}
	if s.URL == "" {
		return r, nil
	}
	stats, err := s.Stats(ctx)
	r.Calls, r.Statuses = stats.Total, stats.Statuses
	return r, err
}

// tail keeps the end of the text written to it.
type tail struct{ text []byte }

const tailSize = 8 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	if len(t.text) > tailSize {
		t.text = append([]byte{}, t.text[len(t.text)-tailSize:]...)
	}
	return len(p), nil
}

// last is the last line that is not empty.
func (t *tail) last() string {
	lines := strings.Split(strings.TrimSpace(string(t.text)), "\n")
	if line := strings.TrimSpace(lines[len(lines)-1]); line != "" {
		return line
	}
	return "it ended without a word"
}
