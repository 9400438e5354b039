package confluencesource

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/shared/confluence"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/page"
	"github.com/sluicehq/sluice/shared/source"
	"github.com/sluicehq/sluice/shared/store"
)

// threadsAtOnce is how many threads of a task are read at the same time.
const threadsAtOnce = 4

// A thread of comments has no version of its own. Its hash lists its comments with their versions, each between spaces,
// and the resolution of the first: " 71:1:open 72:3: ". So what a search says of one comment tells whether the stored
// thread has it.
func threadHash(first string, of []seenComment) string {
	slices.SortFunc(of, func(a, b seenComment) int {
		return cmp.Or(cmp.Compare(len(a.id), len(b.id)), strings.Compare(a.id, b.id))
	})
	var b strings.Builder
	for _, c := range of {
		b.WriteString(" " + c.id + ":" + strconv.Itoa(c.version) + ":")
		if c.id == first {
			b.WriteString(c.resolution)
		}
	}
	return b.String() + " "
}

// unlisted is the error of a listing of comments, without which a run goes on.
func unlisted(format string, args ...any) error {
	return &source.KindError{Kind: page.Comment, Err: fmt.Errorf(format, args...)}
}

// seenComment is what is kept of each comment of a listing.
type seenComment struct {
	id, parent string
	version    int
	resolution string // of an inline comment; that of the first is its thread's
}

func seen(c confluence.Comment) seenComment {
	return seenComment{id: c.ID, parent: c.ParentID, version: c.Version, resolution: c.Resolution}
}

// resolution is that of a thread in the terms of package page.
func resolution(c confluence.Comment) string {
	switch {
	case c.Kind != confluence.Inline:
		return ""
	case c.Resolution == page.Resolved:
		return page.Resolved
	default: // reopened, or the text that it was about is gone
		return page.Open
	}
}

// unwanted reports whether the source leaves out the thread that c begins.
func (s *space) unwanted(c confluence.Comment) bool {
	return s.src.Comments == store.OpenComments && resolution(c) == page.Resolved
}

// commented notes the pages of a listing: which of the site's comments are the space's can only be told by them.
type commented struct {
	mu    sync.Mutex
	pages map[string]bool
	left  int // parts of the listing that have not ended
	ended chan struct{}
}

// note wraps the parts of a listing of pages.
func (c *commented) note(parts []source.Part) []source.Part {
	c.pages, c.left, c.ended = map[string]bool{}, len(parts), make(chan struct{})
	out := make([]source.Part, len(parts))
	for i, part := range parts {
		out[i] = func(ctx context.Context) iter.Seq2[source.Item, error] {
			return func(yield func(source.Item, error) bool) {
				for item, err := range part(ctx) {
					if err == nil && (item.Status == "" || item.Status == "current") {
						c.mu.Lock()
						c.pages[item.ID] = true
						c.mu.Unlock()
					}
					if !yield(item, err) || err != nil {
						return
					}
				}
				c.mu.Lock()
				defer c.mu.Unlock()
				if c.left--; c.left == 0 {
					close(c.ended)
				}
			}
		}
	}
	return out
}

// threads lists the threads on the noted pages. Confluence lists comments of a whole site or of one page only; for
// most spaces the site's are far fewer calls. What is kept of each comment of the space is small, about 150 bytes.
func (s *space) threads(on *commented) source.Part {
	return func(ctx context.Context) iter.Seq2[source.Item, error] {
		return func(yield func(source.Item, error) bool) {
			select {
			case <-on.ended:
			case <-ctx.Done():
				yield(source.Item{}, ctx.Err())
				return
			}
			for _, kind := range []confluence.CommentKind{confluence.Footer, confluence.Inline} {
				if !s.threadsOf(s.counted(ctx), kind, on.pages, yield) {
					return
				}
			}
		}
	}
}

func (s *space) threadsOf(ctx context.Context, kind confluence.CommentKind, on map[string]bool, yield func(source.Item, error) bool) bool {
	all, first := map[string]seenComment{}, map[string]source.Item{}
	for c, err := range s.client.SiteComments(ctx, kind) {
		var unusable *confluence.RowError
		if errors.As(err, &unusable) {
			if unusable.On != "" && !on[unusable.On] {
				continue // of another space
			}
			if unusable.ID == "" {
				yield(source.Item{}, unlisted("list comments of the site: %w", meaning(err)))
				return false
			}
			// It may be the space's. As an item it fails alone, and nothing is removed for it.
			if !yield(source.Item{Ref: page.Ref{ID: unusable.ID, Kind: page.Comment}, Err: unusable}, nil) {
				return false
			}
			continue
		}
		if err != nil {
			yield(source.Item{}, unlisted("list comments of the site: %w", meaning(err)))
			return false
		}
		if !on[c.PageID] && !on[c.BlogPostID] {
			continue
		}
		all[c.ID] = seen(c)
		first[c.ID] = s.threadItem(c)
	}
	for id, of := range inThreads(all) {
		item := first[id]
		item.Hash = threadHash(id, of)
		if len(of) > confluence.LongestThread { // reading it would cost a call for each comment, in each run
			item.Err = failure.New(failure.ConvertTooLarge, "a thread of %d comments: %w", len(of), confluence.ErrThreadTooLong)
		}
		if !yield(item, nil) {
			return false
		}
	}
	return true
}

// inThreads groups comments by the first of their thread. A comment whose parent is not among them begins one, and so does
// one of those that reply to each other in a circle.
func inThreads(all map[string]seenComment) map[string][]seenComment {
	const onTheWay = "?"
	tops := make(map[string]string, len(all)) // each comment is walked over once: threads can be long
	for id := range all {
		var way []string
		at := id
		for ; tops[at] == ""; at = all[at].parent {
			way, tops[at] = append(way, at), onTheWay
			if all[all[at].parent].id == "" {
				tops[at] = at
				break
			}
		}
		top := tops[at]
		if top == onTheWay {
			top = slices.Min(way[slices.Index(way, at):])
		}
		for _, at := range way {
			tops[at] = top
		}
	}
	threads := map[string][]seenComment{}
	for id, top := range tops {
		threads[top] = append(threads[top], all[id])
	}
	return threads
}

// threadItem is the item of the thread that c begins, without its hash.
func (s *space) threadItem(c confluence.Comment) source.Item {
	item := source.Item{Ref: page.Ref{ID: c.ID, Kind: page.Comment}, Title: c.Title, Status: "current"}
	item.ParentID, item.ParentKind = onWhat(c)
	if s.unwanted(c) {
		item.Status = page.Resolved
	}
	return item
}

// onWhat is what a comment is on.
func onWhat(c confluence.Comment) (id, kind string) {
	if c.BlogPostID != "" {
		return c.BlogPostID, page.BlogPost
	}
	return c.PageID, "page"
}

// changedThreads searches for threads with comments that were changed within the last minutes. It cannot know a
// thread's other comments, so its items have a part of the hash.
func (s *space) changedThreads(minutes int) source.Part {
	cql := confluence.Where(confluence.InSpace(s.key()), confluence.TypeIs(confluence.KindComment), confluence.ModifiedWithin(minutes)).
		OrderBy("lastmodified", confluence.Asc)
	return func(ctx context.Context) iter.Seq2[source.Item, error] {
		ctx = s.counted(ctx)
		return func(yield func(source.Item, error) bool) {
			for hit, err := range s.client.SearchComments(ctx, cql) {
				var unusable *confluence.RowError
				item := source.Item{Ref: page.Ref{Kind: page.Comment}}
				switch {
				case errors.As(err, &unusable):
					item.ID, item.Err = unusable.ID, unusable
				case err != nil:
					yield(source.Item{}, unlisted("search for changed comments in space %s: %w", s.key(), meaning(err)))
					return
				default:
					item.HashPart = " " + hit.ID + ":" + strconv.Itoa(hit.Version) + ":"
					if item.ID, err = s.firstOf(ctx, hit); err != nil {
						yield(source.Item{}, err)
						return
					}
					if item.ID == hit.ID && hit.Resolution != "" {
						item.HashPart += hit.Resolution + " "
					}
				}
				if !yield(item, nil) {
					return
				}
			}
		}
	}
}

// firstOf is the id of the first comment of the thread of a hit.
func (s *space) firstOf(ctx context.Context, hit confluence.CommentHit) (string, error) {
	if hit.Nested {
		return append(slices.Clone(hit.Above), hit.ID)[0], nil
	}
	id, known := hit.ID, map[string]bool{}
	for !known[id] {
		known[id] = true
		c, err := s.client.Comment(ctx, id)
		var missing *confluence.NotFoundError
		switch {
		case errors.As(err, &missing):
			return id, nil
		case err != nil:
			return "", unlisted("look up comment %s: %w", id, meaning(err))
		case c.ParentID == "":
			return id, nil
		}
		id = c.ParentID
	}
	return id, nil
}

// readThreads reads threads of comments, and whether what they are on is a current page of the space. With an error, it
// returns the threads that were read before it.
func (s *space) readThreads(ctx context.Context, ids []string) ([]source.Page, error) {
	pages, firsts := make([]source.Page, len(ids)), make([]confluence.Comment, len(ids))
	var group errgroup.Group
	group.SetLimit(threadsAtOnce)
	var size atomic.Int64 // of all, in bytes
	var ended atomic.Bool // after an error, threads that are being read are read to their end, and no others
	for i, id := range ids {
		group.Go(func() error {
			if ended.Load() {
				return nil
			}
			thread, err := s.client.Thread(ctx, id)
			if err == nil {
				err = s.authors(ctx, thread)
			}
			var missing *confluence.NotFoundError
			var bad *confluence.ProtocolError
			switch {
			case errors.As(err, &missing):
				return nil // it has no ID: it is left out
			case errors.Is(err, confluence.ErrThreadTooLong):
				pages[i] = source.Page{Facts: page.Facts{ID: id, Kind: page.Comment}, Err: failure.New(failure.ConvertTooLarge, "read comments: %w", err)}
				return nil
			case errors.As(err, &bad) && bad.ObjectID != "":
				pages[i] = source.Page{Facts: page.Facts{ID: id, Kind: page.Comment}, Err: fmt.Errorf("read comments: %w", meaning(err))}
				return nil
			case err != nil:
				ended.Store(true)
				return fmt.Errorf("read comments: %w", meaning(err))
			}
			of := s.thread(thread)
			if n := int64(len(of.Body)); size.Add(n) > page.MaxBody && size.Load() > n {
				ended.Store(true)
				return &tooMuch{confluence.ErrTooMuch}
			}
			pages[i], firsts[i] = of, thread[0]
			return nil
		})
	}
	failed := group.Wait()
	standing, err := s.whereOn(ctx, firsts)
	if err != nil {
		return failedAlone(pages), cmp.Or(failed, err)
	}
	for i := range pages {
		if pages[i].Facts.ID != "" && pages[i].Err == nil {
			pages[i].Gone = gone[standing[firsts[i].ID]]
		}
	}
	return slices.DeleteFunc(pages, func(p source.Page) bool { return p.Facts.ID == "" }), failed
}

// authors names in a thread who wrote each comment, in place of who edited or resolved it last. That costs a call for each
// edited comment, once: it never changes.
func (s *space) authors(ctx context.Context, thread []confluence.Comment) error {
	for i, c := range thread {
		if c.Version == 1 {
			continue
		}
		key := s.site + " " + c.ID
		s.mu.Lock()
		author, known := s.wrote[key]
		s.mu.Unlock()
		if !known {
			var err error
			var missing *confluence.NotFoundError
			author, err = s.client.CommentAuthor(ctx, c.Kind, c.ID)
			switch {
			case errors.As(err, &missing):
				author = c.AuthorID // the first version was deleted, and who edited it is the best there is
			case err != nil:
				return fmt.Errorf("read who wrote comment %s: %w", c.ID, err)
			}
			s.mu.Lock()
			if len(s.wrote) >= maxPeople {
				clear(s.wrote)
			}
			s.wrote[key] = author
			s.mu.Unlock()
		}
		thread[i].AuthorID = author
	}
	return nil
}

// gone are the reasons why a thread is not of the source, by its standing.
var gone = map[source.Standing]string{
	"": "missing", source.Trashed: "trashed", source.Archived: "archived", source.Moved: "moved",
	source.Deleted: "deleted", source.Excluded: "excluded", source.Here: "",
}

func failedAlone(pages []source.Page) []source.Page {
	return slices.DeleteFunc(slices.Clone(pages), func(p source.Page) bool { return p.Err == nil })
}

// whereOn is the standing of threads by that of the pages and blog posts that they are on, by the id of the first comment.
// What nobody can see has none.
func (s *space) whereOn(ctx context.Context, firsts []confluence.Comment) (map[string]source.Standing, error) {
	var refs []page.Ref
	for _, c := range firsts {
		id, kind := onWhat(c)
		if ref := (page.Ref{ID: id, Kind: kindOf(kind)}); id != "" && !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	on, err := s.verifyPages(ctx, refs, false)
	if err != nil {
		return nil, err
	}
	absent := slices.DeleteFunc(refs, func(ref page.Ref) bool { return on[ref.ID] != "" })
	if len(absent) > 0 { // a bulk answer proves nothing of what it lacks
		more, err := s.verifyPages(ctx, absent, true)
		if err != nil {
			return nil, err
		}
		for id, standing := range more {
			on[id] = standing
		}
	}
	out := make(map[string]source.Standing, len(firsts))
	for _, c := range firsts {
		id, kind := onWhat(c)
		switch standing := on[id]; {
		case c.ID == "":
		case c.Status == "trashed" || c.Status == "deleted":
			out[c.ID] = source.Trashed
		case standing == source.Here && (s.unwanted(c) || kind == page.BlogPost && !s.src.BlogPosts):
			out[c.ID] = source.Excluded
		case standing != "":
			out[c.ID] = standing
		}
	}
	return out, nil
}

// verifyThreads looks up threads one by one, which no bulk call does.
func (s *space) verifyThreads(ctx context.Context, refs []page.Ref) (map[string]source.Standing, error) {
	var found []confluence.Comment
	for _, ref := range refs {
		c, err := s.client.Comment(ctx, ref.ID)
		var missing *confluence.NotFoundError
		switch {
		case err == nil:
			found = append(found, c)
		case !errors.As(err, &missing):
			return nil, fmt.Errorf("verify removal candidate %s: %w", ref.ID, meaning(err))
		}
	}
	if len(found) == 0 {
		return nil, nil
	}
	return s.whereOn(ctx, found)
}

// thread makes one document of a thread, in storage format: the text that it is about, then each comment below the name
// of who wrote it and the day.
func (s *space) thread(of []confluence.Comment) source.Page {
	first := of[0]
	var b strings.Builder
	if first.Selection != "" {
		b.WriteString("<blockquote><p>" + html.EscapeString(first.Selection) + "</p></blockquote>")
	}
	if resolution(first) == page.Resolved {
		b.WriteString("<p><strong>Resolved</strong></p>")
	}
	var hash []seenComment
	var last time.Time
	for _, c := range of {
		hash = append(hash, seen(c))
		if at := madeAt(c.ModifiedAt); at.After(last) {
			last = at
		}
		b.WriteString("<p><strong>")
		if c.AuthorID != "" {
			b.WriteString(`<ac:link><ri:user ri:account-id="` + html.EscapeString(c.AuthorID) + `" /></ac:link>`)
		} else {
			b.WriteString("Anonymous")
		}
		b.WriteString("</strong>")
		if !c.ModifiedAt.IsZero() {
			b.WriteString(`, <time datetime="` + c.ModifiedAt.Format(time.DateOnly) + `" />`)
		}
		// The names stand outside of the quotes, so nobody can write one in a comment.
		b.WriteString("</p><blockquote>" + c.Body + "</blockquote>")
	}
	onID, onKind := onWhat(first)
	out := source.Page{Body: b.String(), Facts: page.Facts{
		ID: first.ID, Kind: page.Comment, Hash: threadHash(first.ID, hash), Title: first.Title, SpaceKey: s.key(), SpaceKeys: s.otherNames(), BaseURL: s.site,
		URL: first.URL, Status: "current", ParentID: onID, ParentType: onKind, AuthorID: first.AuthorID, ModifiedAt: last, Resolution: resolution(first),
	}}
	if first.Version == 1 {
		out.Facts.CreatedAt = madeAt(first.ModifiedAt)
	}
	if len(out.Body) > page.MaxBody {
		out.Body, out.Err = "", failure.New(failure.ConvertTooLarge, "the comments have %d bytes, the bound is %d", len(out.Body), page.MaxBody)
	}
	out.People, out.Titles = references(confluence.Page{Body: out.Body, AuthorID: first.AuthorID}, s.names())
	return out
}
