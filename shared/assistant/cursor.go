package assistant

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// A cursor says where an answer goes on, and of which question: the tool, its arguments and the reader.
// It is no secret and opens nothing: every call reads as its own caller, whatever its cursor says.

var (
	errCursor  = &trouble{"this cursor is not the next of an answer to this question: repeat the call with the same arguments and without cursor"}
	errChanged = &trouble{"what is read has changed since the part before was read: repeat the call without cursor"}
)

// boundTo is what the cursors of a question are bound to.
func boundTo(tool, reader string, arguments json.RawMessage) (string, error) {
	asked := map[string]any{}
	if len(arguments) > 0 {
		if err := json.Unmarshal(arguments, &asked); err != nil {
			return "", &trouble{"the arguments are no JSON object"}
		}
	}
	delete(asked, "cursor")
	delete(asked, "bytes") // the rest may be read in larger parts
	canonical, err := json.Marshal([]any{tool, reader, asked})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(canonical)
	return base64.RawURLEncoding.EncodeToString(sum[:9]), nil
}

// next is the cursor of the position.
func (c *call) next(position string) string {
	return c.bound + base64.RawURLEncoding.EncodeToString([]byte(position))
}

// nextCosts is at least what a cursor takes, in structured content and in the text.
const nextCosts = 400

func positionOf(cursor, bound string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	rest, ok := strings.CutPrefix(cursor, bound)
	if !ok {
		return "", errCursor
	}
	position, err := base64.RawURLEncoding.DecodeString(rest)
	if err != nil || len(position) == 0 || len(position) > 200 {
		return "", errCursor
	}
	return string(position), nil
}

// number reads a position that says how much was told before. Anybody can write a cursor, so nothing of it is trusted.
func number(position string) (int, error) {
	n, err := strconv.Atoi(position)
	if err != nil || strconv.Itoa(n) != position || n < 0 || n > math.MaxInt32 {
		return 0, errCursor
	}
	return n, nil
}

// told is how much was told before.
func (c *call) told() (int, error) {
	if c.position == "" {
		return 0, nil
	}
	return number(c.position)
}
