package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// String writes the canonical text form, for example "past+seq" or
// "12*batch*seq-1"; [ParseDim] reads it back. It is "?" if [Dim.Err] says that
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
				return bad()
			}
		}
		end := strings.IndexAny(rest, "+-")
		if end < 0 {
			end = len(rest)
		}
		t, ok := parseTerm(rest[:end], sign)
		if n++; !ok || n > maxDimTerms+1 {
			return bad()
		}
		if len(t.syms) == 0 {
			c += t.coeff // a few numbers of at most MaxDimSize
		} else {
			ts = append(ts, t)
		}
		rest = rest[end:]
	}
	d := sumOf(c, ts)
	if !d.writable() { // terms of one monomial were combined
		return bad()
	}
	return d, nil
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
			if !ValidSymbol(s) {
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
		if c == '*' || i > 0 && (c == '+' || c == '-') {
			n++
		}
	}
	return n
}

func parseTerm(s string, sign int64) (term, bool) {
	t := term{coeff: sign}
	for i, f := range strings.Split(s, "*") {
		if i == 0 && f != "" && f[0] >= '0' && f[0] <= '9' {
			k, err := strconv.ParseInt(f, 10, 64)
			if err != nil || k > MaxDimSize {
				return term{}, false
			}
			t.coeff *= k
			continue
		}
		if !ValidSymbol(f) {
			return term{}, false
		}
		t.syms = append(t.syms, f)
	}
	if len(t.syms) > maxDimDeg || len(t.syms) > 0 && t.coeff == 0 {
		return term{}, false
	}
	slices.Sort(t.syms)
	return t, true
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
