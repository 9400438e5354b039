package confluence

import (
	lru "container/list"
	"encoding/json"
	"net/http"
	"sync"
)

// WithETags keeps answers that carried an ETag, up to maxBytes of them, and asks for those
// again with If-None-Match, so that an unchanged answer costs a 304. Nothing conditional is
// sent where no ETag was given, so it is without effect on routes that have none; none of
// Confluence Cloud's has been seen with one. The default is off: a page's version tells as
// much.
func WithETags(maxBytes int64) Option { return func(o *options) { o.etagBytes = maxBytes } }

// etags keeps the newest answers by their address.
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

// put keeps an answer in the place of the one before; without a tag it only drops that.
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

// conditional adds If-None-Match where the address has answered with an ETag before.
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

// remember keeps a whole answer that carries an ETag.
func (c *Client) remember(r request, req *http.Request, a *answer) {
	if c.etags == nil || r.method != http.MethodGet || r.live {
		return
	}
	t := tagged{url: req.URL.String(), tag: a.header.Get("ETag"), link: a.header.Values("Link"), body: a.body}
	if !json.Valid(a.body) {
		t.tag = "" // once is enough
	}
	c.etags.put(t)
}

// unchanged makes the kept answer of a 304: the old body, under the new date.
func (t *tagged) unchanged(now http.Header) *answer {
	h := now.Clone()
	h["Link"] = t.link
	return &answer{status: http.StatusOK, header: h, body: t.body}
}
