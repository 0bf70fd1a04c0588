package plan

import (
	"fmt"
	"math/bits"
	"slices"
)

// Dim is a dimension: a polynomial with integer coefficients over symbols and
// quotients rounded down, see [Dim.FloorDiv], in canonical form. The zero Dim is the constant 0. Dims are immutable values;
// compare them with [Dim.Equal]. Arithmetic is bounded: see [Dim.Err].
type Dim struct {
	c      int64
	terms  []term // sorted by monomial, no zero coefficients
	beyond bool   // not a dimension: the result of arithmetic beyond its limits, see [Dim.Err]
}

type term struct {
	coeff int64
	syms  []string // symbols and quotients, sorted, with repetition: a*a is [a a]
}

// Limits of a Dim. A peer's plan that exceeds them is refused.
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
func (d Dim) Const() (int, bool) { return int(d.c), len(d.terms) == 0 && !d.beyond }

// Is reports whether d is the constant n.
func (d Dim) Is(n int) bool { return len(d.terms) == 0 && d.c == int64(n) && !d.beyond }

// Symbol reports the name of a dimension that is exactly one symbol.
func (d Dim) Symbol() (string, bool) {
	if d.c == 0 && len(d.terms) == 1 && d.terms[0].coeff == 1 && len(d.terms[0].syms) == 1 && !isQuotient(d.terms[0].syms[0]) {
		return d.terms[0].syms[0], true
	}
	return "", false
}

// Symbols appends the distinct symbols of d to dst.
func (d Dim) Symbols(dst []string) []string {
	for _, t := range d.terms {
		for _, s := range t.syms {
			if of, _, ok := Quotient(s); ok {
				dst = of.Symbols(dst)
			} else if !slices.Contains(dst, s) {
				dst = append(dst, s)
			}
		}
	}
	return dst
}

// Equal reports whether d and o are the same polynomial. An invalid dimension
// (see [Dim.Err]) equals nothing.
func (d Dim) Equal(o Dim) bool {
	if d.c != o.c || len(d.terms) != len(o.terms) || d.beyond || o.beyond {
		return false
	}
	for i, t := range d.terms {
		if t.coeff != o.terms[i].coeff || !slices.Equal(t.syms, o.terms[i].syms) {
			return false
		}
	}
	return true
}

// Bindings gives each symbol its size for one run.
type Bindings map[string]int

// Eval is the size of d under b. A symbol without a binding, a negative result
// and a result above [MaxDimSize] are errors wrapping [ErrInvalid].
func (d Dim) Eval(b Bindings) (int, error) {
	if d.beyond {
		return 0, d.Err()
	}
	if len(d.terms) == 0 || d.c > MaxDimSize || d.c < -MaxDimSize {
		return checkSize(d.c, d)
	}
	sum := d.c
	for _, t := range d.terms {
		v := t.coeff
		for _, s := range t.syms {
			n, ok := factor(s, b)
			if !ok {
				return 0, fmt.Errorf("%w: dimension %q has no size", ErrInvalid, s)
			}
			if v, ok = MulChecked(v, n); !ok {
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

// MulChecked is a*b; it is false when the magnitude exceeds [MaxDimSize].
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

// Terms calls f for the constant, with no symbols, if it is not zero, and for
// each product of symbols and quotients, see [Quotient], with its coefficient.
func (d Dim) Terms(f func(coeff int64, syms []string)) {
	if d.c != 0 {
		f(d.c, nil)
	}
	for _, t := range d.terms {
		f(t.coeff, t.syms)
	}
}
