package sandbox

import (
	"strings"
	"unicode"
)

// This file reads CQL as far as connectors use it: clauses joined by AND, OR and NOT with
// parentheses, and "order by". It parses and does not match patterns, so that a clause injected
// through an unescaped value has the same effect as on the real site.

// expr is a parsed query: one of and, or, not and clause.
type expr interface{ leftmost() expr }

type (
	andExpr struct{ l, r expr }
	orExpr  struct{ l, r expr }
	notExpr struct{ x expr }
	// clause compares a field with one value, or with several where op is in or not in.
	clause struct {
		field  string
		op     string
		values []operand
	}
)

func (e andExpr) leftmost() expr { return e.l.leftmost() }
func (e orExpr) leftmost() expr  { return e.l.leftmost() }
func (e notExpr) leftmost() expr { return e }
func (e clause) leftmost() expr  { return e }

// operand is a value, or a call such as now("-90m").
type operand struct {
	text string
	call string // the function's name in lower case, "" for a value
	args []string
}

type orderBy struct {
	field string
	down  bool
}

// statement is a whole query; where may be nil when there is an order only.
type statement struct {
	where expr
	order []orderBy
}

type token struct {
	kind tokenKind
	text string
}

type tokenKind int

const (
	tokenEnd tokenKind = iota
	tokenWord
	tokenString
	tokenSign // operators, parentheses and commas
)

// parseCQL reads a query; its errors have the words of a 400 answer.
func parseCQL(cql string) (statement, error) {
	tokens, err := lexCQL(cql)
	if err != nil {
		return statement{}, refuse("Could not parse cql : %s: %v", cql, err)
	}
	p := &cqlParser{tokens: tokens}
	st, err := p.statement()
	if err != nil {
		return statement{}, refuse("Could not parse cql : %s: %v", cql, err)
	}
	return st, nil
}

func lexCQL(cql string) ([]token, error) {
	var out []token
	runes := []rune(cql)
	for i := 0; i < len(runes); {
		r := runes[i]
		switch {
		case unicode.IsSpace(r):
			i++
		case r == '"' || r == '\'':
			text, end, err := lexString(runes, i)
			if err != nil {
				return nil, err
			}
			out = append(out, token{tokenString, text})
			i = end
		case strings.ContainsRune("(),~", r):
			out = append(out, token{tokenSign, string(r)})
			i++
		case strings.ContainsRune("=!<>", r):
			sign := string(r)
			if i+1 < len(runes) && (runes[i+1] == '=' || r == '!' && runes[i+1] == '~') {
				sign += string(runes[i+1])
			}
			out = append(out, token{tokenSign, sign})
			i += len(sign)
		default:
			from := i
			for i < len(runes) && !unicode.IsSpace(runes[i]) && !strings.ContainsRune(`"'(),~=!<>`, runes[i]) {
				i++
			}
			out = append(out, token{tokenWord, string(runes[from:i])})
		}
	}
	return append(out, token{kind: tokenEnd}), nil
}

// lexString reads the string that begins with the quote at i. A backslash escapes the next
// character.
func lexString(runes []rune, i int) (text string, end int, err error) {
	quote := runes[i]
	var b strings.Builder
	for i++; i < len(runes); i++ {
		switch {
		case runes[i] == '\\' && i+1 < len(runes):
			i++
			b.WriteRune(runes[i])
		case runes[i] == quote:
			return b.String(), i + 1, nil
		default:
			b.WriteRune(runes[i])
		}
	}
	return "", 0, refuse("a string is not closed")
}

type cqlParser struct {
	tokens []token
	at     int
}

func (p *cqlParser) peek() token { return p.tokens[p.at] }

func (p *cqlParser) next() token {
	t := p.tokens[p.at]
	if t.kind != tokenEnd {
		p.at++
	}
	return t
}

// keyword consumes the word if it is the next token. Quoted words are not keywords.
func (p *cqlParser) keyword(word string) bool {
	if t := p.peek(); t.kind == tokenWord && strings.EqualFold(t.text, word) {
		p.at++
		return true
	}
	return false
}

func (p *cqlParser) sign(sign string) bool {
	if t := p.peek(); t.kind == tokenSign && t.text == sign {
		p.at++
		return true
	}
	return false
}

func (p *cqlParser) statement() (statement, error) {
	var st statement
	var err error
	if p.peek().kind == tokenEnd {
		return st, refuse("the query is empty")
	}
	if !p.ordering() {
		if st.where, err = p.or(); err != nil {
			return st, err
		}
		if negative(st.where.leftmost()) {
			return st, refuse("a negative expression cannot be the first clause")
		}
		if p.peek().kind == tokenEnd {
			return st, nil
		}
		if !p.ordering() {
			return st, refuse("unexpected %q", p.peek().text)
		}
	}
	st.order, err = p.orders()
	return st, err
}

// negative reports whether a clause is negated.
func negative(e expr) bool {
	switch e := e.(type) {
	case notExpr:
		return true
	case clause:
		return e.op == "!=" || e.op == "!~" || e.op == "not in"
	}
	return false
}

// ordering consumes "order by".
func (p *cqlParser) ordering() bool {
	if !p.keyword("order") {
		return false
	}
	if p.keyword("by") {
		return true
	}
	p.at--
	return false
}

func (p *cqlParser) orders() ([]orderBy, error) {
	var out []orderBy
	for {
		t := p.next()
		if t.kind != tokenWord {
			return nil, refuse("order by needs a field, not %q", t.text)
		}
		o := orderBy{field: strings.ToLower(t.text)}
		if !p.keyword("asc") {
			o.down = p.keyword("desc")
		}
		out = append(out, o)
		if p.sign(",") {
			continue
		}
		if t := p.peek(); t.kind != tokenEnd {
			return nil, refuse("unexpected %q after order by", t.text)
		}
		return out, nil
	}
}

func (p *cqlParser) or() (expr, error) {
	l, err := p.and()
	for err == nil && p.keyword("or") {
		var r expr
		r, err = p.and()
		l = orExpr{l, r}
	}
	return l, err
}

func (p *cqlParser) and() (expr, error) {
	l, err := p.not()
	for err == nil && p.keyword("and") {
		var r expr
		r, err = p.not()
		l = andExpr{l, r}
	}
	return l, err
}

func (p *cqlParser) not() (expr, error) {
	if p.keyword("not") {
		x, err := p.not()
		return notExpr{x}, err
	}
	if p.sign("(") {
		x, err := p.or()
		if err == nil && !p.sign(")") {
			err = refuse("a parenthesis is not closed")
		}
		return x, err
	}
	return p.clause()
}

func (p *cqlParser) clause() (expr, error) {
	field := p.next()
	if field.kind != tokenWord || reserved(field.text) {
		return nil, refuse("a field was expected, not %q", field.text)
	}
	c := clause{field: strings.ToLower(field.text)}
	not := p.keyword("not")
	if p.keyword("in") {
		c.op = "in"
		if not {
			c.op = "not in"
		}
		var err error
		c.values, err = p.several()
		return c, err
	}
	op := p.next()
	if not || op.kind != tokenSign || strings.ContainsAny(op.text, "(),") || op.text == "!" {
		return nil, refuse("an operator was expected after %q, not %q", field.text, op.text)
	}
	v, err := p.operand()
	c.op, c.values = op.text, []operand{v}
	return c, err
}

// reserved reports whether an unquoted word cannot be a field or a value: a space named AND must be
// quoted.
func reserved(word string) bool {
	switch strings.ToLower(word) {
	case "and", "or", "not", "in", "order", "by", "null", "empty":
		return true
	}
	return false
}

func (p *cqlParser) several() ([]operand, error) {
	if !p.sign("(") {
		return nil, refuse("a list in parentheses was expected, not %q", p.peek().text)
	}
	var out []operand
	for {
		v, err := p.operand()
		if err != nil {
			return nil, err
		}
		out = append(out, v)
		switch {
		case p.sign(","):
		case p.sign(")"):
			return out, nil
		default:
			return nil, refuse("a list is not closed at %q", p.peek().text)
		}
	}
}

func (p *cqlParser) operand() (operand, error) {
	t := p.next()
	switch {
	case t.kind == tokenString:
		return operand{text: t.text}, nil
	case t.kind != tokenWord || reserved(t.text):
		return operand{}, refuse("a value was expected, not %q", t.text)
	case !p.sign("("):
		return operand{text: t.text}, nil
	}
	call := operand{call: strings.ToLower(t.text)}
	for !p.sign(")") {
		arg := p.next()
		if arg.kind != tokenString && arg.kind != tokenWord {
			return operand{}, refuse("the call of %s is not closed", t.text)
		}
		call.args = append(call.args, arg.text)
		p.sign(",")
	}
	return call, nil
}
