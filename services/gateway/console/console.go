// Package console is the web console: pages for people, on the same operator commands as the command line and the HTTP
// API. The gateway serves it under /console.
//
// Pages are rendered here and can be read without JavaScript; only a run's progress is sent to the page while it lasts.
// Everything from Confluence is hostile: html/template escapes it, and Markdown is rendered without raw HTML.
package console

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/viewer"
)

// Root is the address of the console.
const Root = "/console"

// Sessions stores who is logged in.
type Sessions interface {
	AddSession(ctx context.Context, hash []byte, keyID string, lasts time.Duration) error
	Session(ctx context.Context, hash []byte) (apikey.Key, error)
	EndSession(ctx context.Context, hash []byte) error
}

// Caller is who asks for a page.
type Caller struct {
	Key     apikey.Key
	Account string // the account that a request names as its reader, "" for none
	// Again returns the key as it is now, for responses that last. The error says that it may read no longer.
	Again func(ctx context.Context) (apikey.Key, error)
}

// Problem is an error as the API words it.
type Problem struct {
	Status       int
	Code, Detail string
}

// Door is what the gateway does for the console as it does for the API.
type Door interface {
	// Foreign reports whether a page of another site sent the request.
	Foreign(r *http.Request) bool
	// Key returns the key that a token belongs to, and counts wrong ones.
	Key(r *http.Request, token string) (apikey.Key, error)
	// Local is what a session of the key in GATEWAY_KEY_FILE is bound to: another key in the file ends it. It is nil if
	// there is no such key.
	Local() []byte
	// LocalKey is that key.
	LocalKey() apikey.Key
	// Admit counts the request of a caller, and returns it with the caller in its context.
	Admit(r *http.Request, c Caller) (*http.Request, error)
	// Problem words an error for people.
	Problem(ctx context.Context, err error) Problem
	// Public is the address at which clients reach the gateway.
	Public(r *http.Request) string
	// Follow sends the progress of a run as server-sent events until the run has ended. The events are what show
	// returns.
	Follow(w http.ResponseWriter, r *http.Request, runID string, show func(control.Operation) ([]byte, error)) error
	// Step describes the current step of a run.
	Step(op control.Operation) string
}

// Options are the dependencies of the console.
type Options struct {
	Control  *control.Control
	Sessions Sessions
	Door     Door
	Version  string
}

// Console serves the pages. It is safe for concurrent use.
type Console struct {
	Options
	mux   *http.ServeMux
	pages pages
}

// New returns the console.
func New(o Options) (*Console, error) {
	c := &Console{Options: o, mux: http.NewServeMux()}
	var err error
	if c.pages, err = parsePages(); err != nil {
		return nil, err
	}
	c.mux.HandleFunc("GET "+Root+"/assets/{name}", c.asset)
	c.mux.HandleFunc("GET "+Root+"/login", c.loginForm)
	c.mux.HandleFunc("POST "+Root+"/login", c.login)
	for pattern, view := range views {
		method, path, _ := strings.Cut(pattern, " ")
		c.mux.HandleFunc(method+" "+Root+path, c.guarded(view, alone[pattern]))
	}
	c.mux.HandleFunc(Root+"/", c.guarded(view{apikey.Read, func(*Console, *request) (answer, error) { return answer{}, errNoPage }}, true))
	return c, nil
}

// ServeHTTP serves a request below Root.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	c.mux.ServeHTTP(w, r)
}

// Pattern returns the pattern of the view that serves a request, for logs and metrics.
func (c *Console) Pattern(r *http.Request) string {
	_, pattern := c.mux.Handler(r)
	_, path, _ := strings.Cut(pattern, " ")
	return path
}

// Streams reports whether the request is for a response that lasts.
func Streams(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/events") }

// view is one kind of request: the role it needs, as the API does for the same, and its handler.
type view struct {
	role   apikey.Role
	handle func(*Console, *request) (answer, error)
}

// request is a request of a caller who is logged in.
type request struct {
	*http.Request
	w      http.ResponseWriter
	caller Caller
	viewer viewer.Viewer
	csrf   string
}

// may reports whether the caller has a role.
func (r *request) may(role apikey.Role) bool { return r.caller.Key.Role.May(role) }

// answer is what a view shows. The zero value was written by the view itself.
type answer struct {
	page  string // the name of its template
	title string // of the document; people find it in their history
	data  any
	to    string // instead of a page: where the browser goes on

	status int // of the page; 0 for 200
}

// show returns the answer with a page.
func show(page, title string, data any) (answer, error) {
	return answer{page: page, title: title, data: data}, nil
}

// goTo returns the answer that sends the browser on.
func goTo(path string) (answer, error) { return answer{to: Root + path}, nil }

var (
	errNoPage = &problemError{Problem{http.StatusNotFound, "not_found", "There is no such page in the console."}}
	errStale  = &problemError{Problem{http.StatusForbidden, "stale_form", "The form is from another session. Go back, reload the page, and try again."}}
)

// problemError is an error that is worded already.
type problemError struct{ Problem }

func (e *problemError) Error() string { return e.Detail }

// fail shows an error.
func (c *Console) fail(w http.ResponseWriter, r *request, err error) {
	p := c.problem(r.Context(), err)
	titles := map[int]string{
		http.StatusNotFound: "Not found", http.StatusForbidden: "Not allowed", http.StatusConflict: "Not possible now",
		http.StatusGone: "No longer there", http.StatusTooManyRequests: "Too many requests", http.StatusUnprocessableEntity: "Not valid", http.StatusBadRequest: "Not valid",
	}
	title := titles[p.Status]
	if title == "" {
		title = "Something went wrong"
	}
	c.render(w, r, p.Status, answer{page: "error", title: title, data: p})
}

func (c *Console) problem(ctx context.Context, err error) Problem {
	var worded *problemError
	if errors.As(err, &worded) {
		return worded.Problem
	}
	return c.Door.Problem(ctx, err)
}

// render writes a page.
func (c *Console) render(w http.ResponseWriter, r *request, status int, a answer) {
	var out bytes.Buffer
	err := c.pages.write(&out, a.page, c.frame(r, a))
	if err != nil { // a mistake in a template; the log has it under the request's id
		p := c.Door.Problem(r.Context(), err)
		http.Error(w, p.Detail, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "private, no-store")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes())
}

// frame is what every page has.
type frame struct {
	Title    string
	Path     string // of the page below Root, to mark where one is
	Caller   *Caller
	CSRF     string
	Operates bool
	Admin    bool
	Version  string
	Data     any
}

func (c *Console) frame(r *request, a answer) frame {
	f := frame{Title: a.title, Path: strings.TrimPrefix(r.URL.Path, Root), CSRF: r.csrf, Version: c.Version, Data: a.data}
	if r.caller.Key.ID != "" {
		f.Caller, f.Operates, f.Admin = &r.caller, r.may(apikey.Operate), r.may(apikey.Admin)
	}
	return f
}
