package confluence

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/shared/confluence/outgoing"
	"github.com/sluicehq/sluice/shared/failure"
)

const (
	// mediaAttempts is how often a file is asked for before its download fails. Each goes on where the one before it broke off.
	mediaAttempts = 5
	// mediaAtOnce is how many files a client downloads at a time. They take no place of the calls for pages.
	mediaAtOnce = 3
	// mediaTimeout bounds one attempt, whose bytes must also keep coming; see paced.
	mediaTimeout = 10 * time.Minute

	mediaRoute = "the media host"
)

// mediaHosts are where Confluence Cloud keeps files. None of them gets the credential.
var mediaHosts = outgoing.Hosts{"*.atlassian.com", "*.atlassian.net", "*.atl-paas.net"}

// Downloaded is a file that was read to its end.
type Downloaded struct {
	Size int64  // bytes
	Sum  string // SHA-256, in hex
}

// Download reads one version of a file into to, which it empties first. At most most bytes are read; a larger file is an error with
// the code failure.FileTooLarge.
//
// The site redirects to another host, with a credential of that host in the address. Ours does not go there. A download that
// breaks off goes on where it was, if the host says that the file is still the same.
func (c *Client) Download(ctx context.Context, a Attachment, most int64, to *os.File) (Downloaded, error) {
	on := cmp.Or(a.PageID, a.BlogPostID)
	if !isAttachmentID(a.ID) || !isID(on) {
		return Downloaded{}, fmt.Errorf("download: attachment %w", ErrInvalidID)
	}
	if a.FileSize > most {
		return Downloaded{}, tooLarge(a, most)
	}
	select {
	case c.downloads <- struct{}{}:
		defer func() { <-c.downloads }()
	case <-ctx.Done():
		return Downloaded{}, ctx.Err()
	}
	d := &download{Client: c, of: a, on: on, most: most, to: to}
	for n := 1; ; n++ {
		err := d.attempt(ctx, n)
		switch {
		case err == nil:
			return Downloaded{Size: d.have, Sum: fmt.Sprintf("%x", d.sum.Sum(nil))}, nil
		case ctx.Err() != nil:
			return Downloaded{}, fmt.Errorf("download %s: %w", a.ID, context.Cause(ctx))
		case n >= mediaAttempts || !d.worthwhile(err):
			return Downloaded{}, fmt.Errorf("download %s: %w", a.ID, err)
		}
		if err := sleep(ctx, c.delay(min(n-1, len(c.opt.delays)-1), err)); err != nil {
			return Downloaded{}, fmt.Errorf("download %s: %w", a.ID, err)
		}
	}
}

// MayDownload returns the *AuthError of a credential that may not download files, without reading one. Other errors are about the file a,
// not about the credential, and it returns nil.
func (c *Client) MayDownload(ctx context.Context, a Attachment) error {
	on := cmp.Or(a.PageID, a.BlogPostID)
	if !isAttachmentID(a.ID) || !isID(on) {
		return nil
	}
	_, err := (&download{Client: c, of: a, on: on}).redirect(ctx)
	if refused := new(AuthError); errors.As(err, &refused) {
		return err
	}
	return nil
}

func tooLarge(a Attachment, most int64) error {
	return failure.New(failure.FileTooLarge, "attachment %s has %d bytes or more, the bound is %d; ATTACHMENT_MAX_BYTES raises it", a.ID, max(a.FileSize, most+1), most)
}

// download is a file that is being read.
type download struct {
	*Client
	of   Attachment
	on   string
	most int64
	to   *os.File

	have int64
	sum  hash.Hash
	etag string // of what it has
}

// worthwhile reports whether the same download may succeed a few seconds later.
func (d *download) worthwhile(err error) bool {
	var expired *mediaError
	return errors.As(err, &expired) || d.retryable(err)
}

// mediaError is a refusal of the media host: its credential ends after a while, and the next redirect has a new one.
type mediaError struct{ *StatusError }

// attempt asks the site where the file is, and reads what is missing of it.
func (d *download) attempt(ctx context.Context, n int) error {
	at, err := d.redirect(ctx)
	if err != nil {
		return err
	}
	call := Call{Method: http.MethodGet, Route: mediaRoute, Attempt: n, Start: time.Now()}
	before := d.have
	call.Err = d.read(ctx, at, &call)
	call.Bytes, call.Duration = max(0, d.have-before), time.Since(call.Start)
	d.stats.add(call)
	addUsage(ctx, call)
	return call.Err
}

// redirect asks the site for the file's address.
func (d *download) redirect(ctx context.Context) (*url.URL, error) {
	r := request{
		method: http.MethodGet, route: "/wiki/rest/api/content/{id}/child/attachment/{attachmentId}/download",
		path:  "/rest/api/content/" + d.on + "/child/attachment/" + d.of.ID + "/download",
		query: url.Values{"version": {strconv.Itoa(d.of.Version)}},
		kind:  KindAttachment, id: d.of.ID, live: true, redirects: true, most: maxErrorBody,
	}
	a, err := d.do(ctx, r)
	if err != nil {
		return nil, err
	}
	at, err := url.Parse(a.header.Get("Location"))
	if err == nil {
		at = a.at.ResolveReference(at)
		err = d.mayRead(at)
	}
	if err != nil {
		return nil, &ProtocolError{Exchange: d.exchange(r, a, "the file's address is unusable: "+err.Error()), ObjectID: d.of.ID}
	}
	return at, nil
}

// mayRead says why a file is not read from an address.
func (c *Client) mayRead(at *url.URL) error {
	switch {
	case at.User != nil || at.Hostname() == "":
		return errors.New("it is none of a host")
	case at.Scheme == "https" && mediaHosts.Allow(at):
		return nil
	case c.opt.insecureHTTP && (at.Scheme == "http" || at.Scheme == "https") && (c.sameHost(at) || outgoing.Literal(at.Hostname())):
		return nil // the stand-in's
	case at.Scheme != "https":
		return fmt.Errorf("it is %s, not https", at.Scheme)
	}
	return fmt.Errorf("%s is no host on which Confluence keeps files", at.Host)
}

func (c *Client) sameHost(at *url.URL) bool {
	own, err := url.Parse(c.api().origin)
	return err == nil && strings.EqualFold(own.Hostname(), at.Hostname())
}

// read reads what is missing of the file from its address.
func (d *download) read(ctx context.Context, at *url.URL, call *Call) error {
	ctx, give := context.WithCancelCause(ctx)
	defer give(nil)
	timer := time.AfterFunc(mediaTimeout, func() { give(errSlow) })
	defer timer.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return &ProtocolError{Exchange: Exchange{Method: http.MethodGet, Route: mediaRoute, Reason: "an address that cannot be asked"}}
	}
	req.Header.Set("User-Agent", "sluice")
	req.Header.Set("Accept-Encoding", "identity") // ranges are of the file's own bytes
	if d.have > 0 {
		req.Header.Set("Range", "bytes="+strconv.FormatInt(d.have, 10)+"-")
		req.Header.Set("If-Range", d.etag)
	}
	first := time.AfterFunc(d.opt.timeout, func() { give(errSlow) })
	resp, err := d.media.Do(req)
	first.Stop()
	if err != nil {
		return d.lost(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	call.Status = resp.StatusCode
	if err := d.begin(resp); err != nil {
		return err
	}
	resp.Body = &paced{ReadCloser: resp.Body, least: slowest, give: give}
	n, err := io.Copy(io.MultiWriter(&written{d.to}, d.sum), io.LimitReader(resp.Body, d.most-d.have+1))
	d.have += n
	var disk *diskError
	switch {
	case errors.As(err, &disk):
		return err
	case d.have > d.most:
		return tooLarge(d.of, d.most)
	case err != nil:
		return d.lost(ctx, err)
	case resp.ContentLength >= 0 && n != resp.ContentLength:
		return d.lost(ctx, io.ErrUnexpectedEOF)
	case d.have != d.of.FileSize: // of the version that was asked for
		e := d.exchange(request{method: http.MethodGet, route: mediaRoute}, &answer{status: resp.StatusCode, header: resp.Header},
			fmt.Sprintf("%d bytes of a file of %d", d.have, d.of.FileSize))
		d.have = 0
		return &ProtocolError{Exchange: e, ObjectID: d.of.ID, garbled: true}
	}
	return nil
}

// begin looks at an answer's head: it goes on with the file, or begins it again.
func (d *download) begin(resp *http.Response) error {
	a := &answer{status: resp.StatusCode, header: resp.Header}
	e := d.exchange(request{method: http.MethodGet, route: mediaRoute}, a, "")
	switch s := resp.StatusCode; {
	case s == http.StatusPartialContent && d.have > 0:
		if !strings.HasPrefix(resp.Header.Get("Content-Range"), "bytes "+strconv.FormatInt(d.have, 10)+"-") {
			d.have, d.etag = 0, ""
			e.Reason = "another range than was asked for"
			return &ProtocolError{Exchange: e, garbled: true}
		}
		return nil
	case s == http.StatusOK:
		d.have, d.sum, d.etag = 0, sha256.New(), resp.Header.Get("ETag")
		if resp.ContentLength > d.most {
			return tooLarge(d.of, d.most)
		}
		if err := d.to.Truncate(0); err != nil {
			return &diskError{err}
		}
		if _, err := d.to.Seek(0, io.SeekStart); err != nil {
			return &diskError{err}
		}
		return nil
	case s == http.StatusTooManyRequests:
		return d.rateLimited(e, resp.Header)
	case s >= 500:
		return d.serverError(request{}, a, e)
	default:
		d.have = 0
		return &mediaError{&StatusError{e}}
	}
}

// lost is for a download that broke off. Without an ETag that says that the file is the same, it begins again.
func (d *download) lost(ctx context.Context, err error) error {
	if d.etag == "" || strings.HasPrefix(d.etag, "W/") {
		d.have = 0
	}
	if slow := context.Cause(ctx); errors.Is(slow, errSlow) {
		err = slow
	}
	return d.broken(Exchange{Method: http.MethodGet, Route: mediaRoute}, err)
}

// diskError is an error of the file that is written.
type diskError struct{ error }

func (e *diskError) Unwrap() error { return e.error }

type written struct{ to *os.File }

func (w *written) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	if err != nil {
		err = &diskError{err}
	}
	return n, err
}

// mediaClient reads files. It has no credential.
func (c *Client) mediaClient(transport http.RoundTripper) *http.Client {
	return &http.Client{Transport: transport, CheckRedirect: func(next *http.Request, via []*http.Request) error {
		if len(via) > 3 || c.mayRead(next.URL) != nil {
			return http.ErrUseLastResponse
		}
		return nil
	}}
}
