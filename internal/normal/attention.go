package normal

import (
	"slices"

	"github.com/genie-sdk/go/internal/axes"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// attention makes one operator of softmax(q k^T * scale + masks) v, however the
// axes are ordered, merged and split between the parts: two products and a
// softmax become one node. Scales by a constant on q, k or the scores become
// its scale; masks become its causal, window and start, or its mask (see
// attention_masks.go); keys and values that are repeated for groups of heads,
// by any layout, are read once (see attention_frame.go).
//
// It is not taken if the scores or the probabilities are wanted, or if what is
// done to the scores is none of these.
func attention(b *builder, n *node) (*node, bool) {
	for side := range 2 {
		w := &attending{b: b, context: n, side: side}
		if !w.probabilities(n.in[side]) {
			continue
		}
		if !w.find(w.softmax.in[0]) {
			continue // a classifier or a gate: nothing like attention
		}
		return w.fuse()
	}
	return nil, false
}

// maskFill is the value from which on a number added to a score, or put in its
// place, makes its probability zero. scores of more than this are not expected.
const maskFill = -1e4

// absorbingFill is the value from which on adding it to a score is as good as
// replacing the score by it.
const absorbingFill = -1e9

// attending is a product with probabilities while it becomes an attention.
type attending struct {
	b       *builder
	context *node // probabilities x values
	side    int   // of the probabilities in context

	softmax *node
	after   []*node // views and scales between softmax and context, the last one first
	weight  float32 // by which probabilities are multiplied
	guarded bool    // rows without a number become zero after softmax
	scores  *node   // the product of queries and keys
	path    []*node // from what softmax reads back to what reads scores
	seen    map[*node]bool

	scale, softcap float32
	terms          []maskTerm
	gate           *triangleGate // until what it leaves is masked

	now                axes.Map // of the value at hand, in axes of scores
	keyAxis, queryAxis int      // of scores
	frame
}

// probabilities finds the softmax behind an operand of the context product.
func (w *attending) probabilities(p *node) bool {
	w.weight = 1
	for {
		x, c, scaled := p.scaled()
		switch {
		case scaled:
			w.weight *= c
			w.after = append(w.after, p)
			p = x
		case p.is("softmax"):
			w.softmax = p
			return true
		case p.is("reshape"), p.is("transpose"), p.is("contiguous"):
			w.after = append(w.after, p)
			p = p.in[0]
		case isNaNGuard(p):
			w.guarded = true
			w.after = append(w.after, p)
			p = p.in[2]
		default:
			return false
		}
	}
}

// isNaNGuard reports whether p is where(is_nan(x), 0, x).
func isNaNGuard(p *node) bool {
	if !p.is("where") || !p.in[0].is("is_nan") || p.in[0].in[0] != p.in[2] {
		return false
	}
	v, ok := p.in[1].number()
	return ok && v == 0 && p.spec.Shape.Equal(p.in[2].spec.Shape)
}

// find follows the scores back from n to the product of queries and keys.
func (w *attending) find(n *node) bool {
	if w.seen == nil {
		w.seen = map[*node]bool{}
	}
	if w.seen[n] || n.op == nil || len(w.seen) > 200 {
		return false
	}
	w.seen[n] = true
	var through []int
	switch n.op.Name() {
	case "matmul":
		if !w.b.dependsOnInput(n.in[0]) || !w.b.dependsOnInput(n.in[1]) {
			return w.learned(n)
		}
		w.scores = n
		return true
	case "add", "sub", "mul", "div", "max", "bias":
		through = []int{0, 1}
	case "where":
		through = []int{1, 2}
	case "reshape", "transpose", "contiguous", "tanh", "causal_mask", "neg":
		through = []int{0}
	}
	for _, i := range through {
		if i < len(n.in) && w.find(n.in[i]) {
			w.path = append(w.path, n)
			return true
		}
	}
	return false
}

// learned accepts queries that are weights, such as those that pool a sequence:
// the keys depend on an input, and are not the rows of a layer.
func (w *attending) learned(n *node) bool {
	o := n.op.(op.MatMul)
	if n.in[1].rank() == 2 && n.in[0].rank() > 2 || w.b.dependsOnInput(n.in[0]) == w.b.dependsOnInput(n.in[1]) {
		return false
	}
	// Only a product with keys as its second operand: x W1 of a layer has the
	// weights there.
	if !w.b.dependsOnInput(n.in[1]) || !o.TransB && n.in[1].is("transpose") {
		return false
	}
	w.scores = n
	return true
}

// fuse builds the operator.
func (w *attending) fuse() (*node, bool) {
	b := w.b
	w.path = append([]*node(nil), w.path...) // from the scores on
	if slices.ContainsFunc(append(append([]*node{w.softmax, w.scores}, w.path...), w.after...), b.wanted) {
		return b.refuse("attention", "its scores or probabilities are an output")
	}
	if why := w.forward(); why != "" {
		return b.refuse("attention", "%s", why)
	}
	if why := w.place(); why != "" {
		return b.refuse("attention", "%s", why)
	}
	m, why := w.masks()
	if why != "" {
		return b.refuse("attention", "%s", why)
	}
	q, k, v := w.operands()
	if q == bad || k == bad || v == bad {
		return b.refuse("attention", "queries, keys and values are not laid out as heads and rows")
	}
	o := op.Attention{Scale: w.exactScale(), Softcap: w.softcap, Causal: m.causal, Window: m.window, Mask: op.MaskNone}
	in := []*node{q, k, v}
	if m.mask != nil {
		o.Mask = op.MaskAdd
		if m.mask.spec.DType == plan.Bool {
			o.Mask = op.MaskBool
		}
		in = append(in, m.mask)
	}
	if m.start != nil {
		o.Start = true
		in = append(in, m.start)
	}
	out := b.make(o, in...)
	if out != bad && m.empty != nil {
		out = b.make(op.Where{}, m.empty, out, b.constF32([]float32{0}))
	}
	if out != bad {
		out = b.scale(w.result(out), w.values.scale*w.weight)
	}
	if out == bad {
		return b.refuse("attention", "queries, keys and values do not have the shapes of attention")
	}
	return out, true
}

// forward follows the scores to the softmax and to the context product, and
// records what is done to them. It returns why this is not attention.
func (w *attending) forward() string {
	w.scale = 1
	w.now = axes.New(w.scores.spec.Shape)
	x := w.scores
	for _, n := range w.path {
		if why := w.step(x, n); why != "" {
			return why
		}
		x = n
	}
	if w.gate != nil {
		return "scores are multiplied by a mask that is not subtracted"
	}
	rank := len(w.now)
	axis := wrap(w.softmax.op.(op.Softmax).Axis, w.softmax)
	last := w.scores.rank() - 1
	switch {
	case rank < 2:
		return "softmax is over the wrong axis"
	case w.now.Is(axis, last):
		w.keyAxis, w.queryAxis = last, last-1
	case w.now.Is(axis, last-1):
		w.keyAxis, w.queryAxis = last-1, last
	default:
		return "softmax is over another axis than that of the keys"
	}
	for _, n := range slices.Backward(w.after) {
		if why := w.move(n); why != "" {
			return why
		}
	}
	return ""
}

// move follows an operator that only moves elements.
func (w *attending) move(n *node) string {
	switch o := n.op.(type) {
	case op.Reshape:
		m, ok := w.now.Reshape(n.spec.Shape)
		if !ok {
			return "a reshape mixes rows of scores"
		}
		w.now = m
	case op.Transpose:
		w.now = w.now.Permute(o.Perm)
	}
	return ""
}

// step follows one operator between the scores and the softmax.
func (w *attending) step(x, n *node) string {
	if w.gate != nil && !n.is("add") && !n.is("sub") {
		return "scores are multiplied by a tensor"
	}
	switch n.op.Name() {
	case "reshape", "transpose", "contiguous":
		return w.move(n)
	case "neg":
		return w.times(-1)
	case "tanh":
		if w.softcap != 0 || len(w.terms) > 0 {
			return "a soft cap after a mask"
		}
		w.softcap = 1
		return ""
	case "causal_mask":
		w.terms = append(w.terms, w.term(n, termCausal))
		return ""
	}
	if !n.spec.Shape.Equal(x.spec.Shape) {
		return "a mask is larger than the scores"
	}
	if n.is("where") {
		return w.selected(x, n)
	}
	if n.in[0] == x && n.in[1] == x {
		return "scores are combined with themselves"
	}
	other, first := n.in[1], true
	if n.in[0] != x {
		other, first = n.in[0], false
	}
	if w.b.dependsOn(other, w.scores) {
		return "the mask depends on the scores"
	}
	return w.arithmetic(n, other, first)
}
