package control

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/budget"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/viewer"
)

// lookWithin limits how long the system's state waits for the broker: a person waits.
const lookWithin = 3 * time.Second

// System is the state of what Sluice runs on.
type System struct {
	Database store.Health `json:"database"`
	Broker   Broker       `json:"broker"`
	Sites    []SiteUse    `json:"sites"` // of the sources, by address
}

// Broker is the state of the broker.
type Broker struct {
	Version string     `json:"version"`
	Parts   []bus.Part `json:"parts"`
	Problem string     `json:"problem,omitempty"` // why it is not known; "" if it is
}

// SiteUse is how a site's request budget is used.
type SiteUse struct {
	Address string       `json:"address"`
	Sources int          `json:"sources"`
	Use     budget.Use   `json:"use"`
	Known   bool         `json:"known"`           // the broker has told the use
	Pause   *store.Pause `json:"pause,omitempty"` // the last long pause that the site asked for, while it lasts; nil for none
}

// System returns the state of the broker, of the request budgets and of the database. A broker that does not answer is
// no error. Sizes and queues depend on pages that a reader may not see, so only who sees every source and oversees them
// may; the error is ErrNotOperator or ErrNotOverseer.
func (c *Control) System(ctx context.Context, v viewer.Viewer) (System, error) {
	var s System
	if !v.SeesAll() {
		return s, ErrNotOperator
	}
	if !v.Oversees() {
		return s, ErrNotOverseer
	}
	var sources []store.Source
	err := c.Reader.Together(ctx, v, func(ctx context.Context) (err error) {
		sources, err = c.Reader.Sources(ctx, v, store.Whole())
		return err
	}, func(ctx context.Context) (err error) {
		s.Database, err = c.Servers.Store.Health(ctx)
		return err
	})
	if err != nil {
		return s, err
	}
	s.Sites, s.Broker.Parts = orEmpty(sitesOf(sources)), []bus.Part{}
	if c.Servers.Bus == nil {
		return s, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	s.Broker.Version, s.Broker.Parts, err = c.Servers.Bus.Inspect(ctx)
	s.Broker.Parts = orEmpty(s.Broker.Parts)
	if err != nil {
		s.Broker.Problem = err.Error()
	}
	for i := range s.Sites {
		use, err := budget.Look(ctx, c.Servers.Bus, s.Sites[i].Address)
		s.Sites[i].Use, s.Sites[i].Known = use, err == nil
	}
	return s, nil
}

// SiteOf returns how the request budget of a source's site is used, or nil if it has none or the viewer may not know, as
// only who sees every source may.
func (c *Control) SiteOf(ctx context.Context, v viewer.Viewer, sourceID string) *SiteUse {
	if !v.SeesAll() || c.Servers.Bus == nil {
		return nil
	}
	src, err := c.Ledger.Source(ctx, sourceID)
	if err != nil || src.System != store.Confluence {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	site := SiteUse{Address: src.BaseURL, Pause: src.Pause}
	use, err := budget.Look(ctx, c.Servers.Bus, src.BaseURL)
	site.Use, site.Known = use, err == nil
	return &site
}

// sitesOf returns the sites of the sources, by address.
func sitesOf(sources []store.Source) []SiteUse {
	var sites []SiteUse
	for _, src := range sources {
		if src.System != store.Confluence {
			continue
		}
		i := slices.IndexFunc(sites, func(s SiteUse) bool { return strings.EqualFold(s.Address, src.BaseURL) })
		if i < 0 {
			i = len(sites)
			sites = append(sites, SiteUse{Address: src.BaseURL})
		}
		sites[i].Sources++
		if src.Pause != nil {
			sites[i].Pause = src.Pause
		}
	}
	slices.SortFunc(sites, func(a, b SiteUse) int { return strings.Compare(a.Address, b.Address) })
	return sites
}
