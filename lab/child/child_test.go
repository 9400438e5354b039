package child_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/lab/child"
)

// TestMain runs the test binary as the child if the environment says what it should do.
func TestMain(m *testing.M) {
	switch os.Getenv("CHILD") {
	case "":
		os.Exit(m.Run())
	case "print":
		_, _ = os.Stdout.WriteString(os.Args[0])
		_, _ = os.Stderr.WriteString(" " + os.Args[1])
	case "wait":
		select {}
	}
}

func self(t *testing.T, does string) child.Spec {
	t.Helper()
	path, err := os.Executable()
	require.NoError(t, err)
	return child.Spec{Name: "the child", Path: path, Env: []string{"CHILD=" + does}}
}

func TestAProgramThatEndsByItself(t *testing.T) {
	var out bytes.Buffer
	s := self(t, "print")
	s.Arg0, s.Args, s.Output = "myself", []string{"said"}, &out
	var state *os.ProcessState
	p, err := child.Start(s, func(ended *os.ProcessState) { state = ended })
	require.NoError(t, err)
	require.Positive(t, p.PID())
	<-p.Done()
	require.True(t, state.Success(), "the callback comes before Done")
	require.Equal(t, "myself said", out.String())
	require.NoError(t, p.Terminate(time.Minute), "a process that ended successfully gives no error")
}

func TestAProgramThatIsEnded(t *testing.T) {
	p, err := child.Start(self(t, "wait"), nil)
	require.NoError(t, err)
	// The child does not handle the signal, so the signal ends it.
	require.ErrorContains(t, p.Terminate(time.Minute), "the child ended with signal: terminated")
	p, err = child.Start(self(t, "wait"), nil)
	require.NoError(t, err)
	p.Kill()
	select {
	case <-p.Done():
	default:
		t.Fatal("the process was killed but has not ended")
	}
}

func TestAProgramThatIsNotThere(t *testing.T) {
	_, err := child.Start(child.Spec{Name: "nobody", Path: filepath.Join(t.TempDir(), "nobody")}, nil)
	require.ErrorContains(t, err, "start nobody")
	require.ErrorContains(t, child.Build(t.Context(), t.TempDir(), ".", "./nowhere"), "build ./nowhere")
}
