package confluence

import (
	"encoding/json"
	"errors"
	"time"
)

// maxID limits the digits of an id; Confluence's ids are 64-bit numbers.
const maxID = 20

// isID reports whether s is a Confluence content or space id. Ids are strings in every answer and stay
// strings here: a JSON number would lose digits.
func isID(s string) bool {
	if s == "" || len(s) > maxID {
		return false
	}
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return true
}

// wireTime reads a timestamp with or without fractions of a second, in UTC; null and "" are
// the zero time.
type wireTime struct{ time.Time }

// UnmarshalJSON implements json.Unmarshaler.
func (t *wireTime) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil || s == "" {
		return err
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04Z07:00"} {
		if at, err := time.Parse(layout, s); err == nil {
			t.Time = at.UTC()
			return nil
		}
	}
	return errors.New("an invalid timestamp")
}
