package spellings

import (
	"fmt"
	"strings"
	"unicode"
)

type tokenKind uint8

const (
	tokEnd tokenKind = iota
	tokName
	tokNumber
	tokString
	tokSign
)

type token struct {
	kind tokenKind
	text string
	at   pos
}

// line is the tokens of one statement: a line of the file, and those after it
// as long as a bracket is open.
type line struct {
	at     pos
	text   string
	tokens []token
}

var signs = []string{"<=", ">=", "==", "->", "(", ")", "[", "]", "{", "}", ",", "=", "+", "-", "*", "/", "^", "<", ">", "%"}

// lex is the tokens of text.
func lex(text string, at pos) ([]token, error) {
	var out []token
	for text != "" {
		c := rune(text[0])
		switch {
		case c == '#':
			return out, nil
		case unicode.IsSpace(c):
			text = text[1:]
		case c == '_' || unicode.IsLetter(c):
			n := strings.IndexFunc(text, func(r rune) bool { return r != '_' && r != '.' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
			if n < 0 {
				n = len(text)
			}
			out, text = append(out, token{tokName, text[:n], at}), text[n:]
		case unicode.IsDigit(c):
			n := numberLen(text)
			out, text = append(out, token{tokNumber, text[:n], at}), text[n:]
		case c == '"':
			n := strings.IndexByte(text[1:], '"')
			if n < 0 {
				return nil, at.errorf("a string has no end")
			}
			out, text = append(out, token{tokString, text[1 : n+1], at}), text[n+2:]
		default:
			s := signAt(text)
			if s == "" {
				return nil, at.errorf("unexpected %q", c)
			}
			out, text = append(out, token{tokSign, s, at}), text[len(s):]
		}
	}
	return out, nil
}

func signAt(text string) string {
	for _, s := range signs {
		if strings.HasPrefix(text, s) {
			return s
		}
	}
	return ""
}

// numberLen is the length of the number that text begins with: digits, a
// fraction, an exponent.
func numberLen(text string) int {
	n := 0
	for n < len(text) {
		c := text[n]
		exponent := (c == '-' || c == '+') && n > 0 && (text[n-1] == 'e' || text[n-1] == 'E')
		if (c < '0' || c > '9') && c != '.' && c != 'e' && c != 'E' && !exponent {
			break
		}
		n++
	}
	return n
}

// lines splits a file into statements.
func lines(file, src string) ([]line, error) {
	var out []line
	depth := 0
	for i, text := range strings.Split(src, "\n") {
		at := pos{file, i + 1}
		trimmed := strings.TrimSpace(text)
		if key, _, ok := strings.Cut(trimmed, ":"); ok && depth == 0 && proseKeys[key] {
			out = append(out, line{at: at, text: trimmed})
			continue
		}
		tokens, err := lex(text, at)
		if err != nil {
			return nil, err
		}
		if len(tokens) == 0 {
			continue
		}
		if depth > 0 {
			last := &out[len(out)-1]
			last.tokens = append(last.tokens, tokens...)
		} else {
			out = append(out, line{at: at, tokens: tokens})
		}
		for _, t := range tokens {
			switch t.text {
			case "(", "[", "{":
				depth++
			case ")", "]", "}":
				depth--
			}
		}
		if depth < 0 {
			return nil, at.errorf("a bracket is closed that is not open")
		}
	}
	if depth > 0 {
		return nil, out[len(out)-1].at.errorf("a bracket stays open")
	}
	return out, nil
}

// proseKeys begin the lines that are prose for people.
var proseKeys = map[string]bool{"about": true, "from": true, "why": true, "not": true, "note": true}

func (p pos) errorf(format string, args ...any) error {
	return fmt.Errorf("%s:%d: "+format, append([]any{p.file, p.line}, args...)...)
}
