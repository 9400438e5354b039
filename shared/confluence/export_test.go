package confluence

import "time"

// WithMaxBody bounds an answer's size in bytes after decompression.
func WithMaxBody(n int64) Option { return func(o *options) { o.maxBody = n } }

// WithBreaker opens the circuit for d after that many consecutive failures.
func WithBreaker(failures uint, d time.Duration) Option {
	return func(o *options) { o.breakAfter, o.breakFor = failures, d }
}
