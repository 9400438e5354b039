// Package site talks to a Confluence stand-in in another process: it turns its knobs, and asks it
// what any client may ask.
package site

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
)

// Site is a stand-in by its address, which has no slash at its end.
type Site struct{ URL string }

// Ask calls a route with the stand-in's own account. in, unless it is nil, is sent as JSON; out,
// unless it is nil, takes the answer. An answer that is no success is an error with its status
// and its first words.
func (s Site) Ask(ctx context.Context, method, path string, in, out any) error {
	var sent io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("ask the stand-in: %w", err)
		}
		sent = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.URL+path, sent)
	if err != nil {
		return fmt.Errorf("ask the stand-in: %w", err)
	}
	req.SetBasicAuth(sandbox.DefaultEmail, sandbox.DefaultToken)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask the stand-in: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 300))
		return fmt.Errorf("ask the stand-in: %s %s: %s: %s", method, path, res.Status, strings.TrimSpace(string(text)))
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		return fmt.Errorf("ask the stand-in: %s: %w", path, err)
	}
	return nil
}

// Stats says what was asked since the last Forget.
func (s Site) Stats(ctx context.Context) (sandbox.Stats, error) {
	var st sandbox.Stats
	return st, s.Ask(ctx, http.MethodGet, "/_sandbox/stats", nil, &st)
}

// Forget begins to count anew.
func (s Site) Forget(ctx context.Context) error {
	return s.Ask(ctx, http.MethodPost, "/_sandbox/stats/reset", nil, nil)
}

// Behave sets the faults in place of those before; none makes it a good site again. Of the faults
// that would hit a call the first does.
func (s Site) Behave(ctx context.Context, faults ...sandbox.Fault) error {
	return s.Ask(ctx, http.MethodPost, "/_sandbox/faults", map[string]any{"seed": 1, "faults": append([]sandbox.Fault{}, faults...)}, nil)
}

// AtMost refuses what is more than so many calls within a second, as a real site does.
func AtMost(perSecond int) sandbox.Fault {
	return sandbox.Fault{Kind: sandbox.FaultBurst, MaxCalls: perSecond, RetryAfter: 1}
}

// Answer is how long a real site takes for an answer, roughly.
const Answer = 200 * time.Millisecond

// Slow makes every answer take as long as a real site's.
var Slow = sandbox.Fault{Kind: sandbox.FaultSlow, DelayMS: int(Answer / time.Millisecond)}
