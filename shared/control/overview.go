package control

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/shared/credential"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/vault"
	"github.com/sluicehq/sluice/shared/store/vectors"
	"github.com/sluicehq/sluice/shared/viewer"
)

// Overview is how all sources stand, and what waits for a person.
type Overview struct {
	Sources []Standing
	Held    []store.Run // runs whose removals wait for a decision, of all sources
	Recent  []store.Run // the newest runs of all sources
	// Expiring are the tokens that have expired or soon do, for who sees every source and oversees them.
	Expiring []credential.Expiry
	// Meaning reports whether chunks are given vectors, so that Standing.Vectors means something.
	Meaning bool
}

// Standing is how one source stands.
type Standing struct {
	store.Source
	Fresh   store.Freshness
	Vectors vectors.Count // of the searched space
	// TokenEnds is when the token that the source is read with stops working; zero if that is unknown, and for those who do
	// not see every source and oversee them.
	TokenEnds time.Time
}

// Position is that of the source.
func (s Standing) Position() store.Position { return s.Source.Position() }

// Overview returns a part of the sources, ordered by id, with the newest runs, at most recent of them.
func (c *Control) Overview(ctx context.Context, v viewer.Viewer, p store.Part, recent int) (Overview, error) {
	var o Overview
	var sources []store.Source
	var fresh []store.Freshness
	var counted map[string]vectors.Count
	var tokens []vault.Secret
	oversees := v.SeesAll() && v.Oversees()
	err := c.Reader.Together(ctx, v, func(ctx context.Context) (err error) {
		sources, err = c.Reader.Sources(ctx, v, p)
		return err
	}, func(ctx context.Context) (err error) {
		fresh, err = c.Reader.Freshness(ctx, v)
		return err
	}, func(ctx context.Context) (err error) {
		counted, err = c.vectorsBySource(ctx, v)
		return err
	}, func(ctx context.Context) (err error) {
		o.Held, err = c.Reader.HeldRuns(ctx, v, "")
		return err
	}, func(ctx context.Context) (err error) {
		o.Recent, err = c.Reader.Runs(ctx, v, "", store.First(recent))
		return err
	}, func(ctx context.Context) (err error) {
		if oversees {
			tokens, err = c.Servers.Store.Vault().Secrets(ctx)
		}
		return err
	})
	if err != nil {
		return o, err
	}
	of := make(map[string]store.Freshness, len(fresh))
	for _, f := range fresh {
		of[f.SourceID] = f
	}
	o.Meaning = counted != nil
	o.Sources = make([]Standing, len(sources))
	for i, s := range sources {
		o.Sources[i] = Standing{Source: s, Fresh: of[s.ID], Vectors: counted[s.ID]}
		if oversees && s.System == store.Confluence {
			o.Sources[i].TokenEnds = c.Servers.Site.Ends(s.ID, s.BaseURL, tokens)
		}
	}
	if oversees {
		o.Expiring = c.Servers.Site.Expiring(tokens, time.Now())
	}
	return o, nil
}

// vectorsBySource counts the chunks with a vector in the searched space, or returns nil if there is none.
func (c *Control) vectorsBySource(ctx context.Context, v viewer.Viewer) (map[string]vectors.Count, error) {
	list, err := c.Vectors.Spaces(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range list {
		if s.State == vectors.Active {
			return c.Vectors.Ledger(ctx, v, s)
		}
	}
	return nil, nil
}
