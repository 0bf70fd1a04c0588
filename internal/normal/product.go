package normal

import (
	"math"
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

const (
	// maxDepth bounds how far a pattern looks through arithmetic, and maxFactors
	// and maxTerms what it finds there: a pattern is found in constant time.
	maxDepth   = 6
	maxFactors = 8
	maxTerms   = 12
	// constantTolerance is how far a constant of a pattern may be from its exact
	// value: a few roundings to float32.
	constantTolerance = 2e-6
)

// factor is a value to a power.
type factor struct {
	n     *node
	power float64
}

// product is a constant times powers of values.
type product struct {
	scale   float64
	factors []factor
	whole   []*node // not taken apart
	around  bool    // whole are the only values to find: what has none of them is not taken apart
	failed  bool
}

// productOf takes a value apart into factors, through products, quotients, signs,
// powers and roots, as far as that is exact for numbers of both signs. Values in
// whole stay whole. A value that is no product is one factor.
func productOf(n *node, whole ...*node) product {
	p := product{scale: 1, whole: whole}
	p.take(n, 1, maxDepth)
	if p.failed || math.IsInf(p.scale, 0) || math.IsNaN(p.scale) {
		return product{scale: 1, factors: []factor{{n, 1}}}
	}
	return p
}

// around is n as a product of the given values, as far as it has them, and of
// others that stay as they are.
func around(n *node, values ...*node) product {
	p := product{scale: 1, whole: values, around: true}
	p.take(n, 1, maxDepth)
	return p
}

// has reports whether the arithmetic of a product leads from n to one of the
// values.
func has(n *node, values []*node, depth int) bool {
	if slices.Contains(values, n) {
		return true
	}
	if depth == 0 || n.op == nil {
		return false
	}
	switch n.op.Name() {
	case "mul", "div":
		return has(n.in[0], values, depth-1) || has(n.in[1], values, depth-1)
	case "neg", "reciprocal", "sqrt", "rsqrt", "pow":
		return has(n.in[0], values, depth-1)
	}
	return false
}

// take multiplies by n to the given power.
func (p *product) take(n *node, power float64, depth int) {
	if v, ok := n.scalar(); ok && (v > 0 || v < 0 && isWhole(power)) {
		p.scale *= math.Pow(float64(v), power)
		return
	}
	if depth == 0 || n.op == nil || n.spec.DType != plan.F32 || slices.Contains(p.whole, n) || p.around && !has(n, p.whole, depth) {
		p.add(n, power)
		return
	}
	switch name := n.op.Name(); {
	case name == "mul" && isWhole(power):
		p.take(n.in[0], power, depth-1)
		p.take(n.in[1], power, depth-1)
	case name == "div" && isWhole(power):
		p.take(n.in[0], power, depth-1)
		p.take(n.in[1], -power, depth-1)
	case name == "neg" && isWhole(power):
		p.scale *= math.Pow(-1, power)
		p.take(n.in[0], power, depth-1)
	case name == "reciprocal":
		p.take(n.in[0], -power, depth-1)
	case name == "sqrt":
		p.take(n.in[0], power/2, depth-1)
	case name == "rsqrt":
		p.take(n.in[0], -power/2, depth-1)
	case name == "pow":
		p.takePower(n, power, depth)
	default:
		p.add(n, power)
	}
}

// takePower multiplies by a power of a power: (x^2)^0.5 is |x|, not x.
func (p *product) takePower(n *node, power float64, depth int) {
	e, ok := n.in[1].scalar()
	inner := float64(e)
	if !ok || !(isWhole(power) || inner == 0.5 || inner == -0.5 || inner == -1) || !n.in[0].spec.Shape.Equal(n.spec.Shape) {
		p.add(n, power)
		return
	}
	p.take(n.in[0], inner*power, depth-1)
}

// add counts equal values together where their powers are whole and of one sign.
func (p *product) add(n *node, power float64) {
	for i, f := range p.factors {
		if f.n == n && isWhole(power) && isWhole(f.power) && (power > 0) == (f.power > 0) {
			p.factors[i].power += power
			return
		}
	}
	if p.failed = p.failed || len(p.factors) == maxFactors; !p.failed {
		p.factors = append(p.factors, factor{n, power})
	}
}

func isWhole(x float64) bool { return x == math.Trunc(x) && math.Abs(x) <= 8 }

// near reports whether a constant of a program is the number that a pattern has.
func near(x, want float64) bool { return math.Abs(x-want) <= constantTolerance*math.Abs(want) }

// only is the value that p is a multiple of, if it is one.
func (p product) only() (*node, bool) {
	if len(p.factors) != 1 || p.factors[0].power != 1 {
		return nil, false
	}
	return p.factors[0].n, true
}

// index finds n to the given power; -1 for none.
func (p product) index(n *node, power float64) int {
	return slices.Index(p.factors, factor{n, power})
}

// without is p divided by one power of factors i and j; i = j is one factor.
func (p product) without(is ...int) product {
	r := product{scale: p.scale}
	for i, f := range p.factors {
		if slices.Contains(is, i) {
			continue
		}
		r.factors = append(r.factors, f)
	}
	return r
}

// less is p divided by n; false if n is not a factor with a positive whole power.
func (p product) less(n *node) (product, bool) {
	r := product{scale: p.scale, factors: slices.Clone(p.factors)}
	for i, f := range r.factors {
		if f.n != n || f.power < 1 || !isWhole(f.power) {
			continue
		}
		if f.power == 1 {
			r.factors = slices.Delete(r.factors, i, i+1)
		} else {
			r.factors[i].power--
		}
		return r, true
	}
	return p, false
}

// same reports whether two products have the same factors, in any order; their
// scales may differ.
func (p product) same(q product) bool {
	if len(p.factors) != len(q.factors) {
		return false
	}
	for _, f := range p.factors {
		if !slices.Contains(q.factors, f) {
			return false
		}
	}
	return true
}

// times makes x times a product: its factors first, its scale last.
func (b *builder) times(x *node, p product) *node {
	for _, f := range p.factors {
		switch y := b.power(f.n, math.Abs(f.power)); {
		case f.power < 0:
			x = b.make(op.Div(), x, y)
		default:
			x = b.make(op.Mul(), x, y)
		}
	}
	return b.scale(x, rounded(p.scale))
}

// power is x to a positive power.
func (b *builder) power(x *node, power float64) *node {
	switch power {
	case 1:
		return x
	case 2:
		return b.make(op.Mul(), x, x)
	case 0.5:
		return b.make(op.Sqrt{}, x)
	}
	return b.make(op.Pow(), x, b.constant(float32(power), x))
}

// rounded is a scale in float32, 1 or -1 if it is that but for rounding.
func rounded(x float64) float32 {
	if near(x, 1) {
		return 1
	}
	if near(x, -1) {
		return -1
	}
	return float32(x)
}

// peel takes the constant factors off a value, one after the other.
func peel(n *node) (*node, float64) {
	scale := 1.0
	for range maxDepth {
		x, c := peelOne(n)
		if x == n {
			break
		}
		n, scale = x, scale*c
	}
	return n, scale
}

// peelOne takes one constant factor off a value: n itself, and 1, if it has none.
func peelOne(n *node) (*node, float64) {
	if n.op == nil || n.spec.DType != plan.F32 {
		return n, 1
	}
	switch n.op.Name() {
	case "neg":
		return n.in[0], -1
	case "sub":
		if c, ok := n.in[0].scalar(); ok && c == 0 && n.in[1].spec.Shape.Equal(n.spec.Shape) {
			return n.in[1], -1
		}
	case "mul":
		for i, x := range n.in {
			if c, ok := n.in[1-i].scalar(); ok && x.spec.Shape.Equal(n.spec.Shape) {
				return x, float64(c)
			}
		}
	case "div":
		if c, ok := n.in[1].scalar(); ok && c != 0 && n.in[0].spec.Shape.Equal(n.spec.Shape) {
			return n.in[0], 1 / float64(c)
		}
	}
	return n, 1
}

// squareOf is the value whose square n is.
func squareOf(n *node) (*node, bool) {
	switch {
	case n.is("mul") && n.in[0] == n.in[1]:
		return n.in[0], true
	case n.is("pow"):
		e, ok := n.in[1].scalar()
		return n.in[0], ok && e == 2 && n.in[0].spec.Shape.Equal(n.spec.Shape)
	}
	return nil, false
}
