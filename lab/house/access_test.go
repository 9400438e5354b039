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

// The permissions of the services on the bus are generated from the list of stages: make docs. Nothing uses
// this copy at run time: it shows, beside the code, what a change permits.
func TestTheBrokersPermissionsAreInStep(t *testing.T) {
	const name = "deploy/nats-access.conf"
	want := bus.AccessConfig("")
	if *update {
		require.NoError(t, os.WriteFile(filepath.Join(root(), name), []byte(want), 0o644))
	}
	assert.Equal(t, want, read(t, name), "%s is not up to date with shared/bus; run: make docs", name)
}

// The list of what stages do on the bus and the list of what they run contain the same stages in the same order.
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

// The monitoring page shows everything about the broker's clients and streams and needs no key: only the health
// check, in the container or on the host, may reach it.
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

// Every program that uses the bus has a role, and every role belongs to a program.
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
		assert.True(t, name == "gateway" || slices.Contains(programs(t), name), "%s is not a program", name)
	}
}
