package service

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheEnvironmentDecidesOnGarbageBeforeTheStage(t *testing.T) {
	standing := debug.SetGCPercent(123)
	defer debug.SetGCPercent(standing)
	now := func() int {
		percent := debug.SetGCPercent(100)
		debug.SetGCPercent(percent)
		return percent
	}
	Stage{GCPercent: 400}.collect(func(name string) (string, bool) { return "50", name == "GOGC" })
	require.Equal(t, 123, now(), "Go itself has read GOGC")
	Stage{}.collect(func(string) (string, bool) { return "", false })
	require.Equal(t, 123, now())
	Stage{GCPercent: 400}.collect(func(string) (string, bool) { return "", false })
	require.Equal(t, 400, now())
}
