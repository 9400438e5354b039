package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
)

// A text is used again for the same bytes by the same reader alone; the name of the file does not count beside it.
func TestTextsOfTheSameBytes(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	addSource(t, s, "docs")
	w := write("docs", "", "att1", 1, "Dockerfile", "FROM scratch")
	w.Page.Kind, w.Metadata.File = page.Attachment, &page.File{SHA256: "the sum", Format: "code", Reader: "2 code dockerfile"}
	store1(t, s, w)
	for _, c := range []struct {
		title, reader, sum string
		known              bool
	}{
		{"Dockerfile", "2 code dockerfile", "the sum", true}, {"a.dockerfile", "2 code dockerfile", "the sum", true},
		{"LICENSE", "2", "the sum", false}, {"Dockerfile", "1 code dockerfile", "the sum", false}, {"Dockerfile", "2 code dockerfile", "another", false},
	} {
		text, err := s.FileText(t.Context(), "docs", page.Facts{ID: "att2", Title: c.title, File: &page.File{SHA256: c.sum}}, c.reader)
		if !c.known {
			require.ErrorIs(t, err, store.ErrNotFound, "%v", c)
			continue
		}
		require.NoError(t, err, "%v", c)
		require.Equal(t, w.Markdown, text.Markdown)
	}
	of := w.Page
	text, err := s.FileText(t.Context(), "docs", of, "2 code dockerfile")
	require.NoError(t, err, "of the same version")
	require.Equal(t, *w.Metadata.File, text.File)
	of.Version++
	_, err = s.FileText(t.Context(), "docs", of, "2 code dockerfile")
	require.ErrorIs(t, err, store.ErrNotFound)
}
