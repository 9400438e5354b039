package peers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sluicehq/sluice/lab/bench/figure"
	"github.com/sluicehq/sluice/lab/bench/versus"
	"github.com/sluicehq/sluice/lab/storebench"
	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/services/sluice/local"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/localpg"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/vectors"
	"github.com/sluicehq/sluice/shared/viewer"
)

// base is a way to have a space in Postgres, found by words and by meaning.
type base struct {
	peer
	rows string // SQL: for each chunk its page, its text, and whether it has a vector
}

var bases = []base{
	{
		peer: peer{name: "Sluice", settings: "its defaults, `EMBEDDINGS_BATCH=128`, `EMBEDDINGS_PARALLEL=4`, `EMBEDDINGS_MAX_TOKENS=8192`; the second time `--mode incremental`, its default"},
		rows: `SELECT c.metadata->>'confluence_page_id', c.content, EXISTS (
			SELECT FROM confluence_chunk_texts t JOIN confluence_texts x USING (space_id, key) WHERE t.chunk_id = c.id AND x.state = 'embedded') FROM archon_crawled_pages c`,
	},
	{
		peer: peer{
			name: "LangChain", of: "langchain-postgres", file: "langchain.txt", driver: "langchain_base.py",
			settings: "ConfluenceLoader as in the other comparison, with `space_key`; `RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200)`; `OpenAIEmbeddings(chunk_size=128, check_embedding_ctx_length=False)`; " +
				"`PGVectorStore` with a `tsvector` column, then a GIN and an HNSW index; `index()` with `cleanup=\"full\"`, `batch_size=1000`, and `SQLRecordManager` in the same database",
		},
		rows: `SELECT langchain_metadata->>'id', content, embedding IS NOT NULL FROM pages`,
	},
	{
		peer: peer{
			name: "LlamaIndex", of: "llama-index-vector-stores-postgres", file: "llamaindex.txt", driver: "llamaindex_base.py",
			settings: "ConfluenceReader as in the other comparison, with `space_key`; `SentenceSplitter()`; `OpenAILikeEmbedding(embed_batch_size=128, num_workers=4)`; " +
				"`PGVectorStore(hybrid_search=True, text_search_config=\"english\", hnsw_kwargs=…)`; `IngestionPipeline` with `UPSERTS_AND_DELETE`, `SimpleDocumentStore`, and `arun()`",
		},
		rows: `SELECT metadata_->>'page_id', text, embedding IS NOT NULL FROM data_pages`,
	},
}

// pass is one of the two syncs of a base.
type pass struct {
	versus.Run
	asked asked
	rows  storebench.Contents // afterwards
}

// filled is a base with its syncs, by round: of an empty base, and after the edits.
type filled struct {
	base
	first, again []pass
}

// mostEdits is the number of pages in which a word changes.
const mostEdits = 40

// editor changes one word in the first sentence of some pages, again and again.
type editor struct {
	site  standIn
	pages []pageTruth
	times int
}

// word is what an edit puts in.
func (e *editor) word(time int) string { return fmt.Sprintf("wording%dth", time) }

func (e *editor) edit(ctx context.Context) error {
	e.times++
	for _, p := range e.pages {
		body := strings.Replace(p.Body, "This is generated", "This is "+e.word(e.times)+" generated", 1)
		if body == p.Body {
			return fmt.Errorf("edit page %s: its first sentence is another one", p.ID)
		}
		if err := e.site.Ask(ctx, http.MethodPost, "/_sandbox/pages/"+p.ID+"/edit", map[string]string{"body": body}, nil); err != nil {
			return err
		}
	}
	return nil
}

// editable are some of the pages, spread over all.
func editable(pages []pageTruth) []pageTruth {
	var some []pageTruth
	for i := range mostEdits {
		at := i * len(pages) / mostEdits
		if len(some) == 0 || some[len(some)-1].ID != pages[at].ID {
			some = append(some, pages[at])
		}
	}
	return some
}

// CompareBases has each base filled, and brought into step after edits, and writes the report to out.
func CompareBases(ctx context.Context, o Options, pages int, out io.Writer) error {
	b := &bench{Options: o}
	var err error
	if b.kitchen, err = setUp(o.Dir, b.note); err != nil {
		return err
	}
	r := baseReport{machine: thisMachine(ctx), pages: pages, rounds: o.Rounds}
	if err := b.fillAll(ctx, &r); err != nil {
		return err
	}
	return r.write(out)
}

func (b *bench) fillAll(ctx context.Context, r *baseReport) error {
	s, end, err := b.stand(ctx, r.pages)
	if err != nil {
		return err
	}
	defer end()
	c, err := begin(ctx, os.Environ(), b.Self, "embed")
	if err != nil {
		return err
	}
	defer c.end()
	url, err := c.hear("http://")
	if err != nil {
		return fmt.Errorf("serve vectors: %w", err)
	}
	var e embeddings
	e.URL = "http://" + url
	all, err := s.pages(ctx, sandbox.GeneratedSpace)
	if err != nil {
		return err
	}
	ed := &editor{site: s, pages: editable(all)}
	if err := ed.edit(ctx); err != nil {
		return err
	}
	r.edits = len(ed.pages)
	for _, of := range bases {
		r.bases = append(r.bases, filled{base: of})
	}
	b.note("=== %s pages, found by words and by meaning", figure.Thousands(float64(r.pages)))
	for round := range b.Rounds {
		for i := range r.bases {
			b.note("round %d of %d: %s", round+1, b.Rounds, r.bases[i].name)
			first, again, err := b.fill(ctx, s, e, ed, r.bases[i].base)
			if err != nil {
				return err
			}
			b.note("  %s, %d chunks, %d texts embedded", told(first.Run), first.rows.Chunks, first.asked.Texts)
			b.note("  again: %s, %d texts embedded, %d chunks left over", told(again.Run), again.asked.Texts, again.rows.Stale)
			r.bases[i].first, r.bases[i].again = append(r.bases[i].first, first), append(r.bases[i].again, again)
		}
	}
	return nil
}

// kept is a base that stands.
type kept struct {
	sync func(ctx context.Context, first bool) (versus.Run, error)
	url  string // of its database
	stop func()
}

// fill has a base filled and, after edits, brought into step. A failure of its own stays in the report.
func (b *bench) fill(ctx context.Context, s standIn, e embeddings, ed *editor, of base) (first, again pass, err error) {
	k, err := b.stood(ctx, s, e, of)
	if err != nil {
		if ctx.Err() == nil {
			err, first.Err, again.Err = nil, err.Error(), err.Error()
		}
		return first, again, err
	}
	defer k.stop()
	if first, err = k.pass(ctx, true, e, ed, of.rows); err != nil || first.Err != "" {
		again.Err = first.Err
		return first, again, err
	}
	if err := ed.edit(ctx); err != nil {
		return first, again, err
	}
	again, err = k.pass(ctx, false, e, ed, of.rows)
	return first, again, err
}

// pass syncs a base, and counts.
func (k kept) pass(ctx context.Context, first bool, e embeddings, ed *editor, rows string) (one pass, err error) {
	if err := e.forget(ctx); err != nil {
		return one, err
	}
	if one.Run, err = k.sync(ctx, first); err != nil || one.Err != "" {
		return one, err
	}
	if one.asked, err = e.asked(ctx); err != nil {
		return one, err
	}
	one.rows, err = storebench.CountContents(ctx, k.url, rows, ed.word(ed.times-1), ed.word(ed.times))
	one.Pages = one.rows.Pages
	return one, err
}

// stood starts the servers of a base, empty.
func (b *bench) stood(ctx context.Context, s standIn, e embeddings, of base) (kept, error) {
	if of.isOurs() {
		return b.sluiceBase(ctx, s, e)
	}
	dir, err := dataFolder()
	if err != nil {
		return kept{}, err
	}
	state, err := os.MkdirTemp("", "peers-base-")
	if err != nil {
		return kept{}, errors.Join(fmt.Errorf("make a folder: %w", err), os.RemoveAll(dir))
	}
	pg, err := localpg.Start(ctx, localpg.Options{DataDir: filepath.Join(dir, "postgres"), Vector: true, Notice: func(text string) { b.note("  %s", text) }})
	if err == nil && pg.NoVector() != nil {
		err = errors.Join(pg.NoVector(), pg.Stop(ctx))
	}
	if err != nil {
		return kept{}, errors.Join(err, os.RemoveAll(dir), os.RemoveAll(state))
	}
	if err := storebench.AddVector(ctx, pg.URL()); err != nil {
		return kept{}, errors.Join(err, pg.Stop(ctx), os.RemoveAll(dir), os.RemoveAll(state))
	}
	env := []string{
		"SPACE=" + sandbox.GeneratedSpace, "OUT=" + state, "DATABASE=" + pg.URL(), "EMBEDDINGS=" + e.api(),
		fmt.Sprint("DIMENSIONS=", dimensions), fmt.Sprint("BATCH=", modelBatch), fmt.Sprint("PARALLEL=", modelParallel),
	}
	return kept{
		url: pg.URL(),
		sync: func(ctx context.Context, first bool) (versus.Run, error) {
			p := of.peer
			if p.mode = "again"; first {
				p.mode = "first"
			}
			return b.foreign(ctx, s, atOnce.patience, p, env, pg.PID())
		},
		stop: func() { _ = errors.Join(pg.Stop(context.WithoutCancel(ctx)), os.RemoveAll(dir), os.RemoveAll(state)) },
	}, nil
}

func (b *bench) sluiceBase(ctx context.Context, s standIn, e embeddings) (kept, error) {
	p, err := startSluice(ctx, b.Program, s, sandbox.GeneratedSpace, atOnce.perSecond, "EMBEDDINGS_URL="+e.api(), "EMBEDDINGS_MODEL=bench",
		fmt.Sprint("EMBEDDINGS_BATCH=", modelBatch), fmt.Sprint("EMBEDDINGS_PARALLEL=", modelParallel), "EMBEDDINGS_MAX_TOKENS=8192")
	if err != nil {
		return kept{}, err
	}
	servers, err := local.Running(p.dir)
	if err != nil {
		p.stop()
		return kept{}, err
	}
	db, err := store.Open(ctx, servers.DatabaseURL)
	if err != nil {
		p.stop()
		return kept{}, err
	}
	return kept{
		url: servers.DatabaseURL,
		sync: func(ctx context.Context, first bool) (versus.Run, error) {
			mode := event.Incremental
			if first {
				mode = event.Full
			}
			return s.watched(ctx, atOnce.patience, func(ctx context.Context) (time.Duration, error) {
				took, err := p.sync(ctx, mode)
				if err != nil {
					return took, err
				}
				began := time.Now()
				err = embedded(ctx, db)
				return took + time.Since(began), err
			}, p.up.cmd.Process.Pid)
		},
		stop: func() { db.Close(); p.stop() },
	}, nil
}

// embedded waits until each of Sluice's chunks has its vector.
func embedded(ctx context.Context, db *store.Store) error {
	for {
		space, there, err := db.Vectors().Active(ctx)
		if err != nil {
			return err
		}
		if there {
			ledger, err := db.Vectors().Ledger(ctx, viewer.All(), space)
			if err != nil {
				return err
			}
			switch all := vectors.Total(ledger); {
			case all.AllFailed() > 0:
				return fmt.Errorf("%d chunks failed to be embedded", all.AllFailed())
			case all.Chunks > 0 && all.Pending == 0:
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for vectors: %w", context.Cause(ctx))
		case <-time.After(20 * time.Millisecond):
		}
	}
}
