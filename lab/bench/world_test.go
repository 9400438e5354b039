package bench

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/lab/child"
)

// TestMain makes the test binary a process that ends at once where the environment says so.
func TestMain(m *testing.M) {
	if os.Getenv("ENDS") != "" {
		return
	}
	os.Exit(m.Run())
}

// A stage that dies would otherwise be waited for until patience ends.
func TestAProcessThatEndsIsNotWaitedFor(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	p, err := child.Start(child.Spec{Name: "converter", Path: self, Env: []string{"ENDS=1"}}, nil)
	require.NoError(t, err)
	w := &world{procs: []running{{name: "converter", Process: p}}}
	ctx, cancel := w.whileAllRun(t.Context())
	defer cancel()
	<-ctx.Done()
	require.ErrorContains(t, context.Cause(ctx), "converter has ended by itself")
}
