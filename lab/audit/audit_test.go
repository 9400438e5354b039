package audit

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryFindingIsExplainedOrFails(t *testing.T) {
	exceptions, err := Exceptions(strings.NewReader(`
# a comment
license MPL-2.0 example.org/a 2 used unchanged as a library
license unknown example.org/gone 1 what was found here is mended
govulncheck GO-2026-0001 example.org/m 1 we never call what is wrong
`))
	require.NoError(t, err)
	mpl := Finding{Tool: "license", Rule: "MPL-2.0", Where: "example.org/a", Text: "x"}
	require.Equal(t, []string{"license unknown example.org/gone is explained but no longer found: take its line out"},
		Judge([]Finding{mpl, mpl}, exceptions, []string{"license"}), "a tool that did not run is not judged")
	fresh := Finding{Tool: "license", Rule: "AGPL-3.0", Where: "example.org/b", Text: "v1.0.0 is under AGPL-3.0"}
	require.Equal(t, []string{
		"license MPL-2.0 example.org/a is explained 2 times and found 3 times",
		"license unknown example.org/gone is explained but no longer found: take its line out",
		"govulncheck GO-2026-0001 example.org/m is explained but no longer found: take its line out",
		"license AGPL-3.0 example.org/b: v1.0.0 is under AGPL-3.0",
	}, Judge([]Finding{mpl, mpl, mpl, fresh}, exceptions, []string{"license", "govulncheck"}))
}

func TestAnExplanationHasAReason(t *testing.T) {
	for _, line := range []string{
		"license MIT m 1", "license MIT m 1 because", "license MIT m many this is a good reason",
		"license MIT m 0 this is a good reason", "license MIT m 1 this is a reason\nlicense MIT m 1 this is a reason",
	} {
		_, err := Exceptions(strings.NewReader(line))
		require.Error(t, err, line)
	}
}

func TestReportsAreRead(t *testing.T) {
	list, err := Govulncheck(strings.NewReader(`{"config":{}} {"osv":{"id":"GO-1"}}
		{"finding":{"osv":"GO-1","fixed_version":"v1.2.0","trace":[{"module":"example.org/m","version":"v1.1.0"}]}}
		{"finding":{"osv":"GO-1","fixed_version":"v1.2.0","trace":[{"module":"example.org/m","version":"v1.1.0","function":"F"}]}}`))
	require.NoError(t, err)
	require.Equal(t, []Finding{{"govulncheck", "GO-1", "example.org/m", "v1.1.0, mended in v1.2.0"}}, list)

	list, err = Licenses(strings.NewReader(`{"components":[
		{"name":"std"},{"name":"github.com/sluicehq/sluice/shared"},
		{"name":"a","version":"v1","evidence":{"licenses":[{"license":{"id":"MIT"}}]}},
		{"name":"b","version":"v1","evidence":{"licenses":[{"license":{"id":"AGPL-3.0"}}]}},{"name":"c","version":"v1"}]}`), []string{"MIT"})
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, "AGPL-3.0", list[0].Rule)
	require.Equal(t, "unknown", list[1].Rule)
}

// A scanner that did not run has no findings; this must not look like a clean result.
func TestAnEmptyReportIsNoCleanBill(t *testing.T) {
	_, err := Govulncheck(strings.NewReader(``))
	require.Error(t, err)
	_, err = Licenses(strings.NewReader(`{"components":[]}`), nil)
	require.Error(t, err)
}
