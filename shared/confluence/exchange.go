package confluence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
)

// request is one call, without the credential.
type request struct {
	method string
	route  string // the template, from /wiki on
	path   string // below the site's root, escaped
	query  url.Values
	body   []byte

	kind, id  string     // the one object that the call reads, if any
	halve     bool       // a 504 makes the caller request less instead of retrying
	edge      bool       // at the site's edge, outside the API and without the credential
	live      bool       // must not be answered from the cache
	date      *time.Time // if not nil, receives the site's clock from the answer
	redirects bool       // a redirect to another host is the answer; it is not followed
	most      int64      // bytes that the answer may have, where that is less than the client's bound; 0 is none
}

// answer is a complete 200 answer.
type answer struct {
	status int
	header http.Header
	body   []byte
	at     *url.URL // of a redirect: what was asked
}

// policies are shared by all calls, retry outermost: every attempt goes through the breaker, the
// bulkhead and the budget again, and a call that waits for its retry holds no place.
//
// They wrap the whole exchange, including body and classification. A RoundTripper would see only
// headers: it would miss a body that never ends, a truncated body and the wait that Confluence requests.
type policies struct {
	retry    retrypolicy.RetryPolicy[*answer]
	breaker  circuitbreaker.CircuitBreaker[*answer]
	bulkhead bulkhead.Bulkhead[*answer]
}

// queueForever is longer than any caller waits: the caller's context ends the wait for a free place.
const queueForever = 24 * time.Hour

func newPolicies(c *Client) policies {
	return policies{
		retry: retrypolicy.NewBuilder[*answer]().
			HandleIf(func(_ *answer, err error) bool { return c.retryable(err) }).
			WithMaxRetries(len(c.opt.delays)).
			WithDelayFunc(func(e failsafe.ExecutionAttempt[*answer]) time.Duration {
				return c.delay(e.Retries(), e.LastError())
			}).
			ReturnLastFailure().
			OnRetryScheduled(func(e failsafe.ExecutionScheduledEvent[*answer]) {
				c.log.Warn().Err(e.LastError()).Int("attempt", e.Attempts()).Dur("delay", e.Delay).
					Msg("confluence call failed, retrying")
			}).
			Build(),
		breaker: circuitbreaker.NewBuilder[*answer]().
			HandleIf(func(_ *answer, err error) bool { return unhealthy(err) }).
			WithFailureThreshold(c.opt.breakAfter).
			WithDelay(c.opt.breakFor).
			OnStateChanged(func(e circuitbreaker.StateChangedEvent) {
				c.log.Warn().Stringer("from", e.OldState).Stringer("to", e.NewState).Msg("confluence circuit changed")
			}).
			Build(),
		bulkhead: bulkhead.NewBuilder[*answer](uint(c.opt.concurrency)).
			WithMaxWaitTime(queueForever).
			Build(),
	}
}

// retryable reports whether the same call may succeed a few seconds later. Every call of this client
// only reads, so every call may be repeated.
func (c *Client) retryable(err error) bool {
	var limited *RateLimitError
	if errors.As(err, &limited) {
		return limited.wait <= c.opt.maxWait
	}
	var server *ServerError
	if errors.As(err, &server) {
		return !server.halve && server.Status != http.StatusNotImplemented
	}
	var bad *ProtocolError
	if errors.As(err, &bad) {
		return bad.garbled
	}
	var broken *TransportError
	return errors.As(err, &broken) && !broken.final
}

// unhealthy reports whether err indicates a site in trouble. A listing's 504 does not: the requested
// size causes it.
func unhealthy(err error) bool {
	var server *ServerError
	if errors.As(err, &server) {
		return !server.halve && server.Status != http.StatusNotImplemented
	}
	var broken *TransportError
	return errors.As(err, &broken)
}

// delay returns the wait before the next retry, after retries of them: 1 s, 2 s, 4 s, or the wait that
// Confluence requested if that is longer. Jitter only ever adds, so that no retry comes earlier than
// requested and callers that failed together do not return together.
func (c *Client) delay(retries int, err error) time.Duration {
	d := c.opt.delays[min(retries, len(c.opt.delays)-1)]
	d += time.Duration(0.3 * rand.Float64() * float64(d)) //nolint:gosec // spreads the retries of calls
	var asked time.Duration
	var limited *RateLimitError
	var server *ServerError
	switch {
	case errors.As(err, &limited) && limited.asked:
		asked = limited.wait
	case errors.As(err, &server) && server.asked:
		asked = server.wait
	}
	if asked > 0 {
		asked += time.Duration(rand.Float64() * float64(min(asked/10, time.Second))) //nolint:gosec // spreads the retries of calls
	}
	return max(d, asked)
}

// do makes the call, with retries, and returns the 200 answer or an error of this package.
func (c *Client) do(ctx context.Context, r request) (*answer, error) {
	if !r.edge {
		if _, known := r.known(); !known {
			return nil, fmt.Errorf("%s %s: %w: the table of routes does not have it", r.method, r.route, ErrInvalidArgument)
		}
		if err := c.findGateway(ctx); err != nil {
			return nil, err
		}
	}
	exec := failsafe.With[*answer](c.policies.retry, c.policies.breaker, c.policies.bulkhead).WithContext(ctx)
	a, err := exec.GetWithExecution(func(e failsafe.Execution[*answer]) (*answer, error) {
		return c.attempt(e.Context(), r, e.Attempts())
	})
	switch {
	case err == nil:
		return a, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s %s: %w", r.method, r.route, context.Cause(ctx))
	case errors.Is(err, circuitbreaker.ErrOpen):
		return nil, &ServerError{
			Exchange: Exchange{Method: r.method, Route: r.route, Reason: "the circuit is open after repeated failures; no call was made"},
			RetryAt:  time.Now().Add(c.policies.breaker.RemainingDelay()),
		}
	default:
		return nil, err
	}
}

// get is do, reading the answer into v.
func (c *Client) get(ctx context.Context, r request, v any) error {
	a, err := c.do(ctx, r)
	if err != nil {
		return err
	}
	return c.decode(r, a, v)
}

// attempt makes one exchange: it waits for the budget, sends the request, reads the body to its end and
// classifies the answer.
func (c *Client) attempt(ctx context.Context, r request, n int) (*answer, error) {
	if err := c.limiter.Wait(ctx); err != nil {
		if until, ok := pauseOf(err); ok {
			return nil, &RateLimitError{
				Exchange: Exchange{Method: r.method, Route: r.route, Reason: "an earlier answer asked for a pause"},
				RetryAt:  until, asked: true, wait: max(time.Until(until), c.opt.maxWait+1), // the client does not wait for it here
			}
		}
		return nil, fmt.Errorf("%s %s: wait for the budget: %w", r.method, r.route, err)
	}
	if d, ok := c.limiter.(Doner); ok {
		defer d.Done()
	}
	callCtx, cancel := context.WithTimeout(ctx, c.opt.timeout)
	defer cancel()
	call := Call{Method: r.method, Route: r.route, Attempt: n, Start: time.Now()}
	a, err := c.exchangeOnce(callCtx, r, &call)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%s %s: %w", r.method, r.route, ctx.Err())
	}
	var limited *RateLimitError
	if errors.As(err, &limited) && limited.asked {
		// The limit is the tenant's, not this call's: everyone who shares the budget waits.
		c.limiter.Pause(limited.RetryAt)
	}
	call.Duration, call.Err = time.Since(call.Start), err
	c.stats.add(call)
	addUsage(ctx, call)
	if c.opt.trace != nil {
		c.opt.trace(call)
	}
	return a, err
}

// newRequest builds the HTTP request, with the credential unless it goes to the edge.
func (c *Client) newRequest(ctx context.Context, r request) (*http.Request, error) {
	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(r.body)
	}
	address, credential := c.address(r)
	req, err := http.NewRequestWithContext(ctx, r.method, address, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.method, r.route, ErrInvalidArgument)
	}
	req.URL.RawQuery = r.query.Encode()
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "sluice")
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if credential {
		req.Header.Set("Authorization", c.auth.Reveal())
	}
	return req, nil
}

func (c *Client) exchangeOnce(ctx context.Context, r request, call *Call) (*answer, error) {
	req, err := c.newRequest(ctx, r)
	if err != nil {
		return nil, err
	}
	kept, conditional := c.conditional(r, req)
	ctx, give := context.WithCancelCause(ctx)
	defer give(nil)
	resp, err := c.http.Do(req.WithContext(ctx))
	if err != nil {
		return nil, c.broken(Exchange{Method: r.method, Route: r.route}, err)
	}
	defer func() {
		drain(resp.Body)
		_ = resp.Body.Close()
	}()
	call.Status = resp.StatusCode
	a := &answer{status: resp.StatusCode, header: resp.Header}
	call.TraceID = c.traceID(a.header)
	resp.Body = &paced{ReadCloser: resp.Body, least: slowest, give: give}
	a.body, err = c.read(ctx, resp, r.most)
	call.Bytes = int64(len(a.body))
	if conditional && a.status == http.StatusNotModified {
		a = kept.unchanged(a.header)
		return a, c.classify(r, a)
	}
	if r.redirects && (a.status == http.StatusFound || a.status == http.StatusSeeOther || a.status == http.StatusTemporaryRedirect) && !isLoginAt(a.header) {
		a.at = resp.Request.URL
		return a, nil
	}
	if failed := c.classify(r, a); failed != nil {
		return nil, failed // the status matters more than the end of the body
	}
	var large *tooLargeError
	switch {
	case errors.As(err, &large):
		return nil, &ProtocolError{Exchange: c.exchange(r, a, large.Error()), tooLarge: true}
	case err != nil:
		if slow := context.Cause(ctx); errors.Is(slow, errSlow) {
			err = slow
		}
		return nil, c.broken(c.exchange(r, a, ""), err)
	}
	if err := c.checkJSON(r, a); err != nil {
		return nil, err
	}
	if r.date != nil {
		if t, err := http.ParseTime(a.header.Get("Date")); err == nil {
			*r.date = t.UTC()
		}
	}
	c.remember(r, req, a)
	return a, nil
}

// An error's body is only searched for a message.
const (
	maxErrorBody = 64 << 10
	maxDrain     = 256 << 10
)

type tooLargeError struct{ limit int64 }

func (e *tooLargeError) Error() string { return fmt.Sprintf("larger than %d bytes", e.limit) }

func (c *Client) read(ctx context.Context, resp *http.Response, most int64) ([]byte, error) {
	if resp.StatusCode != http.StatusOK {
		return io.ReadAll(io.LimitReader(resp.Body, min(maxErrorBody, c.opt.maxBody)))
	}
	if most == 0 || most > c.opt.maxBody {
		most = c.opt.maxBody
	}
	if resp.ContentLength > most {
		return nil, &tooLargeError{most}
	}
	body, err := readAll(ctx, io.LimitReader(resp.Body, most+1))
	if int64(len(body)) > most {
		return nil, &tooLargeError{most}
	}
	return body, err
}

// drain reads a small rest, so that the connection can be reused; losing the connection is cheaper than
// reading much.
func drain(body io.Reader) { _, _ = io.CopyN(io.Discard, body, maxDrain) }
