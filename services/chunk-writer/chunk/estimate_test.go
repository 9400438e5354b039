package chunk_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/chunk-writer/chunk"
)

// sameEstimate compares the fast ways to an estimate with its definition: s measured whole,
// combined from parts, and abandoned beyond a limit.
func sameEstimate(t *testing.T, s string, rng *rand.Rand) {
	t.Helper()
	want := chunk.Plainly(s)
	require.Equal(t, want, chunk.Estimate(s), "%q", s)
	var parts []string
	from := 0
	for at := range s { // a rune is never cut
		if rng.IntN(4) == 0 {
			parts = append(parts, s[from:at])
			from = at
		}
	}
	parts = append(parts, s[from:])
	require.Equal(t, want, chunk.Composed(parts), "%q", parts)
	for _, limit := range []int{-1, 0, want - 1, want, want + 1, rng.IntN(want + 2)} {
		got, fits := chunk.Within(s, limit)
		require.Equal(t, want <= limit, fits, "%q within %d of %d", s, limit, want)
		if fits {
			require.Equal(t, want, got)
		}
	}
}

func TestEstimateIsItsDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 9))
	alphabet := []rune("abzAZ09 .,-|\t\n\r\x00\x7f\u00a0\u2003éÄßжЖשسक漢かA👍\u200d\ufe0f€\u0301\ufffd")
	for range 20_000 / share {
		s := make([]rune, rng.IntN(40))
		for i := range s {
			s[i] = alphabet[rng.IntN(len(alphabet))]
			if i > 0 && rng.IntN(2) == 0 {
				s[i] = s[i-1] // runs
			}
		}
		sameEstimate(t, string(s), rng)
	}
	for _, s := range []string{"", "\xff\xfe", "a\xc3", "\xe6\xbcA"} {
		sameEstimate(t, s, rng)
	}
}

func FuzzEstimate(f *testing.F) {
	for _, s := range []string{"", "HELLOworld Hello", "  \n\n        ", "a\u0301é漢字👍🏽\xff", "1234.567,8"} {
		f.Add(s, uint64(1))
	}
	f.Fuzz(func(t *testing.T, s string, seed uint64) { sameEstimate(t, s, rand.New(rand.NewPCG(seed, 0))) })
}

// TestChunksStayWhatTheyAre: the hashes of many documents' chunks must not change. Otherwise every
// chunk of every knowledge base would be written and embedded again.
func TestChunksStayWhatTheyAre(t *testing.T) {
	sum := sha256.New()
	for seed := range uint64(60) {
		md := newWriter(seed).document()
		for _, o := range sizes {
			d := chunk.Document{Title: "Title", URL: "https://example.org/p", Markdown: md}
			for _, c := range chunk.Split(d, o) {
				_, err := fmt.Fprintln(sum, c.Hash, c.Tokens, c.Words, c.Chars, c.CitationURL)
				require.NoError(t, err)
			}
		}
	}
	require.Equal(t, "fd43b56a8860a5d8a38d7aaa1319d557bda3d0b02162f5e7974ddda2da3efb45", hex.EncodeToString(sum.Sum(nil)))
}
