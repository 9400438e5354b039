package house

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const changelog = "docs/changes.md"

// The sections of a release, in their required order.
var changeSections = []string{"Added", "Changed", "Deprecated", "Fixed", "Removed", "Security"}

var releaseHeading = regexp.MustCompile(`^## \[(Unreleased\]|\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2})$`)

const maxChange = 160 // maximum characters of a line: a change is one sentence; the docs contain the details

// The changelog follows the form of keepachangelog.com, so that people and programs can read it.
func TestTheChangelogKeepsItsForm(t *testing.T) {
	assert.Empty(t, changelogFaults(read(t, changelog)))
}

func changelogFaults(text string) []string {
	var faults []string
	var release, section string
	for i, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		fault := func(why string) { faults = append(faults, fmt.Sprintf("%s:%d: %s", changelog, i+1, why)) }
		heading, isSection := strings.CutPrefix(line, "### ")
		switch {
		case line == "":
		case strings.HasPrefix(line, "## "):
			if !releaseHeading.MatchString(line) {
				fault("a release must be ## [Unreleased] or ## [1.2.3] - 2026-01-31")
			}
			if release == "" && line != "## [Unreleased]" {
				fault("the first release must be ## [Unreleased]")
			}
			release, section = line, ""
		case isSection:
			at := slices.Index(changeSections, heading)
			if release == "" || at < 0 || at <= slices.Index(changeSections, section) {
				fault("sections of a release must be, in this order: " + strings.Join(changeSections, ", "))
			}
			section = heading
		case release == "": // the introduction
		case section == "" || !strings.HasPrefix(line, "- "):
			fault("a change must be one line that begins with \"- \", in a section")
		case !strings.HasSuffix(line, ".") || len([]rune(line)) > maxChange:
			fault(fmt.Sprintf("a change must be one sentence of at most %d characters, with a full stop", maxChange))
		}
	}
	if !strings.HasPrefix(text, "# ") || release == "" {
		faults = append(faults, changelog+": it has a title and at least one release")
	}
	return faults
}

func TestChangelogFaultsAreFound(t *testing.T) {
	good := "# Changelog\n\nWords.\n\n## [Unreleased]\n\n### Added\n\n- A thing.\n\n## [1.0.0] - 2026-01-31\n\n### Added\n\n- Another.\n\n### Fixed\n"
	require.Empty(t, changelogFaults(good))
	for _, bad := range []string{
		"",
		strings.Replace(good, "# Changelog", "Changelog", 1),
		strings.Replace(good, "## [Unreleased]", "## Unreleased", 1),
		strings.Replace(good, "## [Unreleased]", "## [1.1.0] - 2026-02-01", 1),
		strings.Replace(good, " - 2026-01-31", "", 1),
		strings.Replace(good, "### Fixed", "### Mended", 1),
		strings.Replace(good, "### Fixed", "### Added", 1),
		strings.Replace(good, "- A thing.", "A thing.", 1),
		strings.Replace(good, "- A thing.", "- A thing", 1),
		strings.Replace(good, "- A thing.", "- A thing.\n  On two lines.", 1),
		strings.Replace(good, "- A thing.", "- "+strings.Repeat("A thing ", 20)+".", 1),
		strings.Replace(good, "### Added\n\n- A thing.", "- A thing.", 1),
	} {
		require.NotEmpty(t, changelogFaults(bad), bad)
	}
}
