package markdown

import (
	"encoding/json"
	"net/url"
	"strings"
)

const (
	maxJSON   = 64 << 10 // the longest parameter that is read as JSON, in bytes
	maxLeaves = 200      // the most values that are read of one macro
)

// opened returns the macro with a parameter of its own for each text inside a parameter that holds JSON: apps keep
// whole forms in one parameter.
func (n *node) opened() *node {
	var found []*node
	for c := n.first; c != nil; c = c.next {
		if c.tag == tagParameter && len(found) < maxLeaves {
			found = append(found, leaves(textOf(c, maxJSON))...)
		}
	}
	if len(found) == 0 {
		return n
	}
	m := &node{tag: n.tag, name: n.name, attrs: n.attrs}
	for c := n.first; c != nil; c = c.next {
		alone := *c
		alone.next = nil
		m.append(&alone)
	}
	for _, c := range found[:min(len(found), maxLeaves)] {
		m.append(c)
	}
	return m
}

// leaves returns the texts of a JSON document as parameters, in order, each with the name of the nearest key above it.
// It returns nil for what is no JSON object or array.
func leaves(text string) (list []*node) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "%7B") || strings.HasPrefix(text, "%5B") {
		text, _ = url.PathUnescape(text)
	}
	if text == "" || text[0] != '{' && text[0] != '[' || !json.Valid([]byte(text)) {
		return nil
	}
	type level struct {
		object, key bool // the next string is a key
		name        string
	}
	var open []level
	d := json.NewDecoder(strings.NewReader(text))
	for len(list) < maxLeaves {
		token, err := d.Token()
		if err != nil {
			return list
		}
		top := level{}
		if len(open) > 0 {
			top = open[len(open)-1]
		}
		switch v := token.(type) {
		case json.Delim:
			if v == '}' || v == ']' {
				open = open[:len(open)-1]
				if len(open) > 0 {
					open[len(open)-1].key = open[len(open)-1].object
				}
				continue
			}
			open = append(open, level{object: v == '{', key: v == '{', name: top.name})
			continue
		case string:
			if top.key {
				open[len(open)-1].key, open[len(open)-1].name = false, v
				continue
			}
			list = append(list, parameter(top.name, v))
		}
		open[len(open)-1].key = top.object
	}
	return list
}

// parameter is a macro's parameter.
func parameter(name, value string) *node {
	p := &node{tag: tagParameter, name: "ac:parameter", attrs: []attr{{"ac:name", name}}}
	p.append(&node{tag: tagCDATA, text: value})
	return p
}
