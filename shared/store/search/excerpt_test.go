package search_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/store/search"
	"github.com/sluicehq/sluice/shared/store/storetest"
	"github.com/sluicehq/sluice/shared/viewer"
)

func TestMarkdownIsReadAsText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ markdown, want string }{
		{"## Rotate the *signing* keys\n\nEvery **90 days**,\nor `sooner`.", "Rotate the signing keys\nEvery 90 days, or sooner."},
		{"| Step | Who |\n| :-- | --- |\n| cut \\| paste | [Ann](https://acme.example/ann) |\n| | nobody |\n| alone | |", "Step · Who\ncut | paste · Ann\nnobody\nalone"},
		{"```yaml\nkey: a | b\nlist: [x](y)\n```\nafter", "key: a | b list: [x](y)\nafter"},
		{"    indented *code*", "indented *code*"},
		{"see [the *page*](<https://acme.example/a b> \"Title\") and ![a diagram](https://acme.example/d.png)", "see the page and a diagram"},
		{"<https://acme.example/x> and <ann@acme.example>", "https://acme.example/x and ann@acme.example"},
		{"- one\n- two\n  1. three\n- [x] done\n- [ ] open", "one\ntwo\nthree\n☑ done\n☐ open"},
		{"> [!WARNING]\n> Do not *open* it\n>\n> > deeper", "Warning: Do not open it\ndeeper"},
		{"~~old~~ snake_case_name 2 \\* 3 &lt;NAME&gt; &amp; \\_x\\_", "old snake_case_name 2 * 3 <NAME> & _x_"},
		{"a<br>b H<sub>2</sub>O deploy <kestrel> now <a id=\"x\"></a>", "a b H 2 O deploy <kestrel> now"},
		{"<details>\n<summary>More</summary>\n\ntext\n\n</details>", "More\ntext"},
		{"one\n\n---\n\ntwo", "one\ntwo"},
		{"Title\n=====\ntext", "Title\ntext"},
		{"", ""},
		{"| not | a table", "| not | a table"},
	} {
		assert.Equal(t, c.want, search.Plain(c.markdown, false), c.markdown)
	}
	require.Equal(t, "the page (https://acme.example/a)\nsh\nls", search.Plain("[the page](https://acme.example/a)\n\n```sh\nls\n```", true))
}

// No word of a chunk is lost to a search's reader, whatever it stands in.
func TestSnippetsAreReadableAndKeepTheirMarks(t *testing.T) {
	t.Parallel()
	s, _ := storetest.Open(t)
	storetest.AddSource(t, s, "docs")
	for id, text := range map[string]string{
		"1": "| Bird | Where |\n| --- | --- |\n| **kestrel** | [the mast](https://acme.example/mast) |",
		"2": "```yaml\nmerlin: true\n```",
		"3": "see [the page](https://acme.example/goshawk/nest) for more",
		"4": "# About the harrier\n\n> it &lt;flies&gt; *low* over the reeds",
		"5": "```osprey\nif ready then call\n```",
	} {
		storetest.Write(t, s, storetest.Page("docs", "", id, 1, "Page "+id, text))
	}
	for query, want := range map[string]string{
		"kestrel": "Bird · Where\n‹kestrel› · the mast",
		"mast":    "Bird · Where\nkestrel · the ‹mast›",
		"merlin":  "‹merlin›: true",
		"goshawk": "see the page for more",
		"harrier": "About the ‹harrier›\nit <flies> low over the reeds",
		"osprey":  "‹osprey›\nif ready then call",
	} {
		hits, err := s.Searcher().Search(t.Context(), viewer.All(), query, search.Filter{Limit: 1})
		require.NoError(t, err)
		require.Len(t, hits, 1, query)
		assert.Equal(t, strings.NewReplacer("‹", search.MarkStart, "›", search.MarkEnd).Replace(want), hits[0].Snippet, query)
	}
}
