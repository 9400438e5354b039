package site_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/lab/bench/site"
	"github.com/sluicehq/sluice/services/sandbox/sandbox"
)

const space = "/wiki/rest/api/space/GEN"

func TestTheKnobsTurn(t *testing.T) {
	standIn := sandbox.New(sandbox.Options{})
	standIn.AddGenerated(sandbox.GeneratedSpace, 3, 1)
	srv := httptest.NewServer(standIn.Handler())
	defer srv.Close()
	s, ctx := site.Site{URL: srv.URL}, t.Context()

	var got struct{ Key string }
	require.NoError(t, s.Ask(ctx, http.MethodGet, space, nil, &got))
	require.Equal(t, sandbox.GeneratedSpace, got.Key)
	st, err := s.Stats(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 1, st.Total)
	require.NoError(t, s.Forget(ctx))
	st, err = s.Stats(ctx)
	require.NoError(t, err)
	require.Zero(t, st.Total)

	require.NoError(t, s.Behave(ctx, site.AtMost(1)))
	for err == nil {
		err = s.Ask(ctx, http.MethodGet, space, nil, nil)
	}
	require.ErrorContains(t, err, "429")

	require.NoError(t, s.Behave(ctx, site.Slow))
	began := time.Now()
	require.NoError(t, s.Ask(ctx, http.MethodGet, space, nil, nil), "what was set before is lifted")
	require.GreaterOrEqual(t, time.Since(began), site.Answer)
	require.NoError(t, s.Behave(ctx))
	require.ErrorContains(t, s.Ask(ctx, http.MethodGet, "/wiki/rest/api/space/NONE", nil, nil), "404")
	require.ErrorContains(t, s.Behave(ctx, sandbox.Fault{Kind: "moody"}), "there is no such kind")
}
