package search

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// excerpts replaces the contents of chunks by their snippets: plain text around the words that matched. Where only the
// address of a link has such a word, the snippet shows the addresses.
func (s *Searcher) excerpts(ctx context.Context, k *known, hits []Hit) error {
	if len(hits) == 0 {
		return nil
	}
	var read, full []string
	for _, h := range hits {
		read, full = append(read, plain(h.Snippet, false)), append(full, plain(h.Snippet, true))
	}
	headline := func(column string) string {
		return `translate(ts_headline($1::regconfig, translate(` + column + `, '<>', ` + signs + `), $2::tsquery, 'MaxWords=35, MinWords=15, ` +
			`MaxFragments=2, FragmentDelimiter=" … ", StartSel=` + MarkStart + `, StopSel=` + MarkEnd + `'), ` + signs + `, '<>')`
	}
	rows, _ := s.pool.Query(ctx, `
		SELECT CASE WHEN t.whole = t.short OR strpos(h.read, $5) > 0 OR strpos(w.read, $5) = 0 THEN h.read ELSE w.read END
		FROM unnest($3::text[], $4::text[]) WITH ORDINALITY t (short, whole, place), LATERAL (SELECT `+headline("t.short")+` AS read OFFSET 0) h, LATERAL (SELECT `+headline("t.whole")+` AS read OFFSET 0) w
		ORDER BY t.place`, pgx.QueryExecModeExec, k.language, k.marked(), read, full, MarkStart)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("make snippets: %w", err)
	}
	for i := range hits {
		hits[i].Snippet = list[i]
	}
	return nil
}

var markdown = goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.TaskList)).Parser()

// between stands between the cells of a table's row.
const between = " · "

// plain returns the text of Markdown as a person reads it: one line for each heading, paragraph, list item and row.
// With all, it also has what is not read: the addresses of links and images, and the languages of code.
func plain(content string, all bool) string {
	p := &plainText{source: []byte(content), all: all}
	_ = ast.Walk(markdown.Parse(text.NewReader(p.source)), p.visit) // visit returns no error
	var lines []string
	for line := range strings.Lines(p.out.String()) {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			lines = append(lines, alert.ReplaceAllStringFunc(line, func(kind string) string {
				return kind[2:3] + strings.ToLower(kind[3:len(kind)-1]) + ":"
			}))
		}
	}
	return strings.Join(lines, "\n")
}

// alert is the first line of an alert.
var alert = regexp.MustCompile(`^\[!(NOTE|TIP|IMPORTANT|WARNING|CAUTION)\]`)

type plainText struct {
	source []byte
	all    bool
	out    strings.Builder
}

// visit writes the text of one node.
func (p *plainText) visit(n ast.Node, entering bool) (ast.WalkStatus, error) {
	switch n := n.(type) {
	case *ast.Text:
		p.text(n, entering)
	case *ast.String:
		p.write(entering, string(n.Value))
	case *ast.AutoLink:
		p.write(entering, string(n.Label(p.source)))
	case *ast.Link:
		p.address(!entering, n.Destination)
	case *ast.Image:
		p.address(!entering, n.Destination)
	case *ast.RawHTML:
		p.write(entering, tagless(string(n.Segments.Value(p.source))))
	case *extast.TaskCheckBox:
		p.write(entering, map[bool]string{true: "☑ ", false: "☐ "}[n.IsChecked])
	case *extast.TableCell:
		p.write(!entering && n.NextSibling() != nil && n.HasChildren() && n.NextSibling().HasChildren(), between)
	case *ast.FencedCodeBlock:
		p.write(entering && p.all && n.Info != nil, "\n"+string(n.Language(p.source)))
		p.lines(entering, n, false)
	case *ast.CodeBlock:
		p.lines(entering, n, false)
	case *ast.HTMLBlock:
		p.lines(entering, n, true)
	default:
		p.write(n.Type() == ast.TypeBlock, "\n")
	}
	return ast.WalkContinue, nil
}

func (p *plainText) write(when bool, s string) {
	if when {
		p.out.WriteString(s)
	}
}

func (p *plainText) text(n *ast.Text, entering bool) {
	if !entering {
		return
	}
	value := n.Segment.Value(p.source)
	if _, code := n.Parent().(*ast.CodeSpan); !code && !n.IsRaw() {
		value = util.ResolveEntityNames(util.ResolveNumericReferences(util.UnescapePunctuations(value)))
	}
	p.out.Write(value)
	p.write(n.SoftLineBreak(), " ")
	p.write(n.HardLineBreak(), "\n")
}

// address writes an address if it is wanted, as it may contain a word that matched.
func (p *plainText) address(when bool, address []byte) {
	p.write(when && p.all, " ("+string(address)+")")
}

// lines writes the lines of code as one, or those of HTML.
func (p *plainText) lines(when bool, n ast.Node, html bool) {
	if !when {
		return
	}
	code := string(n.Lines().Value(p.source))
	if html {
		if block, ok := n.(*ast.HTMLBlock); ok && block.HasClosure() {
			code += string(block.ClosureLine.Value(p.source))
		}
		code = tagless(code)
	} else {
		code = strings.Join(strings.Fields(code), " ")
	}
	p.out.WriteString("\n" + code + "\n")
}

// tag matches an HTML tag.
var tag = regexp.MustCompile(`</?([a-zA-Z][a-zA-Z0-9]*)(\s[^<>]*)?/?>`)

// htmlTags are the tags that Markdown commonly contains. Others, such as <name>, are text that somebody wrote.
var htmlTags = strings.Fields("a b br code dd del details div dl dt em h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre s small span strong sub summary sup table tbody td th thead tr u ul")

// tagless returns HTML without its tags.
func tagless(html string) string {
	return tag.ReplaceAllStringFunc(html, func(t string) string {
		if !slices.Contains(htmlTags, strings.ToLower(tag.FindStringSubmatch(t)[1])) {
			return t
		}
		return " "
	})
}
