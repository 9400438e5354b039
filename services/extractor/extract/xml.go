package extract

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"golang.org/x/net/html/charset"

	"github.com/sluicehq/sluice/shared/failure"
)

// element is an element of XML. Names are without their namespaces.
type element struct {
	name     string
	attrs    []xml.Attr
	text     string // what comes before its first child; later text is a child called textName
	children []*element
}

// The elements that one tree may have; each takes about two hundred bytes.
const maxElements = 1_000_000

const textName = "#text"

func (e *element) attr(name string) string {
	if e == nil {
		return ""
	}
	for _, a := range e.attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// child returns the element that a path of names leads to, or nil.
func (e *element) child(names ...string) *element {
	for _, name := range names {
		if e == nil {
			return nil
		}
		var found *element
		for _, c := range e.children {
			if c.name == name {
				found = c
				break
			}
		}
		e = found
	}
	return e
}

// walk calls f for e and everything in it, in order. If f returns false, the children are left out.
func (e *element) walk(f func(*element) bool) {
	if e == nil || !f(e) {
		return
	}
	for _, c := range e.children {
		c.walk(f)
	}
}

// scanner reads XML of a file. Entities of the document's own are not expanded: encoding/xml does not know
// them, and what it does not know is an error.
type scanner struct {
	j     *job
	dec   *xml.Decoder
	depth int
	made  int // elements of the current tree
}

func newScanner(j *job, r io.Reader) *scanner {
	dec := xml.NewDecoder(r)
	dec.CharsetReader = charset.NewReaderLabel
	return &scanner{j: j, dec: dec}
}

// next returns the next start, end or text; io.EOF at the end.
func (s *scanner) next() (xml.Token, error) {
	for {
		t, err := s.dec.Token()
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		if err != nil {
			return nil, damaged(err, "read XML")
		}
		switch t.(type) {
		case xml.StartElement:
			if s.depth++; s.depth > s.j.limits.Depth {
				return nil, failure.New(failure.FileTooDeep, "the file's elements nest deeper than %d", s.j.limits.Depth)
			}
		case xml.EndElement:
			s.depth--
		case xml.CharData:
		default:
			continue
		}
		return t, nil
	}
}

// tree reads the rest of an element that start began.
func (s *scanner) tree(start xml.StartElement) (*element, error) {
	root := newElement(start)
	s.made = 1
	for stack := []*element{root}; len(stack) > 0; {
		top := stack[len(stack)-1]
		t, err := s.next()
		if errors.Is(err, io.EOF) {
			err = failure.New(failure.FileDamaged, "the XML ends too early")
		}
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if s.made++; s.made > maxElements {
				return nil, failure.New(failure.FileTooManyParts, "a part of the file has more than %d elements", maxElements)
			}
			e := newElement(t)
			top.children = append(top.children, e)
			stack = append(stack, e)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			switch {
			case len(top.children) == 0:
				top.text += string(t)
			case strings.TrimSpace(string(t)) != "":
				s.made++
				top.children = append(top.children, &element{name: textName, text: string(t)})
			}
		}
	}
	return root, nil
}

func newElement(start xml.StartElement) *element {
	return &element{name: start.Name.Local, attrs: append([]xml.Attr(nil), start.Attr...)}
}

// parse reads a whole document.
func parse(j *job, r io.Reader) (*element, error) {
	s := newScanner(j, r)
	for {
		t, err := s.next()
		if errors.Is(err, io.EOF) {
			return nil, failure.New(failure.FileDamaged, "the XML has no element")
		}
		if err != nil {
			return nil, err
		}
		if start, ok := t.(xml.StartElement); ok {
			return s.tree(start)
		}
	}
}

// tree reads an XML file in the container; nil if it is not there.
func (p *pack) tree(name string) (*element, error) {
	r, err := p.open(name)
	if err != nil || r == nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	root, err := parse(p.j, r)
	return root, damaged(err, "read "+name)
}
