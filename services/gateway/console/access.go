package console

import (
	"github.com/sluicehq/sluice/shared/access"
	"github.com/sluicehq/sluice/shared/store"
)

type accessData struct {
	Source, ID, Account string
	Why                 *store.AccessWhy // nil before an account is named
}

// verdicts say in words why an account sees a page, or does not.
var verdicts = map[store.Verdict]string{
	store.SeenOpen:     "the source is open: every key of it sees every page",
	store.SeenAdmitted: "every layer lets the account in",
	store.NeverRead:    "the permissions of the source have not been read completely yet",
	store.TooOld:       "the permissions of the source were read too long ago",
	store.Restricted:   "something restricts the page, and the source shows unrestricted pages only",
	store.NotLetIn:     "a layer does not let the account in",
	store.HasMoved:     "the page has moved, and is shown once its breadcrumb is written anew",
}

// Because says why.
func (d accessData) Because() string { return verdicts[d.Why.Verdict] }

// Through names who lets the account in at a layer.
func (d accessData) Through(p access.Principal) string {
	if p.ID == "" {
		return string(p.Kind)
	}
	return string(p.Kind) + " " + p.ID
}

// access explains whether an account sees a page.
func (c *Console) access(r *request) (answer, error) {
	d := accessData{Source: r.PathValue("source_id"), ID: r.PathValue("page"), Account: r.URL.Query().Get("account")}
	if d.Account == "" {
		return show("access", "Who sees page "+d.ID, d)
	}
	why, err := c.Control.Why(r.Context(), r.viewer, d.Account, d.Source, d.ID)
	if err != nil {
		return answer{}, err
	}
	d.Why = &why
	return show("access", "Who sees page "+d.ID, d)
}
