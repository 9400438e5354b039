package e2etest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/event"
)

// Confluence stores NUL characters in a title, a label, a body and the title of a link; Postgres stores none of them.
// No page is lost because of that, not even the one with the NUL.
func TestANULStopsNothing(t *testing.T) {
	t.Parallel()
	g := newGarden(t, sandbox.Options{})
	odd, err := g.site.CreatePage(sandbox.Draft{
		Space: gardenSpace, Title: "Odd\x00title", Labels: []string{"la\x00bel"},
		Body: "<p>Before\x00after <ac:link><ri:page ri:content-title=\"\x00A\" /></ac:link></p>",
	})
	require.NoError(t, err)
	g.ids["Odd"] = odd.ID
	g.ends(event.Full, event.Counts{Created: 1})
	got := g.page("Odd")
	require.Equal(t, "Oddtitle", got.Title)
	require.Equal(t, []string{"label"}, got.Metadata.Labels)
	require.Contains(t, got.Markdown, "Beforeafter")
	require.Equal(t, g.ids["A"], got.Metadata.InternalLinks[0].PageID, "the link finds its page")
}
