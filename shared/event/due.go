package event

import "time"

// The events of schedules.
const (
	// TypeClock is the type of the broker's own repeating message, which it sends as a ScheduleTick. Nobody reads it.
	TypeClock Type = "schedule.clock"
	TypeTick  Type = "schedule.tick"
	TypeDue   Type = "schedule.due"
)

// ScheduleTick says that it is time to look for sources that are due. The broker publishes it.
type ScheduleTick struct{}

// EventType returns TypeTick.
func (ScheduleTick) EventType() Type { return TypeTick }

// Subject returns the subject of all ticks.
func (ScheduleTick) Subject() string { return Subject(TypeTick, "all") }

// MsgID is empty: each tick is as good as another.
func (ScheduleTick) MsgID() string { return "" }

// SourceDue says that a source is due, and perhaps others of its site.
type SourceDue struct {
	SourceID string    `json:"source_id"`
	At       time.Time `json:"at"` // when that was found
}

// EventType returns TypeDue.
func (SourceDue) EventType() Type { return TypeDue }

// Subject returns the subject of the source's nudges.
func (e SourceDue) Subject() string { return Subject(TypeDue, e.SourceID) }

// MsgID contains the time: a source is due again and again.
func (e SourceDue) MsgID() string {
	return msgID(e.EventType(), e.SourceID, e.At.UTC().Format(time.RFC3339Nano))
}
