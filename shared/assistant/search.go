package assistant

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/store/search"
)

type searchInput struct {
	Window
	Query    string `json:"query"`
	Source   string `json:"source"`
	Space    string `json:"space"`
	Under    string `json:"under"`
	Label    string `json:"label"`
	Jira     string `json:"jira"`
	Mentions string `json:"mentions"`
	Since    string `json:"since"`
	Kind     string `json:"kind"`
	FileType string `json:"file_type"`
	State    string `json:"resolution"`
	Limit    int    `json:"limit"`
}

// Hit is a passage that was found.
type Hit struct {
	Title      string    `json:"title"`
	Kind       string    `json:"kind,omitempty"`  // "" for a page
	Place      string    `json:"place,omitempty"` // in a file: page 3, slide 4, a range of a sheet
	Heading    string    `json:"heading,omitempty"`
	Breadcrumb string    `json:"breadcrumb,omitempty"`
	Snippet    string    `json:"snippet,omitempty"`
	Text       string    `json:"text,omitempty"`
	Cut        bool      `json:"cut,omitempty"` // the text goes on
	URL        string    `json:"url"`
	Ref        string    `json:"ref,omitempty"`
	Chunk      int64     `json:"chunk,omitempty"`
	Source     string    `json:"source"`
	Space      string    `json:"space,omitempty"`
	Version    int       `json:"version,omitempty"`
	Modified   time.Time `json:"modified,omitzero"`
	HiddenText int       `json:"hidden_text,omitempty"`

	page store.PageKey
}

type searchOutput struct {
	Hits []Hit  `json:"hits"`
	Note string `json:"note,omitempty"`
	// WordsOnly is as in search.Answer.
	WordsOnly string `json:"words_only,omitempty"`
	Next      string `json:"next,omitempty"`
}

func (s *Server) search(ctx context.Context, c *call, in searchInput) (searchOutput, error) {
	out := searchOutput{Hits: []Hit{}}
	offset, err := c.told()
	if err != nil {
		return out, err
	}
	since, err := sinceTime(in.Since, time.Now())
	if err != nil {
		return out, err
	}
	var hits []Hit
	if strings.TrimSpace(in.Query) == "" && !since.IsZero() {
		hits, out.Note, err = s.changed(ctx, c, in, since, offset)
	} else {
		hits, err = s.found(ctx, c, in, since, offset, &out)
	}
	if err != nil {
		return out, err
	}
	if err := s.mark(ctx, c, hits); err != nil {
		return out, err
	}
	c.left -= nextCosts + 2*costs(out.Note) + 2*costs(out.WordsOnly)
	linked := map[string]bool{}
	share := c.left / max(1, min(len(hits), in.Limit))
	for i, h := range hits[:min(len(hits), in.Limit)] {
		if !c.takeHit(&h, offset+i+1, share, linked) {
			break
		}
		out.Hits = append(out.Hits, h)
	}
	if len(out.Hits) < len(hits) {
		if err := c.more(&out.Next, strconv.Itoa(offset+len(out.Hits)), len(out.Hits)); err != nil {
			return out, err
		}
	}
	if out.Note != "" {
		c.text.line("%s", out.Note)
	}
	if out.WordsOnly != "" {
		c.text.line("Searched by words alone, not by meaning: %s.", out.WordsOnly)
	}
	return out, nil
}

const noMore = "There is nothing more."

// found looks for words and meanings.
func (s *Server) found(ctx context.Context, c *call, in searchInput, since time.Time, offset int, out *searchOutput) ([]Hit, error) {
	f := search.Filter{
		SourceID: in.Source, SpaceKey: in.Space, Label: in.Label, JiraIssue: in.Jira, Mentions: in.Mentions, ModifiedSince: since,
		Kind: in.Kind, FileType: in.FileType, Resolution: in.State,
		Limit: min(offset+in.Limit+1, search.MaxHits),
	}
	if in.Under != "" {
		r, err := s.parse(ctx, c, in.Under, in.Source)
		if err != nil {
			return nil, err
		}
		f.Under, f.SourceID = r.id, r.source
	}
	a, err := c.control.Explain(ctx, c.Viewer, in.Query, f)
	var noPage *control.UnknownPageError
	if errors.As(err, &noPage) {
		out.Note = fmt.Sprintf("Nothing found: no page %q is stored, or it is not for this reader.", in.Under)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out.WordsOnly = oneLine(a.WordsOnly)
	if len(a.Hits) == 0 {
		out.Note = widen(in)
		return nil, nil
	}
	if a.NotReranked != "" {
		out.Note = "Not reranked: " + oneLine(a.NotReranked) + "."
	}
	if a.Softened {
		out.Note = "The quoted text occurs nowhere as it is; its words were searched one by one."
	}
	part := a.Hits[min(offset, len(a.Hits)):]
	switch {
	case len(part) == 0:
		out.Note = noMore
		return nil, nil
	case len(a.Hits) == search.MaxHits && len(part) <= in.Limit:
		out.Note = fmt.Sprintf("Only the best %d are told. Ask for something narrower to find others. ", search.MaxHits) + out.Note
	}
	ids := make([]int64, len(part))
	for i, h := range part {
		ids[i] = h.ChunkID
	}
	chunks, err := c.control.Reader.ChunksByID(ctx, c.Viewer, ids)
	if err != nil {
		return nil, err
	}
	content := map[int64]string{}
	for _, chunk := range chunks {
		content[chunk.ID] = chunk.Content
	}
	var hits []Hit
	for _, h := range part {
		hit := Hit{
			Title: oneLine(h.Title), Kind: notPage(h.Kind), Place: oneLine(h.Place), Heading: trail(h.HeadingPath), Breadcrumb: trail(h.Breadcrumb),
			Snippet: shown(h.Snippet), Text: shown(content[h.ChunkID]), URL: address(h.URL), Chunk: h.ChunkID, Source: h.SourceID, Space: h.SpaceKey,
			Version: h.Version, Modified: h.LastModified.UTC(), page: store.PageKey{SourceID: h.SourceID, ID: h.PageID},
		}
		if h.PageID != "" {
			hit.Ref = uri(h.SourceID, h.PageID, anchorOf(hit.URL))
		}
		hits = append(hits, hit)
	}
	return hits, nil
}

// notPage is the kind of what is no page: most hits are pages, and saying so costs tokens.
func notPage(kind string) string {
	if kind == "page" {
		return ""
	}
	return oneLine(kind)
}

// changed lists pages that changed since.
func (s *Server) changed(ctx context.Context, c *call, in searchInput, since time.Time, offset int) ([]Hit, string, error) {
	if in.Space+in.Under+in.Label+in.Jira+in.Mentions+in.Kind+in.FileType+in.State != "" {
		return nil, "", &trouble{"without query only since and source are taken; give words to use the other filters"}
	}
	var sources []string
	if in.Source != "" {
		if _, err := c.control.Source(ctx, c.Viewer, in.Source); err != nil {
			return nil, "", err
		}
		sources = []string{in.Source}
	}
	pages, err := c.control.Reader.Changed(ctx, c.Viewer, sources, since, offset, in.Limit+1)
	var hits []Hit
	for _, p := range pages {
		hits = append(hits, Hit{
			Title: oneLine(p.Title), URL: address(p.URL), Ref: uri(p.SourceID, p.ID, ""), Source: p.SourceID, Space: p.SpaceKey,
			Version: p.Version, Modified: p.LastModified, page: store.PageKey{SourceID: p.SourceID, ID: p.ID},
		})
	}
	switch {
	case err != nil || len(hits) > 0:
		return hits, "", err
	case offset > 0:
		return nil, noMore, nil
	}
	return nil, "No page that is stored has changed since then; sources says up to when changes are known.", nil
}

// mark says of each hit whether its page holds hidden text.
func (s *Server) mark(ctx context.Context, c *call, hits []Hit) error {
	keys := make([]store.PageKey, len(hits))
	for i, h := range hits {
		keys[i] = h.page
	}
	hidden, err := c.control.Reader.HiddenText(ctx, c.Viewer, keys)
	for i := range hits {
		hits[i].HiddenText = hidden[hits[i].page]
	}
	return err
}

// takeHit writes a hit as far as its share allows, and reports whether it fits.
func (c *call) takeHit(h *Hit, number, share int, linked map[string]bool) bool {
	whole, snippet := h.Text, h.Snippet
	h.Text, h.Snippet = "", ""
	link := &mcp.ResourceLink{URI: strings.TrimSuffix(h.Ref, "#"+anchorOf(h.Ref)), Name: h.Title, MIMEType: markdownType}
	isNew := h.Ref != "" && !linked[link.URI]
	facts := costs(h, h.lines(number), data(""), `"cut":true`)
	if isNew {
		facts += costs(link)
	}
	if facts > c.left && number > 1 {
		return false
	}
	h.Text = fit(whole, min(share, c.left)-facts)
	h.Cut = len(h.Text) < len(whole)
	if h.Cut && 2*costs(snippet) < min(share, c.left)-facts-2*costs(h.Text) {
		h.Snippet = snippet
	}
	lines := h.lines(number)
	if h.Text != "" {
		body := h.Text
		if h.Cut {
			body += " …"
		}
		lines += data(body)
	}
	if !c.pay(h, lines) {
		return false
	}
	if isNew {
		linked[link.URI] = true
		c.left -= costs(link)
		c.links = append(c.links, link)
	}
	c.text.add(lines + "\n")
	return true
}

// lines are what a hit says beside its text.
func (h *Hit) lines(number int) string {
	var t text
	name := h.Title
	if h.Heading != "" && h.Heading != h.Title {
		name += " – " + h.Heading
	}
	t.line("%d. %s", number, name)
	t.line("   %s", h.URL)
	where := h.Source
	if h.Breadcrumb != "" {
		where += ": " + h.Breadcrumb
	}
	if h.Kind != "" {
		where = h.Kind + " in " + where
	}
	if h.Ref != "" {
		where += "; ref " + h.Ref
	}
	if h.Chunk != 0 {
		where += "; chunk " + strconv.FormatInt(h.Chunk, 10)
	}
	if h.Version != 0 {
		where += fmt.Sprintf("; version %d of %s", h.Version, h.Modified.Format(time.RFC3339))
	}
	t.line("   %s", where)
	if h.HiddenText > 0 {
		t.line("   %s", hiddenNote(h.HiddenText))
	}
	return t.String()
}

func hiddenNote(n int) string {
	return fmt.Sprintf("Careful: this page holds text that people who read it do not see (hidden_text: %d).", n)
}

// widen says what would find more.
func widen(in searchInput) string {
	var ways []string
	for _, f := range []struct{ name, value string }{
		{"source", in.Source}, {"space", in.Space}, {"under", in.Under}, {"label", in.Label}, {"jira", in.Jira}, {"mentions", in.Mentions}, {"since", in.Since}, {"kind", in.Kind}, {"file_type", in.FileType}, {"resolution", in.State},
	} {
		if f.value != "" {
			ways = append(ways, "leave out "+f.name)
		}
	}
	if strings.Contains(in.Query, `"`) {
		ways = append(ways, "take the quotes away")
	}
	if strings.HasPrefix(in.Query, "-") || strings.Contains(in.Query, " -") {
		ways = append(ways, "take the -words away")
	}
	ways = append(ways, "use other words", "see with sources what is there")
	return "Nothing found. To find more: " + strings.Join(ways, "; ") + "."
}

// sinceTime reads a day, a time, or an age such as 7d or 12h.
func sinceTime(text string, now time.Time) (time.Time, error) {
	text = strings.TrimSuffix(strings.TrimSpace(text), " ago")
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	if n, err := strconv.Atoi(strings.TrimSuffix(text, "d")); err == nil && strings.HasSuffix(text, "d") && n >= 0 && n < 100_000 {
		return now.AddDate(0, 0, -n), nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, &trouble{"since is a day such as 2026-01-31, a time such as 2026-01-31T12:00:00Z, or an age such as 7d or 12h"}
}
