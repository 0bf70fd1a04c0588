package plan

import (
	"slices"
	"strconv"
	"strings"
)

// A quotient is a factor of a term like a symbol, and is stored as its canonical
// text, floor(a/3) or floor((a+b+2)/3): a polynomial with coefficients and a
// constant from 0 to the divisor, without a common factor of both. It is never
// negative, since symbols are not.

// Limits of a quotient.
const (
	maxDivisor = 1 << 20
	maxNested  = 2 // quotients inside of one another
)

const quotientHead = "floor("

// FloorDiv is d / k, rounded down, for a k above 0. Equal quotients are
// [Dim.Equal] however they are written, for example (a+2*k)/k and a/k+2, and two
// strides one after the other and their product. A result beyond the limits of a
// dimension that can be written is invalid, see [Dim.Err].
func (d Dim) FloorDiv(k int) Dim {
	if d.beyond || k < 1 || k > maxDivisor {
		return Dim{beyond: true}
	}
	whole, rest := d.divide(int64(k))
	if whole.beyond || len(rest.terms) == 0 {
		return whole // the constant of the rest is below k
	}
	rest, k = reduced(rest, k)
	if k == 1 {
		return whole.Add(rest)
	}
	if t := rest.terms[0]; len(rest.terms) == 1 && t.coeff == 1 && len(t.syms) == 1 {
		if of, by, ok := quotient(t.syms[0], maxNested); ok { // floor((floor(of/by)+c)/k)
			return whole.Add(of.Add(C(int(rest.c)).Scale(by)).FloorDiv(by * k))
		}
	}
	text := quotientText(rest, k)
	if !rest.writable() || len(text) > maxDimText || nested(text) > maxNested {
		return Dim{beyond: true}
	}
	return whole.Add(Dim{terms: []term{{1, []string{text}}}})
}

// divide splits d into k times whole and a rest whose coefficients and constant
// are from 0 to k-1.
func (d Dim) divide(k int64) (whole, rest Dim) {
	whole.c, rest.c = floorDivided(d.c, k)
	for _, t := range d.terms {
		q, r := floorDivided(t.coeff, k)
		if q != 0 {
			whole.terms = append(whole.terms, term{q, t.syms})
		}
		if r != 0 {
			rest.terms = append(rest.terms, term{r, t.syms})
		}
	}
	return whole, rest
}

// floorDivided is a/k rounded down, and the rest.
func floorDivided(a, k int64) (q, r int64) {
	q, r = a/k, a%k
	if r < 0 {
		return q - 1, r + k
	}
	return q, r
}

// reduced divides a rest and the divisor by the factor that the coefficients and
// the divisor have in common; what that leaves of the constant does not count.
func reduced(rest Dim, k int) (Dim, int) {
	g := int64(k)
	for _, t := range rest.terms {
		for a := t.coeff; a != 0; {
			g, a = a, g%a
		}
	}
	out := Dim{c: rest.c / g, terms: make([]term, len(rest.terms))}
	for i, t := range rest.terms {
		out.terms[i] = term{t.coeff / g, t.syms}
	}
	return out, k / int(g)
}

func quotientText(d Dim, k int) string {
	inner := d.String()
	if len(d.terms) > 1 || d.c != 0 {
		inner = "(" + inner + ")"
	}
	return quotientHead + inner + "/" + strconv.Itoa(k) + ")"
}

// isQuotient tells a quotient from a symbol, whose name has no parenthesis.
func isQuotient(s string) bool { return strings.HasSuffix(s, ")") }

// Quotient is the dividend and the divisor of a factor of a term, see
// [Dim.Terms]; ok is false if it is a symbol.
func Quotient(factor string) (of Dim, by int, ok bool) { return quotient(factor, maxNested) }

// quotient reads the text of a quotient that has at most depth others in it.
func quotient(s string, depth int) (of Dim, by int, ok bool) {
	body, head := strings.CutPrefix(s, quotientHead)
	if !head || !isQuotient(s) || depth < 1 {
		return Dim{}, 0, false
	}
	body = body[:len(body)-1]
	slash := strings.LastIndexByte(body, '/')
	if slash < 0 {
		return Dim{}, 0, false
	}
	inner := body[:slash]
	if strings.HasPrefix(inner, "(") && strings.HasSuffix(inner, ")") {
		inner = inner[1 : len(inner)-1]
	}
	of, ok = parsePolynomial(inner, depth-1)
	by, digits := parseDivisor(body[slash+1:])
	return of, by, ok && digits
}

func parseDivisor(s string) (int, bool) {
	if len(s) == 0 || len(s) > len("1048576") || s[0] < '1' || s[0] > '9' {
		return 0, false
	}
	k, err := strconv.Atoi(s)
	return k, err == nil && k <= maxDivisor
}

// canonicalQuotient reports whether s is the text of a quotient as [Dim.FloorDiv]
// makes it.
func canonicalQuotient(s string) bool {
	of, by, ok := Quotient(s)
	if !ok {
		return false
	}
	return single(of.FloorDiv(by), s)
}

// single reports whether d is exactly the factor s.
func single(d Dim, s string) bool {
	return d.c == 0 && len(d.terms) == 1 && d.terms[0].coeff == 1 && len(d.terms[0].syms) == 1 && d.terms[0].syms[0] == s
}

// nested is the number of quotients inside of one another in a text.
func nested(text string) (depth int) {
	inside := 0
	var open []int // by parenthesis: 1 for that of a quotient, 0 for that of a sum
	for i := range len(text) {
		switch text[i] {
		case '(':
			open = append(open, 0)
			if strings.HasSuffix(text[:i+1], quotientHead) {
				open[len(open)-1] = 1
				inside++
				depth = max(depth, inside)
			}
		case ')':
			inside -= open[len(open)-1]
			open = open[:len(open)-1]
		}
	}
	return depth
}

// hasQuotient reports whether a dimension has one.
func (d Dim) hasQuotient() bool {
	for _, t := range d.terms {
		for _, s := range t.syms {
			if isQuotient(s) {
				return true
			}
		}
	}
	return false
}

// factor is the size of a symbol or a quotient.
func factor(s string, b Bindings) (n int64, ok bool) {
	if !isQuotient(s) {
		size, ok := b[s]
		return int64(size), ok
	}
	of, by, ok := Quotient(s)
	if !ok {
		return 0, false
	}
	size, err := of.Eval(b)
	return int64(size) / int64(by), err == nil
}

// Needs is the version of the format that can express p.
func (p *Plan) Needs() uint32 {
	for i := range p.Values {
		if slices.ContainsFunc(p.Values[i].Spec.Shape, Dim.hasQuotient) {
			return VersionQuotient
		}
	}
	for i := range p.Steps {
		for j := range p.Steps[i].Attrs {
			if slices.ContainsFunc(p.Steps[i].Attrs[j].Dims, Dim.hasQuotient) {
				return VersionQuotient
			}
		}
	}
	return Version
}
