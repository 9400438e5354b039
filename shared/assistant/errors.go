package assistant

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

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
