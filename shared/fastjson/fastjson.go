// Package fastjson reads large JSON in one pass, for the bus and the Confluence client.
// encoding/json goes over a document twice, first to see whether it is one, and for megabytes
// of pages that is the larger part of the work.
package fastjson

import (
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
