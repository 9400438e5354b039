package markdown

import (
	"compress/flate"
	"encoding/base64"
	"io"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/sluicehq/sluice/shared/page"
)

// sourceParams are the parameters in which apps keep the source of a diagram or a formula, spelled
// as plainName returns them.
var sourceParams = map[string]bool{
	"data": true, "source": true, "src": true, "code": true, "diagram": true, "diagramsource": true, "diagramcode": true,
	"diagramdefinition": true, "definition": true, "dsl": true, "uml": true, "plantuml": true, "mermaid": true, "dot": true,
	"text": true, "content": true, "body": true, "script": true, "graph": true, "value": true, "markup": true, "input": true,
}

// maxSource limits the unpacked size of a parameter: a few bytes can hold gigabytes.
const maxSource = 256 << 10

// source writes a diagram's source from a macro's parameter, plain or packed, as a code block.
// language is the macro's language, "" where the source has to tell it.
func (r *renderer) source(n *node, language string, st style) bool {
	for c := n.first; c != nil; c = c.next {
		if c.tag != tagParameter || !sourceParams[plainName(c.attr("ac:name"))] {
			continue
		}
		packed := textOf(c, maxSource)
		if code, of := unpack(packed, language != ""); code != "" && len(code) < (r.w.limit-len(r.w.out))/2 {
			r.tell(page.Rendered, "")
			r.codeBlock(first(language, of), n.param("title"), cleanCode(strings.Trim(code, "\n")), st)
			return true
		}
	}
	return false
}

// unpack finds a diagram's source and its language in a parameter's value. Without trust, the
// source must look like a diagram.
func unpack(value string, trust bool) (code, language string) {
	plain := strings.TrimSpace(value)
	if language = sniff(plain); language != "" {
		return value, language
	}
	if strings.Contains(plain, "%") {
		if s, err := url.PathUnescape(plain); err == nil && sniff(s) != "" {
			return s, sniff(s)
		}
	}
	raw, err := base64.StdEncoding.DecodeString(plain)
	if err != nil {
		raw, err = base64.RawURLEncoding.DecodeString(strings.TrimRight(plain, "="))
	}
	if err != nil || len(raw) == 0 {
		if trust && strings.ContainsAny(plain, " \n") {
			return value, ""
		}
		return "", ""
	}
	packed := raw
	for _, header := range []int{0, 2} { // raw, and after a zlib header
		if header >= len(packed) {
			break
		}
		inflated, err := io.ReadAll(io.LimitReader(flate.NewReader(strings.NewReader(string(packed[header:]))), maxSource+1))
		if err == nil && len(inflated) > 0 && len(inflated) <= maxSource {
			raw = inflated
			break
		}
	}
	text := string(raw)
	if s, err := url.PathUnescape(text); err == nil {
		text = s
	}
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return "", ""
	}
	language = sniff(text)
	if language == "" && (!trust || !strings.ContainsAny(text, " \n")) {
		return "", ""
	}
	return text, language
}

// sniff returns the language of a diagram's source, "" if it recognizes none.
func sniff(code string) string {
	code = strings.TrimSpace(code)
	for strings.HasPrefix(code, "%%") { // a comment or a setting of mermaid
		_, rest, ok := strings.Cut(code, "\n")
		if !ok {
			return ""
		}
		code = strings.TrimSpace(rest)
	}
	if strings.HasPrefix(code, "@start") {
		return "plantuml"
	}
	line, _, more := strings.Cut(code, "\n")
	word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
	switch word {
	case "digraph", "strict":
		if strings.Contains(code, "{") {
			return "dot"
		}
	case "graph":
		if strings.Contains(line, "{") {
			return "dot"
		}
		if more || strings.Contains(line, ";") {
			return "mermaid"
		}
	case "flowchart", "sequenceDiagram", "classDiagram", "stateDiagram", "stateDiagram-v2", "erDiagram", "gantt", "pie", "journey",
		"mindmap", "gitGraph", "timeline", "quadrantChart", "requirementDiagram", "C4Context", "sankey-beta", "xychart-beta", "block-beta":
		if more {
			return "mermaid"
		}
	}
	return ""
}
