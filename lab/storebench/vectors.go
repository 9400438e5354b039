package storebench

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/shared/store/vectors"
)

// Meanings are random vectors that stand for the texts of chunks: in clusters, as those of texts are, around one
// centre for each topic.
type Meanings struct {
	Dimensions int
	centres    [][]float32
	axes       [][]float32
}

const (
	topics = 2000
	// Texts about one topic differ in far fewer ways than a vector has numbers.
	ways   = 48
	spread = 0.9 // of a topic, when its centre has the length 1
)

// NewMeanings returns the same vectors for the same seed.
func NewMeanings(dimensions int, seed uint64) *Meanings {
	m := &Meanings{Dimensions: dimensions}
	rng := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // the same for the same seed
	some := func(n int) (list [][]float32) {
		for range n {
			list = append(list, unit(random(rng, dimensions)))
		}
		return list
	}
	m.centres, m.axes = some(topics), some(ways)
	return m
}

func random(rng *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(rng.NormFloat64())
	}
	return v
}

func unit(v []float32) []float32 {
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	for i := range v {
		v[i] /= float32(math.Sqrt(sum))
	}
	return v
}

// Any returns a vector as chunks have them, of length 1.
func (m *Meanings) Any(rng *rand.Rand) []float32 {
	v := append([]float32(nil), m.centres[rng.IntN(topics)]...)
	for _, axis := range m.axes {
		by := float32(rng.NormFloat64() * spread / math.Sqrt(ways))
		for i := range v {
			v[i] += by * axis[i]
		}
	}
	return unit(v)
}

// FillVectors gives each chunk without a vector one of m's, over the given number of connections, and makes the index
// anew.
func FillVectors(ctx context.Context, databaseURL string, s vectors.Space, m *Meanings, connections int) error {
	table := vectors.Table(s.ID)
	var keys []string
	var definition string
	err := with(ctx, databaseURL, func(c *pgx.Conn) error {
		err := c.QueryRow(ctx, `SELECT pg_get_indexdef(('idx_' || $1)::regclass)`, table).Scan(&definition)
		if err != nil {
			return err
		}
		for _, sql := range []string{
			fmt.Sprintf(`INSERT INTO confluence_chunk_texts (chunk_id, space_id, key) SELECT id, %d, md5(id::text)::uuid FROM archon_crawled_pages ON CONFLICT DO NOTHING`, s.ID),
			fmt.Sprintf(`INSERT INTO confluence_texts (space_id, key, state) SELECT %[1]d, key, 'embedded' FROM confluence_chunk_texts WHERE space_id = %[1]d ON CONFLICT DO NOTHING`, s.ID),
			"DROP INDEX idx_" + table,
		} {
			if _, err := c.Exec(ctx, sql); err != nil {
				return err
			}
		}
		rows, err := c.Query(ctx, `SELECT key::text FROM confluence_texts t WHERE space_id = $1 AND NOT EXISTS (SELECT FROM `+table+` v WHERE v.key = t.key)`, s.ID)
		if err != nil {
			return err
		}
		keys, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil {
		return fmt.Errorf("note texts: %w", err)
	}
	group, copying := errgroup.WithContext(ctx)
	for n := range connections {
		group.Go(func() error {
			return with(copying, databaseURL, func(c *pgx.Conn) error {
				return copyVectors(copying, c, table, keys[n*len(keys)/connections:(n+1)*len(keys)/connections], m, uint64(n)) //nolint:gosec // small
			})
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("copy vectors: %w", err)
	}
	err = with(ctx, databaseURL, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, fmt.Sprintf("SET maintenance_work_mem = '2GB'; SET max_parallel_maintenance_workers = %d; %s", connections, definition))
		return err
	})
	if err != nil {
		return fmt.Errorf("index vectors: %w", err)
	}
	return Vacuum(ctx, databaseURL)
}

func copyVectors(ctx context.Context, c *pgx.Conn, table string, keys []string, m *Meanings, seed uint64) error {
	rng := rand.New(rand.NewPCG(seed, uint64(len(keys)))) //nolint:gosec // the same for the same seed
	const atOnce = 1000
	for len(keys) > 0 {
		some := keys[:min(atOnce, len(keys))]
		keys = keys[len(some):]
		list := make([]string, len(some))
		for i := range list {
			list[i] = vectors.Literal(m.Any(rng))
		}
		_, err := c.Exec(ctx, `INSERT INTO `+table+` SELECT * FROM unnest($1::uuid[], $2::halfvec[])`, some, list)
		if err != nil {
			return err
		}
	}
	return nil
}

// SinceFor returns the time since which the given share of a source's pages has changed.
func SinceFor(ctx context.Context, databaseURL, sourceID string, share float64) (since time.Time, err error) {
	err = with(ctx, databaseURL, func(c *pgx.Conn) error {
		return c.QueryRow(ctx, `SELECT percentile_disc(1 - $2::float8) WITHIN GROUP (ORDER BY last_modified) FROM confluence_pages WHERE source_id = $1`,
			sourceID, share).Scan(&since)
	})
	return since, err
}
