package event_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
)

// Any bytes are decoded or rejected. A decoded event can be published again, and decoding that gives the
// same event.
func FuzzDecode(f *testing.F) {
	var types []string
	for name := range released() {
		types = append(types, name)
	}
	slices.Sort(types)
	for i, name := range types {
		fixture, err := os.ReadFile(filepath.Join("testdata", name+".json"))
		require.NoError(f, err)
		f.Add(uint8(i), fixture)
		f.Add(uint8(i), bytes.ToUpper(fixture))
	}
	for i, text := range []string{
		`{"page":{"links":{"":{}},"users":{"\u0000":"x"}},"attempt":-1}`, `{"pages":[{},{}],"pages":[]}`, `{"at":"9999-12-31T23:59:59.999999999-23:59"}`, `{"at":"0000-01-01T00:00:00+23:59"}`,
		`{"version":1e30}`, `{"losses":[{"count":-9223372036854775808}]}`, `null`, `[]`, strings.Repeat(`{"page":`, 11_000), `{"body":"\ud800"}`,
	} {
		f.Add(uint8(i), []byte(text))
	}
	f.Fuzz(func(t *testing.T, which uint8, doc []byte) {
		kind := released()[types[int(which)%len(types)]]
		e := newOf(kind)
		if json.Unmarshal(doc, e) != nil {
			return
		}
		require.Equal(t, kind.EventType(), e.EventType())
		require.True(t, strings.HasPrefix(e.Subject(), event.Prefix+string(kind.EventType())+"."), "%q", e.Subject())
		_ = e.MsgID()
		once, err := json.Marshal(e)
		require.NoError(t, err, "what was read cannot be published")
		again := newOf(kind)
		require.NoError(t, json.Unmarshal(once, again))
		twice, err := json.Marshal(again)
		require.NoError(t, err)
		require.Equal(t, string(once), string(twice))
		require.Equal(t, e.Subject(), again.Subject())
		require.Equal(t, e.MsgID(), again.MsgID())
	})
}

// A valid id is one token of a subject, so that no id can name another subject.
func FuzzSubjects(f *testing.F) {
	for _, id := range []string{"docs", "a.b", "*", ">", "a b", "", "-x", strings.Repeat("x", 65), "x\n", "ä", "docs.r1"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		subject := event.Subject(event.TypeSyncRequested, id)
		if !event.ValidID(id) {
			return
		}
		require.Equal(t, id, event.SourceOf(event.TypeSyncRequested, subject))
		require.Equal(t, "", event.SourceOf(event.TypePageFetched, subject))
		require.Equal(t, strings.Count(event.Prefix+string(event.TypeSyncRequested), ".")+1, strings.Count(subject, "."))
		require.NotContains(t, subject, "*")
		require.NotContains(t, subject, ">")
		require.Equal(t, subject, strings.TrimSpace(strings.ReplaceAll(subject, " ", "")))
	})
}
