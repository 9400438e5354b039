package assistant

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/store"
)

type outlineInput struct {
	Window
	Page   string `json:"page"`
	Source string `json:"source"`
	Levels int    `json:"levels"`
}

type outlineHeading struct {
	Level int    `json:"level"`
	Text  string `json:"text"`
	Ref   string `json:"ref"`
	Size  int    `json:"size"`
}

type outlineNode struct {
	Level    int       `json:"level"`
	Title    string    `json:"title"`
	Page     string    `json:"page"`
	Kind     string    `json:"kind"`
	URL      string    `json:"url,omitempty"`
	Size     int       `json:"size"`
	Below    int       `json:"below"`
	Modified time.Time `json:"modified,omitzero"`
}

type outlineOutput struct {
	Title    string           `json:"title,omitempty"`
	URL      string           `json:"url,omitempty"`
	Page     string           `json:"page,omitempty"`
	Source   string           `json:"source"`
	Size     int              `json:"size,omitempty"`
	Headings []outlineHeading `json:"headings"`
	Tree     []outlineNode    `json:"tree"`
	Next     string           `json:"next,omitempty"`
}

// The positions of an outline: so many headings were listed, or the tree up to a node.
const (
	afterHeadings = "h"
	afterNode     = "n"
)

func (s *Server) outline(ctx context.Context, c *call, in outlineInput) (outlineOutput, error) {
	out := outlineOutput{Headings: []outlineHeading{}, Tree: []outlineNode{}, Source: in.Source}
	var root string
	switch {
	case in.Page != "":
		p, r, err := s.page(ctx, c, in.Page, in.Source)
		var none *control.UnknownPageError
		if errors.As(err, &none) && r.source != "" && s.holds(ctx, c, r.source, r.id) {
			out.Source, root = r.source, r.id // a folder, say
			break
		}
		if err != nil {
			return out, err
		}
		out.Title, out.URL, out.Page, out.Source, out.Size = oneLine(p.Title), address(p.URL), uri(p.SourceID, p.ID, ""), p.SourceID, len(p.Markdown)
		root = p.ID
		full, err := s.listHeadings(ctx, c, p, &out)
		if err != nil || full {
			return out, err
		}
	case in.Source != "":
		if _, err := c.control.Source(ctx, c.Viewer, in.Source); err != nil {
			return out, err
		}
		c.left -= nextCosts + costs(out)
		c.text.line("Source %s", in.Source)
		in.Levels = max(in.Levels, 1)
	default:
		return out, &trouble{"give page or source; sources lists the sources"}
	}
	if in.Levels == 0 {
		return out, nil
	}
	return out, s.listTree(ctx, c, root, in.Levels, &out)
}

// holds reports whether a node that is no page holds pages.
func (s *Server) holds(ctx context.Context, c *call, source, id string) bool {
	below, err := c.control.Reader.Tree(ctx, c.Viewer, source, id, 1, "", 1)
	return err == nil && len(below) > 0
}

// listHeadings writes a page's headings, and reports whether the answer is full with them.
func (s *Server) listHeadings(ctx context.Context, c *call, p store.Page, out *outlineOutput) (bool, error) {
	c.text.line("%s\n%s\npage %s; %d bytes", out.Title, out.URL, out.Page, out.Size)
	c.left -= nextCosts + costs(out, c.text.String())
	from := 0
	switch rest, headings := strings.CutPrefix(c.position, afterHeadings); {
	case strings.HasPrefix(c.position, afterNode):
		return false, nil
	case headings:
		var err error
		if from, err = number(rest); err != nil {
			return false, err
		}
	case c.position != "":
		return false, errCursor
	}
	known, err := c.control.Reader.Headings(ctx, c.Viewer, p.SourceID, p.ID)
	if err != nil {
		return false, err
	}
	all := sections(p.Markdown, known)
	if from > len(all) {
		return false, errChanged
	}
	for i, one := range all[from:] {
		h := outlineHeading{Level: one.level, Text: oneLine(one.title), Size: one.ends - one.begins}
		named := one.anchor
		if named == "" {
			named = fit(one.title, 200)
		}
		h.Ref = uri(p.SourceID, p.ID, shown(named))
		line := strings.Repeat("  ", h.Level-1) + "- " + h.Text + " (" + strconv.Itoa(h.Size) + " bytes) #" + shown(named) + "\n"
		if !c.pay(h, line) {
			return true, c.more(&out.Next, afterHeadings+strconv.Itoa(from+i), i)
		}
		out.Headings = append(out.Headings, h)
		c.text.add(line)
	}
	return false, nil
}

// treeAtOnce is how many nodes are read at a time.
const treeAtOnce = 200

func (s *Server) listTree(ctx context.Context, c *call, root string, levels int, out *outlineOutput) error {
	after, goesOn := strings.CutPrefix(c.position, afterNode)
	switch {
	case !goesOn && c.position != "" && !strings.HasPrefix(c.position, afterHeadings):
		return errCursor
	case !goesOn:
		after = ""
	}
	for {
		nodes, err := c.control.Reader.Tree(ctx, c.Viewer, out.Source, root, levels, after, treeAtOnce)
		if err != nil {
			return err
		}
		if goesOn && len(nodes) == 0 && len(out.Tree) == 0 { // there was more, after a node that is gone by now
			return errChanged
		}
		for _, n := range nodes {
			one := outlineNode{
				Level: n.Level, Title: oneLine(n.Title), Page: uri(out.Source, n.ID, ""), Kind: n.Kind, URL: address(n.URL), Size: n.Bytes, Below: n.Below, Modified: n.LastModified,
			}
			line := one.line()
			if !c.pay(one, line) {
				return c.more(&out.Next, afterNode+after, len(out.Headings)+len(out.Tree))
			}
			out.Tree = append(out.Tree, one)
			c.text.add(line)
			after = n.ID
		}
		if len(nodes) < treeAtOnce {
			return nil
		}
	}
}

func (n *outlineNode) line() string {
	line := strings.Repeat("  ", n.Level-1) + "- "
	if n.Kind != "page" {
		line += n.Kind + " "
	}
	line += n.Title + " (" + n.Page
	if n.URL != "" {
		line += ", " + strconv.Itoa(n.Size) + " bytes"
	}
	if n.Below > 0 {
		line += ", " + strconv.Itoa(n.Below) + " below"
	}
	return line + ")\n"
}

// more ends an answer that is full, after it told so much: an answer that tells nothing would go on where it began.
func (c *call) more(next *string, position string, told int) error {
	if told == 0 {
		return errRoom
	}
	*next = c.next(position)
	c.text.line("More: next = %s", *next)
	return nil
}

var errRoom = &trouble{"what comes next does not fit into so few bytes: repeat the call with the same cursor, if any, and more bytes"}
