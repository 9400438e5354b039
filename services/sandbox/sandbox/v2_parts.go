package sandbox

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

func (s *Site) v2Parts() map[string]http.HandlerFunc {
	const pages = "GET /wiki/api/v2/pages/{id}"
	return map[string]http.HandlerFunc{
		pages + "/labels":                                part(s, labelsPart),
		"GET /wiki/api/v2/blogposts/{id}/labels":         part(s, labelsPart),
		pages + "/versions":                              part(s, func(n *node, _ *http.Request) []versionDTO { return n.history() }),
		pages + "/versions/{version}":                    s.getVersion,
		"POST /wiki/api/v2/users-bulk":                   s.usersBulk,
		"POST /wiki/api/v2/content/convert-ids-to-types": s.convertIDs,
	}
}

func labelsPart(n *node, _ *http.Request) []labelDTO { return labelsOut(n.labels) }

// part lists items that belong to one page or blog post.
func part[T any](s *Site, rows func(*node, *http.Request) []T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		from, limit, err := offsetOf(r.URL.Query())
		if err != nil {
			badRequest(w, err.Error())
			return
		}
		kind := KindPage
		if strings.HasPrefix(r.Pattern, "GET /wiki/api/v2/blogposts/") {
			kind = KindBlogPost
		}
		var all []T
		if s.look(w, r, kind, func(n *node) { all = rows(n, r) }) {
			respondFrom(s, w, r, all, from, limit)
		}
	}
}

// offsetOf reads the start and the limit of a page of a complete list.
func offsetOf(q url.Values) (from, limit int, err error) {
	if limit, err = limitOf(q, 25, 250); err != nil {
		return 0, 0, err
	}
	if c := q.Get("cursor"); c != "" {
		err = decodeCursor(c, &from)
	}
	return from, limit, err
}

// respondFrom writes one page of a complete list; its cursor is an offset.
func respondFrom[T any](s *Site, w http.ResponseWriter, r *http.Request, rows []T, from, limit int) {
	rows = rows[min(max(from, 0), len(rows)):]
	next := ""
	if len(rows) > limit {
		rows, next = rows[:limit], encodeCursor(from+limit)
	}
	s.respond(w, r, emptyNotNull(rows), next)
}

type labelDTO struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Prefix string `json:"prefix"`
}

func labelsOut(labels []string) []labelDTO {
	var out []labelDTO
	for _, l := range labels {
		out = append(out, labelDTO{ID: formatID(100_000 + int64(crc32.ChecksumIEEE([]byte(l)))), Name: l, Prefix: "global"})
	}
	return out
}

// maxHistory limits the listed versions: NumberVersion can set a number far above the number of
// edits.
const maxHistory = 10_000

// history lists the page's versions, newest first. Initial versions without a known text are spread
// over the time before.
func (n *node) history() []versionDTO {
	var out []versionDTO
	for v := n.rev.number; v >= max(1, n.rev.number-maxHistory+1); v-- {
		rev, _ := n.revisionAt(v)
		out = append(out, *versionOut(rev))
	}
	return out
}

func (n *node) revisionAt(number int) (revision, bool) {
	if number < 1 || number > n.rev.number {
		return revision{}, false
	}
	oldest := n.rev
	for _, rev := range n.past {
		if rev.number == number {
			return rev, true
		}
		if rev.number < oldest.number {
			oldest = rev
		}
	}
	if number == n.rev.number {
		return n.rev, true
	}
	guess := oldest
	guess.number, guess.message = number, ""
	guess.at = n.created
	if oldest.number > 1 {
		guess.at = n.created.Add(time.Duration(float64(oldest.at.Sub(n.created)) * float64(number-1) / float64(oldest.number-1)))
	}
	return guess, true
}

func (s *Site) getVersion(w http.ResponseWriter, r *http.Request) {
	number, err := strconv.Atoi(r.PathValue("version"))
	if err != nil {
		badRequest(w, fmt.Sprintf("Invalid version %q", r.PathValue("version")))
		return
	}
	var rev revision
	ok := false
	if !s.look(w, r, KindPage, func(n *node) { rev, ok = n.revisionAt(number) }) {
		return
	}
	if !ok {
		notFound(w, fmt.Sprintf("Cannot find version %d of the page with id [%s]", number, r.PathValue("id")))
		return
	}
	write(w, http.StatusOK, versionOut(rev))
}

// readBody reads the JSON body of a request into v, or answers 400.
func readBody(w http.ResponseWriter, r *http.Request, v any) bool {
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 8<<20)).Decode(v)
	if err != nil {
		badRequest(w, "Invalid request body: "+err.Error())
	}
	return err == nil
}

func (s *Site) usersBulk(w http.ResponseWriter, r *http.Request) {
	var in struct {
		AccountIDs []string `json:"accountIds"`
	}
	if !readBody(w, r, &in) {
		return
	}
	if len(in.AccountIDs) < 1 || len(in.AccountIDs) > 250 {
		badRequest(w, "accountIds must hold 1 to 250 ids")
		return
	}
	out := []map[string]any{}
	s.mu.RLock()
	asked := map[string]bool{}
	for _, id := range in.AccountIDs {
		u, known := s.users[id]
		if !known || asked[id] {
			continue
		}
		asked[id] = true
		out = append(out, userOut(u))
	}
	s.mu.RUnlock()
	s.respond(w, r, out, "")
}

// userOut is the user in v2's format; v1's format has the same fields and more.
func userOut(u User) map[string]any {
	status := "active"
	if u.Inactive {
		status = "inactive"
	}
	out := map[string]any{
		"accountId": u.AccountID, "accountType": "atlassian", "accountStatus": status, "displayName": u.DisplayName,
		"publicName": u.DisplayName, "email": u.Email, "timeZone": nil, "personalSpaceId": nil, "isExternalCollaborator": false,
		"profilePicture": map[string]any{"path": "/wiki/aa-avatar/" + u.AccountID, "isDefault": true},
	}
	if u.TimeZone != "" {
		out["timeZone"] = u.TimeZone
	}
	return out
}

// convertIDs returns the type of each id, null for content that is gone or hidden.
func (s *Site) convertIDs(w http.ResponseWriter, r *http.Request) {
	var in struct {
		ContentIDs []json.RawMessage `json:"contentIds"`
	}
	if !readBody(w, r, &in) {
		return
	}
	if len(in.ContentIDs) < 1 || len(in.ContentIDs) > 250 {
		badRequest(w, "contentIds must hold 1 to 250 ids")
		return
	}
	out := map[string]*Kind{}
	s.mu.RLock()
	for _, raw := range in.ContentIDs {
		id := string(raw)
		if unquoted, err := strconv.Unquote(id); err == nil {
			id = unquoted
		}
		out[id] = nil
		if n := s.visible(id); n != nil {
			kind := n.kind
			out[id] = &kind
		}
	}
	s.mu.RUnlock()
	write(w, http.StatusOK, map[string]any{"results": out})
}
