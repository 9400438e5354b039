package search

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sluicehq/sluice/shared/viewer"
)

// How much a search looks at. A leg ranks the first rows that match, in no particular order,
// so that a word that stands in every chunk costs no more than one that stands in a few: what
// is best for such a word has it in its title, and titles are a leg of their own.
const (
	rankedStored = 400 // chunks whose vector is stored
	rankedMade   = 100 // chunks whose vector is made while searching, in a language not stored
	rankedPhrase = 100 // chunks that hold a phrase: the index knows words only, so each is compared
	rankedLess   = 300 // where something is excluded: the titles are compared as well
	comparedEach = 8   // chunks that are compared for each one that is ranked, where something is excluded
	rankedTitles = 200
	rankedPartly = 100
	rankedAlike  = 60
	manyPages    = 3000
	legDepth     = 100  // what a leg hands to the fusion
	fusion       = 60   // the constant of reciprocal rank fusion
	minAlike     = 0.35 // similarity, from 0 to 1
	maxAlike     = 4    // words of a query that are looked for by similarity
)

// leg is one way to find chunks. Its SQL gives id and rank, the best highest.
type leg struct {
	name   string
	weight float64
	sql    string
	// exact legs find what was asked for; the others run only when those found too little.
	exact bool
}

// searchSQL returns the statement that Search runs, and its parameters; "" when the query asks
// for nothing. Only what is asked for is in the statement, so that the planner can choose
// the index for it.
func (s *Searcher) searchSQL(v viewer.Viewer, query string, f Filter, known common) (string, []any) {
	a := parse(query)
	if len(a.words) == 0 || !f.possible() || !v.SeesAll() && len(v.Sources()) == 0 {
		return "", nil
	}
	if f.Limit <= 0 {
		f.Limit = 10
	}
	b := &searchBuilder{language: s.language, common: known, asked: a}
	b.limit = b.arg(min(f.Limit, MaxHits))
	b.query = b.once("asked", b.call("websearch_to_tsquery", b.arg(a.text)), "")
	b.filter(v, f)
	b.loose = b.query

	legs := []leg{b.words(), b.titles()}
	if !a.phrase { // who puts words between quotes means these words
		if a.parts > 1 {
			legs = append(legs, b.partly())
		}
		if s.trgm.Load() {
			legs = append(legs, b.alike())
		}
	}
	return b.statement(legs), b.args
}

// searchBuilder makes a statement out of constant texts and parameters.
type searchBuilder struct {
	language language
	common   common
	asked    asked
	args     []any

	with  []string // what legs share
	limit string   // a parameter
	query string   // what is asked for
	loose string   // the same, or what is spelled like it
	where string   // which chunks c may be found
	not   string   // what is excluded, as a query; "" for nothing
	pages string   // the ids of the pages whose chunks may be found, of many not all; "" for chunks of anything
	paged string   // the condition that a chunk c is of such a page, which is looked up for each
}

// arg adds a parameter and returns its name in the statement.
func (b *searchBuilder) arg(value any) string {
	b.args = append(b.args, value)
	return "$" + strconv.Itoa(len(b.args))
}

// once has a value worked out once, before the legs run. The planner then does not know it,
// which is meant: for a query and a set of pages that it does not know it reads an index for
// each and brings them together before it looks at a chunk. If it knew them it would rather
// compare every chunk that passes one of them, which it takes for cheap although a chunk's
// vector and metadata have to be fetched from where large values are kept.
func (b *searchBuilder) once(name, value, from string) string {
	b.with = append(b.with, fmt.Sprintf("\n%s AS MATERIALIZED (SELECT %s AS value%s)", name, value, from))
	return "(SELECT value FROM " + name + ")"
}

// call applies a full text function in the language of the search.
func (b *searchBuilder) call(function, of string) string {
	return function + "(" + b.language.literal() + ", " + of + ")"
}

// filter says which chunks may be found. A page that was removed has no chunks; that it is not
// found is asked for at the end, with what was found in hand.
func (b *searchBuilder) filter(v viewer.Viewer, f Filter) {
	if !v.SeesAll() {
		b.where += " AND c.source_id = ANY (" + b.arg(v.Sources()) + "::text[])"
	}
	if f.SourceID != "" {
		b.where += " AND c.source_id = " + b.arg(f.SourceID)
	}
	if len(f.Sources) > 0 {
		b.where += " AND c.source_id = ANY (" + b.arg(f.Sources) + "::text[])"
	}
	if of := b.conditions(f); len(of) > 0 {
		where := " FROM confluence_pages p WHERE NOT p.is_deleted AND " + strings.Join(of, " AND ")
		b.pages = b.once("pages", "array_agg(page_id)", fmt.Sprintf(" FROM (SELECT p.page_id%s LIMIT %d) p", where, manyPages+1)) + "::text[]"
		// With a limit, so that it is not turned into a list of all of them after all.
		b.paged = " AND (SELECT true" + where + " AND p.page_id = c.metadata->>'page_id' LIMIT 1) IS TRUE"
	}
	if b.asked.not != "" {
		b.not = b.once("excluded", b.call("websearch_to_tsquery", b.arg(b.asked.not)), "")
	}
}

// conditions returns those on a page p.
func (b *searchBuilder) conditions(f Filter) []string {
	var of []string
	if f.SpaceKey != "" {
		of = append(of, "p.space_key = "+b.arg(f.SpaceKey))
	}
	if f.Under != "" {
		// As a range, since the index is one by bytes; "0" follows "/".
		root := b.once("root", "path", " FROM confluence_pages WHERE page_id = "+b.arg(f.Under))
		of = append(of, "p.path ~>=~ "+root, "p.path ~<~ ("+root+" || '0')", "starts_with(p.path || '/', "+root+" || '/')")
	}
	if f.Label != "" {
		of = append(of, "p.metadata->'labels' ? "+b.arg(strings.ToLower(f.Label)))
	}
	if f.JiraIssue != "" {
		of = append(of, "p.metadata->'jira_issue_links' @> jsonb_build_array(jsonb_build_object('issue_key', "+b.arg(strings.ToUpper(f.JiraIssue))+"::text))")
	}
	if f.Mentions != "" {
		of = append(of, "p.metadata->'user_mentions' @> jsonb_build_array(jsonb_build_object('account_id', "+b.arg(f.Mentions)+"::text))")
	}
	if !f.ModifiedSince.IsZero() {
		of = append(of, "p.last_modified >= "+b.arg(f.ModifiedSince))
	}
	if len(of) > 0 && f.SourceID != "" {
		of = append(of, "p.source_id = "+b.arg(f.SourceID))
	}
	return of
}

// candidates are the first chunks whose vector matches the query, with all their columns.
//
// They are materialized for the sake of the planner, which takes a query that it does not know to
// match one row in a thousand, and to find so few it would rather read the table from its beginning
// than an index. A row is still not fetched before it is wanted.
//
// What is excluded may stand where the leg does not look. Each row is compared for that, up to a
// number of them: who excludes what nearly every match has would have all of them compared.
func (b *searchBuilder) candidates(vector, query string, most int) string {
	if b.not == "" {
		return b.matching(vector, query, most) + " c"
	}
	return fmt.Sprintf("(SELECT * FROM %s c WHERE true%s LIMIT %d) c",
		b.matching(vector, "("+query+" && "+b.not+")", comparedEach*most), b.excluding(), most)
}

// excluding is the condition that what is excluded stands neither in the text of a chunk c nor in its
// titles. A query of words that the language leaves out excludes nothing.
func (b *searchBuilder) excluding() string {
	if b.not == "" {
		return ""
	}
	return fmt.Sprintf(" AND (numnode(%[1]s) = 0 OR (%[2]s @@ %[1]s AND %[3]s @@ %[1]s))", b.not, b.language.text("c."), b.language.titles("c."))
}

// matching are the first chunks whose vector matches the query and which pass the filter.
func (b *searchBuilder) matching(vector, query string, most int) string {
	first := func(where string) string {
		return fmt.Sprintf("(WITH matching AS MATERIALIZED (SELECT c.* FROM archon_crawled_pages c WHERE %s @@ %s%s%s) SELECT * FROM matching LIMIT %d)",
			vector, query, b.where, where, most)
	}
	if b.pages == "" {
		return first("")
	}
	// The index on page_id is asked for each page. Where there are many, enough of the chunks that match
	// pass, and the page of each is looked up. Only one of the two runs.
	few := fmt.Sprintf(" AND cardinality(%[1]s) <= %[2]d AND c.metadata ? 'page_id' AND c.metadata->>'page_id' = ANY (%[1]s)", b.pages, manyPages)
	many := fmt.Sprintf(" AND cardinality(%s) > %d%s", b.pages, manyPages, b.paged)
	return "(" + first(few) + " UNION ALL " + first(many) + ")"
}

// words finds what is asked for in a chunk's text.
func (b *searchBuilder) words() leg {
	most := b.language.ranked()
	if b.asked.not != "" {
		most = min(most, rankedLess)
	}
	if b.asked.phrase {
		most = min(most, rankedPhrase)
	}
	text := b.language.text("c.")
	found := b.candidates(text, b.query, most)
	if b.language == archonLanguage && len(b.common.words) > 0 {
		newest := b.newest(text, b.query, most)
		enough := fmt.Sprintf("(SELECT count(*) FROM %s) = %d", newest, most)
		found = fmt.Sprintf("(SELECT * FROM %s WHERE %s UNION ALL SELECT c.* FROM %s WHERE NOT %[2]s) c", newest, enough, found)
	}
	return leg{name: "words", weight: 1, exact: true, sql: fmt.Sprintf("SELECT id, ts_rank_cd(%s, %s, 1) AS rank FROM %s", text, b.query, found)}
}

// titles finds what is asked for in the title of the page and the heading. It weighs more than
// words, so that who names a thing comes before who mentions it.
func (b *searchBuilder) titles() leg {
	return leg{name: "titles", weight: 1.5, exact: true, sql: fmt.Sprintf(
		"SELECT id, ts_rank(%s, %s, 2) - chunk_number * 1e-7 AS rank FROM %s",
		b.language.weighted("c."), b.query, b.candidates(b.language.titles("c."), b.query, rankedTitles))}
}

// partly finds the chunks that have a word in the title or the heading, and ranks those highest
// that have most of the others too, there or in the text: for questions in many words.
func (b *searchBuilder) partly() leg {
	either := b.once("any_of", b.call("websearch_to_tsquery", b.arg(strings.Join(b.asked.words, " OR "))), "")
	b.loose = either
	return leg{name: "partly", weight: 0.5, sql: fmt.Sprintf(
		"SELECT id, ts_rank(%s || %s, %s, 1) AS rank FROM %s", b.language.weighted("c."), b.language.text("c."), either,
		b.candidates(b.language.titles("c."), either, rankedPartly))}
}

// alike finds what is spelled like what is asked for: the index on words is read at the first
// half of each word, and what is found there is compared. Comparing with a chunk's whole text
// would take a thousand times as long. A short word is alike only what begins with it.
//
// What many chunks hold is spelled right. It is asked for as it is, since what begins like it is in
// even more chunks, and where all words are such there is nothing to look for.
func (b *searchBuilder) alike() leg {
	// Words that the language leaves out are not in the index.
	b.with = append(b.with, fmt.Sprintf(`
typed AS MATERIALIZED (
	SELECT word, left(word, CASE WHEN length(word) < 5 THEN 4 ELSE (length(word) + 1) / 2 END) AS head,
		stem <@ %s::text[] AS common, stem[1] AS stem
	FROM unnest(%s::text[]) AS word, LATERAL (SELECT tsvector_to_array(%s) AS stem OFFSET 0) s WHERE cardinality(stem) > 0)`,
		b.arg(append([]string{}, b.common.words...)), b.arg(longest(b.asked.words)), b.call("to_tsvector", "word")))
	heads := b.once("heads", `CASE WHEN NOT bool_and(common) THEN
		string_agg('''' || CASE WHEN common THEN stem || '''' ELSE head || ''':*' END, ' & ')::tsquery END`, " FROM typed")
	b.loose = fmt.Sprintf("coalesce(%[1]s || %[2]s, %[1]s)", b.loose, heads)
	text := b.language.text("c.")
	return leg{name: "alike", weight: 0.5, sql: fmt.Sprintf(`SELECT id, rank FROM (
			SELECT c.id, (SELECT avg(coalesce(best, 0)) FROM (
				SELECT max(similarity(l.lexeme, typed.word)) AS best
				FROM typed LEFT JOIN unnest(%s) l ON starts_with(l.lexeme, typed.head)
				GROUP BY typed.word) each) AS rank
			FROM %s OFFSET 0) compared WHERE rank >= %v`,
		text, b.candidates(text, heads, min(rankedAlike, b.language.ranked())), minAlike)}
}

// statement puts the legs together.
func (b *searchBuilder) statement(legs []leg) string {
	var sure, all []string
	with := b.with
	for _, l := range legs {
		only := ""
		if l.exact {
			sure = append(sure, "SELECT id FROM "+l.name)
		} else {
			only = " WHERE (SELECT count(*) FROM (" + strings.Join(sure, " UNION ") + ") sure) < " + b.limit
		}
		with = append(with, fmt.Sprintf(`
%s AS MATERIALIZED (
	SELECT id, row_number() OVER (ORDER BY rank DESC, id) AS place FROM (%s) found%s
	ORDER BY place LIMIT %d)`, l.name, l.sql, only, legDepth))
		all = append(all, fmt.Sprintf("SELECT id, %.1f / (%d + place) AS score, %t AS exact FROM %s", l.weight, fusion, l.exact, l.name))
	}
	join := "LEFT JOIN" // what is no page is found too
	if b.pages != "" {
		join = "JOIN"
	}
	return "WITH" + strings.Join(with, ",") + `
SELECT id, source_id, page_id, title, space_key, version, last_modified, breadcrumb, section_title, heading_path, url,
	ts_headline(` + b.language.literal() + `, content, CASE WHEN exact THEN ` + b.query + ` ELSE ` + b.loose + ` END,
		'MaxWords=35, MinWords=15, MaxFragments=2, FragmentDelimiter=" … ", StartSel=` + MarkStart + `, StopSel=` + MarkEnd + `'), score
FROM (
	SELECT c.id, c.source_id, coalesce(p.page_id, '') AS page_id, coalesce(p.title, c.metadata->>'title', '') AS title,
		coalesce(p.space_key, '') AS space_key, coalesce(p.version, 0) AS version,
		coalesce(p.last_modified, '0001-01-01 00:00:00Z') AS last_modified, ` + texts("breadcrumb") + ` AS breadcrumb,
		coalesce(c.metadata->>'section_title', '') AS section_title, ` + texts("heading_path") + ` AS heading_path,
		coalesce(c.metadata->>'citation_url', c.url) AS url, c.content, fused.exact, fused.score
	FROM (
		SELECT id, sum(score)::float8 AS score, bool_or(exact) AS exact
		FROM (` + strings.Join(all, " UNION ALL ") + `) legs GROUP BY id ORDER BY score DESC, id
	) fused
	CROSS JOIN LATERAL (SELECT * FROM archon_crawled_pages WHERE archon_crawled_pages.id = fused.id OFFSET 0) c -- one by one
	` + join + ` confluence_pages p ON p.page_id = c.metadata->>'page_id' AND p.source_id = c.source_id
	WHERE p.is_deleted IS NOT TRUE AND NOT c.metadata ? '_pending_deletion'
	ORDER BY fused.score DESC, fused.id LIMIT ` + b.limit + ` -- in the order they come in: no more are looked up than are wanted
) best ORDER BY score DESC, id`
}

// texts reads a list out of a chunk's metadata, whatever somebody else has put there.
func texts(key string) string {
	list := "c.metadata->'" + key + "'"
	return "ARRAY(SELECT coalesce(e, '') FROM jsonb_array_elements_text(CASE jsonb_typeof(" + list + ") WHEN 'array' THEN " + list + " ELSE '[]' END) e)"
}

// wordsOf returns the words of a text in lower case: letters, digits and the marks on them.
func wordsOf(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
	})
}

// longest returns the longest words, the only ones that are looked for by similarity: short
// ones are like many. A number is itself or another one.
func longest(words []string) []string {
	const short = 3 // runes
	list := slices.DeleteFunc(slices.Clone(words), func(w string) bool {
		first, _ := utf8.DecodeRuneInString(w)
		return utf8.RuneCountInString(w) < short || !unicode.IsLetter(first)
	})
	slices.SortStableFunc(list, func(a, b string) int { return utf8.RuneCountInString(b) - utf8.RuneCountInString(a) })
	list = slices.Compact(list)
	return list[:min(maxAlike, len(list))]
}
