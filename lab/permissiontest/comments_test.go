package permissiontest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/viewer"
)

// remark is a comment with a word that only it has.
type remark struct{ id, on, word string }

// remarks comments on some content.
func (r *random) remarks() (made []remark) {
	r.t.Helper()
	for range 8 {
		on := r.pick(r.content)
		if p, err := r.site.Page(on); err != nil || p.Kind == sandbox.KindFolder {
			continue
		}
		m := remark{on: on, word: r.word("c")}
		var err error
		m.id, err = r.site.AddComment(on, sandbox.Comment{Body: "<p>" + m.word + "</p>", Inline: r.IntN(2) == 0, Selection: "s", MarkerRef: "m"})
		require.NoError(r.t, err)
		made = append(made, m)
	}
	return made
}

// TestReadersSeeTheCommentsOfWhatTheySee compares random sites, while they change, with the site's own answers: whoever may
// see a page sees its comments, and nobody else, by search and by id.
func TestReadersSeeTheCommentsOfWhatTheySee(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	compared, shown := 0, 0
	for s := *seed; compared < *cases; s++ {
		w.on(sandbox.New(sandbox.Options{}))
		require.NoError(t, w.store.UpdateSource(t.Context(), docs, store.SourceChange{Comments: store.AllComments}))
		r := &random{world: w, Rand: rand.New(rand.NewPCG(s, 11)), holders: map[string][]string{}}
		r.build()
		all := r.remarks()
		w.run(event.Full)
		compare := func(when string) {
			t.Helper()
			stored := map[string]bool{}
			for _, id := range w.stored() {
				stored[id] = true
			}
			for _, who := range append([]string{"stranger"}, r.people...) {
				v, admitted := viewer.Everywhere().As(who), w.admitted(who)
				for _, m := range all {
					if !stored[m.id] {
						continue
					}
					may := w.may(who, m.on)
					hits, err := w.store.Searcher().Search(t.Context(), v, m.word, search.Filter{})
					require.NoError(t, err)
					_, err = w.store.Reader().LivePage(t.Context(), v, m.id)
					compared++
					if may {
						shown++
					}
					if want := may && (w.may(api, m.on) || admitted[m.on]); admitted[m.id] != want || (err == nil) != want || (len(hits) > 0) != want {
						t.Errorf("seed %d, %s: %s may see the page %s: %v; its comment %s is admitted: %v, read: %v, found: %d times", s, when, who, m.on, may, m.id, admitted[m.id], err == nil, len(hits))
					}
				}
			}
		}
		compare("first run")
		for round := range 2 {
			r.change()
			all = append(all, r.remarks()...)
			w.run(event.Incremental)
			w.sweep()
			compare(fmt.Sprintf("sweep %d", round))
			w.run(event.Full)
			compare(fmt.Sprintf("run %d", round))
		}
	}
	require.Positive(t, shown)
	t.Logf("%d comparisons of a reader with a comment, %d of them visible", compared, shown)
}
