// Package site controls a Confluence stand-in in another process, and calls its API.
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

// Site is the address of a stand-in, without a slash at its end.
type Site struct{ URL string }

// Ask calls a route with the stand-in's own account. If in is not nil, it is sent as JSON; if out is not
// nil, it receives the answer. An unsuccessful answer is an error with its status and its first words.
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

// Stats returns the counts since the last Forget.
func (s Site) Stats(ctx context.Context) (sandbox.Stats, error) {
	var st sandbox.Stats
	return st, s.Ask(ctx, http.MethodGet, "/_sandbox/stats", nil, &st)
}

// Forget resets the counts.
func (s Site) Forget(ctx context.Context) error {
	return s.Ask(ctx, http.MethodPost, "/_sandbox/stats/reset", nil, nil)
}

// Behave replaces the faults; without faults the site behaves well again. If several faults would hit a
// call, the first one does.
func (s Site) Behave(ctx context.Context, faults ...sandbox.Fault) error {
	return s.Ask(ctx, http.MethodPost, "/_sandbox/faults", map[string]any{"seed": 1, "faults": append([]sandbox.Fault{}, faults...)}, nil)
}

// AtMost rejects calls beyond that many per second, like a real site.
func AtMost(perSecond int) sandbox.Fault {
	return sandbox.Fault{Kind: sandbox.FaultBurst, MaxCalls: perSecond, RetryAfter: 1}
}

// Answer is the approximate duration of a real site's answer.
const Answer = 200 * time.Millisecond

// Slow makes every answer take as long as a real site's.
var Slow = sandbox.Fault{Kind: sandbox.FaultSlow, DelayMS: int(Answer / time.Millisecond)}
