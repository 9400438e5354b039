package console

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/shared/apikey"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/secret"
	"github.com/sluicehq/sluice/shared/store"
)

// sourceHead is on every page of a source.
type sourceHead struct {
	store.Source
	Tab      string
	Operate  bool
	Admin    bool
	Failures int // -1: not counted on this page
}

// sourceHead reads the head of a source's page together with what else the page reads.
func (c *Console) sourceHead(r *request, tab string, rest ...func(context.Context) error) (sourceHead, error) {
	var src store.Source
	err := c.Control.Reader.Together(r.Context(), r.viewer, append(rest, func(ctx context.Context) (err error) {
		src, err = c.Control.Source(ctx, r.viewer, r.PathValue("source_id"))
		return err
	})...)
	return sourceHead{Source: src, Tab: tab, Operate: r.may(apikey.Operate), Admin: r.may(apikey.Admin), Failures: -1}, err
}

type sourceData struct {
	Head   sourceHead
	Status control.SourceStatus
	Access shownPermissions
	Runs   list[store.Run]
}

func (c *Console) source(r *request) (answer, error) {
	p, err := part(r, runsShown)
	if err != nil {
		return answer{}, err
	}
	id := r.PathValue("source_id")
	var st control.SourceStatus
	var runs []store.Run
	err = c.Control.Reader.Together(r.Context(), r.viewer, func(ctx context.Context) (err error) {
		st, err = c.Control.SourceStatus(ctx, r.viewer, id)
		return err
	}, func(ctx context.Context) (err error) {
		runs, err = c.Control.Runs(ctx, r.viewer, id, p)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	d := sourceData{Status: st, Access: shownPermissions{control.PermissionsOf(st.Source)}, Runs: cut(r, runs, runsShown)}
	d.Head = sourceHead{Source: st.Source, Operate: r.may(apikey.Operate), Admin: r.may(apikey.Admin), Failures: st.Failures}
	return show("source", st.Source.DisplayName, d)
}

type sourcePagesData struct {
	Head   sourceHead
	Filter store.PageFilter
	Since  string // the day of the filter
	Pages  list[store.PageInfo]
	Under  string // the title of the page or folder below which the pages are, or its id
	Kinds  []string
}

// Filtered reports whether the list leaves pages out.
func (d sourcePagesData) Filtered() bool {
	f := d.Filter
	return f.Title != "" || f.Label != "" || f.Kind != "" || f.Under != "" || d.Since != "" || f.Lost.Element != ""
}

// titleOf returns the title of a page or a container above pages, or its id.
func titleOf(id string, pages []store.PageInfo) string {
	for _, p := range pages {
		if p.ID == id {
			return cmp.Or(p.Title, id)
		}
		for _, a := range p.Ancestors {
			if a.ID == id {
				return cmp.Or(a.Title, id)
			}
		}
	}
	return id
}

func (c *Console) sourcePages(r *request) (answer, error) {
	p, err := part(r, pagesShown)
	if err != nil {
		return answer{}, err
	}
	q := r.URL.Query()
	d := sourcePagesData{Kinds: []string{"page"}, Since: q.Get("since"), Filter: store.PageFilter{
		Title: q.Get("title"), Label: q.Get("label"), Kind: q.Get("kind"), Under: q.Get("under"), Part: p,
		Lost: store.LossKind{Element: q.Get("lost"), Fate: page.Fate(q.Get("fate")), Reason: q.Get("reason")}}}
	for _, k := range page.Kinds {
		d.Kinds = append(d.Kinds, k.Name)
	}
	if d.Filter.ModifiedSince, err = dayOf(d.Since); err != nil {
		return answer{}, err
	}
	var pages []store.PageInfo
	d.Head, err = c.sourceHead(r, "pages", func(ctx context.Context) (err error) {
		pages, err = c.Control.Pages(ctx, r.viewer, r.PathValue("source_id"), d.Filter)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	d.Pages, d.Under = cut(r, pages, pagesShown), titleOf(d.Filter.Under, pages)
	return show("sourcepages", "Pages of "+d.Head.DisplayName, d)
}

type failuresData struct {
	Head     sourceHead
	Failures list[store.Failure]
}

func (c *Console) failures(r *request) (answer, error) {
	p, err := part(r, pagesShown)
	if err != nil {
		return answer{}, err
	}
	var d failuresData
	var failed []store.Failure
	d.Head, err = c.sourceHead(r, "failures", func(ctx context.Context) (err error) {
		failed, err = c.Control.Failures(ctx, r.viewer, r.PathValue("source_id"), "", "", p)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	d.Failures = cut(r, failed, pagesShown)
	return show("failures", "Failed pages of "+d.Head.DisplayName, d)
}

type lossesData struct {
	Head   sourceHead
	Losses list[store.LossTotal]
}

func (c *Console) losses(r *request) (answer, error) {
	p, err := part(r, pagesShown)
	if err != nil {
		return answer{}, err
	}
	var d lossesData
	var found []store.LossTotal
	d.Head, err = c.sourceHead(r, "losses", func(ctx context.Context) (err error) {
		found, err = c.Control.Losses(ctx, r.viewer, r.PathValue("source_id"), p)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	d.Losses = cut(r, found, pagesShown)
	return show("losses", "Losses of "+d.Head.DisplayName, d)
}

func (c *Console) sync(r *request) (answer, error) {
	asked, err := c.Control.Sync(r.Context(), r.viewer, control.SyncRequest{SourceID: r.PathValue("source_id"), Mode: event.Mode(r.PostForm.Get("mode"))})
	if err != nil {
		return answer{}, err
	}
	return goTo("/runs/" + asked.Run.ID)
}

// retry requests a run that lists failed pages of the source again: the one whose button was pressed, those that are ticked, or
// all. A form with ticks and none of them set asks for none, not for all.
func (c *Console) retry(r *request) (answer, error) {
	req := control.RetryRequest{SourceID: r.PathValue("source_id")}
	switch r.PostForm.Get("which") {
	case "all":
	case "ticked", "":
		if req.Pages = r.PostForm["page"]; len(req.Pages) == 0 {
			return answer{}, &problemError{Problem{http.StatusUnprocessableEntity, "invalid", "No page is ticked. Go back and tick the pages to retry."}}
		}
	default:
		req.Pages = []string{r.PostForm.Get("which")}
	}
	runs, err := c.Control.Retry(r.Context(), r.viewer, req)
	if err != nil {
		return answer{}, err
	}
	return goTo("/runs/" + runs[0].Run.ID)
}

func (c *Console) resume(r *request) (answer, error) {
	if _, err := c.Control.Resume(r.Context(), r.viewer, r.PathValue("source_id")); err != nil {
		return answer{}, err
	}
	return goTo("/sources/" + r.PathValue("source_id"))
}

type settingsData struct {
	Head       sourceHead
	Strategies []strategy
	Access     shownPermissions
	Readers    []readers // the choices of who sees the pages
}

// strategy is a deletion strategy with what it costs.
type strategy struct {
	Name store.DeletionStrategy
	Cost string
}

var strategies = []strategy{
	{store.WeeklyReconciliation, "Removed pages are found once a week, by a full listing."},
	{store.EverySync, "Removed pages are found with every sync. Each sync lists the whole space."},
	{store.OnDemand, "Removed pages are found only by a full sync that somebody asks for."},
}

func (c *Console) settings(r *request) (answer, error) {
	head, err := c.sourceHead(r, "settings")
	if err != nil {
		return answer{}, err
	}
	return show("settings", "Settings of "+head.DisplayName, settingsOf(head))
}

func settingsOf(head sourceHead) settingsData {
	d := settingsData{Head: head, Strategies: strategies, Access: shownPermissions{control.PermissionsOf(head.Source)}}
	for _, choice := range whoReads {
		if slices.Contains(d.Access.Choices, choice.Name) {
			d.Readers = append(d.Readers, choice)
		}
	}
	return d
}

// token reads an API token from a form. It returns nil if the form has none.
func token(r *request) (*credential.GivenToken, error) {
	text := r.PostForm.Get("token")
	if text == "" {
		return nil, nil
	}
	t, err := credential.ParseToken(text)
	if errors.Is(err, credential.ErrNotAToken) || errors.Is(err, secret.ErrRedacted) {
		return nil, errors.Join(&problemError{Problem{http.StatusUnprocessableEntity, "invalid", "The token " + err.Error() + "."}}, err)
	}
	if err != nil {
		return nil, err
	}
	scoped := r.PostForm.Get("scoped") != ""
	given := &credential.GivenToken{Token: t, Email: strings.TrimSpace(r.PostForm.Get("email")), Scoped: &scoped}
	if day := r.PostForm.Get("expires"); day != "" {
		if given.Expires, err = credential.ParseExpiry(day, time.Now()); err != nil {
			return nil, errors.Join(&problemError{Problem{http.StatusUnprocessableEntity, "invalid", "The day on which the token expires " + err.Error() + "."}}, err)
		}
	}
	return given, nil
}

// tags reads a comma-separated list; it is empty, not nil, for an empty field.
func tags(text string) []string {
	list := []string{}
	for t := range strings.SplitSeq(text, ",") {
		if t = strings.TrimSpace(t); t != "" {
			list = append(list, t)
		}
	}
	return list
}

func (c *Console) change(r *request) (answer, error) {
	src, err := c.Control.Source(r.Context(), r.viewer, r.PathValue("source_id"))
	if err != nil {
		return answer{}, err
	}
	given, err := token(r)
	if err != nil {
		return answer{}, err
	}
	change := control.SourceChange{Token: given, SourceChange: store.SourceChange{
		DisplayName: strings.TrimSpace(r.PostForm.Get("display_name")), DeletionStrategy: store.DeletionStrategy(r.PostForm.Get("deletion_strategy")),
		Tags: tags(r.PostForm.Get("tags")),
	}}
	// The choice is sent although it is the same: what an earlier change could not finish is finished by saving again. Who
	// leaves a source open that was chosen to be open need not mean it once more.
	change.Permissions = store.Permissions(r.PostForm.Get("permissions"))
	change.OpenMeant = r.PostForm.Get("permissions_confirmed") != "" || src.Chosen && src.Permissions == store.OpenToAll
	if posts := r.PostForm.Get("blog_posts") != ""; posts != src.BlogPosts { // the same setting again would ask for a full run
		change.BlogPosts = &posts
	}
	if which := store.Comments(r.PostForm.Get("comments")); which != src.Comments {
		change.Comments = which
	}
	if which := store.Attachments(r.PostForm.Get("attachments")); which != src.Attachments {
		change.Attachments = which
	}
	if _, err := c.Control.ChangeSource(r.Context(), r.viewer, src.ID, change); err != nil {
		return answer{}, err
	}
	return goTo("/sources/" + src.ID)
}

// remove deletes a source, if the form names it.
func (c *Console) remove(r *request) (answer, error) {
	id := r.PathValue("source_id")
	if r.PostForm.Get("confirm") != id {
		return answer{}, &problemError{Problem{http.StatusUnprocessableEntity, "invalid", "Nothing was deleted: to delete the source, type its id, " + id + "."}}
	}
	if err := c.Control.RemoveSource(r.Context(), r.viewer, id); err != nil {
		return answer{}, err
	}
	return goTo("")
}
