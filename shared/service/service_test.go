package service_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/pgtest"
	"github.com/sluicehq/sluice/shared/service"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func stage(name string, run func(ctx context.Context) error) service.Stage {
	return service.Stage{Name: name, Open: func(context.Context, *service.Host) (service.Runner, error) { return service.RunnerFunc(run), nil }}
}

func host() *service.Host { return service.NewHost(service.HostOptions{Log: zerolog.Nop()}) }

func untilEnd(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func TestRunStopsEveryStageWhenAsked(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, service.Run(ctx, host(), time.Minute, stage("a", untilEnd), stage("b", untilEnd)))
}

// A stage that is asked to stop while it still looks something up did nothing wrong; one that
// fails for another reason did, whenever that is.
func TestAStageThatIsStoppedWhileItStartsHasNotFailed(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	starting := func(ctx context.Context) error {
		cancel()
		<-ctx.Done()
		return fmt.Errorf("look for something: %w", ctx.Err())
	}
	require.NoError(t, service.Run(ctx, host(), time.Minute, stage("a", untilEnd), stage("b", starting)))
	broken := errors.New("broken")
	failing := func(ctx context.Context) error {
		<-ctx.Done()
		return broken
	}
	require.ErrorIs(t, service.Run(ctx, host(), time.Minute, stage("c", failing)), broken)
}

func TestOneFailingStageStopsTheOthersAndIsNamed(t *testing.T) {
	broken := errors.New("broken")
	err := service.Run(t.Context(), host(), time.Minute,
		stage("a", untilEnd), stage("b", func(context.Context) error { return broken }))
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "b: ")
}

func TestAStageThatDoesNotEndIsLeftBehindAfterTheGraceTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		release := make(chan struct{})
		err := service.Run(ctx, host(), 20*time.Second,
			stage("stuck", func(context.Context) error { <-release; return nil }))
		require.ErrorIs(t, err, service.ErrGrace)
		close(release)
	})
}

func TestHealthTellsWhatDoesNotAnswer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := listener.Addr().String()
	require.NoError(t, listener.Close())
	require.Error(t, service.AskHealth(addr), "nobody listens")
	require.Error(t, service.AskHealth(""))

	h := service.NewHealth()
	stop, err := h.Serve(addr, zerolog.Nop())
	require.NoError(t, err)
	defer stop()
	require.ErrorContains(t, service.AskHealth(addr), "starting")
	broken := errors.New("secret detail")
	state := broken
	h.Check("postgres", func(context.Context) error { return state })
	require.ErrorContains(t, service.AskHealth(addr), "starting", "what stands on it is not there yet")
	h.Ready()
	err = service.AskHealth(addr)
	require.ErrorContains(t, err, "postgres")
	require.NotContains(t, err.Error(), "secret detail")
	state = nil
	require.NoError(t, service.AskHealth(addr))

	_, err = service.NewHealth().Serve(addr, zerolog.Nop())
	require.ErrorContains(t, err, "HEALTH_ADDR")
}

func TestSteer(t *testing.T) {
	require.Equal(t, bus.Permanent(errors.New("x")).Error(), service.Steer(failure.New(failure.SourceGone, "x")).Error())
	plain := errors.New("network down")
	require.Equal(t, plain, service.Steer(plain))
	require.NotEqual(t, plain, service.Steer(&confluence.RateLimitError{RetryAt: time.Now().Add(time.Hour)}))
	require.NoError(t, service.Steer(nil))
	require.NotEqual(t, plain, service.Steer(failure.Later(plain, time.Minute)))
	require.NoError(t, failure.Later(nil, time.Minute))
	away := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	require.Equal(t, bus.RetryAfter(away, 2*time.Second), service.Steer(away), "which counts as no attempt")
}
