package normal

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// rotated is a value whose pairs have their elements exchanged, each times a
// constant sign.
type rotated struct {
	x             *node
	p             pairs
	first, second float64
}

// rotatedOf is n as such a value: (-x2, x1) of rotate_half, interleaved in
// rotate_every_two.
func (b *builder) rotatedOf(n *node) (r rotated, ok bool) {
	var one, two *node
	switch o := n.op.(type) {
	case op.Concat:
		if wrap(o.Axis, n) != n.rank()-1 || len(n.in) != 2 {
			return r, false
		}
		one, two = n.in[0], n.in[1]
	case op.Reshape:
		if r.p = interleaved; !n.in[0].is("concat") {
			return r, false
		}
		if one, two, ok = b.joinedPairs(n); !ok {
			return r, false
		}
	default:
		return r, false
	}
	one, r.first = peel(one)
	two, r.second = peel(two)
	s, ok := b.pieceOf(one)
	if !ok {
		return r, false
	}
	f, ok := b.pieceOf(two)
	if !ok || !f.before(s) || f.p != r.p {
		return r, false
	}
	r.x = b.whole(f, f.end())
	return r, r.x.spec.Shape.Equal(n.spec.Shape)
}

// ropeOfRotated makes x*cos + rotated(x)*sin a rotation, where the cosines and the
// sines of the two elements of a pair are known to be the same.
func ropeOfRotated(b *builder, n *node) (*node, bool) {
	if n.spec.DType != plan.F32 || n.rank() < 2 {
		return nil, false
	}
	s := sumOf(n)
	if len(s.terms) != 2 || s.constant != 0 {
		return nil, false
	}
	for i, t := range s.terms {
		p := productOf(t.n)
		for j, f := range p.factors {
			if f.power != 1 || !f.n.is("concat") && !f.n.is("reshape") {
				continue
			}
			r, ok := b.rotatedOf(f.n)
			if !ok || !r.x.spec.Shape.Equal(n.spec.Shape) {
				continue
			}
			sines := p.without(j)
			sines.scale *= t.coeff
			cosines, ok := productOf(s.terms[1-i].n, r.x).less(r.x)
			if !ok {
				continue
			}
			cosines.scale *= s.terms[1-i].coeff
			return b.rotatedBy(r, cosines, sines)
		}
	}
	return nil, false
}

// rotatedBy takes the cosines and sines of both elements of the pairs apart.
func (b *builder) rotatedBy(r rotated, cosines, sines product) (*node, bool) {
	c, cosSign, ok := b.factorOf(cosines)
	if !ok {
		return nil, false
	}
	if cosSign < 0 { // what turns is minus the value
		r.x, sines.scale = b.scale(r.x, -1), -sines.scale
	}
	s, sinSign, ok := b.factorOf(sines)
	if !ok {
		return nil, false
	}
	c1, c2, ok := b.parts(c, r.p, maxDepth)
	if !ok || c1 != c2 {
		return b.refuse("rope", "the cosines of the two halves may differ")
	}
	s1, s2, ok := b.parts(s, r.p, maxDepth)
	if !ok {
		return b.refuse("rope", "the sines of the two halves may differ")
	}
	s1, k1 := b.peelReshaped(s1)
	s2, k2 := b.peelReshaped(s2)
	k1, k2 = k1*sinSign*r.first, k2*sinSign*r.second
	switch {
	case s1 != s2:
		return b.refuse("rope", "the sines of the two halves may differ")
	case k1 != -1 || k2 != 1:
		if k1 != -k2 {
			return b.refuse("rope", "the signs are not those of a rotation")
		}
		s2 = b.scale(s2, float32(k2))
	}
	half, _ := r.x.dim(-1).Div(plan.C(2))
	return b.rotary(r.x, r.p, half, c1, s2)
}

// peelReshaped is [peel] that also takes the constant factors off what n is a
// reshape of.
func (b *builder) peelReshaped(n *node) (*node, float64) {
	n, scale := peel(n)
	if n.is("reshape") {
		if x, c := peel(n.in[0]); c != 1 {
			return b.make(n.op, x), scale * c
		}
	}
	return n, scale
}
