package retrieval

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sluicehq/sluice/shared/embedding"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/vectors"
)

// claimed is how many texts are embedded between two lines of progress.
const claimed = 256

// embed gives every chunk its vector, in the space and by the ledger that the embedder uses; if bare, that of its text
// alone.
func embed(ctx context.Context, s *store.Store, m embedding.Model, bare bool, notice func(string)) error {
	if err := m.Prepare(ctx); err != nil {
		return err
	}
	v := s.Vectors()
	space, err := v.Open(ctx, vectors.IdentityOf(m.Name(), m.Dimensions(), m.PrefixVersion()))
	if err != nil {
		return err
	}
	for after := int64(0); ; {
		if after, err = v.NoteNext(ctx, space, after); err != nil {
			return err
		}
		if after == 0 {
			break
		}
	}
	size, err := v.Size(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	for done := 0; ; {
		list, err := v.Claim(ctx, space, claimed, time.Hour)
		if err != nil || len(list) == 0 {
			return err
		}
		if err := embedSome(ctx, v, space, m, list, bare); err != nil {
			return err
		}
		done += len(list)
		notice(fmt.Sprintf("%d of %d texts have a vector, after %s", done, size.Texts, time.Since(began).Round(time.Second)))
	}
}

func embedSome(ctx context.Context, v *vectors.Vectors, space vectors.Space, m embedding.Model, list []vectors.Pending, bare bool) error {
	texts := make([]string, len(list))
	for i, p := range list {
		texts[i] = p.Text
		if bare {
			texts[i] = withoutTitles(p.Text)
		}
	}
	results, err := m.Embed(ctx, embedding.Passage, texts)
	if err != nil {
		return err
	}
	made := make([]vectors.Vector, len(list))
	for i, r := range results {
		if r.Err != nil {
			return fmt.Errorf("embed %.60q: %w", texts[i], r.Err)
		}
		made[i] = vectors.Vector{Key: list[i].Key, Vector: r.Vector, Tokens: r.Tokens}
	}
	return v.Put(ctx, space, made)
}

// withoutTitles is a text without the first paragraph, into which vectors.Text puts the titles.
func withoutTitles(text string) string {
	if _, content, found := strings.Cut(text, "\n\n"); found {
		return content
	}
	return text
}
