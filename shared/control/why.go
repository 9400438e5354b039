package control

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/sluicehq/sluice/shared/access"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// Why explains whether an account sees a page, which is named by its id or its address; a source is needed if several
// sites have a page with this id. It is for administrators: it tells of pages that the viewer may not see, but not
// their titles. It returns an *InvalidError for what is no account id, and the errors of Page.
func (c *Control) Why(ctx context.Context, v viewer.Viewer, account, sourceID, named string) (store.AccessWhy, error) {
	if !access.ValidAccount(account) {
		return store.AccessWhy{}, &InvalidError{Field: "account", Reason: "is wrong: " + access.ErrAccount.Error()}
	}
	// The page is looked up with an administrator's eyes; what is told of it is up to the viewer.
	key, err := c.locate(ctx, v.AsOperator(), sourceID, named)
	if err != nil {
		return store.AccessWhy{}, err
	}
	why, err := c.Reader.Why(ctx, v, account, key)
	return why, unknownPage(named, err)
}

// locate finds the live page with an id or an address.
func (c *Control) locate(ctx context.Context, v viewer.Viewer, sourceID, named string) (store.PageKey, error) {
	id := named
	if strings.Contains(named, "://") {
		whole, _, _ := strings.Cut(named, "#")
		key, err := c.Reader.PageAt(ctx, v, whole)
		if !errors.Is(err, store.ErrNotFound) {
			return key, err
		}
		u, err := url.Parse(whole)
		if err != nil || page.IDIn(u) == "" {
			return key, &UnknownPageError{ID: named}
		}
		id = page.IDIn(u)
		p, err := c.Page(ctx, v, sourceID, id)
		if of, bad := url.Parse(p.URL); err == nil && (bad != nil || !strings.EqualFold(of.Host, u.Host)) { // another site has the same ids
			err = &UnknownPageError{ID: named}
		}
		return store.PageKey{SourceID: p.SourceID, ID: p.ID}, err
	}
	p, err := c.Page(ctx, v, sourceID, id)
	return store.PageKey{SourceID: p.SourceID, ID: p.ID}, err
}
