package table_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/lab/bench/table"
)

func TestATableIsLinedUp(t *testing.T) {
	tb := table.Table{Head: []string{"what", "n:"}}
	tb.Row("größer", "1")
	tb.Row("a", "12,345")
	var b bytes.Buffer
	tb.Write(&b)
	require.Equal(t, "| what   |      n |\n| ------ | ------:|\n| größer |      1 |\n| a      | 12,345 |\n\n", b.String())
}
