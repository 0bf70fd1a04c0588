package normal

import (
	"math"
)

// exactScale is the scale without the errors of computing it in float32, in
// different ways in different programs: 1 or the reciprocal of the root of the
// width of the heads, if it is as good as that.
func (w *attending) exactScale() float32 {
	width, _ := w.queryNode.dim(w.queryInner).Const()
	for _, c := range []float64{1, 1 / math.Sqrt(float64(max(width, 1)))} {
		if math.Abs(float64(w.scale)-c) <= 1e-6*c {
			return float32(c)
		}
	}
	return w.scale
}

// times multiplies what became of the scores so far by a constant.
func (w *attending) times(c float32) string {
	if len(w.terms) > 0 && !(c > 0) {
		return "masked scores are multiplied by a number that is not positive"
	}
	w.scale *= c
	if w.softcap != 0 {
		if c < 0 {
			c = -c
		}
		w.softcap *= c
	}
	for i := range w.terms {
		w.terms[i].times *= c
	}
	return ""
}

// arithmetic follows an operator on the scores and another value.
func (w *attending) arithmetic(n, other *node, first bool) string {
	c, constant := other.number()
	switch {
	case n.is("mul") && constant:
		return w.times(float32(c))
	case n.is("div") && constant && first:
		return w.times(float32(1 / c))
	case n.is("mul"):
		if r, ok := w.b.bandOf(other); ok && r.in.n == nil && r.in.v == 1 && r.out == 0 {
			w.gate = &triangleGate{r, w.now}
			return ""
		}
		return "scores are scaled by a tensor"
	case n.is("max") && constant && c <= absorbingFill:
		return "" // of the lowest number and what a mask made lower still
	case (n.is("add") || n.is("sub") || n.is("bias")) && constant:
		return "" // one number for all scores
	case n.is("add"), n.is("bias"), n.is("sub") && first:
		t := w.term(other, termAdd)
		if n.is("sub") {
			t.times = -1
		}
		if w.gate != nil {
			return w.gated(t)
		}
		w.terms = append(w.terms, t)
		return ""
	}
	return "scores are not only scaled and masked: " + n.op.Name()
}

// selected follows where(cond, scores, fill) and where(cond, fill, scores).
func (w *attending) selected(x, n *node) string {
	fill, negated := n.in[2], false
	if n.in[1] != x {
		fill, negated = n.in[1], true
	}
	v, ok := fill.number()
	if !ok || v > maskFill {
		return "masked scores are not replaced by a low number"
	}
	if w.b.dependsOn(n.in[0], w.scores) {
		return "the mask depends on the scores"
	}
	t := w.term(n.in[0], termBool)
	t.negated, t.fill = negated, v
	w.terms = append(w.terms, t)
	return ""
}
