package plan

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// Limits of the results of arithmetic on dimensions. The terms of a product of
// polynomials multiply, so without limits a few short dimensions would make
// strides too large for any memory.
const (
	MaxProductTerms  = 256 // terms of a result
	MaxProductDegree = 64  // symbols of a term of a result

	// maxPairs bounds the number of term products in one multiplication, before
	// those with the same symbols are combined.
	maxPairs = 1 << 13
)

// Err says why d is not a dimension: nil, or an error wrapping [ErrInvalid]
// when arithmetic had a result beyond [MaxProductTerms], [MaxProductDegree],
// 64-bit coefficients or the length of a quotient. Everything computed from such a Dim is invalid too: it
// equals nothing, has no value, and no valid plan contains it.
func (d Dim) Err() error {
	if !d.beyond {
		return nil
	}
	return fmt.Errorf("%w: a dimension has more than %d terms, more than %d symbols in a term, a coefficient beyond 64 bits, or a quotient that is too long", ErrInvalid, MaxProductTerms, MaxProductDegree)
}

// NumTerms is the number of terms whose sum is d, including the constant even
// if it is 0.
func (d Dim) NumTerms() int { return 1 + len(d.terms) }

// Add is d + o.
func (d Dim) Add(o Dim) Dim {
	c, ok := addChecked(d.c, o.c)
	switch {
	case d.beyond || o.beyond || !ok:
		return Dim{beyond: true}
	case len(d.terms) == 0:
		return Dim{c: c, terms: o.terms}
	case len(o.terms) == 0:
		return Dim{c: c, terms: d.terms}
	}
	return sumOf(c, append(slices.Clone(d.terms), o.terms...))
}

// Sub is d - o.
func (d Dim) Sub(o Dim) Dim { return d.Add(o.Scale(-1)) }

// Scale is k*d.
func (d Dim) Scale(k int) Dim {
	c, ok := timesChecked(d.c, int64(k))
	switch {
	case d.beyond || !ok:
		return Dim{beyond: true}
	case k == 0:
		return Dim{}
	}
	r := Dim{c: c}
	if len(d.terms) > 0 {
		r.terms = make([]term, len(d.terms))
	}
	for i, t := range d.terms {
		if r.terms[i] = t; k == 1 {
			continue
		}
		if r.terms[i].coeff, ok = timesChecked(t.coeff, int64(k)); !ok {
			return Dim{beyond: true}
		}
	}
	return r
}

// Mul is d * o.
func (d Dim) Mul(o Dim) Dim {
	switch {
	case d.beyond || o.beyond:
		return Dim{beyond: true}
	case len(o.terms) == 0:
		return d.Scale(int(o.c))
	case len(d.terms) == 0:
		return o.Scale(int(d.c))
	case d.NumTerms()*o.NumTerms() > maxPairs:
		return Dim{beyond: true}
	}
	c, ok := timesChecked(d.c, o.c)
	ts := make([]term, 0, d.NumTerms()*o.NumTerms())
	pair := func(a, b term) {
		if a.coeff == 0 || b.coeff == 0 || !ok {
			return
		}
		var k int64
		if k, ok = timesChecked(a.coeff, b.coeff); len(a.syms)+len(b.syms) > MaxProductDegree {
			ok = false
		}
		if ok {
			ts = append(ts, term{k, merged(a.syms, b.syms)})
		}
	}
	for _, b := range o.terms {
		pair(term{coeff: d.c}, b)
	}
	for _, a := range d.terms {
		pair(a, term{coeff: o.c})
		for _, b := range o.terms {
			pair(a, b)
		}
	}
	if !ok {
		return Dim{beyond: true}
	}
	return sumOf(c, ts)
}

// merged is the symbols of two terms, sorted like both inputs.
func merged(a, b []string) []string {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	}
	out := make([]string, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0] <= b[0] {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// Div is d / o when the division is exact for every binding and o is a
// constant or a single product of symbols.
func (d Dim) Div(o Dim) (Dim, bool) {
	if d.beyond || o.beyond {
		return Dim{}, false
	}
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
	if len(by.syms) > 0 && d.c != 0 {
		return Dim{}, false
	}
	c, ok := divided(d.c, by.coeff)
	if !ok {
		return Dim{}, false
	}
	ts := make([]term, 0, len(d.terms))
	for _, t := range d.terms {
		k, ok := divided(t.coeff, by.coeff)
		if !ok {
			return Dim{}, false
		}
		s := t.syms
		if len(by.syms) > 0 {
			s = slices.Clone(s)
		}
		for _, x := range by.syms {
			i := slices.Index(s, x)
			if i < 0 {
				return Dim{}, false
			}
			s = slices.Delete(s, i, i+1)
		}
		if len(s) == 0 {
			c = k // no other term is without symbols: d has no constant then
			continue
		}
		ts = append(ts, term{k, s})
	}
	r := sumOf(c, ts)
	return r, !r.beyond
}

// sumOf is the polynomial with the constant c and the terms ts, which it takes
// over.
func sumOf(c int64, ts []term) Dim {
	slices.SortStableFunc(ts, func(a, b term) int { return slices.Compare(a.syms, b.syms) })
	out := ts[:0]
	for _, t := range ts {
		n := len(out)
		if n == 0 || !slices.Equal(out[n-1].syms, t.syms) {
			out = append(out, t)
			continue
		}
		var ok bool
		if out[n-1].coeff, ok = addChecked(out[n-1].coeff, t.coeff); !ok {
			return Dim{beyond: true}
		}
	}
	out = slices.DeleteFunc(out, func(t term) bool { return t.coeff == 0 })
	switch {
	case len(out) > MaxProductTerms:
		return Dim{beyond: true}
	case len(out) == 0:
		return Dim{c: c}
	case cap(out) > 2*len(out):
		out = slices.Clip(slices.Clone(out)) // frees the memory of combined terms
	}
	return Dim{c: c, terms: out}
}

// Subst replaces symbols by other dimensions; symbols absent from by stay.
func (d Dim) Subst(by map[string]Dim) Dim {
	r := Dim{c: d.c, beyond: d.beyond}
	for _, t := range d.terms {
		p := Dim{c: t.coeff}
		for _, s := range t.syms {
			v, ok := by[s]
			if of, k, is := Quotient(s); is {
				v, ok = of.Subst(by).FloorDiv(k), true
			}
			if !ok {
				v = Sym(s)
			}
			if p = p.Mul(v); p.beyond {
				return p
			}
		}
		if r = r.Add(p); r.beyond {
			return r
		}
	}
	return r
}

// addChecked is a+b; it is false when the sum does not fit 64 bits.
func addChecked(a, b int64) (int64, bool) {
	sum := a + b
	return sum, (sum > a) == (b > 0)
}

// timesChecked is a*b; it is false when the product or its negative does not
// fit 64 bits.
func timesChecked(a, b int64) (int64, bool) {
	hi, lo := bits.Mul64(abs(a), abs(b))
	if hi != 0 || lo > math.MaxInt64 {
		return 0, false
	}
	if (a < 0) != (b < 0) {
		return -int64(lo), true
	}
	return int64(lo), true
}

// divided is a/b; it is false when the quotient is not an integer.
func divided(a, b int64) (int64, bool) {
	if a == math.MinInt64 || a%b != 0 {
		return 0, false
	}
	return a / b, true
}
