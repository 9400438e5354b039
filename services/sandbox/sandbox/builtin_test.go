package sandbox

import (
	"errors"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBuiltinPagesAreWellFormed(t *testing.T) {
	files, err := builtinFiles()
	require.NoError(t, err)
	for _, f := range files {
		assert.NoError(t, checkStorage(f.body), f.name)
	}
}

func TestBuiltinSpaceHoldsWhatPagesCanHold(t *testing.T) {
	site := New(Options{})
	site.AddBuiltin()
	pages := site.Pages(BuiltinSpace)
	require.GreaterOrEqual(t, len(pages), 60)

	var all strings.Builder
	status, deepest, longest := map[string]int{}, 0, 0
	for _, p := range pages {
		body, err := site.Body(p.ID)
		require.NoError(t, err)
		all.WriteString(body)
		status[p.Status]++
		longest = max(longest, len(body))
		depth := 1
		for at := p; at.ParentID != ""; depth++ {
			at, err = site.Page(at.ParentID)
			require.NoError(t, err)
		}
		deepest = max(deepest, depth)
	}
	require.Equal(t, 1, status[archived])
	require.Equal(t, 1, status[trashed])
	require.GreaterOrEqual(t, deepest, 5)
	require.Greater(t, longest, 75_000)

	text := all.String()
	for _, want := range []string{
		"go", "sql", "yaml", "bash", "json",
	} {
		assert.Contains(t, text, `<ac:parameter ac:name="language">`+want+`</ac:parameter>`)
	}
	for _, macro := range []string{
		"code", "info", "note", "warning", "tip", "panel", "expand", "status", "jira", "toc", "anchor", "children",
		"excerpt", "include", "excerpt-include", "tone-checker", "details",
	} {
		assert.Contains(t, text, `ac:name="`+macro+`"`)
	}
	for _, want := range []string{
		"colspan=", "rowspan=", "<td><ul>", "ri:account-id=", "<ac:task-status>complete", "<time datetime=", "<ac:caption>",
		"<ac:link-body>", "<ac:plain-text-link-body>", `<ri:page ri:content-title="On-call" /></ac:link>`, "<ac:layout-section",
		"<ac:emoticon", "]]]]><![CDATA[>", "<ac:adf-extension>", "ブイ", "Überstunden", "🍱", "<ac:inline-comment-marker",
	} {
		assert.Contains(t, text, want)
	}
}

// A link by title that leads nowhere would be an error in the pages, not in their reader.
func TestBuiltinLinksLeadSomewhere(t *testing.T) {
	site := New(Options{})
	site.AddBuiltin()
	titles := map[string]bool{}
	for _, p := range site.Pages(BuiltinSpace) {
		titles[p.Title] = true
	}
	for _, p := range site.Pages(BuiltinSpace) {
		body, err := site.Body(p.ID)
		require.NoError(t, err)
		var look func(e *element)
		look = func(e *element) {
			switch {
			case e.is("ri", "page"):
				assert.True(t, titles[e.attr["ri:content-title"]], "%s links to %q", p.Title, e.attr["ri:content-title"])
			case e.is("ri", "user"):
				assert.NotEqual(t, e.attr["ri:account-id"], site.displayName(e.attr["ri:account-id"]), p.Title)
			}
			for _, k := range e.kids {
				look(k)
			}
		}
		look(parseStorage(body))
	}
}

func TestBuiltinIDsAreTheSameOnEveryRun(t *testing.T) {
	one, two := New(Options{}), New(Options{})
	two.AddGenerated("OTHER", 10, 1)
	one.AddBuiltin()
	two.AddBuiltin()
	require.Equal(t, one.Pages(BuiltinSpace), two.Pages(BuiltinSpace))
}

func TestBuiltinRestrictions(t *testing.T) {
	c := builtin(t)
	list := c.walk("/wiki/api/v2/spaces/"+c.spaceID(BuiltinSpace)+"/pages?limit=250", "id")
	for id, seen := range map[string]bool{"65706": true, "65745": true, "65729": false, "65730": false} {
		p, err := c.site.Page(id)
		require.NoError(t, err)
		require.Equal(t, seen, !p.Hidden, p.Title)
		require.Equal(t, seen, slices.Contains(list, id), p.Title)
	}
}

func TestBuiltinSearchFindsWhatTheDemoAsksFor(t *testing.T) {
	c := builtin(t)
	for question, title := range map[string]string{
		"rotate signing keys":  "Rotate the signing keys",
		"on-call handover":     "On-call handover",
		"neap window":          "Shared: maintenance window",
		"debug-tap":            "Broker disk is full",
		"chowder Halifax":      "Travel and expenses",
		"Resturlaub verfällt":  "Arbeitszeit und Urlaub (Hamburg)",
		"アジフライ定食":              "横浜オフィスの案内",
		"clock that ran 1980":  "2025-06-27 The clock that ran backwards",
		"EXPLAIN ANALYZE lock": "SQL review checklist",
	} {
		q := url.Values{"cql": {`space = "DEMO" and type = page and text ~ "` + question + `"`}}
		require.Contains(t, c.get(200, "/wiki/rest/api/content/search?"+q.Encode()).column("title"), title, question)
	}
}

// checkStorage returns an error unless the body is well-formed storage format.
func checkStorage(storage string) error {
	d := storageDecoder(storage)
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
