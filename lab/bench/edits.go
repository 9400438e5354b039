package bench

import (
	"time"

	"github.com/sluicehq/sluice/lab/bench/figure"
	"github.com/sluicehq/sluice/lab/bench/report"
)

// edits are the times of edits, one after the other.
type edits struct{ found, seen, ended []time.Duration }

func (t edits) latency() report.Latency {
	return report.Latency{Found: figure.TailOf(t.found), Seen: figure.TailOf(t.seen), Ended: figure.TailOf(t.ended)}
}
