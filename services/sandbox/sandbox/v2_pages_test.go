package sandbox

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSpacePagesAreWalkedToTheEnd(t *testing.T) {
	site := New(Options{})
	site.AddGenerated("GEN", 1_003, 7)
	c := serve(t, site)
	ids := c.walk("/wiki/api/v2/spaces/"+c.spaceID("GEN")+"/pages?limit=250", "id")
	require.Len(t, ids, 1_003)
	want := []string{}
	for _, p := range site.Pages("GEN") {
		want = append(want, p.ID)
	}
	require.Equal(t, want, ids)
}
