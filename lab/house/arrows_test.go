package house

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// room is a dependency that only some folders may import, so that changing it affects only those folders.
type room struct {
	imports []string // import paths, or their parents
	home    []string // folders that may import them
	tests   []string // folders whose _test.go files may import them too; "*" means every folder
	why     string
}

var rooms = []room{
	{
		imports: []string{"github.com/jackc/pgx", "github.com/lib/pq"},
		home:    []string{"shared/store", "shared/pgtest", "lab/storebench"},
		tests:   []string{"migrations", "shared/localpg", "services/sluice", "lab"},
		why:     "SQL lives in shared/store; ask it for a method",
	},
	{
		imports: []string{"database/sql"},
		home:    []string{"migrations", "shared/store", "shared/pgtest", "lab/storebench"},
		tests:   []string{"shared/localpg", "lab"},
		why:     "SQL lives in shared/store; ask it for a method",
	},
	{
		imports: []string{"github.com/pressly/goose"},
		home:    []string{"migrations"},
		why:     "only the migrations module applies migrations",
	},
	{
		imports: []string{"github.com/nats-io/nats.go", "github.com/nats-io/nkeys", "github.com/nats-io/jwt"},
		home:    []string{"shared/bus"},
		tests:   []string{"shared/broker", "lab"},
		why:     "stages use shared/bus; tests of the broker and of the whole system may be independent clients",
	},
	{
		imports: []string{"github.com/nats-io/nats-server"},
		home:    []string{"shared/broker"},
		why:     "shared/broker is the embedded server",
	},
	{
		imports: []string{"github.com/PuerkitoBio/goquery", "github.com/JohannesKaufmann/html-to-markdown", "github.com/JohannesKaufmann/dom", "golang.org/x/net/html"},
		home:    []string{"services/converter", "services/extractor", "lab/fidelity"},
		tests:   []string{"services/gateway"}, // they read the pages of the console
		why:     "storage format is parsed in one place, and HTML files in another",
	},
	{
		imports: []string{"github.com/klippa-app/go-pdfium", "github.com/tetratelabs/wazero", "github.com/xuri/excelize"},
		home:    []string{"services/extractor"},
		why:     "files are read in one place, within limits",
	},
	{
		imports: []string{"github.com/failsafe-go/failsafe-go"},
		home:    []string{"shared/confluence", "shared/embedding"},
		why:     "retries of one HTTP call belong to a client; retries of work belong to the bus",
	},
	{
		imports: []string{"github.com/go-json-experiment/json"},
		home:    []string{"shared/fastjson"},
		why:     "the second JSON library is only for bodies of megabytes",
	},
	{
		imports: []string{"github.com/klauspost/compress"},
		home:    []string{"shared/bus"},
		why:     "only the bus decides how bodies are transferred",
	},
	{
		imports: []string{"github.com/caarlos0/env", "github.com/compose-spec/compose-go"},
		home:    []string{"shared/config", "lab/house"},
		why:     "settings come through shared/config",
	},
	{
		imports: []string{"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/schollz/progressbar"},
		home:    []string{"services/sluice"},
		why:     "only the command-line program parses command lines",
	},
	{
		imports: []string{"github.com/jedib0t/go-pretty", "github.com/dustin/go-humanize"},
		home:    []string{"services/sluice", "lab"},
		why:     "only output for people, on a terminal or in a report, is formatted as tables",
	},
	{
		imports: []string{"github.com/danielgtaylor/huma", "github.com/prometheus"},
		home:    []string{"services/gateway"},
		why:     "only one service has the HTTP API",
	},
	{
		imports: []string{"github.com/modelcontextprotocol/go-sdk"},
		home:    []string{"shared/assistant"},
		tests:   []string{"services/gateway", "services/sluice"},
		why:     "one package speaks MCP; its tests and those of its doors are clients",
	},
	{
		imports: []string{"golang.org/x/crypto"},
		home:    []string{"shared/apikey", "shared/broker", "shared/seal"},
		why:     "only these packages hash keys and passwords, and encrypt tokens",
	},
	{
		imports: []string{
			"testing", "net/http/httptest", "github.com/stretchr/testify", "go.uber.org/goleak",
			module + "shared/pgtest", module + "shared/bus/bustest", module + "shared/bustest", module + "shared/store/storetest",
		},
		tests: []string{"*"},
		why:   "test helpers stay out of programs",
	},
}

func TestEveryDependencyStaysInItsRoom(t *testing.T) {
	for _, s := range all(t) {
		for _, imp := range s.imports {
			for _, r := range rooms {
				if slices.ContainsFunc(r.imports, func(p string) bool { return below(imp, p) }) && !r.open(s) {
					assert.Failf(t, "import in the wrong place", "%s imports %s: %s", s.path, imp, r.why)
				}
			}
		}
	}
}

func (r room) open(s source) bool {
	forTests := s.test || s.kit()
	return slices.ContainsFunc(r.home, s.in) ||
		forTests && (slices.Contains(r.tests, "*") || slices.ContainsFunc(r.tests, s.in))
}

// The allowed imports between our modules and stages. Stages exchange only events.
func TestArrows(t *testing.T) {
	for _, s := range all(t) {
		for _, imp := range s.imports {
			ours, ok := strings.CutPrefix(imp, module)
			if ok && !arrow(s, ours) {
				assert.Failf(t, "import against the design", "%s must not import %s", s.path, imp)
			}
		}
	}
}

func arrow(s source, to string) bool {
	from, _, _ := strings.Cut(s.dir, "/")
	if below(to, "lab") {
		return from == "lab" // the lab tests the other modules and is not part of them
	}
	switch from {
	case "lab":
		return true
	case "migrations":
		return below(to, "migrations")
	case "shared":
		return below(to, "shared") || below(to, "migrations")
	}
	if !below(to, "services") {
		return true
	}
	mine, theirs := program(s.dir), program(to)
	switch {
	case mine == theirs, mine == "sluice", mine == "stages":
		return true
	case theirs == "stages":
		return false // stages contains all of them
	case theirs == "sandbox":
		// The stand-in replaces the outside world in a stage's tests; a stage must not import it.
		return s.test
	default:
		return false
	}
}

// program returns the second part of services/<program>/….
func program(path string) string {
	_, rest, _ := strings.Cut(path, "/")
	name, _, _ := strings.Cut(rest, "/")
	return name
}

// below reports whether path is parent or inside it. A module's major version counts as inside: …/pgx/v5 is below
// …/pgx.
func below(path, parent string) bool { return path == parent || strings.HasPrefix(path, parent+"/") }

func TestArrowRulesBite(t *testing.T) {
	for _, tc := range []struct {
		from, to string
		test, ok bool
	}{
		{"migrations", "shared/event", false, false},
		{"shared/bus", "shared/event", false, true},
		{"shared/store", "migrations", false, true},
		{"shared/store", "services/fetcher/fetcher", true, false},
		{"services/fetcher/fetcher", "shared/store", false, true},
		{"services/fetcher", "services/fetcher/fetcher", false, true},
		{"services/fetcher/fetcher", "services/converter/markdown", false, false},
		{"services/fetcher/fetcher", "services/converter/markdown", true, false},
		{"services/fetcher/fetcher", "services/sandbox/sandbox", true, true},
		{"services/fetcher/fetcher", "services/sandbox/sandbox", false, false},
		{"services/sluice/cli", "services/fetcher/fetcher", false, true},
		{"services/stages", "services/fetcher/fetcher", false, true},
		{"services/fetcher/fetcher", "services/stages", true, false},
		{"services/sluice/cli", "lab/child", false, false},
		{"shared/store", "lab/storebench", true, false},
		{"lab/bench", "services/fetcher/fetcher", false, true},
	} {
		assert.Equal(t, tc.ok, arrow(source{dir: tc.from, test: tc.test}, tc.to), "%s → %s", tc.from, tc.to)
	}
	pgx := rooms[0]
	assert.True(t, pgx.open(source{dir: "shared/store"}))
	assert.False(t, pgx.open(source{dir: "shared/storefront"}))
	assert.False(t, pgx.open(source{dir: "services/sluice/cli"}))
	assert.True(t, pgx.open(source{dir: "lab/e2etest", test: true}))
	assert.True(t, below("github.com/jackc/pgx/v5/pgxpool", pgx.imports[0]))
}
