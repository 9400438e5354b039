package control_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/store"
)

type installed string

func (i installed) Installation(context.Context, bool) (string, error) { return string(i), nil }

// The stand-in of a demo is known by its owner. Whatever else listens at its address is not it.
func TestADemoRunsOnlyWhereItsOwnStandInAnswers(t *testing.T) {
	t.Parallel()
	answer, status := "", http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/_sandbox/" {
			status = http.StatusNotFound
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(server.Close)
	src := store.Source{ID: control.DemoSource, DisplayName: control.DemoName, BaseURL: server.URL + "/wiki"}
	runs := func(in installed) bool {
		is, runs := control.OfDemo(t.Context(), in, src)
		require.True(t, is)
		return runs
	}
	answer = `{"owner": "` + control.DemoOwner("ours") + `"}`
	require.True(t, runs("ours"))
	require.False(t, runs("another"), "the demo of another installation")
	require.False(t, runs(""), "a database that never had a demo")
	for _, answer = range []string{"", "{}", `{"owner": ""}`, `{"owner": "sluice demo"}`, "<html>", `{"owner": 7}`} {
		require.False(t, runs("ours"), answer)
	}

	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	src.BaseURL = "http://" + silent.Addr().String() + "/wiki"
	require.False(t, runs("ours"), "it accepts the connection and never answers")

	src.DisplayName = "My own"
	is, _ := control.OfDemo(t.Context(), installed("ours"), src)
	require.False(t, is)
}
