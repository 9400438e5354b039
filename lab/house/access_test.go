package house

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/stages"
	"github.com/sluicehq/sluice/shared/bus"
)

// What the services may do on the bus is written from the list of stages: make docs. Nothing runs with
// this copy: it shows, beside the code, what a change permits.
func TestTheBrokersPermissionsAreInStep(t *testing.T) {
	const name = "deploy/nats-access.conf"
	want := bus.AccessConfig("")
	if *update {
		require.NoError(t, os.WriteFile(filepath.Join(root(), name), []byte(want), 0o644))
	}
	assert.Equal(t, want, read(t, name), "%s does not say what shared/bus says; run: make docs", name)
}

// The list of what stages do on the bus and the list of what they run are of the same stages, in
// the same order.
func TestBothListsOfStagesAreOfTheSame(t *testing.T) {
	var rows, run []string
	for _, s := range bus.Stages {
		rows = append(rows, s.Name)
	}
	for _, s := range stages.All() {
		run = append(run, s.Name)
	}
	assert.Equal(t, rows, run, "bus.Stages and services/stages")
}

// The monitoring page tells everything of the broker's clients and streams, and asks for no key: only the
// health check, in the container or on the host, reaches it.
func TestTheBrokersMonitoringIsItsOwn(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root(), "deploy", "nats*.conf"))
	require.NoError(t, err)
	require.Greater(t, len(files), 2)
	found := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`(?mi)^\s*(https?|https?_port|monitor_port)\s*[:= ]\s*(\S+)`).FindAllStringSubmatch(string(text), -1) {
			found++
			assert.Equal(t, "127.0.0.1:8222", m[2], "%s: %s", filepath.Base(file), m[0])
		}
	}
	assert.Positive(t, found)
}

// Every program that speaks to the bus has a credential, and nobody else but the gateway.
func TestEveryProgramHasARole(t *testing.T) {
	var roles []string
	for _, r := range bus.Roles {
		roles = append(roles, r.Name)
	}
	for _, name := range programs(t) {
		if name != "sandbox" {
			assert.Contains(t, roles, name)
		}
	}
	for _, name := range roles {
		assert.True(t, name == "gateway" || slices.Contains(programs(t), name), "%s is no program", name)
	}
}
