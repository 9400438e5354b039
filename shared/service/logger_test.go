package service

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/terminal"
)

// What a page or a site says becomes part of the log.
func TestNoLineOfTheLogIsObeyedByATerminal(t *testing.T) {
	const hostile = "\x1b]52;c;ZXZpbA==\x07\u009b2J\u202etitle\r\n12:00:00 INF forged"
	for _, format := range []string{"json", "console"} {
		var out bytes.Buffer
		log := Logger(&out, config.Process{LogLevel: "info", LogFormat: format})
		log.Info().Str("title", hostile).Err(errors.New(hostile)).Interface("page", map[string]string{"title": hostile}).Msg(hostile)
		require.Equal(t, terminal.Clean(out.String()), out.String(), format)
		require.Equal(t, 1, strings.Count(out.String(), "\n"), "%s: nothing begins a line of its own: %s", format, out.String())
		if format == "json" {
			var event map[string]any
			require.NoError(t, json.Unmarshal(out.Bytes(), &event))
			require.Equal(t, hostile, event["title"], "nothing is lost")
		}
	}
}
