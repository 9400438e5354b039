package markdown_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/converter/markdown"
	"github.com/sluicehq/sluice/shared/failure"
)

// TestOversizedAndDeepPages converts pages far above the usual 75 KB, and pages that nest deeper
// than any author would nest. Each is converted whole or rejected with an error; none crashes the
// process.
func TestOversizedAndDeepPages(t *testing.T) {
	paragraph := `<p>Sluice gates <strong>open</strong> at <a href="https://example.com/a">dawn</a>. <script>alert(1)</script></p>`
	for _, size := range []int{75 << 10, 1 << 20, 5 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			n := size/len(paragraph) + 1
			result, err := markdown.Convert(strings.Repeat(paragraph, n)+"<p>the end</p>", siteFacts())
			require.NoError(t, err)
			require.Equal(t, n, strings.Count(result.Markdown, "Sluice gates **open** at"), "nothing is lost")
			require.Contains(t, result.Markdown, "the end")
			require.NotContains(t, result.Markdown, "alert(1)")
		})
	}
	for _, tag := range []string{"div", "ul><li", "blockquote", "b", "table><tbody><tr><td"} {
		t.Run("deep "+tag, func(t *testing.T) {
			deep := strings.Repeat("<"+tag+">", 100_000) + "x"
			result, err := markdown.Convert(deep, siteFacts())
			if err != nil {
				require.Equal(t, failure.ConvertTooDeep, failure.CodeOf(err))
			}
			require.LessOrEqual(t, len(result.Markdown), 10*len(deep))
		})
	}
}
