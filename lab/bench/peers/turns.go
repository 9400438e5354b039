package peers

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// takeTurns does what the other drivers do: it reports that it is ready, waits for a line, works,
// reports its duration and result, and waits until its input is closed.
func takeTurns(in io.Reader, out io.Writer, work func() error) error {
	lines := bufio.NewReader(in)
	fmt.Fprintln(out, "ready")
	if _, err := lines.ReadString('\n'); err != nil {
		return fmt.Errorf("wait for the word to begin: %w", err)
	}
	began := time.Now()
	done := map[string]any{"error": ""}
	if err := work(); err != nil {
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
