package confluence_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/confluence"
)

func TestCQLText(t *testing.T) {
	for want, q := range map[string]confluence.CQL{
		`space = "KEY" and type = "page" and lastModified >= now("-90m") order by lastmodified asc`: confluence.
			Where(confluence.InSpace("KEY"), confluence.TypeIs("page"), confluence.ModifiedWithin(90)).OrderBy("lastmodified", confluence.Asc),
		`space = "AND"`:                  confluence.Where(confluence.InSpace("AND")),
		`space = "2024"`:                 confluence.Where(confluence.InSpace("2024")),
		`space = "~712020abc"`:           confluence.Where(confluence.InSpace("~712020abc")),
		`title = "a\"b\\"`:               confluence.Where(confluence.TitleIs(`a"b\`)),
		`title = "a\" or type = \"page"`: confluence.Where(confluence.TitleIs(`a" or type = "page`)),
		`type in ("page", "blogpost") and space = "KEY"`: confluence.
			Where(confluence.TypeIn("page", "blogpost"), confluence.InSpace("KEY")),
		`type = "blogpost"`: confluence.Where(confluence.TypeIn("blogpost")),
		`type = "page" and lastModified >= now("-5m") order by title desc, id asc`: confluence.
			Where(confluence.TypeIs("page"), confluence.ModifiedWithin(5)).
			OrderBy("title", confluence.Desc).OrderBy("id", confluence.Asc),
	} {
		got, err := q.Text()
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, want, q.String())
	}
}

func TestCQLRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		q    confluence.CQL
		want error
	}{
		"nothing":           {confluence.Where(), confluence.ErrInvalidArgument},
		"zero condition":    {confluence.Where(confluence.Condition{}), confluence.ErrInvalidArgument},
		"zero query":        {confluence.CQL{}, confluence.ErrInvalidArgument},
		"space with quotes": {confluence.Where(confluence.InSpace(`A" or type = "page`)), confluence.ErrInvalidSpaceKey},
		"space with a line": {confluence.Where(confluence.InSpace("A\nB")), confluence.ErrInvalidSpaceKey},
		"long space":        {confluence.Where(confluence.InSpace(strings.Repeat("A", 256))), confluence.ErrInvalidSpaceKey},
		"letters afar":      {confluence.Where(confluence.InSpace("ÄB")), confluence.ErrInvalidSpaceKey},
		"type":              {confluence.Where(confluence.TypeIs("pages")), confluence.ErrInvalidArgument},
		"one of the types":  {confluence.Where(confluence.TypeIn("page", "pages")), confluence.ErrInvalidArgument},
		"none of the types": {confluence.Where(confluence.TypeIn()), confluence.ErrInvalidArgument},
		"no minutes":        {confluence.Where(confluence.ModifiedWithin(0)), confluence.ErrInvalidArgument},
		"minutes to come":   {confluence.Where(confluence.ModifiedWithin(-1)), confluence.ErrInvalidArgument},
		"empty title":       {confluence.Where(confluence.TitleIs("")), confluence.ErrInvalidArgument},
		"title with a nul":  {confluence.Where(confluence.TitleIs("a\x00b")), confluence.ErrInvalidArgument},
		"title in Latin-1":  {confluence.Where(confluence.TitleIs("caf\xe9")), confluence.ErrInvalidArgument},
		"order field":       {confluence.Where(confluence.TypeIs("page")).OrderBy("lastmodified asc; x", confluence.Asc), confluence.ErrInvalidArgument},
		"order direction":   {confluence.Where(confluence.TypeIs("page")).OrderBy("id", "asc, title"), confluence.ErrInvalidArgument},
	} {
		_, err := tc.q.Text()
		require.ErrorIs(t, err, tc.want, name)
		require.True(t, strings.HasPrefix(tc.q.String(), "<"), name)
	}
}

func TestCQLIsAValue(t *testing.T) {
	base := confluence.Where(confluence.TypeIs("page")).OrderBy("title", confluence.Asc)
	one, two := base.OrderBy("id", confluence.Asc), base.OrderBy("created", confluence.Desc)
	require.Equal(t, `type = "page" order by title asc, id asc`, one.String())
	require.Equal(t, `type = "page" order by title asc, created desc`, two.String())
	require.Equal(t, `type = "page" order by title asc`, base.String())

	base = base.OrderBy("id", confluence.Asc).OrderBy("space", confluence.Asc)
	one, two = base.OrderBy("type", confluence.Asc), base.OrderBy("created", confluence.Desc)
	require.Equal(t, `type = "page" order by title asc, id asc, space asc, type asc`, one.String())
	require.Equal(t, `type = "page" order by title asc, id asc, space asc, created desc`, two.String())
}

func TestMinutesSince(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for ago, want := range map[time.Duration]int{
		0: 1, -time.Hour: 1, time.Nanosecond: 1, time.Minute: 1, time.Minute + 1: 2, 90 * time.Minute: 90, 89*time.Minute + time.Second: 90,
	} {
		require.Equal(t, want, confluence.MinutesSince(now.Add(-ago), now), ago)
	}
}

func TestSpaceKeys(t *testing.T) {
	for _, key := range []string{"A", "ENG", "eng2", "12345", "NOT", "~712020abcdef", "~jane.doe", "~jane.doe@example.org", strings.Repeat("K", 255)} {
		require.NoError(t, confluence.CheckSpaceKey(key), key)
	}
	for _, key := range []string{"", "~", "A B", "A-B", "A_B", `A"`, `A\`, "A'", "~a b", `~a"b`, "~a/b", "a~b", "A\n", "É", strings.Repeat("K", 256)} {
		require.ErrorIs(t, confluence.CheckSpaceKey(key), confluence.ErrInvalidSpaceKey, key)
	}
}

// token is one piece of a query, as Confluence reads it.
type token struct {
	text   string
	quoted bool
}

// scan reads a query by Confluence's quoting rules; an open quote is an error.
func scan(q string) ([]token, error) {
	var tokens []token
	for i := 0; i < len(q); {
		switch ch := q[i]; ch {
		case ' ':
			i++
		case '(', ')', ',':
			tokens = append(tokens, token{text: string(ch)})
			i++
		case '"':
			var value strings.Builder
			for i++; ; i++ {
				if i >= len(q) {
					return nil, errors.New("open quote")
				}
				if q[i] == '"' {
					break
				}
				if q[i] == '\\' {
					if i++; i >= len(q) {
						return nil, errors.New("open escape")
					}
				}
				value.WriteByte(q[i])
			}
			i++
			tokens = append(tokens, token{value.String(), true})
		default:
			end := i
			for end < len(q) && !strings.ContainsRune(` (),"`, rune(q[end])) {
				end++
			}
			tokens = append(tokens, token{text: q[i:end]})
			i = end
		}
	}
	return tokens, nil
}

// Any text stays one value, and the query around it stays as built.
func FuzzCQL(f *testing.F) {
	for _, s := range []string{"ENG", "~712020:x", `a"b`, `a\`, `\"`, `" or type = "page`, `x" order by id`, "now(\"-1m\")", "'", "ÄÖ", "\x00", "a\nb", `\\"`, "12", "1) or (id = 2"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, key, title string) {
		q := confluence.Where(confluence.InSpace(key), confluence.TitleIs(title)).OrderBy("lastmodified", confluence.Asc)
		text, err := q.Text()
		if err != nil {
			for _, known := range []error{confluence.ErrInvalidSpaceKey, confluence.ErrInvalidArgument} {
				if errors.Is(err, known) {
					return
				}
			}
			t.Fatalf("unknown error %v", err)
		}
		got, err := scan(text)
		require.NoError(t, err)
		w := func(s string) token { return token{text: s} }
		v := func(s string) token { return token{s, true} }
		require.Equal(t, []token{
			w("space"), w("="), v(key), w("and"),
			w("title"), w("="), v(title),
			w("order"), w("by"), w("lastmodified"), w("asc"),
		}, got)
	})
}
