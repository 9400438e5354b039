package assistant

import (
	"context"
	"strconv"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type relatedInput struct {
	Window
	Page   string `json:"page"`
	Source string `json:"source"`
}

type relatedPage struct {
	Relation string `json:"relation"`
	Title    string `json:"title"`
	Page     string `json:"page"`
	URL      string `json:"url"`
	Issue    string `json:"issue,omitempty"`
}

type relatedOutput struct {
	Title   string        `json:"title"`
	Page    string        `json:"page"`
	URL     string        `json:"url"`
	Related []relatedPage `json:"related"`
	Next    string        `json:"next,omitempty"`
}

func (s *Server) related(ctx context.Context, c *call, in relatedInput) (relatedOutput, error) {
	out := relatedOutput{Related: []relatedPage{}}
	p, _, err := s.page(ctx, c, in.Page, in.Source)
	if err != nil {
		return out, err
	}
	out.Title, out.Page, out.URL = oneLine(p.Title), uri(p.SourceID, p.ID, ""), address(p.URL)
	c.text.line("%s\n%s\npage %s", out.Title, out.URL, out.Page)
	c.left -= nextCosts + costs(out, c.text.String())
	all, err := c.control.Reader.Related(ctx, c.Viewer, p.Key())
	if err != nil {
		return out, err
	}
	from, err := c.told()
	if err != nil {
		return out, err
	}
	for i, r := range all[min(from, len(all)):] {
		one := relatedPage{Relation: string(r.Relation), Title: oneLine(r.Title), Page: uri(r.SourceID, r.ID, ""), URL: address(r.URL), Issue: oneLine(r.Issue)}
		link := &mcp.ResourceLink{URI: one.Page, Name: one.Title, MIMEType: markdownType}
		line := "- " + one.Relation + " "
		if one.Issue != "" {
			line += one.Issue + " "
		}
		line += one.Title + " " + one.URL + " (" + one.Page + ")\n"
		if !c.pay(one, line, link) {
			return out, c.more(&out.Next, strconv.Itoa(from+i), i)
		}
		out.Related, c.links = append(out.Related, one), append(c.links, link)
		c.text.add(line)
	}
	if len(all) == 0 {
		c.text.line("Nothing that is stored is related to it.")
	}
	return out, nil
}
