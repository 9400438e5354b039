package sandbox

import (
	"errors"
	"net/url"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/confluence"
)

// The parser returns every value that the client's builder accepts unchanged, in exactly the query
// that was built, after the query has passed through a request's address.
func FuzzCQLRoundTrip(f *testing.F) {
	for _, s := range []string{
		"ENG", "~712020:x", "~jane.doe@example.org", "NOT", "and", "12345", `a"b`, `a\`, `\"`, `\\"`, `" or type = "page`, `x" order by id desc, "`,
		`now("-1m")`, "'", "' or '1", "ÄÖ 漢字 🚀", "e\u0301", "\u2028", "\u0085", "\u200b", "\ufeff", "\xff\xfe", "a\x80", "\ufffd",
		"\x00", "a\nb", "\t", "1) or (id = 2", "a,b", "@@@hl@@@", "&cql=type=page", "%22", "+", "#", "a = b ~ c", "\U0010ffff",
	} {
		f.Add(s, s, 90)
	}
	f.Fuzz(func(t *testing.T, key, title string, minutes int) {
		text, err := confluence.Where(
			confluence.InSpace(key), confluence.TypeIn("page", "blogpost"), confluence.TitleIs(title), confluence.ModifiedWithin(minutes),
		).OrderBy("lastmodified", confluence.Desc).OrderBy("id", confluence.Asc).Text()
		if err != nil {
			if errors.Is(err, confluence.ErrInvalidSpaceKey) || errors.Is(err, confluence.ErrInvalidArgument) {
				return
			}
			t.Fatalf("unknown error %v", err)
		}
		asked, err := url.ParseQuery(url.Values{"cql": {text}}.Encode())
		require.NoError(t, err)
		got, err := parseCQL(asked.Get("cql"))
		require.NoError(t, err, text)

		one := func(field, op, value string) expr { return clause{field, op, []operand{{text: value}}} }
		var where expr = andExpr{one("space", "=", key), clause{"type", "in", []operand{{text: "page"}, {text: "blogpost"}}}}
		where = andExpr{where, one("title", "=", title)}
		where = andExpr{where, clause{"lastmodified", ">=", []operand{{call: "now", args: []string{"-" + strconv.Itoa(minutes) + "m"}}}}}
		require.Equal(t, statement{where, []orderBy{{"lastmodified", true}, {"id", false}}}, got, text)
	})
}

// The fuzzer above rarely gets two valid values together; here each is tried separately.
func FuzzCQLRoundTripOfOne(f *testing.F) {
	for _, s := range []string{"ENG", `a"b`, `a\`, "12", "~x.y", "\xff", "ÄÖ", "'", "a or b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for field, condition := range map[string]confluence.Condition{
			"space": confluence.InSpace(value), "title": confluence.TitleIs(value), "type": confluence.TypeIs(value),
		} {
			text, err := confluence.Where(condition).Text()
			if err != nil {
				continue
			}
			got, err := parseCQL(text)
			require.NoError(t, err, text)
			require.Equal(t, statement{where: clause{field, "=", []operand{{text: value}}}}, got, text)
		}
	})
}
