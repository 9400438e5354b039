package gateway

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sluicehq/sluice/shared/store"
)

// Every list of the API is paged in the same way: the request has a limit and a cursor, and the response a next, which
// is the cursor of the next part. A response may contain several lists; its cursor says where each of them continues.

// Window is the place in a list at which a response begins. Every input of a list embeds it, and has a limit.
type Window struct {
	Cursor string `query:"cursor" maxLength:"4000" doc:"next of the previous response"`

	list string // the list that the request is for
}

// windowed is what the inputs of lists are.
type windowed interface {
	walk(limit int) (*walk, error)
}

// Resolve notes which list the request is for: its path and its filters.
func (in *Window) Resolve(ctx huma.Context) []error {
	u := ctx.URL()
	filters := u.Query()
	filters.Del("cursor")
	filters.Del("limit")
	sum := sha256.Sum256([]byte(u.Path + "?" + filters.Encode()))
	in.list = base64.RawURLEncoding.EncodeToString(sum[:9])
	return nil
}

// places is the content of a cursor: where each list of a response continues. Lists that have ended are missing.
type places struct {
	List string                    `json:"l"`
	At   map[string]store.Position `json:"at"`
}

// walk is the way of one response through its lists.
type walk struct {
	from  *places // nil for the first response
	limit int
	next  places
}

func errCursor(detail string) *Problem {
	return fail(http.StatusBadRequest, "bad_cursor", detail+"; begin again without cursor")
}

// walk returns the walk that the request continues, or a problem if its cursor is not of this list.
func (in *Window) walk(limit int) (*walk, error) {
	w := &walk{limit: limit, next: places{List: in.list, At: map[string]store.Position{}}}
	if in.Cursor == "" {
		return w, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(in.Cursor)
	if err == nil {
		err = json.Unmarshal(text, &w.from)
	}
	if err != nil || w.from == nil || len(w.from.At) == 0 {
		return nil, errCursor("cursor is not the next of an earlier response")
	}
	if w.from.List != in.list {
		return nil, errCursor("cursor is the next of another list, or of this one with other filters")
	}
	return w, nil
}

// part is what to read of a list: one row more than the response shows, and nothing of a list that has ended.
func (w *walk) part(name string) store.Part {
	if w.from == nil {
		return store.First(w.limit + 1)
	}
	at := w.from.At[name]
	if len(at) == 0 {
		return store.Part{}
	}
	return store.Part{After: at, Limit: w.limit + 1}
}

// show returns the rows of a list that the response shows, and notes where the list continues.
func show[T store.Positioned](w *walk, name string, found []T) []T {
	if len(found) > w.limit {
		found = found[:w.limit]
		w.next.At[name] = found[w.limit-1].Position()
	}
	return orEmpty(found)
}

// cursor is the cursor of the next response, or "" if every list has ended.
func (w *walk) cursor() (string, error) {
	if len(w.next.At) == 0 {
		return "", nil
	}
	text, err := json.Marshal(w.next)
	return base64.RawURLEncoding.EncodeToString(text), err
}

// list is one part of a list and the cursor of the next part.
type list[T any] struct {
	Items []T    `json:"items" nullable:"false"`
	Next  string `json:"next,omitempty" doc:"cursor of the next part; missing in the last one"`
}

type listOutput[T any] struct{ Body list[T] }

// listOf returns the response with the part of a list that the request asks for; read reads it.
func listOf[T store.Positioned](in Window, limit int, read func(store.Part) ([]T, error)) (*listOutput[T], error) {
	w, err := in.walk(limit)
	if err != nil {
		return nil, err
	}
	found, err := read(w.part("items"))
	if err != nil {
		return nil, err
	}
	out := &listOutput[T]{Body: list[T]{Items: show(w, "items", found)}}
	out.Body.Next, err = w.cursor()
	return out, err
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// partOf returns a part of a list that is in memory, in the order of its positions.
func partOf[T store.Positioned](all []T, p store.Part) ([]T, error) {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b T) int { return slices.Compare(a.Position(), b.Position()) })
	if p.After != nil {
		var zero T
		if len(p.After) != len(zero.Position()) {
			return nil, store.ErrPosition
		}
		sorted = slices.DeleteFunc(sorted, func(row T) bool { return slices.Compare(row.Position(), p.After) <= 0 })
	}
	return sorted[:min(len(sorted), p.Limit)], nil
}
