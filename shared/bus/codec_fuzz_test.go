package bus

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
)

// Any message content, with any encoding, is decoded as an event or rejected permanently with the right
// code, and no small message becomes a large one.
func FuzzMessage(f *testing.F) {
	enc, err := newEncoder()
	require.NoError(f, err)
	dec, err := newDecoder(maxDocument)
	require.NoError(f, err)
	f.Cleanup(dec.Close)
	b := &Bus{dec: dec}
	fixtures, err := filepath.Glob("../event/testdata/*.json")
	require.NoError(f, err)
	require.NotEmpty(f, fixtures)
	for _, name := range fixtures {
		doc, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add("", doc)
		f.Add(encodingZstd, enc.EncodeAll(doc, nil))
	}
	f.Add(encodingZstd, enc.EncodeAll([]byte(`{"body":"`+strings.Repeat("a", maxDocument)+`"}`), nil)) // a bomb
	f.Add(encodingZstd, []byte("\x28\xb5\x2f\xfd"))
	f.Add("gzip", []byte("\x1f\x8b"))
	f.Add("", []byte(strings.Repeat("[", 20_000)))
	f.Fuzz(func(t *testing.T, encoding string, data []byte) {
		doc, err := b.inflate(encoding, data)
		if err != nil {
			require.Equal(t, failure.BadEvent, failure.CodeOf(err))
			return
		}
		require.LessOrEqual(t, len(doc), max(len(data), maxDocument))
		for _, p := range pagesIn(doc).Pages {
			require.NotEmpty(t, p.ID)
		}
		decoded(t, Delivery{Data: doc}, func(d Delivery) (event.Event, error) { return Decode[event.PageFetched](d) })
		decoded(t, Delivery{Data: doc}, func(d Delivery) (event.Event, error) { return Decode[event.PageConverted](d) })
		decoded(t, Delivery{Data: doc}, func(d Delivery) (event.Event, error) { return Decode[event.PagesListed](d) })
		decoded(t, Delivery{Data: doc}, func(d Delivery) (event.Event, error) { return Decode[event.SyncRequested](d) })
		decoded(t, Delivery{Data: doc}, func(d Delivery) (event.Event, error) { return Decode[event.Progress](d) })
	})
}

func decoded(t *testing.T, d Delivery, decode func(Delivery) (event.Event, error)) {
	t.Helper()
	_, err := decode(d)
	if err == nil {
		require.True(t, json.Valid(d.Data))
		return
	}
	require.Equal(t, failure.BadEvent, failure.CodeOf(err))
	var s *steering
	require.True(t, errors.As(err, &s) && s.permanent, "%v would be tried again", err)
}
