package fidelity

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// element is a node of storage format; kids contains *element and string.
type element struct {
	name  string
	attrs map[string]string
	kids  []any
}

func (e *element) child(name string) *element {
	for _, k := range e.kids {
		if c, ok := k.(*element); ok && c.name == name {
			return c
		}
	}
	return nil
}

func (e *element) find(name string) *element {
	for _, k := range e.kids {
		c, ok := k.(*element)
		if !ok {
			continue
		}
		if c.name == name {
			return c
		}
		if f := c.find(name); f != nil {
			return f
		}
	}
	return nil
}

func (e *element) param(name string) *element {
	for _, k := range e.kids {
		if c, ok := k.(*element); ok && (c.name == "ac:parameter" || c.name == "ac:default-parameter") && c.attrs["ac:name"] == name {
			return c
		}
	}
	return nil
}

func (e *element) paramText(name string) string {
	if p := e.param(name); p != nil {
		return strings.TrimSpace(p.rawText())
	}
	return ""
}

func (e *element) rawText() string {
	var b strings.Builder
	for _, k := range e.kids {
		switch k := k.(type) {
		case string:
			b.WriteString(k)
		case *element:
			if k.name == "br" {
				b.WriteByte('\n')
			}
			b.WriteString(k.rawText())
		}
	}
	return b.String()
}

// parseStorage parses a body with encoding/xml, which the converter does not use.
func parseStorage(body string) (*element, error) {
	d := xml.NewDecoder(strings.NewReader("<root>" + body + "</root>"))
	d.Strict = false
	d.Entity = xml.HTMLEntity
	d.AutoClose = []string{"br", "hr", "img", "col", "input"}
	root := &element{name: "root"}
	stack := []*element{root}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return root, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read storage format: %w", err)
		}
		top := stack[len(stack)-1]
		switch t := token.(type) {
		case xml.StartElement:
			e := &element{name: qualified(t.Name), attrs: map[string]string{}}
			for _, a := range t.Attr {
				e.attrs[qualified(a.Name)] = a.Value
			}
			top.kids = append(top.kids, e)
			stack = append(stack, e)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			top.kids = append(top.kids, string(t))
		}
	}
}

func qualified(n xml.Name) string {
	if n.Space != "" {
		return n.Space + ":" + n.Local
	}
	return n.Local
}
