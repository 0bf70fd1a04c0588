package emulator

import (
	"fmt"
	"strconv"
	"strings"
)

// maxPTX bounds a module's text, and maxStatements the instructions of it.
const (
	maxPTX        = 64 << 20
	maxStatements = 1 << 20
)

// token is a word, a number, a string or one punctuation mark of PTX.
type token struct {
	text string
	line int32
}

// lexer splits PTX into tokens.
type lexer struct {
	text string
	at   int
	line int32
	// next is the token that was peeked at, if ahead is set.
	next  token
	ahead bool
}

func wordByte(c byte) bool {
	return c == '_' || c == '$' || c == '%' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// skip passes over blanks and comments.
func (l *lexer) skip() {
	for l.at < len(l.text) {
		rest := l.text[l.at:]
		switch {
		case rest[0] == '\n':
			l.line++
			l.at++
		case rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\r' || rest[0] == 0:
			l.at++
		case strings.HasPrefix(rest, "//"):
			if n := strings.IndexByte(rest, '\n'); n >= 0 {
				l.at += n
			} else {
				l.at = len(l.text)
			}
		case strings.HasPrefix(rest, "/*"):
			n := strings.Index(rest, "*/")
			if n < 0 {
				l.at = len(l.text)
				return
			}
			l.line += int32(strings.Count(rest[:n], "\n"))
			l.at += n + 2
		default:
			return
		}
	}
}

// take is the next token, whose text is empty at the end.
func (l *lexer) take() token {
	if l.ahead {
		l.ahead = false
		return l.next
	}
	l.skip()
	if l.at >= len(l.text) {
		return token{"", l.line}
	}
	start := l.at
	switch c := l.text[start]; {
	case c == '"':
		n := strings.IndexByte(l.text[start+1:], '"')
		if n < 0 {
			l.at = len(l.text)
		} else {
			l.at = start + n + 2
		}
	case wordByte(c):
		for l.at < len(l.text) && wordByte(l.text[l.at]) {
			l.at++
		}
	default:
		l.at++
	}
	return token{l.text[start:l.at], l.line}
}

// body takes the text up to the brace that closes the one before, and that one.
func (l *lexer) body() (string, bool) {
	start := l.at
	for depth := 1; l.at < len(l.text); {
		switch c := l.text[l.at]; c {
		case '\n':
			l.line++
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				l.at++
				return l.text[start:l.at], true
			}
		case '"', '/':
			before := l.at
			if c == '"' {
				l.take()
			} else {
				l.skip()
			}
			if l.at > before {
				continue
			}
		}
		l.at++
	}
	return "", false
}

func (l *lexer) peek() token {
	if !l.ahead {
		l.next, l.ahead = l.take(), true
	}
	return l.next
}

// accept takes the next token if it is text.
func (l *lexer) accept(text string) bool {
	if l.peek().text != text {
		return false
	}
	l.ahead = false
	return true
}

func (l *lexer) expect(text string) error {
	if t := l.take(); t.text != text {
		return syntaxError(t, "there is "+quote(t.text)+" in place of "+quote(text))
	}
	return nil
}

func quote(s string) string {
	if s == "" {
		return "the end"
	}
	return strconv.Quote(s)
}

// syntaxError is PTX that cannot be loaded.
func syntaxError(t token, what string) error { return fmt.Errorf("line %d: %s", t.line, what) }

// argKind is what an operand is.
type argKind uint8

const (
	argName    argKind = iota // a register, a special register, a variable or a label
	argNumber                 // an integer
	argFloat                  // 0f or 0d, with its bits
	argAddress                // [name+offset]
	argVector                 // {a, b}
)

// arg is an operand.
type arg struct {
	kind   argKind
	name   string
	number uint64 // of argNumber and argFloat
	offset int64  // of argAddress, and of a name in it
	double bool   // of argFloat
	not    bool   // !%p
	also   string // the second destination, of a|b
	parts  []arg  // of argVector
}

// number parses an integer or a float of PTX.
func number(text string, negative bool) (arg, bool) {
	if len(text) > 2 && text[0] == '0' && (text[1] == 'f' || text[1] == 'F' || text[1] == 'd' || text[1] == 'D') {
		double := text[1] == 'd' || text[1] == 'D'
		n, err := strconv.ParseUint(text[2:], 16, 64)
		if err != nil || negative || len(text) != 10 && !double || double && len(text) != 18 {
			return arg{}, false
		}
		return arg{kind: argFloat, number: n, double: double}, true
	}
	text = strings.TrimSuffix(strings.TrimSuffix(text, "U"), "u")
	n, err := strconv.ParseUint(text, 0, 64)
	if err != nil {
		return arg{}, false
	}
	if negative {
		n = -n
	}
	return arg{kind: argNumber, number: n}, true
}

// operand parses one operand.
func (l *lexer) operand() (arg, error) {
	t := l.take()
	switch {
	case t.text == "[":
		return l.address()
	case t.text == "{":
		return l.vector()
	case t.text == "!":
		a, err := l.operand()
		a.not = true
		return a, err
	case t.text == "-":
		t = l.take()
		a, ok := number(t.text, true)
		if !ok {
			return arg{}, syntaxError(t, quote(t.text)+" is no number")
		}
		return a, nil
	case t.text == "" || !wordByte(t.text[0]):
		return arg{}, syntaxError(t, "there is "+quote(t.text)+" in place of an operand")
	case t.text[0] >= '0' && t.text[0] <= '9':
		a, ok := number(t.text, false)
		if !ok {
			return arg{}, syntaxError(t, quote(t.text)+" is no number")
		}
		return a, nil
	}
	a := arg{kind: argName, name: t.text}
	if l.accept("|") {
		a.also = l.take().text
	}
	if l.accept("+") {
		return a, l.offset(&a)
	}
	return a, nil
}

func (l *lexer) offset(a *arg) error {
	negative := l.accept("-")
	t := l.take()
	n, ok := number(t.text, negative)
	if !ok || n.kind != argNumber {
		return syntaxError(t, quote(t.text)+" is no offset")
	}
	a.offset = int64(n.number)
	return nil
}

func (l *lexer) address() (arg, error) {
	t := l.take()
	a := arg{kind: argAddress}
	if n, ok := number(t.text, false); ok {
		a.offset = int64(n.number)
	} else {
		a.name = t.text
	}
	switch {
	case l.accept("+"):
		if err := l.offset(&a); err != nil {
			return a, err
		}
	case l.peek().text == "-":
		if err := l.offset(&a); err != nil {
			return a, err
		}
	}
	return a, l.expect("]")
}

func (l *lexer) vector() (arg, error) {
	v := arg{kind: argVector}
	for len(v.parts) < 64 {
		a, err := l.operand()
		if err != nil {
			return v, err
		}
		v.parts = append(v.parts, a)
		if !l.accept(",") {
			break
		}
	}
	return v, l.expect("}")
}
