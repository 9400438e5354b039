package retrieval

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/vectors"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// floors are the minimum shares of questions with a right page among the first five hits, by style. The set is small,
// so a single question is several percent.
var floors = map[string]float64{"natural": 0.85, "keyword": 0.96, "identifier": 0.94, "typo": 0.88, "other scripts": 0.80}

func requireFloors(t *testing.T, address string, o Options, floors map[string]float64) {
	t.Helper()
	set, err := ReadBuiltin("../../services/sandbox/sandbox/pages", "testdata/questions.jsonl")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(set.Questions), 100)
	s, err := store.Open(t.Context(), address)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	reports, err := Measure(t.Context(), s, set, o)
	require.NoError(t, err)
	require.Len(t, reports, 1)
	var text strings.Builder
	require.NoError(t, Write(&text, reports, len(set.Questions)))
	for style, floor := range floors {
		require.GreaterOrEqual(t, reports[0].Styles[style].Page.At5, floor, "%s%s", style, text.String())
	}
}

func TestOurOwnQuestionsAreAnswered(t *testing.T) {
	t.Parallel()
	requireFloors(t, pgtest.MigratedURL(t), Options{Ways: []string{"words"}}, floors)
}

func TestHitsAreJudgedAsTheyShould(t *testing.T) {
	page := Page{ID: "1", Sections: []Section{{Heading: "One", Text: "a b c d"}, {Heading: "Only a heading"}}}
	j := newJudge(Set{Pages: []Page{page}})
	q := Question{Pages: []string{"1"}, Sections: []SectionRef{{"1", 0}}}
	for _, c := range []struct {
		hits          []hit
		page, section int
	}{
		{nil, 0, 0},
		{[]hit{{"2", "a b c d"}}, 0, 0},
		{[]hit{{"2", "x"}, {"1", "other words here"}, {"1", "A b, c."}}, 2, 3},
		{[]hit{{"1", "a b c d and much more of something else"}}, 1, 1},
	} {
		o := j.outcome(q, c.hits)
		require.Equal(t, []int{c.page, c.section}, []int{o.page, o.section}, c.hits)
	}
	q.Sections[0].Place = 1
	require.Equal(t, 1, j.outcome(q, []hit{{"1", "only a heading"}}).section, "a section without text is identified by its heading")
}

func TestATextWithoutItsTitles(t *testing.T) {
	require.Equal(t, "one\n\ntwo", withoutTitles(vectors.Text("Page", []string{"Section"}, "one\n\ntwo")))
	require.Equal(t, "Page", withoutTitles(vectors.Text("Page", nil, "")), "a page without text")
}
