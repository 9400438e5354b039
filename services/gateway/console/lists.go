package console

import (
	"encoding/base64"
	"encoding/json"
	"net/http"

	"github.com/sluicehq/sluice/shared/store"
)

// How many rows the lists of a view have. They go on by cursor.
const (
	sourcesShown = 50
	runsShown    = 20
	pagesShown   = 50
)

// afterParam names the parameter of an address that says where its list goes on: behind the row with this position.
const afterParam = "after"

// cursor reads where the list of an address goes on.
func cursor(r *request) (store.Position, error) {
	text := r.URL.Query().Get(afterParam)
	if text == "" {
		return nil, nil
	}
	var at store.Position
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(b, &at)
	}
	if err != nil || len(at) == 0 {
		return nil, &problemError{Problem{http.StatusBadRequest, "bad_cursor", "The address continues a list at a place that does not exist. Begin again at the start of the list."}}
	}
	return at, nil
}

// part returns the part of a list that the address asks for: one row more than is shown.
func part(r *request, limit int) (store.Part, error) {
	at, err := cursor(r)
	return store.Part{After: at, Limit: limit + 1}, err
}

// list is a part of a list, and the address of the next part.
type list[T any] struct {
	Rows []T
	Next string // "" at the end
	More bool   // it does not begin here
}

// cut returns the rows that are shown.
func cut[T store.Positioned](r *request, rows []T, limit int) list[T] {
	l := list[T]{Rows: rows, More: r.URL.Query().Has(afterParam)}
	if len(rows) > limit {
		l.Rows = rows[:limit]
		at, err := json.Marshal(l.Rows[limit-1].Position())
		if err == nil {
			q := r.URL.Query()
			q.Set(afterParam, base64.RawURLEncoding.EncodeToString(at))
			l.Next = r.URL.Path + "?" + q.Encode()
		}
	}
	return l
}
