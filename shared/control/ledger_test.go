package control_test

import (
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/store"
)

// What is told of a run depends on who asks. So no answer can have a run that did not come through Reader.
func TestTheLedgerReturnsNoRun(t *testing.T) {
	t.Parallel()
	var holds func(reflect.Type) bool
	holds = func(of reflect.Type) bool {
		switch of.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Array, reflect.Chan:
			return holds(of.Elem())
		case reflect.Struct:
			if of == reflect.TypeFor[store.Run]() {
				return true
			}
			for i := range of.NumField() {
				if holds(of.Field(i).Type) {
					return true
				}
			}
		}
		return false
	}
	require.True(t, holds(reflect.TypeFor[[]*control.HeldRun]()))
	ledger := reflect.TypeFor[control.Ledger]()
	for i := range ledger.NumMethod() {
		m := ledger.Method(i)
		for j := range m.Type.NumOut() {
			require.False(t, holds(m.Type.Out(j)), "%s returns a run as it is stored", m.Name)
		}
	}
}

// Whoever may read a source sees the ids of its runs, and cannot find out by trying what a run is for.
func TestTheIDOfARunTellsNothing(t *testing.T) {
	t.Parallel()
	w, other := newWorld(t), newWorld(t)
	w.held("docs", "h1")
	other.held("docs", "h1")
	approved, err := w.Approve(t.Context(), everyone, "h1", "")
	require.NoError(t, err)
	elsewhere, err := other.Approve(t.Context(), everyone, "h1", "")
	require.NoError(t, err)
	require.NotEqual(t, elsewhere.Run.ID, approved.Run.ID, "another installation has another secret")
	guess := sha256.Sum256([]byte("approve\x00docs\x00h1"))
	require.NotContains(t, approved.Run.ID, hex.EncodeToString(guess[:4]))

	replica := control.New(w.store, w.kit.Bus, control.NewVault(w.trust, w.store))
	again, err := replica.Approve(t.Context(), everyone, "h1", "")
	require.NoError(t, err)
	require.Equal(t, approved.Run.ID, again.Run.ID, "every process knows the secret")
}
