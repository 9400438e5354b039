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
)

// Run is one run of one peer.
type Run struct {
	Pages    int           // that it handed over
	Wall     time.Duration // from the word to begin to the last page
	CPU      time.Duration // of all its processes
	SiteCPU  time.Duration // of the stand-in meanwhile
	Memory   int64         // the peak of all its processes together, bytes
	Calls    int64
	Statuses map[int]int64
	Err      string // how it ended where it did not end well
}

// patience is how long one run of one peer may take.
const patience = 20 * time.Minute

// child is a process with which the benchmark takes turns over its standard input and output.
type child struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Reader
	said  *tail
}

// begin starts the program. It ends with ctx.
func begin(ctx context.Context, env []string, program string, args ...string) (*child, error) {
	c := &child{cmd: exec.CommandContext(ctx, program, args...), said: &tail{}}
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

// hear waits for the next line that begins with the word and returns what follows it. Where the
// child ends before, its last words are the error.
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

// drive lets a driver do its work once and measures that alone, not its start.
func drive(ctx context.Context, s site, env []string, program string, args ...string) (Run, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := begin(ctx, append(os.Environ(), env...), program, args...)
	if err != nil {
		return Run{}, err
	}
	defer c.end()
	if _, err := c.hear("ready"); err != nil {
		return Run{Err: err.Error()}, nil
	}
	return s.watched(ctx, c.cmd.Process.Pid, func() (time.Duration, error) {
		if err := c.tell(); err != nil {
			return 0, err
		}
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
	})
}

// watched measures the process with the id, and the stand-in, while work is done. The error of
// the work is part of the run.
func (s site) watched(ctx context.Context, pid int, work func() (time.Duration, error)) (Run, error) {
	if s.url != "" {
		if err := s.resetStats(ctx); err != nil {
			return Run{}, err
		}
	}
	peer, server := measure(pid), measure(s.pid)
	wall, err := work()
	r := Run{Wall: wall}
	r.CPU, r.Memory = peer.stop()
	r.SiteCPU, _ = server.stop()
	if err != nil {
		r.Err = err.Error()
	}
	if s.url == "" {
		return r, nil
	}
	stats, err := s.stats(ctx)
	r.Calls, r.Statuses = stats.Total, stats.Statuses
	return r, err
}

// tail keeps the end of what is written to it.
type tail struct{ text []byte }

const tailSize = 8 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	if len(t.text) > tailSize {
		t.text = append([]byte{}, t.text[len(t.text)-tailSize:]...)
	}
	return len(p), nil
}

// last is the last line that says something.
func (t *tail) last() string {
	lines := strings.Split(strings.TrimSpace(string(t.text)), "\n")
	if line := strings.TrimSpace(lines[len(lines)-1]); line != "" {
		return line
	}
	return "it ended without a word"
}
