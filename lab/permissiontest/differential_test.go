package permissiontest

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
)

var (
	cases = flag.Int("cases", 500, "how many times a reader and a page are compared with the site; make permissions takes 10000")
	seed  = flag.Uint64("seed", 1, "the first site's seed; a failure names its own")
	deep  = flag.Int("deep", 20, "of this many comparisons, one also asks for the page by its id, title and address through every face")
)

// tally counts comparisons.
type tally struct {
	cases, deep, visible, leaks, hidden int
	unreadable                          int            // of hidden: pages that the site does not show to the account that reads it
	why                                 map[string]int // why the other hidden ones are
}

// TestWhatReadersSeeIsWhatTheSiteShows compares random sites, while they change, with the site's own answers, through
// every face that readers have: nobody sees more, and once everything was read again, nobody sees less.
func TestWhatReadersSeeIsWhatTheSiteShows(t *testing.T) {
	t.Parallel()
	sum := tally{why: map[string]int{}}
	w := newVectorWorld(t)
	handler, token := w.gateway()
	for s := *seed; sum.cases < *cases; s++ {
		w.on(sandbox.New(sandbox.Options{}))
		r := &random{world: w, Rand: rand.New(rand.NewPCG(s, 7)), faces: func(who string) *faces { return w.as(handler, token, who) }, holders: map[string][]string{}}
		r.build()
		w.run(event.Full)
		r.compare(&sum, fmt.Sprintf("seed %d, first run", s))
		for round := 0; round < 3 && sum.cases < *cases; round++ {
			r.change()
			if r.IntN(2) == 0 {
				w.run(event.Incremental)
			}
			w.sweep()
			r.compare(&sum, fmt.Sprintf("seed %d, sweep %d", s, round))
			notes := w.run(event.Full)
			r.compare(&sum, fmt.Sprintf("seed %d, run %d %v", s, round, notes))
		}
	}
	could := sum.hidden - sum.unreadable
	t.Logf("%d comparisons of a reader with a page, %d of them through every face: %d visible, %d leaks; %d hidden from readers because the site hides them "+
		"from the account that reads it; %d falsely hidden where everything could be read (%.2f %%) %v",
		sum.cases, sum.deep, sum.visible, sum.leaks, sum.unreadable, could, 100*float64(could)/float64(sum.cases), sum.why)
}

// random is a world that is built and changed at random.
type random struct {
	*world
	*rand.Rand
	faces                          func(who string) *faces
	people, groups, content, pages []string
	titles                         []string            // of pages
	holders                        map[string][]string // the objects that hold a canary
	words                          int
}

func (r *random) pick(of []string) string { return of[r.IntN(len(of))] }

func (r *random) some(of []string) (out []string) {
	for _, x := range of {
		if r.IntN(3) == 0 {
			out = append(out, x)
		}
	}
	return out
}

func (r *random) build() {
	for i := range 8 {
		r.people = append(r.people, fmt.Sprintf("p%d", i))
	}
	r.person(r.people[:6]...)
	r.site.AddUser(sandbox.User{AccountID: "p6", Inactive: true})
	r.site.AddUser(sandbox.User{AccountID: "p7", Outside: true})
	for i := range 5 {
		r.groups = append(r.groups, fmt.Sprintf("g%d", i))
		r.regroup(r.groups[i])
	}
	r.open()
	for range 24 {
		r.grow()
	}
	for range 8 {
		r.restrict()
	}
}

func (r *random) regroup(name string) {
	access := ""
	if r.IntN(4) == 0 {
		access = []string{"user", "admin"}[r.IntN(2)]
	}
	require.NoError(r.t, r.site.SetGroup(sandbox.Group{Name: name, Members: r.some(append([]string{api}, r.people...)), Access: access}))
}

// open gives the space other readers; the account that reads the site stays among them.
func (r *random) open() {
	require.NoError(r.t, r.site.SetRoleMode([]sandbox.RoleMode{sandbox.PreRoles, sandbox.RolesTransition, sandbox.Roles}[r.IntN(3)]))
	readers := []sandbox.Reader{{Kind: sandbox.ReaderUser, ID: api}}
	add := func(kind, id string) {
		readers = append(readers, sandbox.Reader{Kind: kind, ID: id, NoRead: r.IntN(5) == 0, Role: r.IntN(2) == 0})
	}
	if r.IntN(3) > 0 {
		add(sandbox.ReaderAll, "")
	}
	if r.IntN(3) == 0 {
		add(sandbox.ReaderAdmins, "")
	}
	for _, p := range r.some(r.people) {
		add(sandbox.ReaderUser, p)
	}
	for _, g := range r.some(r.groups) {
		add(sandbox.ReaderGroup, g)
	}
	add("team", r.pick(r.people))
	require.NoError(r.t, r.site.SetSpaceReaders(space, readers...))
}

func (r *random) grow() {
	d := sandbox.Draft{Title: r.word("t"), Kind: []sandbox.Kind{
		sandbox.KindPage, sandbox.KindPage, sandbox.KindPage, sandbox.KindFolder, sandbox.KindBlogPost,
	}[r.IntN(5)]}
	said := []string{d.Title}
	if d.Kind != sandbox.KindFolder {
		var more []string
		d.Body, more = r.body()
		d.Labels = []string{r.word("l")}
		said = append(append(said, more...), d.Labels...)
	}
	if d.Kind != sandbox.KindBlogPost && len(r.pages) > 0 && r.IntN(4) > 0 {
		d.ParentID = r.pick(r.pages)
	}
	id := r.create(d)
	r.holds(id, said)
	r.content = append(r.content, id)
	if d.Kind != sandbox.KindBlogPost {
		r.pages = append(r.pages, id)
	}
	if d.Kind == sandbox.KindPage {
		r.titles = append(r.titles, d.Title)
	}
}

// word makes a canary.
func (r *random) word(part string) string {
	r.words++
	return fmt.Sprintf("zq%d%s", r.words, part)
}

func (r *random) holds(id string, words []string) {
	for _, word := range words {
		r.holders[word] = append(r.holders[word], id)
	}
}

// body is a text with a heading that links to other pages by id and by title, and includes one.
func (r *random) body() (text string, said []string) {
	said = []string{r.word("h"), r.word("b")}
	text = "<h2>" + said[0] + "</h2><p>" + everyWord + " " + said[1] + "</p>"
	if len(r.content) > 0 {
		text += `<p><a href="` + r.url + `/wiki/spaces/` + space + `/pages/` + r.pick(r.content) + `">see</a></p>`
	}
	if len(r.titles) > 0 {
		title, included := r.pick(r.titles), r.pick(r.titles)
		text += `<p><ac:link><ri:page ri:content-title="` + title + `" /></ac:link></p><ac:structured-macro ac:name="include">` +
			`<ac:parameter ac:name=""><ac:link><ri:page ri:content-title="` + included + `" /></ac:link></ac:parameter></ac:structured-macro>`
		said = append(said, title, included)
	}
	return text, said
}

// edit gives some content, which may be a folder, another title and another text.
func (r *random) edit() {
	id := r.pick(r.content)
	title := r.word("t")
	body, said := r.body()
	if _, err := r.site.EditPage(id, sandbox.Edit{Title: &title, Body: &body}); err == nil {
		r.holds(id, append(said, title))
	}
}

// restrict limits some content, nearly always not for the account that reads the site.
func (r *random) restrict() {
	users := r.some(r.people)
	if r.IntN(10) > 0 {
		users = append(users, api)
	}
	require.NoError(r.t, r.site.Restrict(r.pick(r.content), users, r.some(r.groups)))
}

func (r *random) change() {
	for range 9 {
		switch r.IntN(12) {
		case 0, 1:
			r.restrict()
		case 2:
			require.NoError(r.t, r.site.Unrestrict(r.pick(r.content)))
		case 3, 10, 11:
			_ = r.site.MovePage(r.pick(r.pages), r.pick(r.pages)) // what the site refuses stays
		case 4:
			r.regroup(r.pick(r.groups))
		case 5:
			_ = r.site.DeleteGroup(r.pick(r.groups)) // perhaps deleted before
		case 6:
			id := r.pick(r.people[:7])
			r.site.AddUser(sandbox.User{AccountID: id, Inactive: r.IntN(2) == 0})
		case 7:
			r.open()
		case 8:
			r.grow()
		case 9:
			r.edit()
		}
	}
}

// compare compares every reader with every stored page, through every face. Nothing may be hidden that the site shows,
// except what it hides from the account that reads it.
func (r *random) compare(sum *tally, when string) {
	r.t.Helper()
	r.embed()
	stored := r.stored()
	for _, who := range append([]string{"stranger"}, r.people...) {
		f := r.faces(who)
		if r.IntN(3) == 0 {
			f.aside()
		}
		seen := map[string]bool{}
		lists := f.lists()
		for _, id := range lists["list"] {
			seen[id] = true
		}
		for face, ids := range lists {
			if !slices.Equal(slices.Sorted(slices.Values(ids)), slices.Sorted(maps.Keys(seen))) {
				r.t.Errorf("%s: %s sees %d pages in the list, and %d by %s: %v, %v", when, who, len(seen), len(ids), face, seen, ids)
			}
		}
		for _, id := range stored {
			sum.cases++
			may := r.may(who, id)
			if r.IntN(*deep) == 0 {
				sum.deep++
				r.asks(f, when, id, seen[id])
			}
			switch {
			case seen[id] && !may:
				sum.leaks++
				r.t.Errorf("%s: %s sees page %s, which the site does not show", when, who, id)
			case may && !seen[id]:
				sum.hidden++
				if !r.may(api, id) {
					sum.unreadable++
					break
				}
				why := r.reason(f, id)
				sum.why[why]++
				r.t.Errorf("%s: %s does not see page %s, which the site shows: %s (%s)", when, who, id, why, r.problem())
			case may:
				sum.visible++
			}
		}
		r.overhear(sum, f, when)
	}
}

// reason is why a page is hidden from a reader.
func (r *random) reason(f *faces, id string) string {
	r.t.Helper()
	why, err := r.store.Reader().Why(r.t.Context(), f.v, f.reader, store.PageKey{SourceID: docs, ID: id})
	require.NoError(r.t, err)
	for _, l := range why.Layers {
		if !l.Admits {
			return fmt.Sprintf("%s: %s %s %s", why.Verdict, l.Object, l.Reason, l.Detail)
		}
	}
	return string(why.Verdict)
}

// asks asks for one page through every face.
func (r *random) asks(f *faces, when, id string, sees bool) {
	r.t.Helper()
	why, err := r.store.Reader().Why(r.t.Context(), f.v, f.reader, store.PageKey{SourceID: docs, ID: id})
	require.NoError(r.t, err)
	f.hear("why", why)
	if why.Visible != sees || (why.Verdict == store.SeenAdmitted) != sees {
		r.t.Errorf("%s: %s sees page %s in the list: %v, and why says %+v", when, f.reader, id, sees, why)
	}
	for face, shows := range f.one(id) {
		if shows != sees && !(only[face] && !shows) {
			r.t.Errorf("%s: %s sees page %s in the list: %v, by %s: %v", when, f.reader, id, sees, face, shows)
		}
	}
}

// overhear looks for words of what the reader may not see in all that the faces have answered: titles in links and
// breadcrumbs, snippets, suggestions.
func (r *random) overhear(sum *tally, f *faces, when string) {
	r.t.Helper()
	for word, face := range f.said {
		if !slices.ContainsFunc(r.holders[word], func(id string) bool { return r.may(f.reader, id) }) {
			sum.leaks++
			r.t.Errorf("%s: %s hears %s by %s, which only %v have", when, f.reader, word, face, r.holders[word])
		}
	}
}
