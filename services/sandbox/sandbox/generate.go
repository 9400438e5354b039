package sandbox

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// generatedFrom is the creation time of the oldest page of a generated space. It is fixed, so that
// a generated space is the same on every run.
var generatedFrom = time.Date(2023, 3, 1, 8, 0, 0, 0, time.UTC)

// AddGenerated adds a space with that many pages, the homepage included. The key and the seed
// determine everything: ids, titles, authors, dates and bodies of 1 to 75 KB, in a tree seven
// levels deep. Bodies are generated on each read, so that a large space uses little memory. If the
// key is taken, AddGenerated adds nothing.
func (s *Site) AddGenerated(key string, pages int, seed int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sp, err := s.addSpace(key, "Generated space "+key)
	if err != nil || pages < 1 {
		return
	}
	sp.created = generatedFrom
	root := generatedRoot(key, seed)
	base := 10_000_000_000 + int64(root%80_000)*1_000_000_000
	made := make([]*node, 0, pages)
	for i := range pages {
		n := generatedPage(sp, root, i)
		n.id = base + int64(i)*16 + int64(mix(root, i, 1)%16)
		if i == 0 {
			n.rev.title, sp.home = sp.name, n
		} else {
			n.attach(made[(i-1)/generatedWidth(pages)])
		}
		s.nodes[n.id] = n
		sp.titles[titleKey(n.kind, n.rev.title)] = n
		made = append(made, n)
	}
	s.all.addAll(made)
	sp.shelf.addAll(made)
	s.moment++
}

func generatedRoot(key string, seed int64) uint64 {
	return hash(fmt.Sprintf("%s/%d", strings.ToLower(key), seed))
}

// AddGeneratedBlogPosts adds that many blog posts to a space; the key and the seed determine them.
// They have the titles of the pages that AddGenerated makes for the same seed: Confluence allows a
// page and a blog post with the same title. If ids are taken, it returns ErrConflict.
func (s *Site) AddGeneratedBlogPosts(key string, posts int, seed int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	sp := s.space(key)
	if sp == nil {
		return fmt.Errorf("add blog posts to space %s: %w", key, ErrNotFound)
	}
	root := generatedRoot(key, seed)
	base := 100_000_000_000_000 + int64(root%80_000)*1_000_000_000 // above the pages' ids
	for i := range posts {
		n := generatedPage(sp, root, i)
		n.id, n.kind = base+int64(i)*16+int64(mix(root, i, 1)%16), KindBlogPost
		n.rev.body = generated{mix(root, i, 11), i}
		if s.nodes[n.id] != nil {
			return fmt.Errorf("add blog posts to space %s: %w: id %d is taken", key, ErrConflict, n.id)
		}
		if err := s.claimTitle(n, sp, n.rev.title); err != nil {
			return fmt.Errorf("add blog posts to space %s: %w", key, err)
		}
		s.file(n)
	}
	return nil
}

// generatedWidth is the number of children of a page that makes the space seven levels deep: the
// smallest width w with 1 + w + … + w^6 ≥ pages.
func generatedWidth(pages int) int {
	for w := 1; ; w++ {
		room, level := 1, 1
		for range 6 {
			level *= w
			room += level
		}
		if room >= pages {
			return w
		}
	}
}

func generatedPage(sp *space, root uint64, i int) *node {
	created := generatedFrom.Add(time.Duration(i)*97*time.Second + time.Duration(mix(root, i, 2)%97_000)*time.Millisecond)
	number := 1 + int(mix(root, i, 3)%9)
	author := builtinUsers[mix(root, i, 4)%uint64(len(builtinUsers))].AccountID
	modified := created
	if number > 1 {
		modified = created.Add(time.Duration(number)*26*time.Hour + time.Duration(mix(root, i, 5)%3_600_000)*time.Millisecond)
	}
	n := &node{
		kind: KindPage, space: sp, status: current, created: created, author: author,
		rev: revision{number: number, at: modified, author: author, title: generatedTitle(root, i), body: generated{mix(root, i, 6), i}},
	}
	for j := range mix(root, i, 7) % 3 {
		n.labels = append(n.labels, generatedNouns[mix(root, i, 8+int(j))%uint64(len(generatedNouns))])
	}
	n.labels = normalLabels(n.labels)
	return n
}

func generatedTitle(root uint64, i int) string {
	r := mix(root, i, 9)
	verb := generatedVerbs[r%uint64(len(generatedVerbs))]
	noun := generatedNouns[(r>>8)%uint64(len(generatedNouns))]
	place := generatedPlaces[(r>>16)%uint64(len(generatedPlaces))]
	return fmt.Sprintf("%s the %s %s (%d)", verb, noun, place, i)
}

// mix returns a number for one use of one page; it is splitmix64 over the three arguments.
func mix(root uint64, i, use int) uint64 {
	z := root + uint64(i)*0x9e3779b97f4a7c15 + uint64(use)*0xd1342543de82ef95 //nolint:gosec // a seed: any bits will do
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// generated is a body that its seed determines.
type generated struct {
	seed  uint64
	index int
}

// size is the body's minimum length: mostly a few KB, sometimes up to 75 KB.
func (g generated) size() int {
	const least, most = 1_000, 74_000
	u := float64(mix(g.seed, g.index, 10)%1_000_000) / 1_000_000
	return least + int((most-least)*u*u*u*u)
}

func (g generated) text() string {
	rng := rand.New(rand.NewPCG(g.seed, uint64(g.index))) //nolint:gosec // the same pages for the same seed
	said := sentences()
	size := g.size()
	var b strings.Builder
	b.Grow(size + 2_000)
	fmt.Fprintf(&b, "<p>This is generated page %d. ", g.index)
	b.WriteString(said[rng.IntN(len(said))])
	b.WriteString("</p>")
	for section := 1; b.Len() < size; section++ {
		fmt.Fprintf(&b, "<h2>%d. %s %s</h2>", section, pick(rng, generatedVerbs), pick(rng, generatedPlaces))
		for range 1 + rng.IntN(3) {
			b.WriteString("<p>")
			for range 2 + rng.IntN(5) {
				b.WriteString(said[rng.IntN(len(said))])
			}
			b.WriteString("</p>")
		}
		writeBlock(&b, rng, said)
	}
	return b.String()
}

// writeBlock writes the block between two sections' paragraphs: a list, code, a table, a panel, or
// nothing.
func writeBlock(b *strings.Builder, rng *rand.Rand, said []string) {
	switch rng.IntN(6) {
	case 0:
		b.WriteString("<ul>")
		for range 3 + rng.IntN(4) {
			b.WriteString("<li><p>" + said[rng.IntN(len(said))] + "</p></li>")
		}
		b.WriteString("</ul>")
	case 1:
		fmt.Fprintf(b, `<ac:structured-macro ac:name="code" ac:schema-version="1"><ac:parameter ac:name="language">yaml</ac:parameter><ac:plain-text-body><![CDATA[%s:
  replicas: %d
  timeout: %ds
]]></ac:plain-text-body></ac:structured-macro>`, pick(rng, generatedNouns), 1+rng.IntN(9), 5*rng.IntN(20))
	case 2:
		b.WriteString("<table><tbody><tr><th><p>Service</p></th><th><p>Limit</p></th></tr>")
		for range 2 + rng.IntN(5) {
			fmt.Fprintf(b, "<tr><td><p>%s</p></td><td><p>%d</p></td></tr>", pick(rng, generatedNouns), rng.IntN(5_000))
		}
		b.WriteString("</tbody></table>")
	case 3:
		b.WriteString(`<ac:structured-macro ac:name="info" ac:schema-version="1"><ac:rich-text-body><p>` +
			said[rng.IntN(len(said))] + "</p></ac:rich-text-body></ac:structured-macro>")
	}
}

func pick(rng *rand.Rand, words []string) string { return words[rng.IntN(len(words))] }

// sentences are the parts of generated bodies.
var sentences = sync.OnceValue(func() []string {
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same pages for the same seed
	out := make([]string, 3_000)
	for i := range out {
		out[i] = fmt.Sprintf("%s the %s %s %s, the %s %s %s %d %s. ",
			pick(rng, generatedWhen), pick(rng, generatedNouns), pick(rng, generatedDoes), pick(rng, generatedPlaces),
			pick(rng, generatedNouns), pick(rng, generatedMust), pick(rng, generatedTimes), 2+rng.IntN(90), pick(rng, generatedUnits))
	}
	return out
})

var (
	generatedVerbs = []string{"Provision", "Inspect", "Migrate", "Restore", "Tune", "Retire", "Audit", "Replicate", "Throttle", "Rebuild", "Rotate", "Benchmark"}
	generatedNouns = []string{"ingress", "ledger", "scheduler", "gateway", "replica", "queue", "cache", "index", "certificate", "pipeline",
		"invoice", "warehouse", "broker", "sensor", "snapshot", "quota", "tenant", "webhook", "cluster", "registry"}
	generatedPlaces = []string{"in Frankfurt", "in staging", "on the edge", "for tenants", "behind the mesh", "in cold storage", "for billing",
		"in the lab", "during failover", "at month end", "under load", "on new nodes"}
	generatedWhen  = []string{"Whenever", "Before", "As soon as", "Unless", "While", "Once", "If", "After"}
	generatedDoes  = []string{"is drained", "falls behind", "reports twice", "is promoted", "loses its lease", "runs", "refuses writes", "is resized", "catches up", "is sealed"}
	generatedMust  = []string{"has to wait", "keeps a copy", "retries", "is paused", "sends a digest", "must be checked", "is compared", "holds its lock"}
	generatedTimes = []string{"for at least", "within", "for no more than", "every", "after", "over the last"}
	generatedUnits = []string{"seconds", "minutes", "requests", "records", "segments", "attempts", "hours", "batches"}
)
