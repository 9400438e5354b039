package secret_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/secret"
)

const canary = "ATATT-canary-0123456789-canary-0123456789-canary-0123456789-canary-0123456789"

type holder struct {
	Shown  secret.String
	hidden secret.String
}

func TestRevealGivesTheTextBack(t *testing.T) {
	for _, text := range []string{"", "x", canary, "pässwörd \x00\xff", strings.Repeat(canary, 100)} {
		require.Equal(t, text, secret.New(text).Reveal())
	}
}

func TestNothingShowsTheText(t *testing.T) {
	s := secret.New(canary)
	h := holder{Shown: s, hidden: s}
	for _, verb := range []string{"%v", "%+v", "%#v", "%q", "%s", "%x", "%X", "%d", "%c", "%U", "%e", "%t", "% x", "%#x", "%+q", "%10.3s", "%T %v"} {
		args := []any{s}
		if verb == "%T %v" {
			args = []any{s, s}
		}
		require.Contains(t, fmt.Sprintf(verb, args...), secret.Redacted, verb)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%q", "%s", "%x", "%p"} {
		for _, v := range []any{s, &s, h, &h, []secret.String{s}, map[secret.String]secret.String{s: s}, struct{ h *holder }{&h}} {
			out := fmt.Sprintf(verb, v)
			require.NotContains(t, out, "canary", verb)
			require.NotContains(t, out, fmt.Sprintf("%x", "canary"), verb)
		}
	}
	require.Equal(t, secret.Redacted, s.String())
	require.Equal(t, secret.Redacted, s.GoString())
	require.NotContains(t, fmt.Errorf("dial %v: %w", s, errors.New("refused")).Error(), "canary")
}

func TestMarshalsAsRedacted(t *testing.T) {
	s := secret.New(canary)
	out, err := json.Marshal(map[string]any{"a": s, "b": &s, "c": holder{Shown: s, hidden: s}, "d": map[secret.String]int{s: 1}})
	require.NoError(t, err)
	require.JSONEq(t, `{"a":"[redacted]","b":"[redacted]","c":{"Shown":"[redacted]"},"d":{"[redacted]":1}}`, string(out))

	text, err := s.MarshalText()
	require.NoError(t, err)
	require.Equal(t, secret.Redacted, string(text))

	out, err = xml.Marshal(holder{Shown: s})
	require.NoError(t, err)
	require.Contains(t, string(out), secret.Redacted)
	require.NotContains(t, string(out), "canary")
}

func TestLogsAsRedacted(t *testing.T) {
	s := secret.New(canary)
	var out bytes.Buffer
	log := zerolog.New(&out)
	log.Info().Object("object", s).Interface("interface", s).Any("any", holder{Shown: s, hidden: s}).
		Stringer("stringer", s).Stringers("stringers", []fmt.Stringer{s, &s}).Interface("pointer", &s).Fields(map[string]any{"field": s, "fields": []any{s, &s}}).
		Type("type", s).Errs("errs", []error{fmt.Errorf("%w: %v", errors.New("x"), s)}).EmbedObject(s).Err(fmt.Errorf("with %s", s)).Msgf("%v %+v", s, &s)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "s", s, "h", holder{Shown: s, hidden: s})
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "s", s, "h", holder{Shown: s, hidden: s})
	require.Equal(t, 3, strings.Count(out.String(), "\n"))
	require.Contains(t, out.String(), `"object":{"secret":"[redacted]"}`)
	require.NotContains(t, out.String(), "canary")
}

func TestUnmarshalText(t *testing.T) {
	var s secret.String
	require.True(t, s.IsZero())
	require.NoError(t, s.UnmarshalText([]byte(canary)))
	require.Equal(t, canary, s.Reveal())
	require.False(t, s.IsZero())

	var h holder
	require.NoError(t, json.Unmarshal([]byte(`{"Shown":"from json"}`), &h))
	require.Equal(t, "from json", h.Shown.Reveal())

	require.ErrorIs(t, s.UnmarshalText([]byte(secret.Redacted)), secret.ErrRedacted)
	require.Equal(t, canary, s.Reveal(), "a refused text changes nothing")
	require.ErrorIs(t, json.Unmarshal([]byte(`{"Shown":"[redacted]"}`), &h), secret.ErrRedacted)
}

func TestEqual(t *testing.T) {
	require.True(t, secret.New(canary).Equal(secret.New(canary)))
	require.False(t, secret.New(canary).Equal(secret.New(canary+"x")))
	require.False(t, secret.New(canary).Equal(secret.String{}))
	require.True(t, secret.String{}.Equal(secret.New("")))
	require.Equal(t, secret.New(canary), secret.New(canary), "comparable as a value too")
}
