package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// tooMany answers 429 like the quota, with Retry-After, or like the edge, without.
func tooMany(w http.ResponseWriter, f Fault, now time.Time) {
	head := w.Header()
	head.Set("X-RateLimit-Remaining", "0")
	if f.RetryAfter > 0 {
		head.Set("Retry-After", strconv.Itoa(f.RetryAfter))
		head.Set("X-RateLimit-Limit", "40000")
		head.Set("X-RateLimit-Reset", now.UTC().Add(time.Duration(f.RetryAfter)*time.Second).Format(time.RFC3339))
		head.Set("RateLimit-Reason", "confluence-quota-global-based")
		head.Set("Beta-RateLimit-Policy", `"global-app-quota";q=65000;w=3600`)
	} else {
		head.Set("X-Failure-Category", "FAILURE CLIENT RATE LIMITED")
		head.Set("X-RateLimit-Limit", "360000")
		head.Set("X-RateLimit-Reset", now.UTC().Add(time.Minute).Format("2006-01-02T15:04Z"))
	}
	write(w, http.StatusTooManyRequests, map[string]any{"code": http.StatusTooManyRequests, "message": "Rate limit exceeded."})
}

// proxyPage answers like the proxy in front of the site when the site is down.
func proxyPage(w http.ResponseWriter, status, retryAfter int) {
	if retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<html><head><title>%d %s</title></head><body><center><h1>%[1]d %[2]s</h1></center></body></html>\n", status, http.StatusText(status))
}

// breakConnection sends first and resets the connection.
func breakConnection(w http.ResponseWriter, first []byte) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		proxyPage(w, http.StatusBadGateway, 0) // a connection that cannot be broken, for example HTTP/2
		return
	}
	_, _ = buf.Write(first)
	_ = buf.Flush()
	if tcp, ok := conn.(*net.TCPConn); ok && len(first) == 0 {
		_ = tcp.SetLinger(0) // a reset; after a part of a body it would discard that part
	}
	_ = conn.Close()
}

// held keeps an answer back, so that spoil can change it.
type held struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (h *held) Header() http.Header { return h.header }

func (h *held) WriteHeader(status int) { h.status = status }

func (h *held) Write(p []byte) (int, error) { return h.body.Write(p) }

// spoil lets the site answer and then sends something else. An answer that is not good, or that is
// no list where the fault concerns lists, passes unchanged.
func spoil(f Fault, w http.ResponseWriter, r *http.Request, h http.HandlerFunc) {
	kind, asked, limit := f.Kind, r.Clone(r.Context()), 0
	switch kind {
	case FaultShortPage:
		limit = halveLimit(r)
	case FaultCutOff:
		lowerLimit(r, f.MaxLimit)
	}
	answer := &held{header: http.Header{}, status: http.StatusOK}
	h(answer, r)
	body := answer.body.Bytes()
	good := answer.status == http.StatusOK || answer.status == http.StatusPartialContent
	switch {
	case good && kind == FaultResetBody:
		breakConnection(w, append(head(answer, len(body)), body[:len(body)/2]...))
		return
	case good && kind == FaultTruncated:
		body = body[:len(body)/2]
	case good && kind == FaultOddRow:
		body = spoilRow(f, body)
	case good && kind == FaultCutOff:
		body = cutOff(body, f.MaxLimit)
	case good:
		body = spoilList(kind, answer.header, body, asked, limit)
	}
	maps.Copy(w.Header(), answer.header)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(answer.status)
	_, _ = w.Write(body) // the client is gone when this fails
}

// head is the beginning of an answer as it goes over the wire.
func head(answer *held, length int) []byte {
	answer.header.Set("Content-Length", strconv.Itoa(length))
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", answer.status, http.StatusText(answer.status))
	_ = answer.header.Write(&b) // a buffer takes all
	b.WriteString("\r\n")
	return b.Bytes()
}

// halveLimit halves the call's limit and returns the original limit.
func halveLimit(r *http.Request) int {
	q := r.URL.Query()
	limit, err := limitOf(q, 25, 1000)
	if err != nil || limit < 2 {
		return 0
	}
	q.Set("limit", strconv.Itoa(limit/2))
	r.URL.RawQuery = q.Encode()
	return limit
}

// lowerLimit lowers the limit of a call that asks for people or groups, as a fixed limit of the site does.
func lowerLimit(r *http.Request, most int) {
	if strings.HasSuffix(r.URL.Path, "/search") {
		return
	}
	q := r.URL.Query()
	q.Set("limit", strconv.Itoa(most))
	r.URL.RawQuery = q.Encode()
}

// endlessCursor leads to a page without rows whose next is endlessCursor again.
const endlessCursor = "c2FuZGJveC1lbmRsZXNz"

// spoilList changes a list's rows and its next link, in the body and in the Link header.
func spoilList(kind FaultKind, head http.Header, body []byte, asked *http.Request, limit int) []byte {
	var list map[string]json.RawMessage
	var links map[string]any
	if json.Unmarshal(body, &list) != nil || json.Unmarshal(list["_links"], &links) != nil || list["results"] == nil {
		return body
	}
	next, _ := links["next"].(string)
	v1 := !isV2(asked)
	self := asked.URL.RequestURI()
	if v1 {
		self = strings.TrimPrefix(self, "/wiki")
	}
	switch kind {
	case FaultShortPage:
		if next == "" || limit == 0 {
			return body
		}
		next = withQuery(next, "limit", strconv.Itoa(limit))
	case FaultRepeatCursor:
		if next == "" {
			return body
		}
		next = self
	case FaultEmptyPage:
		list["results"] = json.RawMessage("[]")
		next = self
	case FaultEndlessNext:
		if next != "" {
			return body
		}
		next = withQuery(self, "cursor", endlessCursor)
	}
	links["next"] = next
	if raw, err := marshalPlain(links); err == nil {
		list["_links"] = raw
	}
	if !v1 {
		_, base, _ := strings.Cut(head.Get("Link"), `rel="next", `)
		if base == "" {
			base = head.Get("Link")
		}
		head.Set("Link", fmt.Sprintf(`<%s>; rel="next", %s`, next, base))
	}
	if spoiled, err := marshalPlain(list); err == nil {
		return spoiled
	}
	return body
}

func withQuery(address, key, value string) string {
	path, raw, _ := strings.Cut(address, "?")
	q, err := url.ParseQuery(raw)
	if err != nil {
		return address
	}
	q.Set(key, value)
	return path + "?" + q.Encode()
}

// endless is the page after the last page of an endless list.
func (s *Site) endless(w http.ResponseWriter, r *http.Request) {
	self := r.URL.RequestURI()
	if !isV2(r) {
		self = strings.TrimPrefix(self, "/wiki")
	}
	write(w, http.StatusOK, map[string]any{
		"results": []any{}, "start": 0, "limit": 25, "size": 0, "_links": links{Next: self, Base: s.base(r)},
	})
}

// faultSettings are the body of the control route.
type faultSettings struct {
	Seed   int64   `json:"seed"`
	Faults []Fault `json:"faults"`
}

// setFaults sets the faults in a text, which has the format of the control route; "" sets nothing.
func (s *Site) setFaults(text string) error {
	if text == "" {
		return nil
	}
	var in faultSettings
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return fmt.Errorf("read faults: %w", err)
	}
	return s.SetFaults(in.Seed, in.Faults...)
}

func (s *Site) controlSetFaults(w http.ResponseWriter, r *http.Request) {
	var in faultSettings
	if !readBody(w, r, &in) {
		return
	}
	if err := s.SetFaults(in.Seed, in.Faults...); err != nil {
		controlError(w, err)
		return
	}
	s.controlGetFaults(w, r)
}

func (s *Site) controlGetFaults(w http.ResponseWriter, _ *http.Request) {
	write(w, http.StatusOK, map[string]any{"faults": emptyNotNull(s.Faults()), "kinds": faultKinds})
}

func (s *Site) controlClearFaults(w http.ResponseWriter, r *http.Request) {
	if err := s.SetFaults(0); err != nil {
		controlError(w, err)
		return
	}
	s.controlGetFaults(w, r)
}
