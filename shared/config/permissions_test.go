package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

type permissions struct{ Permissions }

func TestPermissionsMayBeOlderThanTwoReadings(t *testing.T) {
	load := func(every, maxAge string) error {
		vars := map[string]string{"PERMISSIONS_EVERY": every, "PERMISSIONS_MAX_AGE": maxAge}
		_, err := Load[permissions](func(name string) (string, bool) { v, ok := vars[name]; return v, ok })
		return err
	}
	for _, good := range [][2]string{{"", ""}, {"12h", ""}, {"1m", "10m"}, {"6h", "720h"}, {"5m", "10m"}} {
		require.NoError(t, load(good[0], good[1]), good)
	}
	for _, bad := range [][2]string{{"", "90m"}, {"", "721h"}, {"1m", "9m"}, {"6m", "11m"}, {"", "soon"}} {
		err := load(bad[0], bad[1])
		require.ErrorContains(t, err, "PERMISSIONS_MAX_AGE", bad)
		require.ErrorContains(t, err, "or PERMISSIONS_EVERY shorter", "it names the way out")
	}
	err := load("13h", "24h")
	require.ErrorContains(t, err, "PERMISSIONS_EVERY is")
	require.NotContains(t, err.Error(), "PERMISSIONS_MAX_AGE is", "one mistake is one problem")
}
