package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// String writes the canonical text form, for example "past+seq",
// "12*batch*seq-1" or "2*floor((h+1)/2)"; [ParseDim] reads it back. It is "?" if [Dim.Err] says that
// d is not a dimension.
func (d Dim) String() string {
	if d.beyond {
		return "?"
	}
	if len(d.terms) == 0 {
		return strconv.FormatInt(d.c, 10)
	}
	var b strings.Builder
	for i, t := range d.terms {
		switch {
		case t.coeff < 0:
			b.WriteByte('-')
		case i > 0:
			b.WriteByte('+')
		}
		if k := abs(t.coeff); k != 1 {
			b.WriteString(strconv.FormatUint(k, 10))
			b.WriteByte('*')
		}
		b.WriteString(strings.Join(t.syms, "*"))
	}
	if d.c != 0 {
		if d.c > 0 {
			b.WriteByte('+')
		}
		b.WriteString(strconv.FormatInt(d.c, 10))
	}
	return b.String()
}

// ParseDim reads the text form of a dimension.
func ParseDim(s string) (Dim, error) {
	bad := func() (Dim, error) {
		if len(s) > 80 {
			s = s[:80] + "..."
		}
		return Dim{}, fmt.Errorf("%w: bad dimension %q", ErrInvalid, s)
	}
	if s == "" || len(s) > maxDimText {
		return bad()
	}
	d, ok := parsePolynomial(s, maxNested)
	if !ok || !d.writable() { // terms of one monomial were combined
		return bad()
	}
	return d, nil
}

// parsePolynomial reads a dimension with at most depth quotients inside of one
// another.
func parsePolynomial(s string, depth int) (Dim, bool) {
	if s == "" {
		return Dim{}, false
	}
	var c int64
	var ts []term
	rest, n := s, 0
	for rest != "" {
		sign := int64(1)
		switch rest[0] {
		case '-':
			sign, rest = -1, rest[1:]
		case '+':
			rest = rest[1:]
		default:
			if n > 0 {
				return Dim{}, false
			}
		}
		end := indexOutside(rest, "+-")
		t, ok := parseTerm(rest[:end], sign, depth)
		if n++; !ok || n > maxDimTerms+1 {
			return Dim{}, false
		}
		if len(t.syms) == 0 {
			c += t.coeff // a few numbers of at most MaxDimSize
		} else {
			ts = append(ts, t)
		}
		rest = rest[end:]
	}
	d := sumOf(c, ts)
	return d, !d.beyond
}

// indexOutside is the index of the first of the characters that is not in
// parentheses, or the length of s.
func indexOutside(s, chars string) int {
	open := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '(':
			open++
		case c == ')':
			open--
		case open <= 0 && strings.IndexByte(chars, c) >= 0:
			return i
		}
	}
	return len(s)
}

// writable reports whether [ParseDim] reads d back from its text form. The
// result of arithmetic on dimensions may exceed its limits.
func (d Dim) writable() bool {
	n := len(d.terms)
	if d.c != 0 {
		n++
	}
	if n > maxDimTerms+1 || abs(d.c) > MaxDimSize || d.beyond {
		return false
	}
	for _, t := range d.terms {
		if t.coeff == 0 || abs(t.coeff) > MaxDimSize || len(t.syms) > maxDimDeg {
			return false
		}
		for _, s := range t.syms {
			if !ValidSymbol(s) && !canonicalQuotient(s) {
				return false
			}
		}
	}
	return d.textLen() <= maxDimText
}

// textLen is the length of the text form.
func (d Dim) textLen() int {
	digits := func(k uint64) (n int) {
		for n = 1; k > 9; n++ {
			k /= 10
		}
		return n
	}
	n := 0
	for i, t := range d.terms {
		n += len(t.syms) - 1 // asterisks
		if t.coeff < 0 || i > 0 {
			n++
		}
		if k := abs(t.coeff); k != 1 {
			n += digits(k) + 1
		}
		for _, s := range t.syms {
			n += len(s)
		}
	}
	if d.c != 0 || n == 0 {
		n += digits(abs(d.c))
		if d.c < 0 || len(d.terms) > 0 {
			n++
		}
	}
	return n
}

// Factors is the number of numbers and symbols in the text form.
func (d Dim) Factors() (n int) {
	for _, t := range d.terms {
		if n += len(t.syms); abs(t.coeff) != 1 {
			n++
		}
		for _, s := range t.syms {
			if isQuotient(s) {
				n += textFactors([]byte(s)) - 1
			}
		}
	}
	if d.c != 0 || n == 0 {
		n++
	}
	return n
}

// textFactors is [Dim.Factors] of the dimension with the given text form.
func textFactors(text []byte) int {
	n := 1
	for i, c := range text {
		if c == '*' || c == '/' || i > 0 && (c == '+' || c == '-') {
			n++
		}
	}
	return n
}

func parseTerm(s string, sign int64, depth int) (term, bool) {
	t := term{coeff: sign}
	for i := 0; ; i++ {
		end := indexOutside(s, "*")
		f, rest := s[:end], s[end:]
		if !t.add(f, i, depth) {
			return term{}, false
		}
		if rest == "" {
			break
		}
		s = rest[1:]
	}
	if len(t.syms) > maxDimDeg || len(t.syms) > 0 && t.coeff == 0 {
		return term{}, false
	}
	slices.Sort(t.syms)
	return t, true
}

// add multiplies the term by factor i: a number, if it is the first, a symbol
// or a quotient.
func (t *term) add(f string, i, depth int) bool {
	if i == 0 && f != "" && f[0] >= '0' && f[0] <= '9' {
		k, err := strconv.ParseInt(f, 10, 64)
		t.coeff *= k
		return err == nil && k <= MaxDimSize
	}
	if isQuotient(f) {
		// Another text of a quotient is not read: its dimension may have other
		// terms.
		if of, by, ok := quotient(f, depth); !ok || !single(of.FloorDiv(by), f) {
			return false
		}
	} else if !ValidSymbol(f) {
		return false
	}
	t.syms = append(t.syms, f)
	return true
}

// ValidSymbol reports whether s can name a dimension: a letter or underscore,
// then letters, digits, underscores or dots, at most 64 bytes.
func ValidSymbol(s string) bool {
	if s == "" || len(s) > maxSymLen {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c != '.' && (c < '0' || c > '9')) {
			return false
		}
	}
	return true
}

// MarshalText implements encoding.TextMarshaler.
func (d Dim) MarshalText() ([]byte, error) { return []byte(d.String()), d.Err() }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Dim) UnmarshalText(b []byte) error {
	v, err := ParseDim(string(b))
	*d = v
	return err
}
