package console

import (
	"context"
	"net/url"
	"strings"

	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
)

// A source is added in three steps, each with an address of its own that holds no secret: the site and its token; the
// space, from the list that the site gives; the settings. A token is stored, encrypted, before the second step.

type addSiteData struct {
	Form       form
	Known      []string // addresses of sites that have a source
	Everything bool     // the caller may use the tokens of sites
}

// addSite asks for the site.
func (c *Console) addSite(r *request) (answer, error) {
	return c.showAddSite(r, filled("base_url", r.URL.Query().Get("site"), "credential", "stored"))
}

func (c *Console) showAddSite(r *request, f form) (answer, error) {
	sources, err := c.Control.Sources(r.Context(), r.viewer, store.Whole())
	if err != nil {
		return answer{}, err
	}
	d := addSiteData{Form: f, Everything: r.viewer.SeesAll()}
	seen := map[string]bool{}
	for _, s := range sources {
		if s.SpaceKey != "" && !seen[s.BaseURL] {
			seen[s.BaseURL] = true
			d.Known = append(d.Known, s.BaseURL)
		}
	}
	if f.Bad() {
		return again("addsite", "Add a source", d)
	}
	if f.Value("base_url") == "" && len(d.Known) > 0 {
		d.Form.values.Set("base_url", d.Known[0])
	}
	return show("addsite", "Add a source", d)
}

// chooseSite tests what the credential may read at the site, and stores it if it is a new one.
func (c *Console) chooseSite(r *request) (answer, error) {
	f := formOf(r)
	address, err := c.siteWith(r.Context(), r, f)
	if err != nil {
		if !c.blame(r.Context(), &f, err) {
			return answer{}, err
		}
		return c.showAddSite(r, f)
	}
	return goTo("/add/space?" + url.Values{"site": {address}}.Encode())
}

func (c *Console) siteWith(ctx context.Context, r *request, f form) (string, error) {
	address := f.Value("base_url")
	if address == "" {
		return "", &control.InvalidError{Field: "base_url", Reason: "is missing"}
	}
	if !strings.Contains(address, "://") {
		address = "https://" + address
	}
	given, err := token(r)
	switch {
	case err != nil:
		return "", err
	case f.Value("credential") == "stored" && given != nil:
		return "", &control.InvalidError{Field: "token", Reason: "was given, but the one that there is was chosen: choose a new one, or leave the token empty"}
	case f.Value("credential") != "stored" && given == nil:
		return "", &control.InvalidError{Field: "token", Reason: "is missing"}
	}
	found, err := c.Control.Spaces(ctx, r.viewer, address, given)
	if err == nil && given != nil {
		_, err = c.Control.SetSecret(ctx, r.viewer, found.Address, *given, true)
	}
	return found.Address, err
}

type addSpaceData struct {
	Site   string
	Form   form
	Spaces []spaceRow
	All    int // spaces that the credential may read
	Found  int // of them that the search finds
	More   bool
	Next   string
}

// spaceRow is a space that may become a source.
type spaceRow struct {
	confluence.Space
	Source string // that it is already; "" for none
	To     string // where its settings are chosen
}

// spacesShown is the number of spaces on a page.
const spacesShown = 50

// addSpace lists the spaces of a site.
func (c *Console) addSpace(r *request) (answer, error) {
	q := r.URL.Query()
	d := addSpaceData{Site: q.Get("site"), Form: filled("q", q.Get("q"), "site", q.Get("site"))}
	found, err := c.Control.Spaces(r.Context(), r.viewer, d.Site, nil)
	if err != nil {
		f := filled("base_url", d.Site, "credential", "stored")
		if !c.blame(r.Context(), &f, err) {
			return answer{}, err
		}
		return c.showAddSite(r, f)
	}
	sources, err := c.Control.Sources(r.Context(), r.viewer, store.Whole())
	if err != nil {
		return answer{}, err
	}
	of := map[string]string{}
	for _, s := range sources {
		if strings.EqualFold(s.BaseURL, found.Address) {
			of[strings.ToLower(s.SpaceKey)] = s.ID
		}
	}
	d.Site, d.All, d.More = found.Address, len(found.Spaces), found.More
	words := strings.Fields(strings.ToLower(q.Get("q")))
	after := q.Get("after")
	for _, space := range found.Spaces {
		if !hasAll(strings.ToLower(space.Name+" "+space.Key), words) {
			continue
		}
		d.Found++
		switch {
		case after != "":
			if space.Key == after {
				after = ""
			}
		case len(d.Spaces) == spacesShown:
			if d.Next == "" {
				next := url.Values{"site": {d.Site}, "q": {q.Get("q")}, "after": {d.Spaces[spacesShown-1].Key}}
				d.Next = Root + "/add/space?" + next.Encode()
			}
		default:
			to := url.Values{"site": {d.Site}, "space": {space.Key}, "name": {space.Name}}
			d.Spaces = append(d.Spaces, spaceRow{space, of[strings.ToLower(space.Key)], Root + "/add/settings?" + to.Encode()})
		}
	}
	return show("addspace", "Choose a space", d)
}

func hasAll(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

type addSettingsData struct {
	Form       form
	Strategies []strategy
	Readers    []readers
	Everything bool
	Tried      string   // the space that the credential may read, "" if that was not tried or failed
	Hidden     []string // what the credential may not read of the space's permissions, and what that hides
}

// readers is a choice of who sees the pages of a source.
type readers struct {
	Name store.Permissions
	Cost string
}

var whoReads = []readers{
	{store.Enforce, "A reader sees what Confluence shows them. Pages are hidden until the permissions have been read. Reading them takes about as long as a listing, and is repeated every hour."},
	{store.UnrestrictedOnly, "The same, and nobody sees pages with a view restriction of their own or above them."},
	{store.OpenToAll, "Every key of the source sees every page, whatever Confluence restricts. Costs no calls."},
}

// addSettings tests what the credential may read of the space, and asks for the settings.
func (c *Console) addSettings(r *request) (answer, error) {
	q := r.URL.Query()
	key := q.Get("space")
	f := filled("base_url", q.Get("site"), "space_key", key, "source_id", idOf(key), "display_name", q.Get("name"),
		"deletion_strategy", string(store.WeeklyReconciliation), "permissions", string(store.Enforce), "comments", string(store.AllComments), "attachments", string(store.AttachmentsOff))
	d := addSettingsData{Form: f}
	if key != "" && r.viewer.SeesAll() {
		tried, err := c.Control.TrySpace(r.Context(), r.viewer, store.Source{BaseURL: q.Get("site"), SpaceKey: key}, nil)
		if err != nil && !c.blame(r.Context(), &d.Form, err) {
			return answer{}, err
		}
		if err == nil {
			d.Tried, d.Hidden = tried.Space.Name, tried.Hidden
			if f.Value("display_name") == "" {
				f.values.Set("display_name", tried.Space.Name)
			}
		}
	}
	return c.showAddSettings(r, d)
}

// idOf proposes the id of a source for a space's key.
func idOf(key string) string {
	id := strings.Trim(strings.Map(func(c rune) rune {
		if c == '-' || c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' {
			return c
		}
		return '-'
	}, strings.ToLower(key)), "-_")
	return id[:min(len(id), 64)]
}

func (c *Console) showAddSettings(r *request, d addSettingsData) (answer, error) {
	d.Strategies, d.Readers, d.Everything = strategies, whoReads, r.viewer.SeesAll()
	if d.Form.Bad() {
		return again("addsettings", "Settings of a new source", d)
	}
	return show("addsettings", "Settings of a new source", d)
}

// add adds the source, requests its first sync, and goes to the run.
func (c *Console) add(r *request) (answer, error) {
	f := formOf(r)
	src, err := c.addSource(r.Context(), r, f)
	if err != nil {
		if !c.blame(r.Context(), &f, err) {
			return answer{}, err
		}
		return c.showAddSettings(r, addSettingsData{Form: f})
	}
	asked, err := c.Control.Sync(r.Context(), r.viewer, control.SyncRequest{SourceID: src.ID, Mode: event.Full})
	if err != nil {
		return answer{}, err
	}
	return goTo("/runs/" + asked.Run.ID)
}

func (c *Console) addSource(ctx context.Context, r *request, f form) (store.Source, error) {
	given, err := token(r)
	if err != nil {
		return store.Source{}, err
	}
	n := control.NewSource{Token: given, OpenMeant: f.Value("permissions_confirmed") != "", Insist: []string{"deletion_strategy", "blog_posts", "permissions"}, Source: store.Source{
		ID: f.Value("source_id"), BaseURL: f.Value("base_url"), SpaceKey: f.Value("space_key"), DisplayName: f.Value("display_name"),
		DeletionStrategy: store.DeletionStrategy(f.Value("deletion_strategy")), Permissions: store.Permissions(f.Value("permissions")),
		Tags: tags(f.Value("tags")), BlogPosts: f.Value("blog_posts") != "", Comments: store.Comments(f.Value("comments")), Attachments: store.Attachments(f.Value("attachments")),
	}}
	added, err := c.Control.AddSource(ctx, r.viewer, n)
	return added.Source, err
}
