package confluence

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// listing is a list that is read page by page, each page with at most limit rows.
type listing struct {
	request
	limit int
	empty int    // consecutive answers without rows that end the listing; 0: maxEmpty
	rows  string // the kind of the rows' objects, if they all have the same
}

const (
	maxLimit = 250 // rows per call, for v2 and, as far as known, for search
	minLimit = 5   // the end of halving after a 504

	// maxEmpty limits consecutive answers without rows but with a next link. Confluence gives one at the
	// end of some searches; a chain of them means that the server has lost its position.
	maxEmpty = 10
)

// envelope is the wrapper of rows in v1 and v2.
type envelope[R any] struct {
	Results *[]R `json:"results"` // a pointer: a missing key differs from an empty list
	Links   struct {
		Next string `json:"next"`
		Base string `json:"base"`
	} `json:"_links"`
}

// next is an answer's link to more rows, "" without one.
func (e *envelope[R]) next(a *answer) string {
	if e.Links.Next != "" {
		return e.Links.Next
	}
	return linkHeader(a.header, "next")
}

// whole makes the call for a list that comes in one answer. An answer with a next link is incomplete.
func whole[R any](ctx context.Context, c *Client, r request) ([]R, error) {
	a, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	var env envelope[R]
	if err := c.decode(r, a, &env); err != nil {
		return nil, err
	}
	switch {
	case env.Results == nil:
		return nil, c.malformed(r, &objectError{r.id, "an answer without results"})
	case env.next(a) != "":
		return nil, &ProtocolError{Exchange: c.exchange(r, a, "only a part of a list that should come in one answer"), Listing: true}
	}
	return *env.Results, nil
}

// list reads a listing to its end and converts its rows. The iterator either ends complete or its last
// pair is an error. A *RowError replaces its row.
func list[R, T any](ctx context.Context, c *Client, l listing, convert func(R) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		w := walk{client: c, listing: l}
		for !w.done {
			rows, err := nextRows[R](ctx, &w)
			if err != nil {
				yield(none, err)
				return
			}
			for _, row := range rows {
				v, err := none, row.err
				if err == nil {
					v, err = convert(row.row)
				}
				if err != nil {
					err = c.badRow(l, row.kind, err)
				}
				if ctx.Err() != nil {
					err = ctx.Err()
				}
				if err != nil && !isRowError(err) {
					yield(none, err)
					return
				}
				if !yield(v, err) {
					return
				}
			}
		}
	}
}

// walk is one reading of a listing.
type walk struct {
	client  *Client
	listing listing
	seen    map[uint64]struct{} // positions already read; hashes, to save memory in a large space
	empty   int                 // consecutive answers without rows
	done    bool
}

// nextRows reads one page of the listing and finds the position of the next page.
func nextRows[R any](ctx context.Context, w *walk) ([]rowOf[R], error) {
	a, err := w.fetch(ctx)
	if err != nil {
		return nil, err
	}
	env, err := decodeRows[R](w.client, w.listing.request, a)
	if err != nil {
		return nil, err
	}
	if env.Results == nil {
		return nil, w.broken(a, "an answer without results")
	}
	w.client.learn(env.Links.Base)
	next := env.next(a)
	if next == "" {
		// Only this ends a listing. A page with fewer rows than requested does not, because rows hidden
		// from the credential are left out.
		w.done = true
		return *env.Results, nil
	}
	if w.empty++; len(*env.Results) > 0 {
		w.empty = 0
	}
	if most := cmp.Or(w.listing.empty, maxEmpty); w.empty >= most {
		return nil, w.broken(a, strconv.Itoa(most)+" consecutive answers without rows but with a next link")
	}
	if err := w.follow(next); err != nil {
		return nil, w.broken(a, "the link to the next rows is unusable: "+err.Error())
	}
	return *env.Results, nil
}

// fetch requests the page at the walk's position. A 504 means that Confluence could not return that many
// rows in time; fetch then requests half as many at the same position.
func (w *walk) fetch(ctx context.Context) (*answer, error) {
	for {
		r := w.listing.request
		r.query = maps.Clone(r.query)
		if r.query == nil {
			r.query = url.Values{}
		}
		r.query.Set("limit", strconv.Itoa(w.listing.limit))
		r.halve = w.listing.limit > minLimit
		a, err := w.client.do(ctx, r)
		var server *ServerError
		if !errors.As(err, &server) || !server.halve {
			return a, err
		}
		w.listing.limit = max(w.listing.limit/2, minLimit)
		w.client.log.Warn().Str("route", r.route).Int("limit", w.listing.limit).Msg("confluence was too slow, requesting fewer rows")
	}
}

var placeSeed = maphash.MakeSeed()

// follow moves the walk to the position in next. The listing's own parameters override the query of
// next: search loses some of them in its links.
func (w *walk) follow(next string) error {
	u, err := url.Parse(next)
	if err != nil {
		return errors.New("it is not a URL")
	}
	path, err := w.client.api().within(u)
	if err != nil {
		return err
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New("its query is malformed")
	}
	query.Del("limit")
	for name, values := range w.listing.query {
		if name != "cursor" {
			query[name] = values
		}
	}
	if w.seen == nil {
		w.seen = map[uint64]struct{}{place(w.listing.path, w.listing.query): {}}
	}
	h := place(path, query)
	if _, again := w.seen[h]; again {
		return errors.New("it leads back to a place that was read before")
	}
	w.seen[h] = struct{}{}
	w.listing.path, w.listing.query = path, query
	return nil
}

// place identifies the position of a call in a listing: the cursor alone, if there is one.
func place(path string, query url.Values) uint64 {
	at := query.Get("cursor")
	if at == "" {
		at = path + "?" + query.Encode()
	}
	return maphash.String(placeSeed, at)
}

func (w *walk) broken(a *answer, reason string) error {
	return &ProtocolError{Exchange: w.client.exchange(w.listing.request, a, reason), Listing: true}
}

// linkHeader returns the target of the Link header's relation, "" when there is none.
func linkHeader(h http.Header, rel string) string {
	for _, header := range h.Values("Link") {
		for header != "" {
			_, rest, ok := strings.Cut(header, "<")
			if !ok {
				break
			}
			target, rest, ok := strings.Cut(rest, ">")
			if !ok {
				break
			}
			params, _, _ := strings.Cut(rest, "<")
			if strings.Contains(strings.ReplaceAll(params, " ", ""), `rel="`+rel+`"`) {
				return target
			}
			header = rest
		}
	}
	return ""
}

// learn keeps the site's address from an answer of the gateway.
func (c *Client) learn(base string) {
	if !c.site.gateway || base == "" || c.base.Load() != nil {
		return
	}
	if s, err := parseSite(base, c.opt.insecureHTTP); err == nil && !s.gateway {
		c.base.CompareAndSwap(nil, &s.public)
	}
}

// malformed is the error for valid JSON with unexpected content.
func (c *Client) malformed(r request, err error) *ProtocolError {
	e := &ProtocolError{Exchange: Exchange{Method: r.method, Route: r.route, Status: http.StatusOK, Reason: c.clean(err.Error())}}
	var of *objectError
	if errors.As(err, &of) {
		e.ObjectID = of.id
	}
	return e
}

// objectError names the object with invalid data.
type objectError struct{ id, what string }

// placedError is about a row that says what its object is on.
type placedError struct {
	error
	on string
}

func (e *placedError) Unwrap() error { return e.error }

func (e *objectError) Error() string { return e.what }

// fail is a listing that could not start.
func fail[T any](err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		yield(none, err)
	}
}

// collect reads a small listing whole.
func collect[T any](seq iter.Seq2[T, error]) ([]T, error) {
	all := []T{}
	for v, err := range seq {
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}
