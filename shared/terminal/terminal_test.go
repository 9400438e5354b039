package terminal

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNothingThatIsObeyedPasses(t *testing.T) {
	for name, hostile := range map[string]string{
		"OSC 52": "\x1b]52;c;ZXZpbA==\x07", "CSI": "\x1b[2J\x1b[1;1H", "C1 CSI": "\u009b2J", "C1 OSC": "\u009d52;c;eA==\u009c",
		"a raw C1 byte": "\x9b2J", "DCS": "\x1bP+q\x1b\\", "bell": "\a", "backspace": "a\bb", "overwriting": "good\revil", "delete": "\x7f",
		"NUL": "\x00", "reversed": "\u202egnp.exe", "isolated": "\u2066x\u2069", "line separator": "a\u2028b",
		"conceal": "\x1b[8mhidden", "black": "\x1b[30mhidden", "a hyperlink": "\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\",
	} {
		for _, clean := range []string{Clean(hostile), Line(hostile), through(hostile, false), through(hostile, true)} {
			require.True(t, safe(clean), "%s: %q", name, clean)
			require.NotContains(t, clean, "\x1b", name)
		}
	}
	for _, harmless := range []string{"", "Größe → 漢字 שלום\u200f ✅", "two\n\tlines\n"} {
		require.Equal(t, harmless, Clean(harmless))
	}
	require.Equal(t, "a\nb", Clean("a\r\nb"))
	require.Equal(t, "title\uFFFD1. forged", Line("title\n1. forged"))
}

func through(text string, colors bool) string {
	var b bytes.Buffer
	w := &Writer{to: &b, colors: colors}
	n, err := w.Write([]byte(text))
	if err != nil || n != len(text) {
		return "not written"
	}
	return b.String()
}

func TestColorsPassOnATerminalOnly(t *testing.T) {
	const bold = "\x1b[1mTitle\x1b[0m \x1b[31mred\x1b[0m"
	require.Equal(t, bold, through(bold, true))
	require.Equal(t, "\x1b[1m\uFFFD]52;c;x\uFFFD\x1b[0m.", through("\x1b[1m\x1b]52;c;x\a\x1b[0m.", true))
	require.NotContains(t, through(bold, false), "\x1b")
	var b bytes.Buffer
	require.False(t, Is(&b))
	w := NewWriter(&b)
	require.Same(t, w, NewWriter(w), "once is enough")
}

func TestJSONMeansTheSame(t *testing.T) {
	text := "a\u009b2J\u202eb\x7f\x1b]52\u2028 c"
	document, err := json.Marshal(map[string]string{"title": text})
	require.NoError(t, err)
	escaped := EscapeJSON(document)
	require.True(t, safe(string(escaped)), string(escaped))
	var back map[string]string
	require.NoError(t, json.Unmarshal(escaped, &back))
	require.Equal(t, text, back["title"])
	require.Equal(t, `{"a":"b"}`, string(EscapeJSON([]byte(`{"a":"b"}`))))
}

func FuzzClean(f *testing.F) {
	f.Add("\x1b]52;c;x\a", true)
	f.Fuzz(func(t *testing.T, text string, colors bool) {
		require.True(t, safe(Clean(text)))
		out := through(text, colors)
		require.True(t, safe(color.ReplaceAllString(out, "")), "%q", out)
		require.Equal(t, Clean(text), Clean(Clean(text)))
		require.NotContains(t, strings.TrimSpace(Line(text)), "\n")
	})
}
