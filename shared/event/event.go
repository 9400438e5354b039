// Package event holds the contracts of the message bus: every event's type, subject and
// payload. Payloads are JSON, snake_case and versioned; each has a fixture under testdata
// that is never edited once released. A change that is not additive is a new version
// beside the old one.
package event

import (
	"crypto/rand"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
)

// Type is an event's fixed name. It is part of the subject and is the Sluice-Event header.
type Type string

// The event types.
const (
	TypeSyncRequested    Type = "sync.requested"
	TypeSyncRejected     Type = "sync.rejected"
	TypePagesListed      Type = "pages.listed"
	TypePageFetched      Type = "page.fetched"
	TypePageConverted    Type = "page.converted"
	TypePageStored       Type = "page.stored"
	TypePageRemoved      Type = "page.removed"
	TypePageFailed       Type = "page.failed"
	TypeListingCompleted Type = "listing.completed"
	TypeProgress         Type = "progress"
)

// Prefix begins every subject of version 1 of the contracts.
const Prefix = "sluice.v1."

// Subject returns sluice.v1.<type>.<sourceID>.
func Subject(t Type, sourceID string) string { return Prefix + string(t) + "." + sourceID }

// ProgressSubject returns sluice.v1.progress.<sourceID>.<runID>.
func ProgressSubject(sourceID, runID string) string {
	return Subject(TypeProgress, sourceID) + "." + runID
}

// SourceOf returns the source id in a subject of type t, or "" if the subject has another type.
func SourceOf(t Type, subject string) string {
	rest, ok := strings.CutPrefix(subject, Prefix+string(t)+".")
	if !ok || strings.Contains(rest, ".") {
		return ""
	}
	return rest
}

var token = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// ValidID reports whether s can be a source id or a request id: 1 to 64 letters, digits,
// '-' and '_', beginning with a letter or digit. Such an id is also a subject token.
func ValidID(s string) bool { return token.MatchString(s) }

// NewID returns a new request id: the time, and enough chance to be unique, short enough to read aloud. It does not
// say who requests, or why.
func NewID() string {
	return time.Now().UTC().Format("20060102-150405") + "-" + strings.ToLower(rand.Text()[:6])
}

// Event is a payload that can be published.
type Event interface {
	// EventType is the event's fixed type.
	EventType() Type
	// Subject is the subject on which the event is published.
	Subject() string
	// MsgID identifies the publication, attempt included, for the broker's duplicate window.
	MsgID() string
}

// Mode says how a run finds changes.
type Mode string

// The modes of a run.
const (
	Incremental Mode = "incremental" // changes since the last completed run, from the search index
	Full        Mode = "full"        // every page of the space against Postgres, removals included
)

// MaxOnly is the largest number of pages in SyncRequested.OnlyPages.
const MaxOnly = 1000

// SyncRequested requests a run. Any NATS client may publish it as plain JSON without headers. RequestID
// is also the run's id: its progress subject is ProgressSubject(source, request id).
type SyncRequested struct {
	RequestID       string `json:"request_id"`
	Mode            Mode   `json:"mode"`                       // default incremental
	ApproveRemovals bool   `json:"approve_removals,omitempty"` // let this run remove more than the brake permits
	ApprovesRun     string `json:"approves_run,omitempty"`     // let this run remove the pages that the held run found, despite the brake
	// OnlyPages are the ids of at most MaxOnly pages that are failed now: the run lists these again and no others. An
	// incremental run without them lists what changed and all failed pages.
	OnlyPages []string `json:"only_pages,omitempty"`
	SourceID  string   `json:"-"` // from the subject
	Nudge     int      `json:"-"` // the run's attempt when its ledger repeats the request; 0 for a person's request
}

// EventType returns TypeSyncRequested.
func (SyncRequested) EventType() Type { return TypeSyncRequested }

// Subject returns the subject of the source's requests.
func (e SyncRequested) Subject() string { return Subject(TypeSyncRequested, e.SourceID) }

// MsgID is the request's own id: the same request published twice is one request.
func (e SyncRequested) MsgID() string {
	return msgID(e.EventType(), e.SourceID, e.RequestID, fmt.Sprint(e.Nudge))
}

// SyncRejected answers a request that cannot become a run.
type SyncRejected struct {
	SourceID  string       `json:"source_id"`
	RequestID string       `json:"request_id,omitempty"`
	Code      failure.Code `json:"code"`
	Message   string       `json:"message"` // what is wrong and the way out
	At        time.Time    `json:"at"`
}

// EventType returns TypeSyncRejected.
func (SyncRejected) EventType() Type { return TypeSyncRejected }

// Subject returns the subject of the source's rejections.
func (e SyncRejected) Subject() string { return Subject(TypeSyncRejected, e.SourceID) }

// MsgID differs for every rejection: two bad requests get two answers.
func (e SyncRejected) MsgID() string {
	return msgID(e.EventType(), e.SourceID, e.RequestID, e.At.UTC().Format(time.RFC3339Nano))
}

// MaxListed is the largest number of pages in one PagesListed task.
const MaxListed = 100

// PagesListed is a task for a fetcher: fetch these pages' bodies.
type PagesListed struct {
	SourceID string     `json:"source_id"`
	RunID    string     `json:"run_id"`
	Attempt  int        `json:"attempt"` // 1, and one more each time the ledger sends a page again
	Pages    []page.Ref `json:"pages"`   // 1 to MaxListed
}

// EventType returns TypePagesListed.
func (PagesListed) EventType() Type { return TypePagesListed }

// Subject returns the subject of the source's fetch tasks.
func (e PagesListed) Subject() string { return Subject(TypePagesListed, e.SourceID) }

// MsgID names the task by its run, its first and last page and the attempt.
func (e PagesListed) MsgID() string {
	if len(e.Pages) == 0 {
		return ""
	}
	return msgID(e.EventType(), e.RunID, e.Pages[0].ID, e.Pages[len(e.Pages)-1].ID, fmt.Sprint(e.Attempt))
}

// PageFetched carries a page's facts and its body in storage format.
type PageFetched struct {
	SourceID  string     `json:"source_id"`
	RunID     string     `json:"run_id"`
	Attempt   int        `json:"attempt"`
	FetchedAt time.Time  `json:"fetched_at,omitzero"`
	Page      page.Facts `json:"page"`
	Body      string     `json:"body"`
}

// EventType returns TypePageFetched.
func (PageFetched) EventType() Type { return TypePageFetched }

// Subject returns the subject of the source's fetched pages.
func (e PageFetched) Subject() string { return Subject(TypePageFetched, e.SourceID) }

// MsgID names the page's version within the run and attempt.
func (e PageFetched) MsgID() string { return pageMsgID(e.EventType(), e.RunID, e.Page, e.Attempt) }

// PageConverted carries a page as Markdown.
type PageConverted struct {
	SourceID    string         `json:"source_id"`
	RunID       string         `json:"run_id"`
	Attempt     int            `json:"attempt"`
	FetchedAt   time.Time      `json:"fetched_at,omitzero"`
	ConvertedAt time.Time      `json:"converted_at,omitzero"`
	BodyBytes   int            `json:"body_bytes,omitempty"` // of the body in storage format
	Page        page.Facts     `json:"page"`
	Markdown    string         `json:"markdown"`
	Metadata    page.Metadata  `json:"metadata"`
	Headings    []page.Heading `json:"headings"`
	Losses      []page.Loss    `json:"losses"`
	Includes    []page.Link    `json:"includes,omitempty"` // pages that this one shows: their changes change it
}

// EventType returns TypePageConverted.
func (PageConverted) EventType() Type { return TypePageConverted }

// Subject returns the subject of the source's converted pages.
func (e PageConverted) Subject() string { return Subject(TypePageConverted, e.SourceID) }

// MsgID names the page's version within the run and attempt.
func (e PageConverted) MsgID() string { return pageMsgID(e.EventType(), e.RunID, e.Page, e.Attempt) }

// Outcome is the outcome of a listed page in the ledger of a run.
type Outcome string

// The outcomes. A page that a run listed has exactly one of them in the end.
const (
	Created   Outcome = "created"
	Updated   Outcome = "updated"
	Unchanged Outcome = "unchanged"
	Removed   Outcome = "removed"
	Skipped   Outcome = "skipped"
	Failed    Outcome = "failed"
)

// PageStored says that a page and its chunks are committed.
type PageStored struct {
	SourceID string    `json:"source_id"`
	RunID    string    `json:"run_id"`
	PageID   string    `json:"page_id"`
	Version  int       `json:"version"`
	Title    string    `json:"title"`
	Outcome  Outcome   `json:"outcome"` // created, updated or unchanged
	Chunks   int       `json:"chunks"`  // number of the page's chunks now
	Attempt  int       `json:"attempt"`
	At       time.Time `json:"at"`
}

// EventType returns TypePageStored.
func (PageStored) EventType() Type { return TypePageStored }

// Subject returns the subject of the source's stored pages.
func (e PageStored) Subject() string { return Subject(TypePageStored, e.SourceID) }

// MsgID names the page's version within the run and attempt.
func (e PageStored) MsgID() string {
	return msgID(e.EventType(), e.RunID, e.PageID, fmt.Sprint(e.Version), fmt.Sprint(e.Attempt))
}

// PageRemoved says that a page left the knowledge base, and why.
type PageRemoved struct {
	SourceID string    `json:"source_id"`
	RunID    string    `json:"run_id"`
	PageID   string    `json:"page_id"`
	Title    string    `json:"title"`
	Reason   string    `json:"reason"` // trashed, archived, moved, unreadable, excluded, deleted
	At       time.Time `json:"at"`
}

// EventType returns TypePageRemoved.
func (PageRemoved) EventType() Type { return TypePageRemoved }

// Subject returns the subject of the source's removed pages.
func (e PageRemoved) Subject() string { return Subject(TypePageRemoved, e.SourceID) }

// MsgID names the removal within the run.
func (e PageRemoved) MsgID() string { return msgID(e.EventType(), e.RunID, e.PageID) }

// PageFailed says that a stage has given up on a page.
type PageFailed struct {
	SourceID string       `json:"source_id"`
	RunID    string       `json:"run_id"`
	PageID   string       `json:"page_id"`
	Version  int          `json:"version"`
	Stage    string       `json:"stage"`
	Code     failure.Code `json:"code"`
	Message  string       `json:"message"`
	Attempts int          `json:"attempts"` // deliveries that counted
	At       time.Time    `json:"at"`
}

// EventType returns TypePageFailed.
func (PageFailed) EventType() Type { return TypePageFailed }

// Subject returns the subject of the source's failed pages.
func (e PageFailed) Subject() string { return Subject(TypePageFailed, e.SourceID) }

// MsgID differs for every failure, by its time.
func (e PageFailed) MsgID() string {
	return msgID(e.EventType(), e.RunID, e.PageID, e.Stage, e.At.UTC().Format(time.RFC3339Nano))
}

// ListingCompleted says that a run's listing is proven complete and its tasks have been sent.
type ListingCompleted struct {
	SourceID string    `json:"source_id"`
	RunID    string    `json:"run_id"`
	Mode     Mode      `json:"mode"` // the mode that the listing really used
	Listed   int       `json:"listed"`
	At       time.Time `json:"at"`
}

// EventType returns TypeListingCompleted.
func (ListingCompleted) EventType() Type { return TypeListingCompleted }

// Subject returns the subject of the source's completed listings.
func (e ListingCompleted) Subject() string { return Subject(TypeListingCompleted, e.SourceID) }

// MsgID contains the time: a replay must reach the readers again.
func (e ListingCompleted) MsgID() string {
	return msgID(e.EventType(), e.RunID, e.At.UTC().Format(time.RFC3339Nano))
}

func msgID(t Type, parts ...string) string { return string(t) + ":" + strings.Join(parts, ":") }

// pageMsgID includes a version's time, because a number may be reused for another text.
func pageMsgID(t Type, runID string, p page.Facts, attempt int) string {
	version := fmt.Sprint(p.Version)
	if !p.ModifiedAt.IsZero() {
		version += "@" + fmt.Sprint(p.ModifiedAt.UnixMilli())
	}
	return msgID(t, runID, p.ID, version, fmt.Sprint(attempt))
}
