package sandbox

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// write answers with v as JSON, without HTML escaping, as Confluence does.
func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // the client is gone when this fails
}

// marshalPlain is json.Marshal without HTML escaping.
func marshalPlain(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}

type v2Error struct {
	Status int     `json:"status"`
	Code   string  `json:"code"`
	Title  string  `json:"title"`
	Detail *string `json:"detail"`
}

func fail(w http.ResponseWriter, status int, code, title string) {
	write(w, status, map[string]any{"errors": []v2Error{{Status: status, Code: code, Title: title}}})
}

func notFound(w http.ResponseWriter, title string) {
	fail(w, http.StatusNotFound, "NOT_FOUND", title)
}

func badRequest(w http.ResponseWriter, title string) {
	fail(w, http.StatusBadRequest, "INVALID_REQUEST_PARAMETER", title)
}

// v1Error answers in the envelope of REST v1.
func v1Error(w http.ResponseWriter, status int, message string) {
	write(w, status, map[string]any{
		"statusCode": status,
		"data": map[string]any{
			"authorized": status != http.StatusForbidden, "valid": status != http.StatusBadRequest,
			"errors": []any{}, "successful": status == http.StatusGone,
		},
		"message": message,
	})
}

// stamp is a time in the format of v2 and v1: milliseconds, UTC.
type stamp time.Time

func (t stamp) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

func (t stamp) String() string { return time.Time(t).UTC().Format("2006-01-02T15:04:05.000Z") }

// links are the _links of a list: next is absent on its last page.
type links struct {
	Next string `json:"next,omitempty"`
	Base string `json:"base"`
}

type list struct {
	Results any   `json:"results"`
	Links   links `json:"_links"`
}

// respond writes one page of a v2 list, with the next page's address in the body and in the
// Link header when next is not empty.
func (s *Site) respond(w http.ResponseWriter, r *http.Request, results any, next string) {
	base := s.base(r)
	l := links{Base: base}
	header := fmt.Sprintf(`<%s>; rel="base"`, base)
	if next != "" {
		q := r.URL.Query()
		q.Set("cursor", next)
		l.Next = r.URL.Path + "?" + q.Encode()
		header = fmt.Sprintf(`<%s>; rel="next", %s`, l.Next, header)
	}
	w.Header().Set("Link", header)
	write(w, http.StatusOK, list{Results: results, Links: l})
}

// refusal is the reason for a 400 answer, in the words of the answer.
type refusal string

func (r refusal) Error() string { return string(r) }

func refuse(format string, args ...any) error { return refusal(fmt.Sprintf(format, args...)) }

// limitOf reads limit, or returns the reason for a 400 answer.
func limitOf(q url.Values, fallback, most int) (int, error) {
	raw := q.Get("limit")
	if raw == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(raw)
	if err != nil || n < 1 || n > most {
		return 0, refuse("The provided limit %q is not valid: it must be between 1 and %d", raw, most)
	}
	return n, nil
}

// csv reads a parameter that is repeated, comma-separated, or both.
func csv(q url.Values, key string) []string {
	var out []string
	for _, v := range q[key] {
		for part := range strings.SplitSeq(v, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
	}
	return out
}

// idsOf reads a parameter of at most that many ids, or returns the reason for a 400 answer.
func idsOf(q url.Values, key string, most int) ([]int64, error) {
	raw := csv(q, key)
	if len(raw) > most {
		return nil, refuse("The number of values of %q must not exceed %d", key, most)
	}
	ids := make([]int64, 0, len(raw))
	for _, v := range raw {
		id := parseID(v)
		if id == 0 {
			return nil, refuse("Invalid value %q for %q: expected a number", v, key)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// encodeCursor makes an opaque cursor of v.
func encodeCursor(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// decodeCursor reads a cursor that encodeCursor made.
func decodeCursor(cursor string, v any) error {
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		err = json.Unmarshal(raw, v)
	}
	if err != nil {
		return refuse("Invalid cursor %q", cursor)
	}
	return nil
}

// slug is the title as it appears at the end of a page's address: without characters beyond ASCII,
// words joined by plus signs; it may be empty.
func slug(title string) string {
	words := strings.FieldsFunc(title, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._~", r))
	})
	return strings.Join(words, "+")
}

// webPath is the content's address for people, below /wiki.
func webPath(n *node) string {
	prefix := "/spaces/" + url.PathEscape(n.space.alias)
	switch n.kind {
	case KindPage:
		if n.space.home == n {
			return prefix + "/overview"
		}
		prefix += "/pages/" + formatID(n.id)
	case KindBlogPost:
		prefix += "/blog/" + n.created.Format("2006/01/02") + "/" + formatID(n.id)
	case KindComment:
		return webPath(n.parent) + "?focusedCommentId=" + formatID(n.id)
	case KindAttachment:
		return attachmentPath(n.upload)
	default:
		return prefix + "/" + string(n.kind) + "/" + formatID(n.id)
	}
	if t := slug(n.rev.title); t != "" {
		prefix += "/" + t
	}
	return prefix
}

// tinyPath is the short link: the id's bytes, lowest first, in base64 without padding.
func tinyPath(id int64) string {
	var raw []byte
	for ; id > 0; id >>= 8 {
		raw = append(raw, byte(id))
	}
	t := strings.TrimRight(base64.RawStdEncoding.EncodeToString(raw), "A")
	return "/x/" + strings.NewReplacer("/", "-", "+", "_").Replace(t)
}
