package house

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/bus"
)

const accessFile = "deploy/nats-access.conf"

// What the services may do on the bus is written from the topology: make docs.
func TestTheBrokersPermissionsAreInStep(t *testing.T) {
	if *update {
		require.NoError(t, os.WriteFile(filepath.Join(root(), accessFile), []byte(bus.AccessConfig()), 0o644))
	}
	assert.Equal(t, bus.AccessConfig(), read(t, accessFile), "%s does not say what shared/bus says; run: make docs", accessFile)
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
