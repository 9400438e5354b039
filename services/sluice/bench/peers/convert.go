package peers

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sluicehq/sluice/services/converter/markdown"
	"github.com/sluicehq/sluice/shared/page"
)

// Convert is the driver of our own converter: like the others' it says that it is ready, waits
// for a line, converts the folder IN into OUT and says how long that took.
func Convert(getenv func(string) string, in io.Reader, out io.Writer) error {
	lines := bufio.NewReader(in)
	fmt.Fprintln(out, "ready")
	if _, err := lines.ReadString('\n'); err != nil {
		return fmt.Errorf("wait for the word to begin: %w", err)
	}
	began := time.Now()
	done := map[string]any{"error": ""}
	if err := convertFolder(getenv("IN"), getenv("OUT"), page.Facts{BaseURL: getenv("SITE"), SpaceKey: getenv("SPACE")}); err != nil {
		done["error"] = err.Error()
	}
	done["seconds"] = time.Since(began).Seconds()
	text, err := json.Marshal(done)
	if err != nil {
		return fmt.Errorf("say how it went: %w", err)
	}
	fmt.Fprintln(out, "done "+string(text))
	_, _ = lines.ReadString('\n') // until it is closed
	return nil
}

func convertFolder(in, out string, facts page.Facts) error {
	paths, err := filepath.Glob(filepath.Join(in, "*.html"))
	if err != nil {
		return fmt.Errorf("list %s: %w", in, err)
	}
	for _, path := range paths {
		body, err := os.ReadFile(path)
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
