package confluence_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/confluence"
)

// drip is a body of which n bytes arrive after each pause, until its call ends.
type drip struct {
	rest    []byte
	n       int
	pause   time.Duration
	call    context.Context
	arrived []byte
}

func (d *drip) Read(p []byte) (int, error) {
	if len(d.arrived) == 0 {
		if len(d.rest) == 0 {
			return 0, io.EOF
		}
		select {
		case <-time.After(d.pause):
		case <-d.call.Done():
			return 0, d.call.Err()
		}
		n := min(d.n, len(d.rest))
		d.arrived, d.rest = d.rest[:n], d.rest[n:]
	}
	n := copy(p, d.arrived)
	d.arrived = d.arrived[n:]
	return n, nil
}

// An answer that comes a byte a second fails long before the call's timeout, and as what may be better
// the next time. One that is only slow is read to its end.
func TestAnAnswerMustMakeProgress(t *testing.T) {
	page := []byte(`{"id":"1001","status":"current","title":"Page","spaceId":"42","version":{"number":1,"createdAt":"2026-02-03T04:05:06.789Z"},"_links":{"webui":"/x"}}`)
	page = append(bytes.Repeat([]byte(" "), 40<<10), page...)
	for name, tc := range map[string]struct {
		n     int
		pause time.Duration
		good  bool
	}{
		"a byte a second":               {1, time.Second, false},
		"a byte each 4 seconds":         {1, 4 * time.Second, false},
		"nothing":                       {1, time.Hour, false},
		"slow, but steady":              {2 << 10, 2 * time.Second, true},
		"in pieces with pauses between": {8 << 10, 4 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				c := wired(t, func(r *http.Request) (*http.Response, error) {
					calls++
					resp := response(200, "")
					resp.Body = io.NopCloser(&drip{rest: page, n: tc.n, pause: tc.pause, call: r.Context()})
					resp.ContentLength = -1
					return resp, nil
				}, confluence.WithTimeout(2*time.Minute))
				began := time.Now()
				err := readPage(c)
				if tc.good {
					require.NoError(t, err)
					require.Equal(t, 1, calls)
					return
				}
				var broken *confluence.TransportError
				require.ErrorAs(t, err, &broken)
				require.ErrorContains(t, err, "too slowly")
				require.Equal(t, 4, calls)
				require.Less(t, time.Since(began), 4*5*time.Second+10*time.Second, "the retries' waits included")
			})
		})
	}
}
