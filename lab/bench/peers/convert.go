package peers

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/sluicehq/sluice/services/converter/markdown"
	"github.com/sluicehq/sluice/shared/page"
)

// Convert is the driver of Sluice's converter: it converts the folder IN into OUT.
func Convert(getenv func(string) string, in io.Reader, out io.Writer) error {
	return takeTurns(in, out, func() error {
		return convertFolder(getenv("IN"), getenv("OUT"), page.Facts{BaseURL: getenv("SITE"), SpaceKey: getenv("SPACE")})
	})
}

func convertFolder(in, out string, facts page.Facts) error {
	paths, err := filepath.Glob(filepath.Join(in, "*.html"))
	if err != nil {
		return fmt.Errorf("list %s: %w", in, err)
	}
	for _, path := range paths {
		body, err := os.ReadFile(path) //nolint:gosec // the comparison has just written the folder
		if err != nil {
			return fmt.Errorf("read a body: %w", err)
		}
		facts.ID = strings.TrimSuffix(filepath.Base(path), ".html")
		facts.URL = facts.BaseURL + "/spaces/" + facts.SpaceKey + "/pages/" + facts.ID
		result, err := markdown.Convert(string(body), facts)
		if err != nil {
			return fmt.Errorf("convert %s: %w", facts.ID, err)
		}
		if err := os.WriteFile(filepath.Join(out, facts.ID+".md"), []byte(result.Markdown), 0o600); err != nil {
			return fmt.Errorf("write a page: %w", err)
		}
	}
	return nil
}
