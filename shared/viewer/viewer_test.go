package viewer_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/viewer"
)

func TestWhoSeesWhat(t *testing.T) {
	var nobody viewer.Viewer
	for name, tc := range map[string]struct {
		v           viewer.Viewer
		docs, other bool
	}{
		"the zero viewer":       {nobody, false, false},
		"no sources":            {viewer.OfSources(), false, false},
		"one source":            {viewer.OfSources("docs"), true, false},
		"all":                   {viewer.All(), true, true},
		"all, narrowed":         {viewer.All().Only("docs"), true, false},
		"narrowed to another's": {viewer.OfSources("docs").Only("other"), false, false},
		"an empty id":           {viewer.OfSources("docs").Only(""), false, false},
	} {
		require.Equal(t, tc.docs, tc.v.Sees("docs"), name)
		require.Equal(t, tc.other, tc.v.Sees("other"), name)
		require.NotNil(t, tc.v.Sources(), name)
	}
}
