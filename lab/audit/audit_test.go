package audit

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryFindingIsExplainedOrFails(t *testing.T) {
	exceptions, err := Exceptions(strings.NewReader(`
# a comment
gosec G304 a.go 2 the person at the prompt names the file
gosec G115 gone.go 1 what was found here is mended
govulncheck GO-2026-0001 example.org/m 1 we never call what is wrong
`))
	require.NoError(t, err)
	g304 := Finding{Tool: "gosec", Rule: "G304", Where: "a.go", Text: "x"}
	require.Equal(t, []string{"gosec G115 gone.go is explained but no longer found: take its line out"},
		Judge([]Finding{g304, g304}, exceptions, []string{"gosec"}), "a tool that did not run is not judged")
	fresh := Finding{Tool: "gosec", Rule: "G101", Where: "b.go", Text: "line 3: a password"}
	require.Equal(t, []string{
		"gosec G304 a.go is explained 2 times and found 3 times",
		"gosec G115 gone.go is explained but no longer found: take its line out",
		"govulncheck GO-2026-0001 example.org/m is explained but no longer found: take its line out",
		"gosec G101 b.go: line 3: a password",
	}, Judge([]Finding{g304, g304, g304, fresh}, exceptions, []string{"gosec", "govulncheck"}))
}

func TestAnExplanationHasAReason(t *testing.T) {
	for _, line := range []string{
		"gosec G304 a.go 1", "gosec G304 a.go 1 because", "gosec G304 a.go many this is a good reason",
		"gosec G304 a.go 0 this is a good reason", "gosec G304 a.go 1 this is a reason\ngosec G304 a.go 1 this is a reason",
	} {
		_, err := Exceptions(strings.NewReader(line))
		require.Error(t, err, line)
	}
}

func TestReportsAreRead(t *testing.T) {
	list, err := Gosec(strings.NewReader(`{"Golang errors":{},"Issues":[{"rule_id":"G304","details":"d","file":"/w/shared/a.go","line":"7"}],"Stats":{"files":3}}`), "/w")
	require.NoError(t, err)
	require.Equal(t, []Finding{{"gosec", "G304", "shared/a.go", "line 7: d"}}, list)

	list, err = Govulncheck(strings.NewReader(`{"config":{}} {"osv":{"id":"GO-1"}}
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

// A scanner that did not scan finds nothing, which must not look like a clean bill.
func TestAnEmptyReportIsNoCleanBill(t *testing.T) {
	_, err := Gosec(strings.NewReader(`{"Golang errors":{},"Issues":[],"Stats":{"files":0}}`), "/w")
	require.Error(t, err)
	_, err = Gosec(strings.NewReader(`{"Golang errors":{"/w/a.go":[{"line":1}]},"Issues":[],"Stats":{"files":9}}`), "/w")
	require.Error(t, err)
	_, err = Govulncheck(strings.NewReader(``))
	require.Error(t, err)
	_, err = Licenses(strings.NewReader(`{"components":[]}`), nil)
	require.Error(t, err)
}
