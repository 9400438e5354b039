package confluence_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/confluence"
)

// BenchmarkPagesByID reads an answer of 100 pages, 1.6 MB of storage format, without a network.
func BenchmarkPagesByID(b *testing.B) {
	ids, answered := make([]string, 100), make([]string, 100)
	for i := range ids {
		ids[i] = strconv.Itoa(1000 + i)
		body := strings.Repeat(fmt.Sprintf(`<p class="a">Run <code>%d</code> &amp; read the “log”.</p>`+"\n", i), 290)
		var quoted strings.Builder
		enc := json.NewEncoder(&quoted)
		enc.SetEscapeHTML(false)
		require.NoError(b, enc.Encode(body))
		answered[i] = pageRow(1000+i, 1, fmt.Sprintf(`,"body":{"storage":{"representation":"storage","value":%s}}`, quoted.String()))
	}
	answer := listOf("", answered...)
	c := wired(b, func(*http.Request) (*http.Response, error) { return response(http.StatusOK, answer), nil }, quick()...)
	b.SetBytes(int64(len(answer)))
	b.ReportAllocs()
	for b.Loop() {
		found, err := c.PagesByID(context.Background(), ids, confluence.PagesOptions{Body: true})
		require.NoError(b, err)
		require.Len(b, found, len(ids))
	}
}
