package cli

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/source/folder"
	"github.com/sluicehq/sluice/shared/store"
)

func TestWhatHidesPagesIsSaid(t *testing.T) {
	t.Parallel()
	const enforce = store.Enforce
	now := time.Now()
	docs := store.Source{ID: "docs", System: store.Confluence, Permissions: enforce, Chosen: true}
	with := func(change func(*store.Source)) store.Source {
		src := docs
		change(&src)
		return src
	}
	for want, src := range map[string]store.Source{
		"":                                       with(func(s *store.Source) { s.ReadersAt = now }),
		"read with its first sync":               docs,
		"being read":                             with(func(s *store.Source) { s.LastSync = now }),
		"cannot be read (forbidden)":             with(func(s *store.Source) { s.ReadersProblem = "forbidden" }),
		"of 5 minutes ago count until":           with(func(s *store.Source) { s.ReadersProblem, s.ReadersAt = "forbidden", now.Add(-5*time.Minute) }),
		"last read 2 days ago, which is too old": with(func(s *store.Source) { s.ReadersAt, s.ReadersOld = now.Add(-48*time.Hour), true }),
		"until they are 1 day old":               with(func(s *store.Source) { s.ReadersProblem, s.ReadersAt, s.ReadersMaxAge = "x", now, 24*time.Hour }),
	} {
		if line := permissionsLine(src); want == "" {
			require.Empty(t, line)
		} else {
			require.Contains(t, line, want)
		}
	}
	left := store.Source{ID: "old", System: store.Confluence, Permissions: store.OpenToAll}
	meant := store.Source{ID: "wiki", System: store.Confluence, Permissions: store.OpenToAll, Chosen: true}
	files := store.Source{ID: "notes", System: folder.System, Permissions: store.OpenToAll}
	var out, said bytes.Buffer
	a := &app{out: &out, err: &said, self: "sluice"}
	a.showPermissions([]store.Source{docs, left, meant, files})
	require.Contains(t, out.String(), "Permissions: enforce for docs; open for old, wiki, notes\n")
	require.Contains(t, said.String(), "every page of old,")
	require.Contains(t, said.String(), "sluice source set old --permissions enforce")
	require.NotContains(t, said.String(), "wiki")
	said.Reset()
	a.showPermissions([]store.Source{docs, meant, files})
	require.Empty(t, said.String())

	d := &doctor{}
	d.LeftOpen([]store.Source{docs, meant, files})
	require.Empty(t, d.Findings)
	d.LeftOpen([]store.Source{docs, left})
	require.Len(t, d.Findings, 1)
	require.Equal(t, control.VerdictWarn, d.Findings[0].Verdict)
	require.Contains(t, d.Findings[0].Mend, "sluice source set old --permissions enforce")
}
