// Package embedding turns texts into vectors, by a server with OpenAI's API or by a small model in this
// process. It knows neither chunks nor Postgres.
package embedding

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/shared/config"
)

// Kind says what a text is for. Some models want another prefix before a question than before a passage.
type Kind int

// The kinds.
const (
	Passage Kind = iota // a text that is searched
	Query               // a question
)

// Model makes vectors. Its methods may be called concurrently.
type Model interface {
	// Name identifies the weights: vectors of models with different names must not be compared. It is
	// what the server calls the model ("text-embedding-3-small"), or, for a model in this process, its
	// name and the beginning of its weights' checksum ("all-MiniLM-L6-v2@53aa5117").
	Name() string

	// Prepare asks the server once what is not known yet: the number of dimensions, and whether and
	// where it cuts off long texts. Embed does it too; call it first where Dimensions is needed. After
	// an error it may be called again. Once it has succeeded, it costs nothing. The errors are Embed's.
	Prepare(ctx context.Context) error

	// Dimensions is the length of every vector; 0 as long as it is neither configured nor found out by
	// Prepare.
	Dimensions() int

	// PrefixVersion identifies what the model puts before a passage; 0 is nothing. Like Name, it is part
	// of what a stored vector depends on.
	PrefixVersion() int

	// MaxTokens is the length of the longest text that is embedded as a whole, in the model's tokens; 0
	// when not known. Longer texts are embedded in parts, and the vector is the mean of the parts'.
	MaxTokens() int

	// Limits says how to call Embed for the best rate.
	Limits() Limits

	// Embed returns one result per text, in order. A text that fails alone has its error in the result:
	// the others have vectors. The error is about all texts, and then there are no results. Errors have
	// a code of shared/failure (embedding_…) and, if the server asks for a pause that is longer than a
	// call may wait, the time of failure.RetryAt.
	Embed(ctx context.Context, kind Kind, texts []string) ([]Result, error)

	// Close releases the connections or the memory.
	Close() error
}

// Limits says how to call Embed for the best rate. Embed also accepts more texts at once, in several
// calls to the server, and more concurrent calls, which wait.
type Limits struct {
	Batch    int // texts per call
	Parallel int // concurrent calls
}

// Result is what became of one text.
type Result struct {
	Vector []float32 // of length 1; nil after an error
	Tokens int       // what the text cost, in the model's tokens; an estimate if the server does not say
	Err    error     // with a code of shared/failure

	counted bool // Tokens is what the server counted for this text
}

// Option changes one setting of Open.
type Option func(*options)

type options struct {
	log     zerolog.Logger
	timeout time.Duration
	maxWait time.Duration
	delays  []time.Duration
}

// WithLogger logs retries and what was found out about the server. The default logs nothing.
func WithLogger(log zerolog.Logger) Option { return func(o *options) { o.log = log } }

// WithTimeout limits one call to the server, without its retries. The default is 60 s: a large batch on a
// server without a GPU takes long.
func WithTimeout(d time.Duration) Option { return func(o *options) { o.timeout = d } }

// WithRetryDelays replaces the waits of 1 s, 2 s and 4 s before the retries; each delay makes one retry.
// A question that a person waits for has none.
func WithRetryDelays(d ...time.Duration) Option { return func(o *options) { o.delays = d } }

// Open returns the model that is configured, or nil if there is none. It does not call the server. The
// error has the code embedding_no_model if the files of a local model cannot be loaded.
func Open(c config.Embeddings, opts ...Option) (Model, error) {
	o := options{
		log: zerolog.Nop(), timeout: time.Minute, maxWait: 30 * time.Second,
		delays: []time.Duration{time.Second, 2 * time.Second, 4 * time.Second},
	}
	for _, opt := range opts {
		opt(&o)
	}
	return open(c, o)
}
