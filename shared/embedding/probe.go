package embedding

import (
	"context"
	"errors"
	"math/bits"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sluicehq/sluice/shared/failure"
)

// reach is what is known about long texts. Some servers refuse a text that is longer than the model reads;
// others (Ollama, TEI with --auto-truncate, Infinity) cut it off without a word. So two texts are sent that
// differ in their second halves only: if their vectors are equal, the server has not read these halves.
type reach struct {
	answered bool // the server has answered at all, so the settings are right
	refuses  bool // a text that is too long is refused
	proven   int  // tokens that are read for sure
	limit    int  // the longest text, in tokens, if the server cuts longer ones off; or EMBEDDINGS_MAX_TOKENS
}

// covers reports whether a text of so many units is read to its end, or refused.
func (r reach) covers(units int) bool {
	if r.limit > 0 {
		return units <= r.limit
	}
	return r.refuses || units <= shortest || units <= r.proven
}

// may reports whether a text of so many bytes may fit: hardly any has more than 6 bytes a token.
func (r reach) may(bytes int) bool { return bytes/6 <= r.limit }

const (
	smallestProbe = 1024 // enough for most chunks
	shortest      = 64   // every model reads more: a short text needs no probe
	everyModel    = 256  // tokens that every common model reads
)

// units is an estimate of a text's tokens that is hardly ever too low: two bytes of ASCII, or 1½ others.
func units(text string) int {
	others := 0
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			others++
		}
	}
	return (len(text)-others)/2 + others*2/3 + 2
}

// explore finds out what becomes of texts of up to so many units.
func (s *server) explore(ctx context.Context, r *reach, units int) error {
	if r.covers(units) || r.limit > 0 {
		return nil
	}
	size := max(smallestProbe, 1<<bits.Len(uint(units-1)))
	read, err := s.probe(ctx, r, size)
	if err != nil {
		return err
	}
	if read || r.refuses {
		return nil
	}
	low, high := r.proven, size
	for high-low > max(4, low/32) && !r.refuses {
		middle := (low + high) / 2
		if read, err = s.probe(ctx, r, middle); err != nil {
			return err
		}
		if read {
			low = middle
		} else {
			high = middle
		}
	}
	if low == 0 {
		return failure.New(failure.EmbeddingProtocol, "the embedding server gives different texts the same vector")
	}
	r.limit = low
	s.opt.log.Info().Int("tokens", low).Msg("the embedding server cuts off long texts without saying so; they are embedded in parts")
	return nil
}

// probe reports whether the server reads more than size tokens of a text. If it refuses such a text, it
// sets reach.refuses.
func (s *server) probe(ctx context.Context, r *reach, size int) (bool, error) {
	head := strings.Repeat("one two three four ", size/4+1)
	tails := []string{"bread water salt fish ", "court king army law "}
	for i, tail := range tails {
		tails[i] = head + strings.Repeat(tail, size/4+1)
	}
	vectors := make([][]float32, len(tails))
	for i, text := range tails { // one by one: a server may count the tokens of a call
		results, err := s.call(ctx, []string{text})
		if err == nil {
			err = results[0].Err
		}
		var no *refusedError
		if errors.As(err, &no) {
			r.refuses = true
			return false, nil
		}
		if err != nil {
			return false, err
		}
		vectors[i] = results[0].Vector
	}
	var dot float64
	for i, x := range vectors[0] {
		dot += float64(x) * float64(vectors[1][i])
	}
	// Servers with 16-bit floats or another order of sums give the same text slightly different vectors.
	if dot > 0.9995 {
		return false, nil
	}
	r.proven = max(r.proven, size)
	return true, nil
}

// smallestPart is the shortest text that is split, in characters.
const smallestPart = 16

// split cuts a text in two near its middle: at the end of a line or at a space if there is one near.
func split(text string) (left, right string, ok bool) {
	if utf8.RuneCountInString(text) < smallestPart {
		return "", "", false
	}
	middle := len(text) / 2
	for middle > 0 && !utf8.RuneStart(text[middle]) {
		middle--
	}
	at := middle
	from := text[len(text)/4 : middle]
	if i := strings.LastIndexByte(from, '\n'); i >= 0 {
		at = len(text)/4 + i + 1
	} else if i := strings.LastIndexFunc(from, unicode.IsSpace); i >= 0 {
		at = len(text)/4 + i + 1
	}
	return text[:at], text[at:], true
}
