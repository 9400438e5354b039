package confluence

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/sluicehq/sluice/shared/confluence/outgoing"
	"github.com/sluicehq/sluice/shared/fastjson"
)

// exchange describes the call and its answer for an error.
func (c *Client) exchange(r request, a *answer, reason string) Exchange {
	return Exchange{
		Method: r.method, Route: r.route, Status: a.status,
		TraceID: c.traceID(a.header), Reason: c.clean(reason),
	}
}

// javaClass is how v1 begins its messages; it tells people nothing.
var javaClass = regexp.MustCompile(`^(?:[a-z]\w*\.){2,}[A-Z]\w*: *`)

// classify returns the error for the status and the headers, nil for a 200.
func (c *Client) classify(r request, a *answer) error {
	// A public site answers a rejected credential anonymously, with 200 or 404.
	if reason := a.header.Get("X-Seraph-Loginreason"); strings.Contains(reason, "FAILED") || strings.Contains(reason, "DENIED") {
		return &AuthError{Exchange: c.exchange(r, a, "the login failed: "+reason)}
	}
	if a.status == http.StatusOK {
		return nil // before its body is searched for a message: it may be megabytes of pages
	}
	e := c.exchange(r, a, javaClass.ReplaceAllString(message(a.body), ""))
	switch s := a.status; {
	case s == http.StatusUnauthorized, s == http.StatusForbidden:
		return c.refused(a, e)
	case s == http.StatusNotFound:
		return c.missing(r, a, e)
	case s == http.StatusGone:
		known, _ := r.known()
		return &GoneError{Exchange: e, For: known.For}
	case s == http.StatusTooManyRequests:
		return c.rateLimited(e, a.header)
	case s >= 500:
		return c.serverError(r, a, e)
	case s >= 400:
		return &StatusError{e}
	case s == http.StatusNotModified:
		e.Reason = "not modified, which was not asked for"
		return &ProtocolError{Exchange: e}
	case s >= 300:
		return c.redirected(e, a.header)
	default:
		e.Reason = "a success without an answer"
		return &ProtocolError{Exchange: e}
	}
}

// refused is for 401 and 403. Confluence itself answers in JSON. An HTML page comes from the layer in
// front of it, which accepts no scoped tokens, or does not allow this machine's address.
func (c *Client) refused(a *answer, e Exchange) error {
	kind, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	switch {
	case a.status == http.StatusForbidden && kind == "text/html":
		e.Reason = "an HTML page instead of an API answer: the site's IP allowlist, or a proxy, does not allow this machine's address"
		return &AuthError{Exchange: e, ByAddress: true}
	case e.Reason == "" && !c.api().gateway:
		e.Reason = "without a reason; a scoped API token is taken by the gateway only"
	}
	return &AuthError{Exchange: e}
}

// missing distinguishes a 404 for a missing object from the 404 with which v2 answers a credential that
// is wrong, revoked or absent. The first names the object, the second names nothing. If the second
// counted as a missing page, an expired token would remove every page of a site.
func (c *Client) missing(r request, a *answer, e Exchange) error {
	if !json.Valid(a.body) {
		e.Reason = "404 without a JSON answer: is the base URL a Confluence site?"
		return &ProtocolError{Exchange: e}
	}
	if e.Reason == "" || strings.EqualFold(e.Reason, "not found") || strings.EqualFold(e.Reason, "not_found") {
		e.Reason = "a 404 that names no object, as for a rejected credential"
		return &AuthError{Exchange: e}
	}
	// v1 does not always name the object, but it answers a bad credential with 403.
	if r.id != "" && (strings.HasPrefix(r.path, "/rest/api/") || strings.Contains(e.Reason, r.id)) {
		return &NotFoundError{Exchange: e, Kind: r.kind, ID: r.id}
	}
	return &StatusError{e}
}

// fallbackWait is the wait after a 429 without a wait of its own.
const fallbackWait = 30 * time.Second

func (c *Client) rateLimited(e Exchange, h http.Header) *RateLimitError {
	if e.Reason == "" {
		e.Reason = c.clean(h.Get("RateLimit-Reason")) // an opaque word; real values differ from the documented
	}
	wait, asked := retryAfter(h, time.Now())
	if !asked {
		return &RateLimitError{Exchange: e, RetryAt: time.Now().Add(fallbackWait)}
	}
	return c.pause(e, wait)
}

// pause is the error for a requested wait. One answer must not stop a site forever: no quota asks for
// ten years.
func (c *Client) pause(e Exchange, wait time.Duration) *RateLimitError {
	l := &RateLimitError{Exchange: e, asked: true, wait: min(wait, c.opt.longestPause)}
	if l.wait < wait {
		l.Asked = wait
		c.log.Warn().Str("route", e.Route).Dur("asked", wait).Dur("pause", l.wait).Msg("confluence asks for a longer pause than the limit; the limit is used")
	}
	l.RetryAt = time.Now().Add(l.wait)
	return l
}

func (c *Client) serverError(r request, a *answer, e Exchange) error {
	err := &ServerError{Exchange: e, halve: r.halve && a.status == http.StatusGatewayTimeout}
	if a.header.Get("Retry-After") == "" {
		return err // a quota's reset time says nothing about a failure
	}
	if err.wait, err.asked = retryAfter(a.header, time.Now()); err.asked {
		err.RetryAt = time.Now().Add(err.wait)
	}
	if err.wait > c.opt.maxWait {
		return c.pause(e, err.wait)
	}
	return err
}

// retryAfter returns the wait that an answer requests: Retry-After in seconds or as a date. Without it,
// it is the time until X-RateLimit-Reset, when the quota is full again, because the gateway's 429 has no
// Retry-After. Times are compared with the answer's own Date, so that a wrong local clock does not make
// the client retry early.
func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	v := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseFloat(v, 64); err == nil && seconds >= 0 {
		return inSeconds(seconds), true
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(0, at.Sub(now)), true
	}
	v = strings.TrimSpace(h.Get("X-RateLimit-Reset"))
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00"} {
		if at, err := time.Parse(layout, v); err == nil {
			return max(0, at.Sub(now)), true
		}
	}
	return 0, false
}

func inSeconds(s float64) time.Duration {
	const longest = 100 * 365 * 24 * 3600 // which a Duration holds
	return time.Duration(min(s, longest) * float64(time.Second))
}

// redirected is for 3xx answers that are not followed. A site that was renamed or got a custom domain
// redirects its callers permanently to its new address.
func (c *Client) redirected(e Exchange, h http.Header) error {
	to, err := url.Parse(h.Get("Location"))
	if err == nil && isLogin(to.Path) {
		e.Reason = "redirected to a login page"
		return &AuthError{Exchange: e}
	}
	e.Reason = "redirected to an address where the credential must not go"
	p := &ProtocolError{Exchange: e}
	if err != nil || to.Host == "" {
		return p
	}
	p.Reason = c.clean("redirected to " + to.Host + ", where the credential must not go")
	forGood := e.Status == http.StatusMovedPermanently || e.Status == http.StatusPermanentRedirect
	if s, err := parseSite(to.Scheme+"://"+to.Host, c.opt.insecureHTTP); err == nil && forGood && c.hide(to.Host) == to.Host {
		p.MovedTo = s.public
		p.Reason = c.clean("the site is at " + to.Host + " now: it was renamed, or has a domain of its own")
	}
	return p
}

// isLoginAt reports whether an answer redirects to a login page.
func isLoginAt(h http.Header) bool {
	to, err := url.Parse(h.Get("Location"))
	return err == nil && isLogin(to.Path)
}

func isLogin(p string) bool {
	return strings.HasPrefix(path.Base(p), "login")
}

// broken makes a TransportError from an error of net/http or of the body's reader. It unwraps the
// url.Error, which quotes the whole address with its query.
func (c *Client) broken(e Exchange, err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	e.Reason = c.clean(err.Error())
	t := &TransportError{Exchange: e, cause: err}
	var (
		record  tls.RecordHeaderError
		invalid x509.CertificateInvalidError
		host    x509.HostnameError
		unknown x509.UnknownAuthorityError
	)
	t.final = errors.As(err, &record) || errors.As(err, &invalid) || errors.As(err, &host) || errors.As(err, &unknown) ||
		errors.Is(err, outgoing.ErrPrivate)
	if c.hide(err.Error()) != err.Error() {
		t.cause = errors.New(e.Reason) // a server may echo the credential in an answer that is not HTTP
	}
	return t
}

func (c *Client) checkJSON(r request, a *answer) error {
	kind, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	if err != nil || kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		return &ProtocolError{Exchange: c.exchange(r, a, "not JSON but "+strconv.Quote(kind)), garbled: true}
	}
	// decode finds out whether all of it is valid JSON; this check only finds truncated answers.
	if body := bytes.TrimRight(a.body, " \t\r\n"); !bytes.HasSuffix(body, []byte("}")) && !bytes.HasSuffix(body, []byte("]")) {
		return &ProtocolError{Exchange: c.exchange(r, a, "JSON that ends too early"), garbled: true}
	}
	return nil
}

// decode reads an answer into v. It ignores keys that v does not have.
func (c *Client) decode(r request, a *answer, v any) error {
	if err := fastjson.Unmarshal(a.body, v); err != nil {
		return &ProtocolError{Exchange: c.exchange(r, a, fastjson.Reason(err)), ObjectID: r.id}
	}
	return nil
}

// message finds the message in one of the known shapes of errors.
func message(body []byte) string {
	var shapes struct {
		Errors []struct {
			Title string `json:"title"`
			Code  string `json:"code"`
		} `json:"errors"`
		Message string `json:"message"`
		Data    struct {
			Errors []struct {
				Message struct {
					Translation string `json:"translation"`
				} `json:"message"`
			} `json:"errors"`
		} `json:"data"`
	}
	// A key of an unexpected type leaves the other keys readable.
	_ = json.Unmarshal(body, &shapes)
	switch {
	case len(shapes.Errors) > 0 && shapes.Errors[0].Title != "":
		return shapes.Errors[0].Title
	case len(shapes.Errors) > 0 && shapes.Errors[0].Code != "":
		return shapes.Errors[0].Code
	case shapes.Message != "":
		return shapes.Message
	case len(shapes.Data.Errors) > 0:
		return shapes.Data.Errors[0].Message.Translation
	default:
		return ""
	}
}

const maxReason = 200 // bytes

// clean makes text suitable for an error: one short line without the credential.
func (c *Client) clean(text string) string {
	text = strings.Join(strings.FieldsFunc(c.hide(text), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	text = strings.ToValidUTF8(text, "")
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "…"
	}
	return text
}

// hide replaces the credential, which a server may echo.
func (c *Client) hide(text string) string {
	for _, s := range c.hidden {
		text = strings.ReplaceAll(text, s.Reveal(), "[redacted]")
	}
	return text
}

func (c *Client) traceID(h http.Header) string {
	for _, name := range []string{"Atl-Traceid", "X-Trace-Id", "X-Request-Id"} {
		if id := h.Get(name); id != "" {
			return c.clean(id)
		}
	}
	return ""
}
