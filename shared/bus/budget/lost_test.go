package budget_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/bus/budget"
	"github.com/sluicehq/sluice/shared/bus/bustest"
)

func TestBudgetSurvivesTheBroker(t *testing.T) {
	t.Parallel()
	for _, wipe := range []bool{false, true} {
		t.Run(map[bool]string{false: "restart", true: "store wiped"}[wipe], func(t *testing.T) {
			t.Parallel()
			f := newFleet(t)
			l := budget.Limits{PerSecond: 50, Concurrency: 40, MaxWait: time.Minute}
			for i := range 3 {
				f.busy(i, 4, 5*time.Millisecond, l)
			}
			f.reach(50, time.Time{})
			f.kit.Stop()
			stopped := time.Now()
			if wipe {
				f.kit.Wipe()
			}
			busyFor(time.Second)
			quiet := between(f.calls(), stopped.Add(100*time.Millisecond), time.Now())
			require.Empty(t, quiet, "calls without the broker")
			f.kit.Start()
			again := time.Now()
			f.reach(100, again)
			require.LessOrEqual(t, worst(f.calls()), 50)
		})
	}
}

// Owners of slots of a lost schedule may use them, so the next schedule keeps a distance from them.
func TestBudgetIsKeptWhenItsScheduleIsLost(t *testing.T) {
	t.Parallel()
	const bucket = "SLUICE_BUDGETS"
	for name, lose := range map[string]func(context.Context, jetstream.JetStream) error{
		"key deleted": func(ctx context.Context, js jetstream.JetStream) error {
			kv, err := js.KeyValue(ctx, bucket)
			require.NoError(t, err)
			keys, err := kv.Keys(ctx)
			require.NoError(t, err)
			return kv.Delete(ctx, keys[0])
		},
		"bucket emptied": func(ctx context.Context, js jetstream.JetStream) error {
			stream, err := js.Stream(ctx, "KV_"+bucket)
			require.NoError(t, err)
			return stream.Purge(ctx)
		},
		"bucket deleted": func(ctx context.Context, js jetstream.JetStream) error { return js.DeleteKeyValue(ctx, bucket) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t)
			l := budget.Limits{PerSecond: 50, Concurrency: 40, MaxWait: time.Minute}
			for i := range 2 {
				f.busy(i, 4, 5*time.Millisecond, l)
			}
			f.reach(200, time.Time{}) // long enough that the bucket is not new
			require.NoError(t, lose(t.Context(), f.kit.JetStream()))
			lost := time.Now()
			f.reach(100, lost)
			require.LessOrEqual(t, worst(f.calls()), 50)
		})
	}
}

// If no schedule can have been lost, the first call does not wait.
func TestBudgetOfANewSiteBeginsAtOnce(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	g := f.budget(budget.Limits{PerSecond: 10, Concurrency: 4, MaxWait: time.Minute})
	busyFor(3 * time.Second) // two seconds of slots are given ahead, and one second is silent
	began := time.Now()
	require.NoError(t, g.Wait(t.Context()))
	waited := time.Since(began)
	t.Logf("the first call waited for %s", waited)
	require.Less(t, waited, time.Second)
}

func TestBudgetPauseSurvivesALostStore(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	l := budget.Limits{PerSecond: 50, Concurrency: 4, MaxWait: time.Second}
	one := f.budget(l)
	require.NoError(t, one.Wait(t.Context()))
	one.Done()
	one.Pause(time.Now().Add(time.Hour))
	f.kit.Stop()
	f.kit.Wipe()
	f.kit.Start()
	// A new replica without knowledge makes a new schedule; a replica that knows better corrects it.
	two := f.budget(l)
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := two.Wait(ctx)
		if err == nil {
			two.Done()
		}
		var paused *budget.PausedError
		return errors.As(err, &paused)
	}, bustest.Patience, 10*time.Millisecond)
}
