package confluence

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// CQL is a query in the Confluence Query Language, built by Where. The caller's text enters it only as a
// quoted value: in a query built from strings, one title once turned into a search of the whole site.
type CQL struct {
	where []Condition
	order []string
	err   error
}

// Condition is one clause of a query.
type Condition struct {
	text string
	err  error
}

// Direction is the direction of a sort.
type Direction string

// The directions of a sort.
const (
	Asc  Direction = "asc"
	Desc Direction = "desc"
)

// Where makes the query that all the conditions must match. Without a condition it is an error: it would
// match everything.
func Where(conditions ...Condition) CQL { return CQL{where: conditions} }

// sortable are the fields that Confluence sorts by.
var sortable = map[string]bool{"id": true, "title": true, "created": true, "lastmodified": true, "space": true, "type": true}

// OrderBy sorts by a field: id, title, created, lastmodified, space or type. Further calls add secondary
// fields.
func (q CQL) OrderBy(field string, d Direction) CQL {
	if !sortable[field] || d != Asc && d != Desc {
		q.err = fmt.Errorf("cql: order by %q %q: %w", field, string(d), ErrInvalidArgument)
		return q
	}
	q.order = append(q.order[:len(q.order):len(q.order)], field+" "+string(d))
	return q
}

// Text returns the query in Confluence's syntax, or the first error of its parts.
func (q CQL) Text() (string, error) {
	if q.err != nil {
		return "", q.err
	}
	if len(q.where) == 0 {
		return "", fmt.Errorf("cql: no condition: %w", ErrInvalidArgument)
	}
	clauses := make([]string, len(q.where))
	for i, c := range q.where {
		if c.err != nil {
			return "", c.err
		}
		if c.text == "" {
			return "", fmt.Errorf("cql: empty condition: %w", ErrInvalidArgument)
		}
		clauses[i] = c.text
	}
	text := strings.Join(clauses, " and ")
	if len(q.order) > 0 {
		text += " order by " + strings.Join(q.order, ", ")
	}
	return text, nil
}

// String returns the query's text for display, or its error in angle brackets.
func (q CQL) String() string {
	text, err := q.Text()
	if err != nil {
		return "<" + err.Error() + ">"
	}
	return text
}

// InSpace matches content of the space with the key. Its error is ErrInvalidSpaceKey.
func InSpace(key string) Condition {
	if err := CheckSpaceKey(key); err != nil {
		return Condition{err: err}
	}
	// Always quoted: a key may be all digits, begin with ~, or be a word of the language.
	return Condition{text: "space = " + quote(key)}
}

// InSpaces matches content of one of the spaces with the keys. Its error is ErrInvalidSpaceKey, or ErrInvalidArgument
// without a key.
func InSpaces(keys ...string) Condition {
	if len(keys) == 1 {
		return InSpace(keys[0])
	}
	if len(keys) == 0 {
		return Condition{err: fmt.Errorf("cql: space in nothing: %w", ErrInvalidArgument)}
	}
	quoted := make([]string, len(keys))
	for i, key := range keys {
		if err := CheckSpaceKey(key); err != nil {
			return Condition{err: err}
		}
		quoted[i] = quote(key)
	}
	return Condition{text: "space in (" + strings.Join(quoted, ", ") + ")"}
}

// MostIDs is how many ids IDIn takes: more make an address that proxies reject.
const MostIDs = 100

// IDIn matches the content with one of the ids.
func IDIn(ids ...string) Condition {
	if len(ids) == 0 || len(ids) > MostIDs {
		return Condition{err: fmt.Errorf("cql: id in %d ids: %w", len(ids), ErrInvalidArgument)}
	}
	for _, id := range ids {
		if !isID(id) {
			return Condition{err: fmt.Errorf("cql: content %w", ErrInvalidID)}
		}
	}
	return Condition{text: "id in (" + strings.Join(ids, ", ") + ")"}
}

var contentTypes = map[string]bool{
	"page": true, "blogpost": true, "comment": true, "attachment": true,
	"folder": true, "whiteboard": true, "database": true, "embed": true,
}

// TypeIs matches content of the type: page, blogpost, comment, attachment, folder, whiteboard, database
// or embed.
func TypeIs(t string) Condition {
	if !contentTypes[t] {
		return Condition{err: fmt.Errorf("cql: type %q: %w", t, ErrInvalidArgument)}
	}
	return Condition{text: "type = " + quote(t)}
}

// TypeIn matches content of one of the types, which are those of TypeIs.
func TypeIn(types ...string) Condition {
	if len(types) == 1 {
		return TypeIs(types[0])
	}
	if len(types) == 0 {
		return Condition{err: fmt.Errorf("cql: type in nothing: %w", ErrInvalidArgument)}
	}
	quoted := make([]string, len(types))
	for i, t := range types {
		if c := TypeIs(t); c.err != nil {
			return c
		}
		quoted[i] = quote(t)
	}
	return Condition{text: "type in (" + strings.Join(quoted, ", ") + ")"}
}

// ModifiedWithin matches content that was modified in the last minutes, by the server's own clock:
// Confluence would read an absolute time in whole minutes and in an uncertain time zone.
func ModifiedWithin(minutes int) Condition {
	if minutes < 1 {
		return Condition{err: fmt.Errorf("cql: modified within %d minutes: %w", minutes, ErrInvalidArgument)}
	}
	return Condition{text: `lastModified >= now("-` + strconv.Itoa(minutes) + `m")`}
}

// MinutesSince returns the whole minutes, rounded up and at least 1, from since to the server's time,
// for ModifiedWithin. Both times must come from the server's clock (see Probe); to add an overlap,
// subtract it from since.
func MinutesSince(since, server time.Time) int {
	d := server.Sub(since)
	minutes := int(d / time.Minute)
	if d%time.Minute > 0 {
		minutes++
	}
	return max(minutes, 1)
}

// TitleIs matches content with exactly the title, which may be any text without control characters. Its
// error is ErrInvalidArgument.
func TitleIs(title string) Condition {
	// A server would replace bytes that are not UTF-8, and so search for another value.
	if title == "" || !utf8.ValidString(title) || strings.ContainsFunc(title, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return Condition{err: fmt.Errorf("cql: title: %w", ErrInvalidArgument)}
	}
	return Condition{text: "title = " + quote(title)}
}

// quote makes text a value of the language. It escapes the backslash first: the other order would escape
// the escapes.
func quote(text string) string {
	text = strings.ReplaceAll(text, `\`, `\\`)
	text = strings.ReplaceAll(text, `"`, `\"`)
	return `"` + text + `"`
}

// maxSpaceKey is Confluence's limit.
const maxSpaceKey = 255

// CheckSpaceKey returns ErrInvalidSpaceKey unless key is a space key: letters and digits, or
// ~ and the name of a personal space, at most 255 characters.
func CheckSpaceKey(key string) error {
	name, personal := strings.CutPrefix(key, "~")
	valid := name != "" && len(key) <= maxSpaceKey && !strings.ContainsFunc(name, func(r rune) bool {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return false
		default:
			return !personal || !strings.ContainsRune("._@:-", r) // old personal keys hold a user's name
		}
	})
	if !valid {
		return fmt.Errorf("%w: letters and digits, or ~ and the name of a personal space, at most %d characters", ErrInvalidSpaceKey, maxSpaceKey)
	}
	return nil
}
