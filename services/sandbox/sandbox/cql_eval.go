package sandbox

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// candidate is a piece of content as the search index knows it.
type candidate struct {
	node *node
	shade
	text string // title and body in lower case, made when a text clause asks for it
}

func (c *candidate) words() string {
	if c.text == "" {
		c.text = strings.ToLower(c.title + " " + plainText(c.node.rev.body.text()))
	}
	return c.text
}

// indexedAt is the modification time in the index: near the version's own time, but not equal to
// it.
func (c *candidate) indexedAt() time.Time {
	return c.modified.Add(time.Duration(c.node.id%5) * 130 * time.Millisecond)
}

type predicate func(c *candidate) bool

// cqlScope is the context in which a query is compiled.
type cqlScope struct {
	now  time.Time
	zone *time.Location // the API user's zone, used for dates in queries
	me   string
}

// cqlField compiles the clauses of one field. Its values are resolved.
type cqlField struct {
	ops   string // the operators that the field takes
	match func(op string, values []string) (predicate, error)
	date  func(c *candidate) time.Time // for date fields, instead of match
}

const (
	setOps  = "= != in not in"
	textOps = "~ !~"
	dateOps = "= != > >= < <="
)

// cqlFields are the existing fields, in the order of the error message.
var cqlFields = []string{
	"ancestor", "content", "contributor", "created", "creator", "id", "label", "lastmodified", "parent",
	"siteSearch", "space", "space.key", "space.type", "subtype", "text", "title", "type",
}

func (s cqlScope) field(name string) (cqlField, bool) {
	set := func(of func(c *candidate) []string) cqlField {
		return cqlField{ops: setOps, match: func(_ string, values []string) (predicate, error) {
			return func(c *candidate) bool {
				return slices.ContainsFunc(of(c), func(v string) bool { return containsFold(values, v) })
			}, nil
		}}
	}
	switch name {
	case "space", "space.key":
		return set(func(c *candidate) []string { return c.space.names() }), true
	case "space.type":
		return set(func(c *candidate) []string { return []string{c.space.kind} }), true
	case "subtype":
		return set(func(c *candidate) []string { return []string{cmpOr(c.node.subtype, string(c.node.kind))} }), true
	case "type":
		f := set(func(c *candidate) []string { return []string{string(c.node.kind)} })
		return f.checked("type", func(v string) bool { return containsFold(cqlTypes, v) }, strings.Join(cqlTypes, ", ")), true
	case "id", "content":
		return set(func(c *candidate) []string { return []string{formatID(c.node.id)} }).checked(name, isID, "a content id"), true
	case "parent":
		return set(func(c *candidate) []string {
			if c.node.parent == nil {
				return nil
			}
			return []string{formatID(c.node.parent.id)}
		}).checked(name, isID, "a content id"), true
	case "ancestor":
		return set(func(c *candidate) []string {
			var ids []string
			for p := range c.node.above {
				ids = append(ids, formatID(p.id))
			}
			return ids
		}).checked(name, isID, "a content id"), true
	case "label":
		return set(func(c *candidate) []string { return c.labels }), true
	case "creator":
		return set(func(c *candidate) []string { return []string{c.node.author} }), true
	case "contributor":
		return set(func(c *candidate) []string { return []string{c.node.author, c.node.rev.author} }), true
	case "title":
		f := set(func(c *candidate) []string { return []string{c.title} })
		f.ops += " " + textOps
		exact := f.match
		f.match = func(op string, values []string) (predicate, error) {
			if strings.Contains(op, "~") {
				return textMatch(values[0], func(c *candidate) string { return strings.ToLower(c.title) })
			}
			return exact(op, values)
		}
		return f, true
	case "text", "sitesearch":
		return cqlField{ops: textOps, match: func(_ string, values []string) (predicate, error) {
			return textMatch(values[0], (*candidate).words)
		}}, true
	case "lastmodified":
		return cqlField{ops: dateOps, date: (*candidate).indexedAt}, true
	case "created":
		return cqlField{ops: dateOps, date: func(c *candidate) time.Time { return c.node.created }}, true
	}
	return cqlField{}, false
}

// cqlTypes are the existing types; the site has no content of some of them.
var cqlTypes = []string{"page", "blogpost", "comment", "attachment", "folder", "whiteboard", "database", "embed", "space", "user"}

func isID(v string) bool { return parseID(v) != 0 }

// checked rejects values that the field cannot have.
func (f cqlField) checked(field string, good func(string) bool, want string) cqlField {
	match := f.match
	f.match = func(op string, values []string) (predicate, error) {
		for _, v := range values {
			if !good(v) {
				return nil, refuse("The value '%s' is not valid for the field '%s'. Expected: %s", v, field, want)
			}
		}
		return match(op, values)
	}
	return f
}

// errEmptyText is the real site's answer to an empty full-text query.
var errEmptyText = refuse("java.lang.NullPointerException: query parameter is required.")

// textMatch finds all words of the value, in any order; a quoted phrase counts as one word, and
// characters with a meaning in the index do not count.
func textMatch(value string, of func(*candidate) string) (predicate, error) {
	var words []string
	for i, part := range strings.Split(strings.ToLower(value), `"`) {
		part = strings.Map(func(r rune) rune {
			if strings.ContainsRune(`+-&|!(){}[]^~*?:\/`, r) {
				return ' '
			}
			return r
		}, part)
		if i%2 == 1 && strings.TrimSpace(part) != "" {
			words = append(words, strings.Join(strings.Fields(part), " "))
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	if len(words) == 0 {
		return nil, errEmptyText
	}
	return func(c *candidate) bool {
		text := of(c)
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
	}, nil
}

// compile turns a parsed query into a predicate.
func (s cqlScope) compile(e expr) (predicate, error) {
	switch e := e.(type) {
	case nil:
		return func(*candidate) bool { return true }, nil
	case notExpr:
		p, err := s.compile(e.x)
		return func(c *candidate) bool { return !p(c) }, err
	case andExpr:
		l, r, err := s.compileBoth(e.l, e.r)
		return func(c *candidate) bool { return l(c) && r(c) }, err
	case orExpr:
		l, r, err := s.compileBoth(e.l, e.r)
		return func(c *candidate) bool { return l(c) || r(c) }, err
	case clause:
		return s.compileClause(e)
	}
	return nil, refuse("unknown expression %T", e)
}

func (s cqlScope) compileBoth(l, r expr) (predicate, predicate, error) {
	lp, err := s.compile(l)
	if err != nil {
		return nil, nil, err
	}
	rp, err := s.compile(r)
	return lp, rp, err
}

func (s cqlScope) compileClause(c clause) (predicate, error) {
	f, ok := s.field(c.field)
	if !ok {
		return nil, refuse("No field exists with the name: '%s'\nDid you mean one of : %s", c.field, strings.Join(cqlFields, ", "))
	}
	if !slices.Contains(strings.Split(strings.ReplaceAll(f.ops, "not in", "not-in"), " "), strings.ReplaceAll(c.op, " ", "-")) {
		return nil, refuse("The field '%s' does not support the operator '%s'. Supported: %s", c.field, c.op, f.ops)
	}
	if f.date != nil {
		return s.compileDate(f, c)
	}
	var values []string
	for _, v := range c.values {
		switch v.call {
		case "":
			values = append(values, v.text)
		case "currentuser":
			values = append(values, s.me)
		default:
			return nil, refuse("The function '%s' is not known for the field '%s'", v.call, c.field)
		}
	}
	p, err := f.match(c.op, values)
	if err != nil || c.op == "=" || c.op == "in" || c.op == "~" {
		return p, err
	}
	return func(c *candidate) bool { return !p(c) }, nil
}

// compileDate compares at the index's precision, which is the minute.
func (s cqlScope) compileDate(f cqlField, c clause) (predicate, error) {
	want, err := s.moment(c.values[0])
	if err != nil {
		return nil, err
	}
	want = want.Truncate(time.Minute)
	return func(cand *candidate) bool {
		d := f.date(cand).Truncate(time.Minute).Compare(want)
		switch c.op {
		case "=":
			return d == 0
		case "!=":
			return d != 0
		case ">":
			return d > 0
		case ">=":
			return d >= 0
		case "<":
			return d < 0
		default:
			return d <= 0
		}
	}, nil
}

var cqlLayouts = []string{"2006/01/02 15:04", "2006-01-02 15:04", "2006/01/02", "2006-01-02"}

// moment reads a date, in the API user's zone, or a call that returns one.
func (s cqlScope) moment(v operand) (time.Time, error) {
	if v.call == "" {
		for _, layout := range cqlLayouts {
			if t, err := time.ParseInLocation(layout, v.text, s.zone); err == nil {
				return t, nil
			}
		}
		return time.Time{}, refuse("Could not parse date '%s'. Expected yyyy/MM/dd HH:mm, yyyy-MM-dd HH:mm, yyyy/MM/dd or yyyy-MM-dd", v.text)
	}
	t := s.now.In(s.zone)
	switch v.call {
	case "now":
	case "startofday":
		t = time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, s.zone)
	case "startofweek":
		t = time.Date(t.Year(), t.Month(), t.Day()-int(t.Weekday()), 0, 0, 0, 0, s.zone)
	case "startofmonth":
		t = time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, s.zone)
	case "startofyear":
		t = time.Date(t.Year(), 1, 1, 0, 0, 0, 0, s.zone)
	default:
		return time.Time{}, refuse("The function '%s' is not known for a date", v.call)
	}
	if len(v.args) == 0 {
		return t, nil
	}
	return shift(t, v.args[0])
}

// shift moves t by an increment such as -90m, +4w or 2y.
func shift(t time.Time, by string) (time.Time, error) {
	bad := refuse("Could not parse the increment '%s'. Expected a number and one of y, M, w, d, h, m", by)
	if len(by) < 2 {
		return t, bad
	}
	n, err := strconv.Atoi(by[:len(by)-1])
	if err != nil {
		return t, bad
	}
	switch by[len(by)-1] {
	case 'y':
		return t.AddDate(n, 0, 0), nil
	case 'M':
		return t.AddDate(0, n, 0), nil
	case 'w':
		return t.AddDate(0, 0, 7*n), nil
	case 'd':
		return t.AddDate(0, 0, n), nil
	case 'h':
		return t.Add(time.Duration(n) * time.Hour), nil
	case 'm':
		return t.Add(time.Duration(n) * time.Minute), nil
	}
	return t, bad
}
