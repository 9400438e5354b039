package localpg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// A Server is a running PostgreSQL server that is a child of this process.
type Server struct {
	port     int
	pid      int
	version  string
	password string
	logPath  string
	logStart int64 // start of this server's part of the log file
	lacking  error // why it has no pgvector

	grace    time.Duration // how long an immediate shutdown may take
	stopping atomic.Bool
	gone     chan struct{} // closed when the child has been reaped
	done     chan struct{} // closed later, when the data folder is free again
	exit     error         // how the child ended; read after gone
}

// Port is the TCP port on 127.0.0.1.
func (s *Server) Port() int { return s.port }

// PID is the server's process id.
func (s *Server) PID() int { return s.pid }

// Version is the server's version, for example "17.11".
func (s *Server) Version() string { return s.version }

// NoVector says, with Options.Vector, why this server has no pgvector, and the way out; nil if it has. The server
// runs all the same.
func (s *Server) NoVector() error { return s.lacking }

// Done is closed when the server has ended for any reason, and its data folder can be started again.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err returns, after Done, why a server ended that no one stopped. It is nil while the server runs and
// after Stop.
func (s *Server) Err() error {
	select {
	case <-s.done:
	default:
		return nil
	}
	if s.stopping.Load() {
		return nil
	}
	return s.ended()
}

// ended describes the exit of the child, with the end of its log. Call after gone.
func (s *Server) ended() error {
	how := "it exited without an error"
	if s.exit != nil {
		how = s.exit.Error()
	}
	return fmt.Errorf("PostgreSQL %s ended by itself (%s)%s", s.version, how, s.logTail())
}

// Stop shuts the server down: open transactions are rolled back, everything committed is on disk. If ctx
// ends first, the server is forced to end, which loses nothing but makes the next start recover; that is
// an error. Stopping a server that has ended does nothing.
func (s *Server) Stop(ctx context.Context) error {
	s.stopping.Store(true)
	s.signal(syscall.SIGINT)
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
	}
	s.kill()
	<-s.done
	return fmt.Errorf("stopping PostgreSQL: forced, because it did not end in time: %w", context.Cause(ctx))
}

// quitGrace is one second longer than a quitting server waits for its own children before it kills them.
const quitGrace = 6 * time.Second

// kill ends the child without a checkpoint and waits until it has been reaped.
func (s *Server) kill() {
	s.signal(syscall.SIGQUIT)
	select {
	case <-s.gone:
		return
	case <-time.After(s.grace):
	}
	s.signal(syscall.SIGKILL)
	<-s.gone
}

// signal reaches the child only while it has not been reaped, so that it can never hit another process
// with a reused id.
func (s *Server) signal(sig syscall.Signal) {
	select {
	case <-s.gone:
	default:
		// The only possible error is that the child has just ended: there is nothing to signal.
		_ = signalProcess(s.pid, sig)
	}
}

// finish frees the data folder once the server is gone.
func (s *Server) finish(hold *clusterLock) {
	<-s.gone
	hold.release()
	close(s.done)
}

// launch runs the server on port and waits until it accepts connections.
func (c cluster) launch(ctx context.Context, log *os.File, port int) (*Server, error) {
	from, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("opening the server's log: %w", err)
	}
	s := &Server{
		port: port, version: c.bin.Version, logPath: log.Name(), logStart: from,
		grace: min(quitGrace, c.opts.patience),
		gone:  make(chan struct{}), done: make(chan struct{}),
	}
	// Not bound to ctx: the server outlives the start.
	cmd := c.run.command(context.WithoutCancel(ctx), c.bin.path("postgres"), c.serverArgs(port)...)
	cmd.SysProcAttr = childAttr(c.run.as, syscall.SIGINT)
	cmd.Stdout, cmd.Stderr = log, log
	started := make(chan error, 1)
	go s.child(cmd, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("running %s: %w", cmd.Path, err)
	}
	if err := s.waitReady(ctx, c.dir); err != nil {
		return nil, err
	}
	return s, nil
}

// child starts cmd and reaps it. The kernel sends the parent-death signal when the thread that forked
// ends, not when the process does: the goroutine keeps its thread as long as the child lives.
func (s *Server) child(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(s.gone)
	err := cmd.Start()
	if err == nil {
		s.pid = cmd.Process.Pid
	}
	started <- err
	if err == nil {
		s.exit = cmd.Wait()
	}
}

// waitReady returns once the server's pid file says that it accepts connections, like pg_ctl. The file's
// process id must be the child's: the file may come from an earlier server.
func (s *Server) waitReady(ctx context.Context, dataDir string) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if f, err := readPidFile(dataDir); err == nil && f.pid == s.pid && f.ready {
			return nil
		}
		select {
		case <-s.gone:
			err := s.ended()
			if strings.Contains(s.logTail(), "Address already in use") {
				return fmt.Errorf("%w: 127.0.0.1:%d: %w", ErrPortBusy, s.port, err)
			}
			return err
		case <-ctx.Done():
			s.kill()
			return fmt.Errorf("waiting for PostgreSQL %s to start: %w%s", s.version, context.Cause(ctx), s.logTail())
		case <-tick.C:
		}
	}
}

// logTail quotes the end of this server's log, for an error's text.
func (s *Server) logTail() string {
	const maxBytes, maxLines = 4096, 20
	f, err := os.Open(s.logPath)
	if err != nil {
		return fmt.Sprintf("; its log cannot be read: %v", err)
	}
	defer f.Close()
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Sprintf("; its log cannot be read: %v", err)
	}
	buf := make([]byte, min(maxBytes, max(0, end-s.logStart)))
	n, err := f.ReadAt(buf, end-int64(len(buf)))
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Sprintf("; its log cannot be read: %v", err)
	}
	return "; the end of " + s.logPath + ":" + quoteTail(buf[:n], maxLines)
}

// quoteTail indents the last lines of out.
func quoteTail(out []byte, lines int) string {
	all := strings.Split(string(bytes.TrimSpace(out)), "\n")
	all = all[max(0, len(all)-lines):]
	return "\n\t" + strings.Join(all, "\n\t")
}

// pidFile holds the relevant lines of a cluster's postmaster.pid.
type pidFile struct {
	pid   int
	ready bool
}

func pidFilePath(dataDir string) string { return filepath.Join(dataDir, "postmaster.pid") }

func readPidFile(dataDir string) (pidFile, error) {
	raw, err := os.ReadFile(pidFilePath(dataDir))
	if err != nil {
		return pidFile{}, err
	}
	lines := strings.Split(string(raw), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil {
		return pidFile{}, fmt.Errorf("reading %s: %w", pidFilePath(dataDir), err)
	}
	const statusLine = 7 // counted from zero
	ready := len(lines) > statusLine && strings.TrimSpace(lines[statusLine]) == "ready"
	return pidFile{pid: pid, ready: ready}, nil
}

// serverArgs are the command line of the server. Settings are here and not in postgresql.conf, so that a
// newer Sluice can change them.
func (c cluster) serverArgs(port int) []string {
	set := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"port":                    strconv.Itoa(port),
		"unix_socket_directories": "", // a socket's path must be short; a data folder's path may be long
		"max_connections":         "100",
		"shared_buffers":          "128MB",
		"random_page_cost":        "1.1",
		"jit":                     "off", // compiling short queries takes longer than running them
		"timezone":                "UTC",
		"log_timezone":            "UTC",
		"lc_messages":             "C", // waitReady reads them
		"log_destination":         "stderr",
		"logging_collector":       "off",
		"log_checkpoints":         "off",
		"log_line_prefix":         "%m [%p] ",
		"cluster_name":            "sluice",
	}
	if c.opts.NoSync {
		set["fsync"] = "off"
		set["full_page_writes"] = "off"
		set["shared_buffers"] = "64MB"
	}
	if c.extensions != "" {
		set["extension_control_path"] = filepath.Join(c.extensions, "share") + ":$system"
		set["dynamic_library_path"] = filepath.Join(c.extensions, "lib") + ":$libdir"
	}
	maps.Copy(set, c.opts.Settings)
	args := []string{"-D", c.dir}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		args = append(args, "-c", name+"="+set[name])
	}
	return args
}
