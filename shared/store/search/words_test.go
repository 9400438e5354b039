package search_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/store/search"
)

// Most words are counted in one pass over their bytes. Texts of all kinds of characters in any order have the words
// that each token, taken apart, has.
func TestSimpleWordsAreCountedLikeOthers(t *testing.T) {
	t.Parallel()
	pieces := []string{
		"a", "word", "Word", "WORD", "getUserById", "HTTPServer", "x9", "42", " ", "\n", "\u00a0", "\u2028", ",", "(", ")", "“", "…",
		"-", ".", "_", "/", "\\", "#", "://", "é", "Ä", "日本", "ー", "\xff", "'", "<b>", strings.Repeat("l", 1999), "\x00",
	}
	r := rand.New(rand.NewPCG(7, 7))
	for range 20_000 {
		var text strings.Builder
		for range r.IntN(8) {
			text.WriteString(pieces[r.IntN(len(pieces))])
		}
		require.Equal(t, search.WordsOfEach(text.String()), search.WordsOf(text.String()), "%q", text.String())
	}
}
