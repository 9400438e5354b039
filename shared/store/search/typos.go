package search

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/shared/store/internal/pg"
)

const (
	mostTypos                = 4    // words of a query that are treated as typos
	mostAlike                = 3    // words that replace one
	compared                 = 60   // words compared with one, the most similar by pg_trgm's measure
	leastTypo                = 3    // minimum letters of a possible typo
	twoTypos                 = 6    // minimum letters of a word with two typos
	longestEnding, leastStem = 4, 5 // letters of an ending, and of the rest
	likeness                 = "0.25"
	alphabet                 = "abcdefghijklmnopqrstuvwxyz"
	otherChars               = "äöüßéèáàâêîôûçñåøæ"
)

// plainWord is the condition of the index on similar words: letters only.
const plainWord = `word ~ '^\^?[[:alpha:]]{3,30}$'`

// similarSQL reads words with the number of chunks that hold them in their text and their titles.
func similarSQL(where string) string {
	return `SELECT ltrim(word, '^') AS plain, coalesce(max(chunks) FILTER (WHERE word NOT LIKE '^%'), 0), coalesce(max(chunks) FILTER (WHERE word LIKE '^%'), 0)
		FROM confluence_words WHERE ` + where + ` GROUP BY 1`
}

// similar is a word that may be meant instead.
type similar struct {
	lexeme         string
	chunks, titles int64
}

// forgive replaces words that no chunk contains by the words that are probably meant. One mistake,
// anywhere in a word, is corrected with the table of words alone; two mistakes, in longer words, need
// the extension pg_trgm.
func (s *Searcher) forgive(ctx context.Context, k *known, f Filter) error {
	var odd []string
	for _, t := range k.terms {
		if !t.title() && t.chunks == 0 && plausible(t.Word) && len(odd) < mostTypos && !slices.ContainsFunc(k.terms, func(o term) bool {
			return o.title() && o.plain() == t.Word && o.chunks > 0
		}) {
			odd = append(odd, t.Word)
		}
	}
	if len(odd) == 0 {
		return nil
	}
	b := &pgx.Batch{}
	found := make([][]similar, len(odd))
	if s.trgm.Load() {
		b.Queue(`SELECT set_config('pg_trgm.similarity_threshold', $1, true)`, likeness)
	}
	for i, word := range odd {
		near := func(rows pgx.Rows) error {
			var t similar
			_, err := pgx.ForEachRow(rows, []any{&t.lexeme, &t.chunks, &t.titles}, func() error {
				if !slices.Contains(found[i], t) {
					found[i] = append(found[i], t)
				}
				return nil
			})
			return err
		}
		b.Queue(similarSQL(`word = ANY ($1)`), marked(oneOff(word))).Query(near)
		if s.trgm.Load() && len([]rune(word)) >= twoTypos {
			b.Queue(similarSQL(plainWord+` AND word % $1`)+` ORDER BY max(similarity(word, $1)) DESC, 1 LIMIT $2`, word, compared).Query(near)
		}
	}
	if err := s.pool.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("look for similar words: %w", err)
	}
	for i, word := range odd {
		near := nearest(word, found[i])
		if f.guarded() {
			var err error
			if near, err = s.shown(ctx, f, near); err != nil {
				return err
			}
		}
		k.replace(word, near)
	}
	return nil
}

// shown are the words that a chunk holds which the viewer may see: a suggestion must not tell what is in others.
func (s *Searcher) shown(ctx context.Context, f Filter, words []similar) ([]similar, error) {
	var list []similar
	for _, word := range words {
		var there bool
		// Not pg.ShowsEach: there is no limit to the chunks that hold a word.
		err := s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM confluence_chunk_words w
			WHERE w.words @@ $1::tsquery AND ($2::text[] IS NULL OR w.source_id = ANY ($2)) AND `+pg.Shows("w.source_id", "w.page_id", "$3", "$4")+`)`,
			lexeme(word.lexeme)+" | "+lexeme(titleMark+word.lexeme), f.seen.Sources, f.seen.Free, f.seen.Sets).Scan(&there)
		if err != nil {
			return nil, fmt.Errorf("look for a similar word: %w", err)
		}
		if there {
			list = append(list, word)
		}
	}
	return list, nil
}

// plausible reports whether a word may be a typo: it has letters only.
func plausible(word string) bool {
	return len([]rune(word)) >= leastTypo && !strings.ContainsFunc(word, func(r rune) bool { return !unicode.IsLetter(r) || isUnspaced(r) })
}

// replace finds other words in place of one that no chunk contains.
func (k *known) replace(word string, by []similar) {
	for _, t := range by {
		if slices.ContainsFunc(k.terms, func(o term) bool { return o.Word == t.lexeme }) {
			continue // already in the query
		}
		text, title := newTerm(t.lexeme, t.chunks), newTerm(titleMark+t.lexeme, t.titles)
		text.For, title.For = word, word
		k.terms = append(k.terms, text, title)
	}
}

// nearest are the words with the fewest differences, the most frequent first.
func nearest(word string, list []similar) []similar {
	most := 1
	if len([]rune(word)) >= twoTypos {
		most = 2
	}
	type scored struct {
		similar
		off int
	}
	var near []scored
	for _, t := range list {
		off := apart(word, t.lexeme)
		short := len([]rune(word)) == leastTypo && len([]rune(t.lexeme)) == leastTypo && !swapped(word, t.lexeme)
		if off > 0 && off <= most && !short {
			near = append(near, scored{t, off})
		}
	}
	slices.SortFunc(near, func(a, b scored) int {
		return cmp.Or(cmp.Compare(a.off, b.off), cmp.Compare(b.chunks, a.chunks), strings.Compare(a.lexeme, b.lexeme))
	})
	var best []similar
	for _, n := range near {
		if n.off == near[0].off && len(best) < mostAlike {
			best = append(best, n.similar)
		}
	}
	return best
}

// swapped reports whether the words have the same letters.
func swapped(a, b string) bool {
	x, y := []rune(a), []rune(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

// oneOff are the words with one difference: an extra, missing or changed letter, or two swapped letters.
func oneOff(word string) []string {
	letters := []rune(word)
	others := []rune(alphabet)
	if strings.ContainsFunc(word, func(r rune) bool { return r > 127 }) {
		others = append(others, []rune(otherChars)...)
		others = append(others, letters...)
	}
	slices.Sort(others)
	others = slices.Compact(others)
	set := map[string]bool{}
	with := func(parts ...[]rune) { set[string(slices.Concat(parts...))] = true }
	for i := range len(letters) + 1 {
		head, tail := letters[:i], letters[i:]
		for _, o := range others {
			with(head, []rune{o}, tail)
			if len(tail) > 0 {
				with(head, []rune{o}, tail[1:])
			}
		}
		if len(tail) > 0 {
			with(head, tail[1:])
		}
		if len(tail) > 1 {
			with(head, []rune{tail[1], tail[0]}, tail[2:])
		}
	}
	delete(set, word)
	if len(letters) > twoTypos {
		for _, cut := range withoutEnding(word) {
			set[cut] = true
		}
	}
	list := make([]string, 0, len(set))
	for w := range set {
		list = append(list, w)
	}
	slices.Sort(list)
	return list
}

// marked adds the words in their form for titles.
func marked(words []string) []string {
	for _, w := range words {
		words = append(words, titleMark+w)
	}
	return words
}

// apart is the number of differences between a typed word and a stem. A mistake in a word's ending
// prevents the ending from being cut off, so the whole ending counts as one.
func apart(typed, stem string) int {
	least := mistakes(typed, stem)
	for _, cut := range withoutEnding(typed) {
		least = min(least, mistakes(cut, stem)+1)
	}
	return least
}

// withoutEnding are the beginnings of a longer word that may be its stem.
func withoutEnding(word string) []string {
	letters := []rune(word)
	var list []string
	for cut := 1; cut <= longestEnding && len(letters)-cut >= leastStem; cut++ {
		list = append(list, string(letters[:len(letters)-cut]))
	}
	return list
}

// mistakes counts extra, missing, changed and swapped letters.
func mistakes(a, b string) int {
	x, y := []rune(a), []rune(b)
	rows := [3][]int{make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)}
	before, last, now := rows[0], rows[1], rows[2]
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		now[0] = i
		for j := 1; j <= len(y); j++ {
			other := 1
			if x[i-1] == y[j-1] {
				other = 0
			}
			now[j] = min(last[j]+1, now[j-1]+1, last[j-1]+other)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				now[j] = min(now[j], before[j-2]+1)
			}
		}
		before, last, now = last, now, before
	}
	return last[len(y)]
}
