// Package fastjson reads large JSON in one pass, for the bus and the Confluence client. encoding/json
// reads a document twice, first to validate it; for megabytes of pages, that is the larger part of the
// work.
package fastjson

import (
	"cmp"
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// tolerant makes the package as lenient as encoding/json: invalid UTF-8 and unpaired surrogates become
// U+FFFD, and the last of several equal names counts.
var tolerant = json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))

// Unmarshal reads one JSON document into the value that out points to, like json.Unmarshal of
// encoding/json, with two differences: names must match the fields' tags exactly, capitals included, and
// out is unusable after an error. Names without a field are ignored.
func Unmarshal(doc []byte, out any) error {
	return json.Unmarshal(doc, out, tolerant)
}

// Reason says what is wrong with a document that Unmarshal rejected, and where, without words about Go.
func Reason(err error) string {
	var wrong *json.SemanticError
	if !errors.As(err, &wrong) {
		return err.Error()
	}
	kind := map[string]string{"{": "object", "[": "list"}[wrong.JSONKind.String()]
	what := "a JSON " + cmp.Or(kind, wrong.JSONKind.String()) + " that does not belong there"
	if wrong.Err != nil {
		what = wrong.Err.Error()
	}
	return "at " + string(wrong.JSONPointer) + ": " + what
}
