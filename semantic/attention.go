package semantic

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// attention is softmax(Q K^T) V: the operator of that name, or one softmax, the
// matrix products that compute its scores, and those that weight values with it.
type attention struct {
	scores  []product // side: which operand is K
	context []product // side: which operand is V
	query   plan.Dim  // query rows of the first scores product
	causal  bool      // a causal mask is applied to the scores
}

// product is an operator and the position of one operand.
type product struct{ id, side int }

// rowAxis is the axis of an operand of rank rank, K or V of attention, that has
// the rows.
func rowAxis(t *lazy.Tensor, side, rank int, key bool) int {
	o, ok := t.Op().(op.MatMul)
	if !ok {
		return rank - 2 // of the operator
	}
	axis := summedAxis(o, side, rank)
	if key {
		axis = 2*rank - 3 - axis // the other one of the last two
	}
	return axis
}

// queries are the operands of t that decide which rows attend: of attention's
// products the one that is not K or V, and of the operator all but these.
func (p product) queries(t *lazy.Tensor) []*lazy.Tensor {
	if _, ok := t.Op().(op.Attention); ok {
		return append([]*lazy.Tensor{t.In()[0]}, t.In()[3:]...)
	}
	return []*lazy.Tensor{t.In()[1-p.side]}
}

// attentions finds the attention patterns. From each softmax it walks back
// through views, scaling and masks to the score products, and forward to the
// products that sum over the softmax's axis. K and V must depend on an input:
// softmax(x W1) W2 with weights on both sides is a layer with an unusual
// activation, and a softmax over a matrix product that feeds no other is a
// classifier. The tensors of a pattern, from the scores to the context
// products, get its number.
type attentions struct{}

func (attentions) Name() string { return "attention" }

func (attentions) Recognise(a *analysis) error {
	w := &attentionWalk{analysis: a, seen: make([]int, len(a.tensors))}
	for id, t := range a.tensors {
		if a.Nodes[id].Dead {
			continue
		}
		if o, ok := t.Op().(op.Attention); ok {
			a.operator(id, t, o)
			continue
		}
		s, ok := t.Op().(op.Softmax)
		if !ok {
			continue
		}
		axis := wrapAxis(s.Axis, t)
		w.att, w.stamp, w.trail = attention{}, w.stamp+2, w.trail[:0]
		m := newAxes(t.Shape())
		w.back(t.In()[0], m, axis)
		w.trail = append(w.trail, id)
		if len(w.att.scores) == 0 {
			continue
		}
		w.stamp++
		w.ahead(id, m, axis)
		if len(w.att.context) == 0 {
			continue
		}
		a.attn = append(a.attn, w.att)
		for _, id := range w.trail {
			if a.Nodes[id].Attention == 0 {
				a.Nodes[id].Attention = len(a.attn)
			}
		}
	}
	return nil
}

// operator records the operator of attention, unless its keys or values are
// weights.
func (a *analysis) operator(id int, t *lazy.Tensor, o op.Attention) {
	if a.constant[t.In()[1].ID()] || a.constant[t.In()[2].ID()] {
		return
	}
	a.attn = append(a.attn, attention{
		scores: []product{{id, 1}}, context: []product{{id, 2}}, query: t.In()[0].Dim(-2), causal: o.Causal,
	})
	a.Nodes[id].Attention = len(a.attn)
}

type attentionWalk struct {
	*analysis
	att   attention
	seen  []int
	stamp int
	trail []int
}

// back follows the softmax's axis to the score products behind t and reports
// whether there is one.
func (w *attentionWalk) back(t *lazy.Tensor, m axesMap, axis int) bool {
	id := t.ID()
	if w.seen[id] == w.stamp || w.constant[id] || w.Nodes[id].Attention > 0 || !m.has(axis) {
		return false
	}
	w.seen[id] = w.stamp
	found := false
	if _, ok := t.Op().(op.MatMul); ok {
		last := len(m) - 1
		side := 1
		query := t.Dim(last - 1)
		if !m.is(last, axis) {
			side, query = 0, t.Dim(last)
		}
		found = (side == 1 || m.is(last-1, axis)) && !w.constant[t.In()[side].ID()]
		if found {
			if len(w.att.scores) == 0 {
				w.att.query = query
			}
			w.att.scores = append(w.att.scores, product{id, side})
		}
	} else {
		for i, in := range t.In() {
			if next, ok := m.backward(t, i); ok && w.back(in, next, axis) {
				found = true
			}
		}
		if _, ok := t.Op().(op.CausalMask); ok && found {
			w.att.causal = true
		}
	}
	if found {
		w.trail = append(w.trail, id)
	}
	return found
}

// ahead follows the softmax's axis to the products that sum over it.
func (w *attentionWalk) ahead(id int, m axesMap, axis int) bool {
	if w.seen[id] == w.stamp {
		return false
	}
	w.seen[id] = w.stamp
	found := false
	for _, r := range w.readers[id] {
		t := w.tensors[r.id]
		if o, ok := t.Op().(op.MatMul); ok {
			if v := 1 - r.operand; m.is(summedAxis(o, r.operand, len(m)), axis) && !w.constant[t.In()[v].ID()] {
				w.att.context = append(w.att.context, product{r.id, v})
				w.trail = append(w.trail, r.id)
				found = true
			}
			continue
		}
		if next, ok := m.forward(t, r.operand); ok && next.has(axis) && w.ahead(r.id, next, axis) {
			w.trail = append(w.trail, r.id)
			found = true
		}
	}
	return found
}

// summedAxis is the axis of an operand that a matrix product sums over.
func summedAxis(o op.MatMul, operand, rank int) int {
	if operand == 0 && o.TransA || operand == 1 && !o.TransB {
		return rank - 2
	}
	return rank - 1
}
