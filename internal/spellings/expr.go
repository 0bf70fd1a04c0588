package spellings

import "strconv"

// node is an expression.
type node struct {
	kind  nodeKind
	name  string // of a name, a call, an operator sign, or the text of a string
	num   float64
	attrs []attr
	args  []node
	at    pos
}

type nodeKind uint8

const (
	number nodeKind = iota
	text
	name
	call
	list
	infix // args are the operands; one for the minus sign
)

type attr struct {
	key   string
	value node
}

// parser reads the tokens of one statement.
type parser struct {
	tokens []token
	at     pos
	err    error
}

func (p *parser) peek() token {
	if len(p.tokens) == 0 {
		return token{at: p.at}
	}
	return p.tokens[0]
}

func (p *parser) next() token {
	t := p.peek()
	if len(p.tokens) > 0 {
		p.tokens = p.tokens[1:]
	}
	return t
}

// take skips the sign s, if it is next.
func (p *parser) take(s string) bool {
	if t := p.peek(); t.kind != tokSign || t.text != s {
		return false
	}
	p.next()
	return true
}

func (p *parser) want(s string) {
	if !p.take(s) {
		p.fail("%q, want %q", p.peek().text, s)
	}
}

// word takes a name.
func (p *parser) word() string {
	t := p.next()
	if t.kind != tokName {
		p.fail("%q, want a name", t.text)
	}
	return t.text
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = p.at.errorf(format, args...)
	}
	p.tokens = nil // every loop below ends with the tokens
}

// end is the first error, or that something is left.
func (p *parser) end() error {
	if p.err == nil && len(p.tokens) > 0 {
		p.fail("%q after the end of the statement", p.tokens[0].text)
	}
	return p.err
}

// levels are the signs of infix operators, those that bind least first.
var levels = [][]string{{"<=", ">=", "==", "<", ">"}, {"+", "-"}, {"*", "/", "%"}}

func (p *parser) expr() node { return p.level(0) }

func (p *parser) level(i int) node {
	if i == len(levels) {
		return p.unary()
	}
	x := p.level(i + 1)
	for {
		sign := ""
		for _, s := range levels[i] {
			if sign == "" && p.take(s) {
				sign = s
			}
		}
		if sign == "" {
			return x
		}
		x = node{kind: infix, name: sign, args: []node{x, p.level(i + 1)}, at: p.at}
	}
}

func (p *parser) unary() node {
	if p.take("-") {
		x := p.unary()
		if x.kind == number {
			x.num = -x.num
			return x
		}
		return node{kind: infix, name: "-", args: []node{x}, at: p.at}
	}
	x := p.primary()
	if p.take("^") {
		return node{kind: infix, name: "^", args: []node{x, p.unary()}, at: p.at}
	}
	return x
}

func (p *parser) primary() node {
	switch t := p.next(); {
	case t.kind == tokNumber:
		v, err := strconv.ParseFloat(t.text, 64)
		if err != nil {
			p.fail("%q is not a number", t.text)
		}
		return node{kind: number, num: v, at: t.at}
	case t.kind == tokString:
		return node{kind: text, name: t.text, at: t.at}
	case t.kind == tokName:
		return p.named(t)
	case t.text == "(":
		x := p.expr()
		p.want(")")
		return x
	case t.text == "[":
		return node{kind: list, args: p.args("]"), at: t.at}
	default:
		p.fail("unexpected %q", t.text)
		return node{}
	}
}

func (p *parser) named(t token) node {
	n := node{kind: name, name: t.text, at: t.at}
	if p.take("{") {
		n.kind = call
		for !p.take("}") && p.err == nil {
			key := p.word()
			p.want("=")
			n.attrs = append(n.attrs, attr{key, p.expr()})
			if !p.take(",") && p.peek().text != "}" {
				p.fail("%q between attributes, want a comma", p.peek().text)
			}
		}
		p.want("(")
		n.args = p.args(")")
	} else if p.take("(") {
		n.kind = call
		n.args = p.args(")")
	}
	return n
}

// args are expressions separated by commas, up to the closing bracket.
func (p *parser) args(closing string) []node {
	var out []node
	for !p.take(closing) && p.err == nil {
		out = append(out, p.expr())
		if !p.take(",") && p.peek().text != closing {
			p.fail("%q, want a comma or %q", p.peek().text, closing)
		}
	}
	return out
}
