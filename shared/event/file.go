package event

import (
	"time"

	"github.com/sluicehq/sluice/shared/page"
)

// TypeFileFound is the type of FileFound.
const TypeFileFound Type = "file.found"

// FileFound says that an attachment has a version that is not stored. Its bytes are not in the event: the stage extractor
// reads them where they are.
type FileFound struct {
	SourceID string     `json:"source_id"`
	RunID    string     `json:"run_id"`
	Attempt  int        `json:"attempt"`
	FoundAt  time.Time  `json:"found_at,omitzero"`
	Page     page.Facts `json:"page"` // with File
}

// EventType returns TypeFileFound.
func (FileFound) EventType() Type { return TypeFileFound }

// Subject returns the subject of the source's found files.
func (e FileFound) Subject() string { return Subject(TypeFileFound, e.SourceID) }

// MsgID names the file's version within the run and attempt.
func (e FileFound) MsgID() string { return pageMsgID(e.EventType(), e.RunID, e.Page, e.Attempt) }
