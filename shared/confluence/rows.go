package confluence

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/sluicehq/sluice/shared/fastjson"
)

// rowOf is a row of a listing, or the reason why it cannot be read.
type rowOf[R any] struct {
	row  R
	kind string // from an unreadable row
	err  error  // an *objectError
}

// decodeRows reads an answer's rows. One row with, for example, an invalid date must not fail the
// others: if they cannot be read together, each is read separately. An unreadable row without an id
// makes the whole answer unusable, because it is unknown which object is missing.
func decodeRows[R any](c *Client, r request, a *answer) (envelope[rowOf[R]], error) {
	var together envelope[R]
	err := c.decode(r, a, &together)
	if err == nil {
		return rowsOf(together.Results, together, func(row R) (rowOf[R], error) { return rowOf[R]{row: row}, nil })
	}
	var apart envelope[json.RawMessage]
	if c.decode(r, a, &apart) != nil {
		return envelope[rowOf[R]]{}, err
	}
	return rowsOf(apart.Results, apart, func(raw json.RawMessage) (out rowOf[R], _ error) {
		bad := fastjson.Unmarshal(raw, &out.row)
		if bad == nil {
			return out, nil
		}
		var named struct {
			ID   string `json:"id"`
			Type any    `json:"type"`
		}
		if fastjson.Unmarshal(raw, &named) != nil || !isID(strings.TrimPrefix(named.ID, "att")) {
			return out, err
		}
		out.kind, _ = named.Type.(string)
		out.err = &objectError{named.ID, fastjson.Reason(bad)}
		return out, nil
	})
}

// rowsOf is the envelope with its rows converted.
func rowsOf[From, To any](rows *[]From, env envelope[From], convert func(From) (To, error)) (envelope[To], error) {
	out := envelope[To]{Links: env.Links}
	if rows == nil {
		return out, nil
	}
	all := make([]To, 0, len(*rows))
	for _, row := range *rows {
		to, err := convert(row)
		if err != nil {
			return out, err
		}
		all = append(all, to)
	}
	out.Results = &all
	return out, nil
}

// badRow is the error for an unusable row: a *RowError if the row has an id, or says what it is on.
func (c *Client) badRow(l listing, kind string, err error) error {
	bad := c.malformed(l.request, err)
	on := ""
	if of := new(placedError); errors.As(err, &of) {
		on = of.on
	}
	if bad.ObjectID == "" && on == "" || bad.ObjectID != "" && bad.ObjectID == l.id {
		return bad
	}
	if l.rows != "" {
		kind = l.rows
	}
	return &RowError{ID: bad.ObjectID, Kind: kind, On: on, cause: bad}
}

func isRowError(err error) bool {
	var row *RowError
	return errors.As(err, &row)
}

// plain is a text without NUL, which Confluence stores and databases do not.
func plain(s string) string { return strings.ReplaceAll(s, "\x00", "") }
