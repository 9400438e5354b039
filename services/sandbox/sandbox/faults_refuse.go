package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

func isV2(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/wiki/api/v2/") }

// forbidden answers 403 in the format of the route's version.
func forbidden(w http.ResponseWriter, r *http.Request) {
	if isV2(r) {
		fail(w, http.StatusForbidden, "FORBIDDEN", "User does not have permission to view this content")
		return
	}
	v1Error(w, http.StatusForbidden, "com.atlassian.confluence.api.service.exceptions.PermissionException: User not permitted to view this content")
}

// notAllowed answers like a site whose allowlist does not contain the caller's address: before
// Confluence sees the call, and so with an HTML page.
func notAllowed(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html;charset=UTF-8")
	w.WriteHeader(http.StatusForbidden)
	_, _ = fmt.Fprintln(w, "<!DOCTYPE html><html><head><title>Access denied</title></head><body><h1>Your IP address is not allowed</h1>"+
		"<p>An admin of this site restricts access to certain IP addresses.</p></body></html>")
}

// goneRoute answers 410 in the format of the route's version.
func goneRoute(w http.ResponseWriter, r *http.Request) {
	if isV2(r) {
		fail(w, http.StatusGone, "GONE", "This deprecated endpoint has been removed.")
		return
	}
	gone(w, r)
}

// missingRoute answers 404 in the format of the route's version, and names the object.
func missingRoute(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if isV2(r) {
		notFound(w, fmt.Sprintf("Cannot find an object with id [%s]", id))
		return
	}
	noContent(w, id)
}

// cutOff shortens every list in the answer to at most that many rows. Each says that this is its limit.
func cutOff(body []byte, most int) []byte {
	var whole any
	in := json.NewDecoder(strings.NewReader(string(body)))
	in.UseNumber()
	if in.Decode(&whole) != nil {
		return body
	}
	shorten(whole, most)
	if cut, err := marshalPlain(whole); err == nil {
		return cut
	}
	return body
}

func shorten(v any, most int) {
	switch v := v.(type) {
	case []any:
		for _, one := range v {
			shorten(one, most)
		}
	case map[string]any:
		if rows, ok := v["results"].([]any); ok && v["_links"] == nil && len(rows) >= most {
			v["results"], v["limit"], v["size"] = rows[:most], most, most
		}
		for _, one := range v {
			shorten(one, most)
		}
	}
}

// trickle sends the site's answer byte by byte, until the caller gives up.
func trickle(f Fault, w http.ResponseWriter, r *http.Request, h http.HandlerFunc) {
	answer := &held{header: http.Header{}, status: http.StatusOK}
	h(answer, r)
	for name, values := range answer.header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.status)
	out := http.NewResponseController(w)
	tick := time.NewTicker(time.Duration(cmpZero(f.DelayMS, 1000)) * time.Millisecond)
	defer tick.Stop()
	for _, b := range answer.body.Bytes() {
		if _, err := w.Write([]byte{b}); err != nil {
			return
		}
		_ = out.Flush() // a writer that cannot flush sends its bytes at the end
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

// spoilRow overwrites the fault's row of a list, or the answer itself if it is one item. An answer
// without that row stays unchanged.
func spoilRow(f Fault, body []byte) []byte {
	var whole map[string]any
	in := json.NewDecoder(strings.NewReader(string(body)))
	in.UseNumber()
	if in.Decode(&whole) != nil {
		return body
	}
	rows, ok := whole["results"].([]any)
	if !ok {
		rows = []any{whole}
	}
	for _, r := range rows {
		row, ok := r.(map[string]any)
		if !ok || f.PageID != "" && row["id"] != f.PageID {
			continue
		}
		writeOver(row, f.Row)
		if spoiled, err := marshalPlain(whole); err == nil {
			return spoiled
		}
		break
	}
	return body
}

// writeOver writes the keys of over into row, inside its objects too.
func writeOver(row, over map[string]any) {
	for key, value := range over {
		inner, isObject := value.(map[string]any)
		was, wasObject := row[key].(map[string]any)
		switch {
		case value == nil:
			delete(row, key)
		case isObject && wasObject:
			writeOver(was, inner)
		default:
			row[key] = value
		}
	}
}
