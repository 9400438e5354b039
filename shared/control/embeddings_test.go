package control_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/embedding"
	"github.com/sluicehq/sluice/shared/embedding/embeddingtest"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/storetest"
	"github.com/sluicehq/sluice/shared/store/vectors"
	"github.com/sluicehq/sluice/shared/viewer"
)

func TestTheModelIsPlannedSwitchedAndDropped(t *testing.T) {
	s, _ := storetest.OpenVectors(t)
	c := control.New(s, nil, nil)
	for _, source := range []string{"docs", "hr"} {
		storetest.AddSource(t, s, source)
		storetest.Write(t, s, storetest.Page(source, "", source+"1", 1, "Page", "one two three", "four five six"))
	}
	m, other := &embeddingtest.Model{}, &embeddingtest.Model{ModelName: "other", Dims: 16}
	p, err := c.PlanEmbeddings(t.Context(), everyone, m, 10)
	require.NoError(t, err)
	require.Equal(t, vectors.IdentityOf("words", 64, 0), p.Identity)
	require.Equal(t, []any{4, 2, int64(8), vectors.State("")}, []any{p.Chunks, p.Texts, p.Tokens, p.State}, "the same text is paid for once")
	require.InDelta(t, 8*10/1e6, p.Cost, 1e-9)

	first, err := c.SwitchEmbeddings(t.Context(), everyone, m)
	require.NoError(t, err)
	second, err := c.SwitchEmbeddings(t.Context(), everyone, other)
	require.NoError(t, err)
	require.Equal(t, []vectors.State{vectors.Active, vectors.Filling}, []vectors.State{first.State, second.State})
	_, err = s.Vectors().NoteNext(t.Context(), first, 0)
	require.NoError(t, err)
	list, err := s.Vectors().Claim(t.Context(), first, 2, time.Minute)
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.NoError(t, s.Vectors().Fail(t.Context(), first, []vectors.Failure{
		{Key: list[0].Key, Code: failure.EmbeddingRefused, Final: true}, {Key: list[1].Key, Code: failure.EmbeddingUnavailable, Outage: true},
	}))

	e, err := c.Embeddings(t.Context(), everyone)
	require.NoError(t, err)
	require.Len(t, e.Spaces, 2)
	require.Equal(t, vectors.Count{Chunks: 4, Pending: 2, Failed: map[failure.Code]int{failure.EmbeddingRefused: 2}}, e.Spaces[0].Total)
	require.Equal(t, []any{1, failure.EmbeddingUnavailable}, []any{e.Spaces[0].Waiting, e.Spaces[0].Trouble})
	e, err = c.Embeddings(t.Context(), viewer.OfSources("hr"))
	require.NoError(t, err)
	require.Equal(t, 2, e.Spaces[0].Total.Chunks)
	require.NotContains(t, e.Spaces[0].Sources, "docs")
	require.Zero(t, e.Spaces[0].Waiting)

	n, err := c.RetryEmbeddings(t.Context(), everyone)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.ErrorIs(t, c.DropEmbeddings(t.Context(), everyone, first.ID, false), vectors.ErrActive)
	require.NoError(t, c.DropEmbeddings(t.Context(), everyone, second.ID, false))
	require.ErrorIs(t, c.DropEmbeddings(t.Context(), everyone, second.ID, false), store.ErrNotFound)

	hr := viewer.OfSources("hr")
	for _, err := range []error{
		c.DropEmbeddings(t.Context(), hr, first.ID, true),
		errorOf(c.PlanEmbeddings(t.Context(), hr, embedding.Model(m), 0)),
		errorOf(c.SwitchEmbeddings(t.Context(), hr, m)),
		errorOf(c.RetryEmbeddings(t.Context(), hr)),
	} {
		require.ErrorIs(t, err, control.ErrNotOperator)
	}
}

func errorOf[T any](_ T, err error) error { return err }
