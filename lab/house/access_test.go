package house

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/stages"
	"github.com/sluicehq/sluice/shared/bus"
)

// What the services may do on the bus, and which key each has, is written from the list of stages:
// make docs.
func TestTheBrokersPermissionsAreInStep(t *testing.T) {
	for name, want := range map[string]string{"deploy/nats-access.conf": bus.AccessConfig(""), "deploy/compose.nats-access.yml": composeKeys()} {
		if *update {
			require.NoError(t, os.WriteFile(filepath.Join(root(), name), []byte(want), 0o644))
		}
		assert.Equal(t, want, read(t, name), "%s does not say what shared/bus says; run: make docs", name)
	}
}

// composeKeys gives every role its key, and the broker the public ones.
func composeKeys() string {
	var b strings.Builder
	b.WriteString(`# Lets every service log in to NATS with a key of its own:
#
#   sluice nats init keys       # or: docker compose run --rm --no-deps -v "$PWD:/w" sluice nats init /w/keys
#   sudo chown 65532 keys/*.nk  # the user of the containers
#   docker compose -f docker-compose.yml -f deploy/compose.nats-access.yml up --build
#
# Each service sees its own key and no other. Written from the list of stages in shared/bus by
# make docs; do not change it by hand.

services:
  nats:
    command: ["-c", "/etc/nats/nats-secured.conf"]
    volumes:
      - ./deploy/nats-secured.conf:/etc/nats/nats-secured.conf:ro
      - ./deploy/nats-access.conf:/etc/nats/nats-access.conf:ro
      - ./keys/keys.conf:/etc/nats/keys.conf:ro
`)
	for _, r := range bus.Roles {
		fmt.Fprintf(&b, "  %[1]s:\n    environment: {NATS_NKEY_FILE: /keys/%[1]s.nk}\n    volumes: [\"./keys/%[1]s.nk:/keys/%[1]s.nk:ro\"]\n", r.Name)
	}
	return b.String()
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
