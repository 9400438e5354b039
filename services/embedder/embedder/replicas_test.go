package embedder_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/embedder/embedder"
	"github.com/sluicehq/sluice/shared/embedding/embeddingtest"
	"github.com/sluicehq/sluice/shared/store/vectors"
)

// Two replicas and one that is killed: every text is embedded, and none twice but those that were under
// way in the killed one.
func TestReplicasShareTheWork(t *testing.T) {
	w := newWorld(t)
	for p := range 10 {
		var texts []string
		for i := range 30 {
			texts = append(texts, fmt.Sprint("text ", i, " of ", p))
		}
		w.write(fmt.Sprint(p), 1, texts...)
	}
	// The first one dies in its second call: it gives nothing back.
	killed := make(chan struct{})
	dying := &embeddingtest.Model{}
	dying.Fail = func([]string) error {
		if dying.Calls() >= 2 {
			<-killed
		}
		return nil
	}
	ctx, kill := context.WithCancel(t.Context())
	dead := deaf{w.store.Vectors(), ctx}
	ended := make(chan error, 1)
	go func() { ended <- embedder.New(dead, dying, zerolog.Nop()).Run(ctx) }()
	w.until("it is in its calls", func() bool { return dying.Calls() >= 2 })
	kill()
	close(killed)
	require.NoError(t, <-ended)
	w.exec(`UPDATE confluence_texts SET due_at = now() WHERE state = 'pending'`) // its lease ends

	a, b := &embeddingtest.Model{}, &embeddingtest.Model{}
	w.runs(w.embedder(a))
	w.runs(w.embedder(b))
	w.embedded(300)
	seen := map[string]int{}
	for _, text := range append(a.Texts(), b.Texts()...) {
		seen[text]++
	}
	for text, n := range seen {
		require.Equal(t, 1, n, text)
	}
	require.LessOrEqual(t, len(seen), 300)
}

// deaf is a ledger that a killed process no longer writes to.
type deaf struct {
	*vectors.Vectors
	alive context.Context
}

func (d deaf) Extend(ctx context.Context, s vectors.Space, keys []string, lease time.Duration) error {
	if d.alive.Err() != nil {
		return nil //nolint:nilerr // what a killed process does not write is no error of anybody's
	}
	return d.Vectors.Extend(ctx, s, keys, lease)
}

func (d deaf) Put(ctx context.Context, s vectors.Space, list []vectors.Vector) error {
	if d.alive.Err() != nil {
		return nil //nolint:nilerr // as above
	}
	return d.Vectors.Put(ctx, s, list)
}

// belated is a ledger whose caller ends while it claims: the claim is committed all the same, as by a server that has the
// statement already.
type belated struct {
	*vectors.Vectors
	stop func()
}

func (b belated) Claim(ctx context.Context, s vectors.Space, most int, lease time.Duration) ([]vectors.Pending, error) {
	b.stop()
	list, err := b.Vectors.Claim(context.WithoutCancel(ctx), s, most, lease)
	return list, errors.Join(err, ctx.Err())
}

func TestAnEmbedderThatEndsHoldsNothing(t *testing.T) {
	w := newWorld(t)
	w.write("1", 1, "alpha", "beta")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	// It ends while it claims: others need not wait for the end of a lease.
	space, err := w.store.Vectors().Open(t.Context(), vectors.IdentityOf("words", 64, 0))
	require.NoError(t, err)
	require.NoError(t, w.store.Vectors().NotePage(t.Context(), space, "docs", "1"))
	require.NoError(t, embedder.New(belated{w.store.Vectors(), stop}, &embeddingtest.Model{}, zerolog.Nop()).Run(ctx))
	require.True(t, w.is(`count(*) = 2 AND bool_and(state = 'pending' AND due_at <= now()) FROM confluence_texts`))
	// It ends while the model works: the vectors that come are stored.
	ctx, stop = context.WithCancel(t.Context())
	defer stop()
	require.NoError(t, w.embedder(&embeddingtest.Model{Fail: func([]string) error { stop(); return nil }}).Run(ctx))
	require.Equal(t, 2, w.counts().Embedded)
}
