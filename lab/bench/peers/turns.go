package peers

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// takeTurns is what a driver of our own does, as the others do it: it says that it is ready, waits
// for a line, works, says how long that took and how it ended, and waits until it is closed.
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
