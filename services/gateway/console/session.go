package console

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/store"
)

// A session begins with an API key and lasts half a day. The cookie holds a secret of 260 random bits; the database
// holds its digest, so that every gateway knows the session and nobody who reads the database can use it. Each request
// looks up the session with its key: a revoked key ends its sessions at once.
const (
	sessionLasts = 12 * time.Hour
	cookieName   = "sluice_session"
	localPrefix  = "local-" // begins the secrets of sessions of the local key
)

// sessionHash is what the database knows a session by. A session of the local key is bound to the key in the file.
func (c *Console) sessionHash(secret string) []byte {
	sum := sha256.New()
	_, _ = sum.Write([]byte("sluice console\x00" + secret))
	if strings.HasPrefix(secret, localPrefix) {
		_, _ = sum.Write(c.Door.Local())
	}
	return sum.Sum(nil)
}

// csrfOf is the token that the forms of a session carry: other sites cannot know it.
func csrfOf(secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte("sluice console form"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// ErrLoggedOut says that a request has no session, or one that has ended.
var ErrLoggedOut = errors.New("nobody is logged in")

// identify returns who sent the request.
func (c *Console) identify(r *http.Request) (*request, error) {
	req := &request{Request: r}
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return req, ErrLoggedOut
	}
	hash := c.sessionHash(cookie.Value)
	req.caller.Again = func(ctx context.Context) (apikey.Key, error) {
		key, err := c.Sessions.Session(ctx, hash)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return key, ErrLoggedOut
		case err != nil:
			return key, err
		case strings.HasPrefix(cookie.Value, localPrefix) && c.Door.Local() != nil:
			key = c.Door.LocalKey()
		}
		if !key.Role.Valid() {
			return key, ErrLoggedOut
		}
		return key, nil
	}
	if req.caller.Key, err = req.caller.Again(r.Context()); err != nil {
		return req, err
	}
	req.viewer, req.csrf = req.caller.Key.Viewer(), csrfOf(cookie.Value)
	return req, nil
}

// guarded returns the handler of a view: it passes on what its caller may ask for. The reads of a view that is not alone
// share a transaction.
func (c *Console) guarded(v view, alone bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if c.Door.Foreign(r) {
			http.Error(w, "requests from pages of other sites are refused", http.StatusForbidden)
			return
		}
		req, err := c.identify(r)
		if errors.Is(err, ErrLoggedOut) {
			c.sendToLogin(w, r)
			return
		}
		if err != nil {
			c.fail(w, req, err)
			return
		}
		req.w = w
		if req.Request, err = c.Door.Admit(r, req.caller); err != nil {
			req.Request = r
			c.fail(w, req, err)
			return
		}
		a, err := c.answer(v, alone, req)
		switch {
		case err != nil:
			c.fail(w, req, err)
		case a.to != "":
			http.Redirect(w, r, a.to, http.StatusSeeOther)
		case a.page != "":
			c.render(w, req, cmp.Or(a.status, http.StatusOK), a)
		}
	}
}

func (c *Console) answer(v view, alone bool, r *request) (answer, error) {
	if !r.may(v.role) {
		return answer{}, &problemError{Problem{http.StatusForbidden, "forbidden", "This needs a key with the role " + string(v.role) + "; yours has the role " + string(r.caller.Key.Role) + "."}}
	}
	if id := r.PathValue("source_id"); id != "" && !r.viewer.Sees(id) {
		return answer{}, errNoPage
	}
	if r.Method == http.MethodPost {
		if err := r.ParseForm(); err != nil {
			return answer{}, &problemError{Problem{http.StatusBadRequest, "bad_form", "The form could not be read."}}
		}
		if !hmac.Equal([]byte(r.PostForm.Get("csrf")), []byte(r.csrf)) {
			return answer{}, errStale
		}
	}
	if r.Method != http.MethodGet || alone {
		return v.handle(c, r)
	}
	return c.inOneSnapshot(v, r)
}

// inOneSnapshot returns the answer of a view whose reads all see the database as it is at one moment, and what the reader
// may see only once.
func (c *Console) inOneSnapshot(v view, r *request) (a answer, err error) {
	outside := r.Request
	defer func() { r.Request = outside }()
	err = c.Control.Reader.Together(outside.Context(), r.viewer, func(ctx context.Context) (err error) {
		r.Request = outside.WithContext(ctx)
		a, err = v.handle(c, r)
		return err
	})
	return a, err
}

// sendToLogin asks who it is, and remembers what was asked for.
func (c *Console) sendToLogin(w http.ResponseWriter, r *http.Request) {
	if Streams(r) {
		http.Error(w, "log in", http.StatusUnauthorized)
		return
	}
	to := Root + "/login"
	if r.Method == http.MethodGet && r.URL.Path != Root {
		to += "?next=" + url.QueryEscape(r.URL.RequestURI())
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// after returns the address below Root to which a log-in goes on.
func after(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || u.Path != Root && !strings.HasPrefix(u.Path, Root+"/") || strings.ContainsAny(next, "\\\r\n") {
		return Root
	}
	return (&url.URL{Path: u.Path, RawQuery: u.RawQuery}).String()
}

type loginData struct {
	Next, Wrong string
}

func (c *Console) loginForm(w http.ResponseWriter, r *http.Request) {
	c.render(w, &request{Request: r}, http.StatusOK, answer{page: "login", title: "Log in", data: loginData{Next: after(r.URL.Query().Get("next"))}})
}

func (c *Console) login(w http.ResponseWriter, r *http.Request) {
	if c.Door.Foreign(r) {
		http.Error(w, "requests from pages of other sites are refused", http.StatusForbidden)
		return
	}
	again := func(status int, wrong string) {
		c.render(w, &request{Request: r}, status, answer{page: "login", title: "Log in", data: loginData{Next: after(r.PostFormValue("next")), Wrong: wrong}})
	}
	const unusable = "This API key is wrong or revoked. Make one with: sluice key create"
	key, err := c.Door.Key(r, strings.TrimSpace(r.PostFormValue("key")))
	if err != nil {
		p := c.Door.Problem(r.Context(), err)
		switch p.Status {
		case http.StatusUnauthorized:
			p.Detail = unusable
		case http.StatusTooManyRequests:
			p.Detail = "Too many wrong API keys. Wait before the next try."
		}
		again(p.Status, p.Detail)
		return
	}
	secret := rand.Text() + rand.Text()
	if key.ID == c.Door.LocalKey().ID {
		secret = localPrefix + secret
	}
	if err := c.Sessions.AddSession(r.Context(), c.sessionHash(secret), key.ID, sessionLasts); err != nil {
		again(http.StatusServiceUnavailable, c.Door.Problem(r.Context(), err).Detail)
		return
	}
	// The gateway knows a key for half a minute after it was revoked; its sessions have ended.
	if _, err := c.Sessions.Session(r.Context(), c.sessionHash(secret)); errors.Is(err, store.ErrNotFound) {
		again(http.StatusUnauthorized, unusable)
		return
	}
	http.SetCookie(w, c.cookie(r, secret, int(sessionLasts/time.Second)))
	http.Redirect(w, r, after(r.PostFormValue("next")), http.StatusSeeOther) //nolint:gosec // after returns only addresses of the console
}

// logout ends the session.
func (c *Console) logout(r *request) (answer, error) {
	if cookie, err := r.Cookie(cookieName); err == nil {
		if err := c.Sessions.EndSession(r.Context(), c.sessionHash(cookie.Value)); err != nil {
			return answer{}, err
		}
	}
	http.SetCookie(r.w, c.cookie(r.Request, "", -1))
	return goTo("/login")
}

// cookie returns the session's cookie. Pages of other sites may link to the console, and send nothing else with it.
func (c *Console) cookie(r *http.Request, secret string, maxAge int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure is set wherever the gateway is reached by TLS; without TLS, browsers would drop the cookie
		Name: cookieName, Value: secret, Path: Root, MaxAge: maxAge, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: strings.HasPrefix(c.Door.Public(r), "https://"),
	}
}
