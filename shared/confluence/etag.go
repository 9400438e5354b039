package confluence

import (
	lru "container/list"
	"encoding/json"
	"net/http"
	"sync"
)

// WithETags caches answers with an ETag, up to maxBytes, and repeats their requests with If-None-Match,
// so that an unchanged answer costs a 304. It has no effect on routes without ETags, and no route of
// Confluence Cloud has been seen with one. The default is off: a page's version gives the same
// information.
func WithETags(maxBytes int64) Option { return func(o *options) { o.etagBytes = maxBytes } }

// etags caches the newest answers by their address.
type etags struct {
	mu    sync.Mutex
	max   int64
	size  int64
	order lru.List // of *tagged, the most recently used in front
	byURL map[string]*lru.Element
}

type tagged struct {
	url, tag string
	link     []string // the Link header, which a 304 need not repeat and a listing must not lose
	body     []byte
}

func newETags(maxBytes int64) *etags {
	return &etags{max: maxBytes, byURL: map[string]*lru.Element{}}
}

func (e *etags) get(url string) (tagged, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	at, ok := e.byURL[url]
	if !ok {
		return tagged{}, false
	}
	e.order.MoveToFront(at)
	kept, _ := at.Value.(*tagged)
	return *kept, true
}

// put replaces the cached answer of the address; without a tag it only drops it.
func (e *etags) put(t tagged) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if at, ok := e.byURL[t.url]; ok {
		e.drop(at)
	}
	if t.tag == "" || t.cost() > e.max {
		return
	}
	e.byURL[t.url] = e.order.PushFront(&t)
	e.size += t.cost()
	for e.size > e.max {
		e.drop(e.order.Back())
	}
}

func (e *etags) drop(at *lru.Element) {
	old, _ := e.order.Remove(at).(*tagged)
	e.size -= old.cost()
	delete(e.byURL, old.url)
}

func (t *tagged) cost() int64 { return int64(len(t.body) + len(t.url) + len(t.tag)) }

// conditional adds If-None-Match if the address has answered with an ETag before.
func (c *Client) conditional(r request, req *http.Request) (tagged, bool) {
	if c.etags == nil || r.method != http.MethodGet || r.live {
		return tagged{}, false
	}
	kept, ok := c.etags.get(req.URL.String())
	if ok {
		req.Header.Set("If-None-Match", kept.tag)
	}
	return kept, ok
}

// remember caches a complete answer with an ETag.
func (c *Client) remember(r request, req *http.Request, a *answer) {
	if c.etags == nil || r.method != http.MethodGet || r.live {
		return
	}
	t := tagged{url: req.URL.String(), tag: a.header.Get("ETag"), link: a.header.Values("Link"), body: a.body}
	if !json.Valid(a.body) {
		t.tag = "" // a malformed answer is not cached
	}
	c.etags.put(t)
}

// unchanged makes the answer for a 304: the cached body with the new date.
func (t *tagged) unchanged(now http.Header) *answer {
	h := now.Clone()
	h["Link"] = t.link
	return &answer{status: http.StatusOK, header: h, body: t.body}
}
