package assistant

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/store"
)

// told puts an error into words for an assistant, with the way out. What is nobody's business outside
// is logged.
func (s *Server) told(tool string, err error) error {
	var (
		known   *trouble
		source  *control.UnknownSourceError
		page    *control.UnknownPageError
		left    *control.PageRemovedError
		several *store.AmbiguousPageError
	)
	say := func(format string, args ...any) error { return &trouble{fmt.Sprintf(format, args...)} }
	var unlent *lendError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &source) && len(source.Known) == 0:
		return say("there is no source %q, or it is not for this reader; there is none at all", source.ID)
	case errors.As(err, &source):
		return say("there is no source %q, or it is not for this reader; there are: %s", source.ID, strings.Join(source.Known, ", "))
	case errors.As(err, &page):
		return say("no page %q is stored, or it is not for this reader; find pages with search", page.ID)
	case errors.As(err, &left):
		return say("page %s left its space; find others with search", left.ID)
	case errors.As(err, &several): // it names sources that the reader sees, and no others
		return say("several sites have a page %s; name the source as well, one of: %s", several.ID, strings.Join(several.Sources, ", "))
	case errors.Is(err, control.ErrNoQuery):
		return say("query holds no word to look for; give words, or only since for what changed")
	case errors.Is(err, context.DeadlineExceeded):
		return say("%s took longer than %s; ask for less, for example of one source, or try again", tool, s.within)
	case errors.Is(err, context.Canceled):
		return say("the call was given up")
	case errors.As(err, &unlent):
		s.log.Warn().Err(err).Str("tool", tool).Msg("the database cannot be opened")
		return say("%v", unlent)
	case store.Unstorable(err):
		return say("an argument holds a zero byte, or is not UTF-8")
	case store.Unavailable(err):
		s.log.Warn().Err(err).Str("tool", tool).Msg("the database does not answer")
		return say("the database does not answer; try again in some seconds")
	default:
		id := rand.Text()
		s.log.Error().Err(err).Str("tool", tool).Str("request_id", id).Msg("an assistant's call failed")
		return say("something went wrong here; the log of the server has it under the id %s", id)
	}
}

// lendError is that the database cannot be opened. Only who starts the program itself is told.
type lendError struct{ err error }

func (e *lendError) Error() string { return e.err.Error() }
func (e *lendError) Unwrap() error { return e.err }

// longestError is how many bytes of an error are told: it may repeat what was sent.
const longestError = 1000

// schemaPath is what the SDK says before what is wrong with an argument.
var schemaPath = regexp.MustCompile(`validating (root|/properties/([^:]*)|"arguments"): `)

// plain shortens what a call is told went wrong, and puts the SDK's words about arguments into plain ones.
func plain(res *mcp.CallToolResult) {
	for _, c := range res.Content {
		t, ok := c.(*mcp.TextContent)
		if !ok {
			continue
		}
		if strings.HasPrefix(t.Text, "json: cannot unmarshal ") {
			t.Text = "the arguments are not as the tool takes them: a number in them is too large"
		}
		if rest, ok := strings.CutPrefix(t.Text, `validating "arguments": `); ok {
			t.Text = "the arguments are not as the tool takes them: " + strings.TrimSpace(schemaPath.ReplaceAllString(rest, "$2 "))
		}
		t.Text = short(t.Text, longestError)
	}
}

// wireShort shortens an error of the protocol.
func wireShort(err error) error {
	var wire *jsonrpc.Error
	if errors.As(err, &wire) && len(wire.Message) > longestError {
		return &jsonrpc.Error{Code: wire.Code, Message: short(wire.Message, longestError), Data: wire.Data}
	}
	return err
}

// given are arguments without those that are null, as some clients send what they leave out.
func given(arguments json.RawMessage) json.RawMessage {
	var all map[string]json.RawMessage
	if !bytes.Contains(arguments, []byte("null")) || json.Unmarshal(arguments, &all) != nil {
		return arguments
	}
	maps.DeleteFunc(all, func(_ string, v json.RawMessage) bool { return string(v) == "null" })
	wire, err := json.Marshal(all)
	if err != nil || len(all) == 0 {
		return nil // the SDK panics on null
	}
	return wire
}
