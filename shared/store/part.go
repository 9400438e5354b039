package store

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Part is a part of a list: at most Limit rows, those after a position. The zero value contains no row.
type Part struct {
	After Position // of the last row of the part before; nil for the first part
	Limit int
}

// Whole is a whole list.
func Whole() Part { return Part{Limit: math.MaxInt32} }

// First is the first rows of a list, at most limit.
func First(limit int) Part { return Part{Limit: limit} }

// Position is where a row stands in the order of its list: the values by which the list is ordered. The next part
// continues behind it even if the row itself is gone. Only the list that it is from understands it.
type Position []string

// Positioned is a row of a list.
type Positioned interface{ Position() Position }

// ErrPosition is returned for a part after a position that no row of the list can have.
var ErrPosition = errors.New("this is no position of the list")

// args are the last parameters of a query for a part: the n values of its position, which are NULL for the first part,
// and its limit.
func (p Part) args(n int, before ...any) ([]any, error) {
	args, err := p.positions(n, before...)
	return append(args, p.Limit), err
}

// positions are the parameters of args without the limit.
func (p Part) positions(n int, before ...any) ([]any, error) {
	if p.After != nil && len(p.After) != n || slices.ContainsFunc(p.After, func(text string) bool { return !storable(text) }) {
		return nil, ErrPosition
	}
	for i := range n {
		if p.After == nil {
			before = append(before, nil)
		} else {
			before = append(before, p.After[i])
		}
	}
	return before, nil
}

// listError is the error of reading a part of a list. A value of a position that Postgres cannot read is ErrPosition.
func (p Part) listError(err error, what string) error {
	var pgErr *pgconn.PgError
	if p.After != nil && errors.As(err, &pgErr) && strings.HasPrefix(pgErr.Code, "22") { // data exception
		err = ErrPosition
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Cut returns the part of a list that was read as a whole and does not change. A position that none of its rows has is
// ErrPosition.
func Cut[T Positioned](all []T, p Part) ([]T, error) {
	if p.After != nil {
		at := slices.IndexFunc(all, func(row T) bool { return slices.Equal(row.Position(), p.After) })
		if at < 0 {
			return nil, ErrPosition
		}
		all = all[at+1:]
	}
	return all[:min(len(all), p.Limit)], nil
}

func positionTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// Position is by id.
func (s Source) Position() Position { return Position{s.ID} }

// Position is by id.
func (p PageInfo) Position() Position { return Position{p.ID} }

// Position is by the time of the request, then by id.
func (r Run) Position() Position { return Position{positionTime(r.RequestedAt), r.ID} }

// Position is by page id, within a run.
func (p LedgerPage) Position() Position { return Position{p.PageID} }

// Position is by page id, within a run.
func (r Removal) Position() Position { return Position{r.PageID} }

// Position is by time, then by page and source.
func (f Failure) Position() Position { return Position{positionTime(f.FailedAt), f.PageID, f.SourceID} }

// Position is by time, then by page and run.
func (r RemovedPage) Position() Position {
	return Position{positionTime(r.RemovedAt), r.PageID, r.RunID}
}

// Position is by fate and count, then by what was lost.
func (l LossTotal) Position() Position {
	return Position{string(l.Fate), strconv.Itoa(l.Count), l.Element, l.Reason}
}

// Position is by number.
func (c StoredChunk) Position() Position {
	return Position{strconv.Itoa(c.Number), strconv.FormatInt(c.ID, 10)}
}
