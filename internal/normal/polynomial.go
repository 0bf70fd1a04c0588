package normal

import (
	"slices"

	"github.com/genie-sdk/go/transport/plan"
)

// cubic is the coefficients of a polynomial of degree 3, constant first.
type cubic [4]float64

// polynomial is n as a polynomial in x.
func polynomial(n, x *node, depth int) (c cubic, ok bool) {
	if n == x {
		return cubic{0, 1}, true
	}
	if v, ok := n.scalar(); ok {
		return cubic{float64(v)}, true
	}
	if depth == 0 || n.op == nil || n.spec.DType != plan.F32 {
		return c, false
	}
	a, ok := polynomial(n.in[0], x, depth-1)
	if !ok {
		return c, false
	}
	switch n.op.Name() {
	case "neg":
		return a.times(cubic{-1})
	case "add", "sub", "mul", "div", "pow":
	default:
		return c, false
	}
	b, ok := polynomial(n.in[1], x, depth-1)
	if !ok {
		return c, false
	}
	switch n.op.Name() {
	case "add":
		return a.plus(b, 1), true
	case "sub":
		return a.plus(b, -1), true
	case "mul":
		return a.times(b)
	case "div":
		if !b.constant() || b[0] == 0 {
			return c, false
		}
		return a.times(cubic{1 / b[0]})
	}
	if !b.constant() || !isWhole(b[0]) || b[0] < 0 || b[0] > 3 {
		return c, false
	}
	c = cubic{1}
	for range int(b[0]) {
		if c, ok = c.times(a); !ok {
			return c, false
		}
	}
	return c, true
}

func (c cubic) constant() bool { return c[1] == 0 && c[2] == 0 && c[3] == 0 }

func (c cubic) plus(o cubic, scale float64) cubic {
	for i, v := range o {
		c[i] += scale * v
	}
	return c
}

// times is false where the product has a higher degree.
func (c cubic) times(o cubic) (r cubic, ok bool) {
	for i, v := range c {
		for j, w := range o {
			if v*w == 0 {
				continue
			}
			if i+j > 3 {
				return r, false
			}
			r[i+j] += v * w
		}
	}
	return r, true
}

// variables appends to dst the values that n could be a polynomial in: those
// that its arithmetic reads. Multiples of a value are not variables.
func variables(dst []*node, n *node, depth int) []*node {
	n, _ = peel(n)
	if _, ok := n.scalar(); ok || len(dst) >= 2*maxFactors || slices.Contains(dst, n) {
		return dst
	}
	if depth > 0 && (n.is("add") || n.is("sub") || n.is("mul") || n.is("pow")) && n.spec.DType == plan.F32 {
		for _, x := range n.in {
			dst = variables(dst, x, depth-1)
		}
	}
	return append(dst, n)
}
