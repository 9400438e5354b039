// Package fastjson reads large JSON in one pass, for the bus and the Confluence client.
// encoding/json goes over a document twice, first to see whether it is one, and for megabytes
// of pages that is the larger part of the work.
package fastjson

import (
	"cmp"
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// As tolerant as encoding/json: bytes that are not UTF-8 and halves of surrogate pairs are read
// as U+FFFD, and of a name that comes twice the last counts.
var tolerant = json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))

// Unmarshal reads one JSON document into what out points to, as json.Unmarshal of encoding/json
// does, with two differences: names are those of the fields' tags, capitals included, and out is
// of no use after an error. Names that out does not have are passed over.
func Unmarshal(doc []byte, out any) error {
	return json.Unmarshal(doc, out, tolerant)
}

// Reason says what is wrong with a document that Unmarshal refused, and where in it, in words that
// are not about Go.
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
