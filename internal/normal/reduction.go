package normal

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// reduction is a reduction over one axis whose result broadcasts over it.
type reduction struct {
	x    *node
	kind string
	axis int // counted from the first
}

// reductionOf is n as a reduction over one axis. An axis that is dropped must be
// the first, or the result would broadcast along another one.
func reductionOf(n *node) (reduction, bool) {
	o, ok := n.op.(op.Reduce)
	if !ok || len(o.Axes) != 1 || n.spec.DType != plan.F32 {
		return reduction{}, false
	}
	r := reduction{x: n.in[0], kind: o.Kind, axis: wrap(o.Axes[0], n.in[0])}
	return r, o.Keep || r.axis == 0
}

// length is the size of the reduced axis.
func (r reduction) length() (float64, bool) {
	n, ok := r.x.dim(r.axis).Const()
	return float64(n), ok
}

// meanOf is n as the mean over the last axis of a value, times a constant. A sum
// is the mean times the axis' size. why says what is wrong with one that nearly
// is.
func meanOf(n *node) (x *node, scale float64, why string) {
	n, scale = peel(n)
	r, ok := reductionOf(n)
	if !ok {
		if o, ok := n.op.(op.Reduce); ok && len(o.Axes) > 1 {
			return nil, 0, "the mean is over several axes"
		}
		return nil, 0, ""
	}
	switch r.kind {
	case "mean":
	case "sum":
		size, ok := r.length()
		if !ok || size == 0 {
			return nil, 0, ""
		}
		scale *= size
	default:
		return nil, 0, ""
	}
	if r.axis != r.x.rank()-1 {
		return nil, 0, "the mean is over an axis that is not the last"
	}
	return r.x, scale, ""
}

// centred is n as x minus its mean over the last axis, or the mean minus x with
// a sign of -1.
func centred(n *node) (x *node, sign float64, ok bool) {
	for _, t := range sumOf(n).terms {
		of, scale, _ := meanOf(t.n)
		if of == nil {
			continue
		}
		s := sumOf(n, of)
		if len(s.terms) != 2 || s.constant != 0 {
			continue
		}
		for i, v := range s.terms {
			m := s.terms[1-i]
			if v.n == of && m.n == t.n && near(m.coeff*scale, -v.coeff) && (near(v.coeff, 1) || near(v.coeff, -1)) {
				return of, v.coeff, true
			}
		}
		if base, c := peel(of); base != of { // the sum has taken the factor of the value off
			s = sumOf(n, base)
			for i, v := range s.terms {
				m := s.terms[1-min(i, 1)]
				if len(s.terms) == 2 && s.constant == 0 && v.n == base && m.n == t.n && near(m.coeff*scale, -v.coeff/c) && near(v.coeff/c*v.coeff/c, 1) {
					return of, v.coeff / c, true
				}
			}
		}
	}
	return nil, 0, false
}

// spread is what a normalisation divides by: the root of eps plus the mean square
// of v, or the variance of x.
type spread struct {
	v   *node // its mean square, nil if the variance is the mean of squares minus the square of the mean
	x   *node // its variance; nil for a mean square of something else
	eps float64
}

// spreadOf is n, whose root is taken, as a spread. why says what is wrong with
// one that nearly is.
func spreadOf(n *node) (sp spread, why string) {
	s := sumOf(n)
	if !(s.constant >= 0) {
		return sp, ""
	}
	sp.eps = decimal(s.constant)
	if len(s.terms) == 1 {
		t := s.terms[0]
		if inner, ok := notNegative(t.n); ok && near(t.coeff, 1) {
			in := sumOf(inner)
			if in.constant != 0 {
				return sp, ""
			}
			s.terms = in.terms
		}
	}
	switch len(s.terms) {
	case 1:
		return sp.meanSquare(s.terms[0])
	case 2:
		for i := range s.terms {
			if x, ok := fastVariance(s.terms[i], s.terms[1-i]); ok {
				sp.x = x
				return sp, ""
			}
		}
	}
	return sp, ""
}

// meanSquare completes a spread whose term besides eps is t.
func (sp spread) meanSquare(t term) (spread, string) {
	squares, scale, why := meanOf(t.n)
	if squares == nil {
		return sp, why
	}
	v, ok := squareOf(squares)
	if !ok {
		p := productOf(squares)
		if len(p.factors) != 1 || p.factors[0].power != 2 {
			return sp, ""
		}
		v, scale = p.factors[0].n, scale*p.scale
	}
	if x, _, ok := centred(v); ok {
		sp.x = x
	}
	if k := t.coeff * scale; !near(k, 1) {
		return sp, meanIsOff(v, k, sp.x != nil)
	}
	sp.v = v
	return sp, ""
}

// meanIsOff says what a sum of squares is that is k times the mean.
func meanIsOff(v *node, k float64, variance bool) string {
	n, ok := v.dim(-1).Const()
	switch size := float64(n); {
	case ok && near(k, size/(size-1)) && variance:
		return "the variance is divided by n - 1"
	case ok && near(k, size):
		return "the squares are added, not averaged"
	}
	return "the mean square has a factor"
}

// fastVariance is the mean of the squares of x minus the square of its mean.
func fastVariance(squares, mean term) (x *node, ok bool) {
	of, scale, _ := meanOf(squares.n)
	if of == nil || !near(squares.coeff*scale, 1) {
		return nil, false
	}
	q := productOf(mean.n)
	if x, ok = squareOf(of); !ok || len(q.factors) != 1 || q.factors[0].power != 2 {
		return nil, false
	}
	m, ms, _ := meanOf(q.factors[0].n)
	return x, m == x && near(mean.coeff*q.scale*ms*ms, -1)
}

// notNegative is the value whose negative elements n replaces by zero.
func notNegative(n *node) (*node, bool) {
	switch o := n.op.(type) {
	case op.ReLU:
		return n.in[0], true
	case op.Binary:
		if v, ok := n.in[1].scalar(); ok && o.Name() == "max" && v == 0 {
			return n.in[0], true
		}
		if v, ok := n.in[0].scalar(); ok && o.Name() == "max" && v == 0 {
			return n.in[1], true
		}
	}
	return nil, false
}
