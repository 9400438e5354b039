package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/shared/embedding"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/store/vectors"
	"github.com/sluicehq/sluice/shared/viewer"
)

// Vectors stores the vectors of the chunks.
type Vectors interface {
	Support(ctx context.Context) (vectors.Support, error)
	Spaces(ctx context.Context) ([]vectors.Space, error)
	Ledger(ctx context.Context, v viewer.Viewer, s vectors.Space) (map[string]vectors.Count, error)
	Trouble(ctx context.Context, s vectors.Space) (failure.Code, int, error)
	Size(ctx context.Context) (vectors.Size, error)
	Sample(ctx context.Context, most int) ([]string, error)
	Switch(ctx context.Context, i vectors.Identity) (vectors.Space, error)
	Drop(ctx context.Context, id int, active bool) error
	Retry(ctx context.Context, s vectors.Space) (int, error)
}

var _ Vectors = (*vectors.Vectors)(nil)

// Embeddings is what has a vector, and why the rest has none.
type Embeddings struct {
	Advice string      `json:"advice,omitempty"` // what the database needs to search by meaning; empty if nothing
	Spaces []SpaceInfo `json:"spaces"`
}

// SpaceInfo is a space of vectors and its ledger, of the sources that the viewer sees.
type SpaceInfo struct {
	vectors.Space
	Total   vectors.Count            `json:"total"`
	Sources map[string]vectors.Count `json:"sources"`
	// Waiting are pending texts whose last attempt failed, and Trouble the newest failure of these. They are
	// only known to those who oversee every source, or see every page of them.
	Waiting int          `json:"waiting,omitempty"`
	Trouble failure.Code `json:"trouble,omitempty"`
}

// Embeddings returns the spaces with their ledgers.
func (c *Control) Embeddings(ctx context.Context, v viewer.Viewer) (Embeddings, error) {
	e := Embeddings{Spaces: []SpaceInfo{}}
	support, err := c.Vectors.Support(ctx)
	if err != nil {
		return e, err
	}
	e.Advice = support.Advice
	list, err := c.Vectors.Spaces(ctx)
	if err != nil {
		return e, err
	}
	whole := v.SeesAll() && v.Oversees()
	if v.SeesAll() && !whole {
		if whole, err = c.Reader.SeesEveryPage(ctx, v, ""); err != nil {
			return e, err
		}
	}
	for _, s := range list {
		info := SpaceInfo{Space: s}
		if info.Sources, err = c.Vectors.Ledger(ctx, v, s); err != nil {
			return e, err
		}
		info.Total = vectors.Total(info.Sources)
		if whole {
			if info.Trouble, info.Waiting, err = c.Vectors.Trouble(ctx, s); err != nil {
				return e, err
			}
		}
		e.Spaces = append(e.Spaces, info)
	}
	return e, nil
}

// ErrNotOperator is returned for what only those may do who see everything.
var ErrNotOperator = errors.New("only somebody who sees every source may do that")

// ErrNotOverseer is returned for numbers that depend on pages which the viewer may not see.
var ErrNotOverseer = errors.New("only somebody who runs the sources may see that")

// EmbeddingPlan is an estimate for a model: what all chunks would cost.
type EmbeddingPlan struct {
	vectors.Identity
	State  vectors.State `json:"state,omitempty"` // of the model's space, if there is one
	Chunks int           `json:"chunks"`
	Texts  int           `json:"texts"`  // different ones
	Tokens int64         `json:"tokens"` // estimated from a sample
	Cost   float64       `json:"cost"`   // with the given price of a million tokens
	Took   float64       `json:"seconds"`
}

// sampled is the number of texts that a plan embeds to measure the model.
const sampled = 32

// PlanEmbeddings estimates what it takes to embed all chunks with a model. It embeds a few of them to find
// out.
func (c *Control) PlanEmbeddings(ctx context.Context, v viewer.Viewer, m embedding.Model, price float64) (EmbeddingPlan, error) {
	var p EmbeddingPlan
	if !v.SeesAll() {
		return p, ErrNotOperator
	}
	i, err := identity(ctx, m)
	if err != nil {
		return p, err
	}
	p.Identity = i
	list, err := c.Vectors.Spaces(ctx)
	if err != nil {
		return p, err
	}
	for _, s := range list {
		if s.Identity == i {
			p.State = s.State
		}
	}
	size, err := c.Vectors.Size(ctx)
	if err != nil {
		return p, err
	}
	p.Chunks, p.Texts = size.Chunks, size.Texts
	texts, err := c.Vectors.Sample(ctx, sampled)
	if err != nil || len(texts) == 0 {
		return p, err
	}
	began := time.Now()
	results, err := m.Embed(ctx, embedding.Passage, texts)
	if err != nil {
		return p, fmt.Errorf("embed a sample: %w", err)
	}
	took := time.Since(began).Seconds()
	tokens := 0
	for _, r := range results {
		tokens += r.Tokens
	}
	per := float64(size.Texts) / float64(len(texts))
	p.Tokens = int64(float64(tokens) * per)
	p.Cost = float64(p.Tokens) / 1e6 * price
	p.Took = took * per / float64(max(m.Limits().Parallel, 1))
	return p, nil
}

func identity(ctx context.Context, m embedding.Model) (vectors.Identity, error) {
	if err := m.Prepare(ctx); err != nil {
		return vectors.Identity{}, err
	}
	return vectors.IdentityOf(m.Name(), m.Dimensions(), m.PrefixVersion()), nil
}

// SwitchEmbeddings has the space of another model filled, which replaces the searched one when it is
// complete.
func (c *Control) SwitchEmbeddings(ctx context.Context, v viewer.Viewer, m embedding.Model) (vectors.Space, error) {
	if !v.SeesAll() {
		return vectors.Space{}, ErrNotOperator
	}
	i, err := identity(ctx, m)
	if err != nil {
		return vectors.Space{}, err
	}
	return c.Vectors.Switch(ctx, i)
}

// DropEmbeddings deletes a space. The searched one is refused with vectors.ErrActive unless active is set.
// If there is no such space, the error is store.ErrNotFound.
func (c *Control) DropEmbeddings(ctx context.Context, v viewer.Viewer, id int, active bool) error {
	if !v.SeesAll() {
		return ErrNotOperator
	}
	return c.Vectors.Drop(ctx, id, active)
}

// RetryEmbeddings has failed texts of every space tried again, and returns their number.
func (c *Control) RetryEmbeddings(ctx context.Context, v viewer.Viewer) (int, error) {
	if !v.SeesAll() {
		return 0, ErrNotOperator
	}
	list, err := c.Vectors.Spaces(ctx)
	total := 0
	for _, s := range list {
		n, rerr := c.Vectors.Retry(ctx, s)
		total, err = total+n, errors.Join(err, rerr)
	}
	return total, err
}
