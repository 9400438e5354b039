// Package report writes the results of a benchmark: tables of medians with their spread, ratios, and
// which aims are met. It measures nothing itself.
package report

import (
	"time"

	"github.com/sluicehq/sluice/lab/bench/figure"
	"github.com/sluicehq/sluice/lab/bench/proc"
	"github.com/sluicehq/sluice/lab/bench/versus"
)

// Results is all measurements of one run of the benchmark. Sections that did not run are empty.
type Results struct {
	Machine  proc.Machine
	Versions []Version
	Command  string
	Began    time.Time
	Took     map[string]time.Duration // of each section

	Full        []Group // by the number of pages, ascending
	One         *Group  // the same through one process
	Incremental []Incremental
	Latency     []Latency // one a round
	Rate        []Rate    // one a round
	Scaling     []Scaling
	Search      []Search
	Stages      []Stages // one a round
	Embeds      []Embeds
	Meaning     []Meaning // by chunks, then by share

	Peers *versus.Results `json:"-"` // of a run of its own, which keeps them; nil where there was none
}

// Version is the version of one measured part.
type Version struct{ Of, Is string }

// Group is the rounds of a full sync of that many pages.
type Group struct {
	Pages  int
	Rounds []Full
}

// Full is one full sync into an empty knowledge base.
type Full struct {
	Began     time.Time
	Took      time.Duration // from the request to the run's end
	Bytes     int64         // of the pages' bodies, in storage format
	Chunks    int
	Calls     int64 // that the site answered
	Processes []Process
	Limits    Limits // zero where they were not measured
}

// Process is the resources of one process, or of all replicas of a stage.
type Process struct {
	Name string
	CPU  time.Duration
	Peak int64 // of resident memory, of the largest replica
}

// Limits is the machine's time for each part of a full sync alone.
type Limits struct {
	Fetch, Convert, Copy                      time.Duration
	FetchCPU, ConvertCPU, CopyCPU             time.Duration // of all processes that took part
	FetchedBytes, ConvertedBytes, CopiedBytes int64
	Chunks                                    int64
}

// Most is the largest of the three.
func (l Limits) Most() time.Duration { return max(l.Fetch, l.Convert, l.Copy) }

// CPU is the processor time of all three.
func (l Limits) CPU() time.Duration { return l.FetchCPU + l.ConvertCPU + l.CopyCPU }

// Sum is the sum of the three.
func (l Limits) Sum() time.Duration { return l.Fetch + l.Convert + l.Copy }

// Incremental is the rounds of an incremental sync after one kind of change.
type Incremental struct {
	What   string
	Pages  int // of the space
	Rounds []Step
}

// Step is one incremental sync.
type Step struct {
	Took    time.Duration
	Calls   int64
	Listed  int
	Updated int
	Rows    Rows
}

// Rows counts the rows that a run has written.
type Rows struct {
	Pages    int64 // of confluence_pages and confluence_page_content
	Inserted int64 // chunks
	Updated  int64 // chunks
	Deleted  int64 // chunks
	Ledger   int64 // of confluence_sync_pages
}

// Latency is the duration of edits, one at a time, without other load.
type Latency struct {
	Found figure.Tail // ms from the request for a sync to the edit's word being found
	Seen  figure.Tail // ms from the body being fetched to the word being found
	Ended figure.Tail // ms from the request to the end of the run
}

// Rate is a full sync under the limits of a real site.
type Rate struct {
	Pages     int
	PerSecond float64
	Answer    time.Duration // how long an answer takes
	Took      time.Duration // of the whole run
	Fetched   time.Duration // from the request to the last call's answer
	Calls     int64
	Refused   int64 // calls that were answered with 429
}

// Least is the shortest possible time of that many calls: the first one need not wait.
func (r Rate) Least() time.Duration {
	return time.Duration(float64(r.Calls-1)/r.PerSecond*float64(time.Second)) + r.Answer
}

// Scaling is the rounds with one number of replicas.
type Scaling struct {
	Stage    string
	Replicas int
	Pages    int
	Rounds   []Scaled
}

// Scaled is one round of a stage with that number of replicas.
type Scaled struct {
	Took time.Duration
	CPU  time.Duration // of the stage, all replicas
}

// Search is the rounds of one way of searching.
type Search struct {
	Pages  int // that the knowledge base holds
	Chunks int
	What   string // the filter
	During bool   // a sync runs meanwhile
	Rounds []figure.Tail
}

// Embeds is what the embedder makes of a server that takes the same time for each call.
type Embeds struct {
	Pages, Chunks, Texts int
	Batch, Parallel      int
	Call                 time.Duration // that the server takes
	Synced, Searchable   time.Duration // from the request to the end of the first sync, and to the last vector
	Embedder, Server     time.Duration // for all texts, from the first call to the last answer
	Edits                int           // pages of which one word was changed
	EditTexts            int           // embedded because of that
	EditTokens           int
}

// Meaning is one size and one filter of searches by meaning.
type Meaning struct {
	Chunks               int
	Share                float64 // of the chunks that the filter lets through
	Words, Vectors, Both figure.Tail
	Recall               float64 // of the hits by vectors that the same search finds without the index
}

// Stages is the time of pages in each step of a full sync.
type Stages struct {
	Pages int
	Steps []StepTime
}

// StepTime is one step of a page's path, in milliseconds.
type StepTime struct {
	Name     string
	P50, P95 float64
	Share    float64 // of all the time of all pages
}
