package plan

import (
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// Dim is a dimension: a polynomial with integer coefficients over symbols, in
// canonical form. The zero Dim is the constant 0. Dims are immutable values;
// compare them with [Dim.Equal].
type Dim struct {
	c     int64
	terms []term // sorted by monomial, no zero coefficients
}

type term struct {
	coeff int64
	syms  []string // sorted, with repetition: a*a is [a a]
}

// Limits of what a Dim may hold; a peer's plan is refused beyond them.
const (
	MaxDimSize  = 1 << 40 // value of a bound dimension
	maxDimTerms = 16
	maxDimDeg   = 6
	maxSymLen   = 64
	maxDimText  = 512
)

// C is the constant dimension n.
func C(n int) Dim { return Dim{c: int64(n)} }

// Sym is the dimension named s.
func Sym(s string) Dim { return Dim{terms: []term{{1, []string{s}}}} }

// Const reports the value of a dimension that has no symbols.
func (d Dim) Const() (int, bool) { return int(d.c), len(d.terms) == 0 }

// Is reports whether d is the constant n.
func (d Dim) Is(n int) bool { return len(d.terms) == 0 && d.c == int64(n) }

// Symbol reports the name of a dimension that is exactly one symbol.
func (d Dim) Symbol() (string, bool) {
	if d.c == 0 && len(d.terms) == 1 && d.terms[0].coeff == 1 && len(d.terms[0].syms) == 1 {
		return d.terms[0].syms[0], true
	}
	return "", false
}

// Symbols appends the distinct symbols of d to dst.
func (d Dim) Symbols(dst []string) []string {
	for _, t := range d.terms {
		for _, s := range t.syms {
			if !slices.Contains(dst, s) {
				dst = append(dst, s)
			}
		}
	}
	return dst
}

// Equal reports whether d and o are the same polynomial.
func (d Dim) Equal(o Dim) bool {
	if d.c != o.c || len(d.terms) != len(o.terms) {
		return false
	}
	for i, t := range d.terms {
		if t.coeff != o.terms[i].coeff || !slices.Equal(t.syms, o.terms[i].syms) {
			return false
		}
	}
	return true
}

// Add is d + o.
func (d Dim) Add(o Dim) Dim {
	r := Dim{c: d.c + o.c}
	if len(d.terms) == 0 {
		r.terms = o.terms
		return r
	}
	if len(o.terms) == 0 {
		r.terms = d.terms
		return r
	}
	return r.normalised(append(slices.Clone(d.terms), o.terms...))
}

// Sub is d - o.
func (d Dim) Sub(o Dim) Dim { return d.Add(o.Scale(-1)) }

// Scale is k*d.
func (d Dim) Scale(k int) Dim {
	if k == 0 {
		return Dim{}
	}
	r := Dim{c: d.c * int64(k)}
	if len(d.terms) > 0 {
		r.terms = make([]term, len(d.terms))
		for i, t := range d.terms {
			r.terms[i] = term{t.coeff * int64(k), t.syms}
		}
	}
	return r
}

// Mul is d * o.
func (d Dim) Mul(o Dim) Dim {
	if n, ok := o.Const(); ok {
		return d.Scale(n)
	}
	if n, ok := d.Const(); ok {
		return o.Scale(n)
	}
	r := Dim{c: d.c * o.c}
	var ts []term
	for _, a := range append([]term{{d.c, nil}}, d.terms...) {
		for _, b := range append([]term{{o.c, nil}}, o.terms...) {
			if len(a.syms)+len(b.syms) == 0 || a.coeff*b.coeff == 0 {
				continue
			}
			s := append(slices.Clone(a.syms), b.syms...)
			slices.Sort(s)
			ts = append(ts, term{a.coeff * b.coeff, s})
		}
	}
	return r.normalised(ts)
}

// Div is d / o when the division is exact for every binding and o is a
// constant or a single product of symbols.
func (d Dim) Div(o Dim) (Dim, bool) {
	if d.Equal(o) && !d.Is(0) {
		return C(1), true
	}
	var by term
	switch {
	case len(o.terms) == 0 && o.c != 0:
		by.coeff = o.c
	case len(o.terms) == 1 && o.c == 0:
		by = o.terms[0]
	default:
		return Dim{}, false
	}
	if len(by.syms) > 0 && d.c != 0 || d.c%by.coeff != 0 {
		return Dim{}, false
	}
	var r Dim
	if len(by.syms) == 0 {
		r.c = d.c / by.coeff
	}
	var ts []term
	for _, t := range d.terms {
		if t.coeff%by.coeff != 0 {
			return Dim{}, false
		}
		s := slices.Clone(t.syms)
		for _, x := range by.syms {
			i := slices.Index(s, x)
			if i < 0 {
				return Dim{}, false
			}
			s = slices.Delete(s, i, i+1)
		}
		if len(s) == 0 {
			r.c += t.coeff / by.coeff
			continue
		}
		ts = append(ts, term{t.coeff / by.coeff, s})
	}
	return r.normalised(ts), true
}

func (d Dim) normalised(ts []term) Dim {
	slices.SortStableFunc(ts, func(a, b term) int { return slices.Compare(a.syms, b.syms) })
	out := ts[:0]
	for _, t := range ts {
		if n := len(out); n > 0 && slices.Equal(out[n-1].syms, t.syms) {
			out[n-1].coeff += t.coeff
		} else {
			out = append(out, t)
		}
	}
	out = slices.DeleteFunc(out, func(t term) bool { return t.coeff == 0 })
	if len(out) == 0 {
		out = nil
	}
	d.terms = out
	return d
}

// Subst replaces symbols by other dimensions; symbols absent from by stay.
func (d Dim) Subst(by map[string]Dim) Dim {
	r := Dim{c: d.c}
	for _, t := range d.terms {
		p := Dim{c: t.coeff}
		for _, s := range t.syms {
			if v, ok := by[s]; ok {
				p = p.Mul(v)
			} else {
				p = p.Mul(Sym(s))
			}
		}
		r = r.Add(p)
	}
	return r
}

// Bindings gives each symbol its size for one run.
type Bindings map[string]int

// Eval is the size of d under b. A symbol without a binding, a negative result
// and a result above [MaxDimSize] are errors wrapping [ErrInvalid].
func (d Dim) Eval(b Bindings) (int, error) {
	if len(d.terms) == 0 {
		return checkSize(d.c, d)
	}
	sum := d.c
	for _, t := range d.terms {
		v := t.coeff
		for _, s := range t.syms {
			n, ok := b[s]
			if !ok {
				return 0, fmt.Errorf("%w: dimension %q has no size", ErrInvalid, s)
			}
			if v, ok = MulChecked(v, int64(n)); !ok {
				return 0, fmt.Errorf("%w: dimension %s overflows", ErrInvalid, d)
			}
		}
		sum += v
		if sum > MaxDimSize || sum < -MaxDimSize {
			return 0, fmt.Errorf("%w: dimension %s overflows", ErrInvalid, d)
		}
	}
	return checkSize(sum, d)
}

func checkSize(n int64, d Dim) (int, error) {
	if n < 0 || n > MaxDimSize {
		return 0, fmt.Errorf("%w: dimension %s is %d, outside 0..%d", ErrInvalid, d, n, int64(MaxDimSize))
	}
	return int(n), nil
}

// MulChecked is a*b, and false when the magnitude exceeds [MaxDimSize].
func MulChecked(a, b int64) (int64, bool) {
	neg := (a < 0) != (b < 0)
	hi, lo := bits.Mul64(abs(a), abs(b))
	if hi != 0 || lo > MaxDimSize {
		return 0, false
	}
	if neg {
		return -int64(lo), true
	}
	return int64(lo), true
}

func abs(a int64) uint64 {
	if a < 0 {
		return uint64(-a)
	}
	return uint64(a)
}

// String writes the canonical text form, for example "past+seq" or
// "12*batch*seq-1"; [ParseDim] reads it back.
func (d Dim) String() string {
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
	var d Dim
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
		d = d.Add(t)
		rest = rest[end:]
	}
	if !d.writable() { // terms of one monomial have come together
		return bad()
	}
	return d, nil
}

// writable reports whether [ParseDim] reads d back from its text form. What
// arithmetic on dimensions gives may be beyond its limits.
func (d Dim) writable() bool {
	n, text := len(d.terms), 0
	if d.c != 0 {
		n, text = n+1, 1+len("1099511627776")
	}
	if n > maxDimTerms+1 || abs(d.c) > MaxDimSize {
		return false
	}
	for _, t := range d.terms {
		if t.coeff == 0 || abs(t.coeff) > MaxDimSize || len(t.syms) > maxDimDeg {
			return false
		}
		text += 1 + len("1099511627776")
		for _, s := range t.syms {
			if !ValidSymbol(s) {
				return false
			}
			text += 1 + len(s)
		}
	}
	return text <= maxDimText || len(d.String()) <= maxDimText
}

func parseTerm(s string, sign int64) (Dim, bool) {
	t := term{coeff: sign}
	for i, f := range strings.Split(s, "*") {
		if i == 0 && f != "" && f[0] >= '0' && f[0] <= '9' {
			k, err := strconv.ParseInt(f, 10, 64)
			if err != nil || k > MaxDimSize {
				return Dim{}, false
			}
			t.coeff *= k
			continue
		}
		if !ValidSymbol(f) {
			return Dim{}, false
		}
		t.syms = append(t.syms, f)
	}
	if len(t.syms) == 0 {
		return Dim{c: t.coeff}, true
	}
	if len(t.syms) > maxDimDeg || t.coeff == 0 {
		return Dim{}, false
	}
	slices.Sort(t.syms)
	return Dim{terms: []term{t}}, true
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
func (d Dim) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Dim) UnmarshalText(b []byte) error {
	v, err := ParseDim(string(b))
	*d = v
	return err
}

// Shape is the dimensions of a value, outermost first.
type Shape []Dim

// Equal reports whether s and o have the same rank and dimensions.
func (s Shape) Equal(o Shape) bool { return slices.EqualFunc(s, o, Dim.Equal) }

// Elements is the product of the dimensions; 1 for rank 0.
func (s Shape) Elements() Dim {
	n := C(1)
	for _, d := range s {
		n = n.Mul(d)
	}
	return n
}

// Eval binds every dimension.
func (s Shape) Eval(b Bindings) ([]int, error) {
	out := make([]int, len(s))
	for i, d := range s {
		n, err := d.Eval(b)
		if err != nil {
			return nil, err
		}
		out[i] = n
	}
	return out, nil
}

// String writes the shape as [a, b, c].
func (s Shape) String() string {
	var b strings.Builder
	b.WriteByte('[')
	for i, d := range s {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(d.String())
	}
	b.WriteByte(']')
	return b.String()
}

// Spec is the element type and shape of a value.
type Spec struct {
	DType DType `json:"dtype"`
	Shape Shape `json:"shape"`
}

// String writes the spec as f32[a, b].
func (s Spec) String() string { return s.DType.String() + s.Shape.String() }

// Terms calls f for the constant, with no symbols, if it is not zero, and for
// each product of symbols with its coefficient.
func (d Dim) Terms(f func(coeff int64, syms []string)) {
	if d.c != 0 {
		f(d.c, nil)
	}
	for _, t := range d.terms {
		f(t.coeff, t.syms)
	}
}
