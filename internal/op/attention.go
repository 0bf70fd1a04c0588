package op

import (
	"github.com/genie-sdk/go/transport/plan"
)

// The kinds of masks of [Attention], its attribute mask.
const (
	MaskNone = "none"
	MaskAdd  = "add"  // f32, added to the scores
	MaskBool = "bool" // true where a query may attend to a key
)

// Attention is softmax(scores) x V of many heads, where scores = Q x K^T *
// Scale. The inputs are
//
//	q [batch, ..., heads, queries, dim]
//	k [batch, ..., kvHeads, keys, dim]
//	v [batch, ..., kvHeads, keys, width]
//	mask, unless Mask is [MaskNone]: broadcasts to [batch, ..., heads, queries, keys]
//	start, with Start: i32 or i64 [batch], the padding keys before each sequence
//
// of rank 3 or more; the output is [batch, ..., heads, queries, width]. heads is
// a multiple of kvHeads: query head h reads key head h / (heads / kvHeads).
//
// In this order: scores are multiplied by Scale; with a Softcap c they become
// c*tanh(score/c); an additive mask is added; where a bool mask is false, and
// outside the keys that Causal, Window and start allow, the score is
// [MaskValue]. Query i has key position keys-queries+i, as in [CausalMask]. A
// row that may attend to no key thus weights all of them equally.
type Attention struct {
	Scale   float32
	Causal  bool
	Window  int     // with Causal: the number of last keys that a query attends to, 0 for all
	Softcap float32 // 0 for none
	Mask    string
	Start   bool
}

// Name is attention.
func (Attention) Name() string { return "attention" }

// Traits are those of a product that is not linear.
func (Attention) Traits() Traits { return Traits{Class: ClassProduct, NonLinear: true} }

// Attrs are the fields.
func (o Attention) Attrs() plan.Attrs {
	return plan.Attrs{
		plan.BoolAttr("causal", o.Causal), plan.Str("mask", o.Mask), plan.Float("scale", float64(o.Scale)),
		plan.Float("softcap", float64(o.Softcap)), plan.BoolAttr("start", o.Start), plan.Int("window", o.Window),
	}
}

func decodeAttention(r *plan.AttrReader) Op {
	return Attention{
		Scale: float32(r.Float("scale")), Causal: r.Bool("causal"), Window: r.Int("window"),
		Softcap: float32(r.Float("softcap")), Mask: r.Str("mask"), Start: r.Bool("start"),
	}
}

// MaskInput is the input that is the mask, -1 for none.
func (o Attention) MaskInput() int {
	if o.Mask == MaskNone {
		return -1
	}
	return 3
}

// StartInput is the input that says where sequences start, -1 for none.
func (o Attention) StartInput() int {
	switch {
	case !o.Start:
		return -1
	case o.Mask == MaskNone:
		return 3
	}
	return 4
}

func (o Attention) inputs() int { return 3 + min(o.MaskInput()+1, 1) + min(o.StartInput()+1, 1) }

// Infer checks the operands.
func (o Attention) Infer(in []plan.Spec) (plan.Spec, error) {
	if o.Mask != MaskNone && o.Mask != MaskAdd && o.Mask != MaskBool {
		return plan.Spec{}, shapeErr("attention with a mask of kind %.20q, want none, add or bool", o.Mask)
	}
	if o.Window < 0 || o.Window > 0 && !o.Causal {
		return plan.Spec{}, shapeErr("attention with a window of %d, want one of a causal attention", o.Window)
	}
	if !(o.Softcap >= 0) {
		return plan.Spec{}, shapeErr("attention with a soft cap of %v, want 0 or more", o.Softcap)
	}
	if err := arity(in, o.inputs(), o.inputs()); err != nil {
		return plan.Spec{}, err
	}
	if err := wantF32(in[:3]...); err != nil {
		return plan.Spec{}, err
	}
	q, k, v := in[0].Shape, in[1].Shape, in[2].Shape
	r := len(q)
	if r < 3 || len(k) != r || len(v) != r {
		return plan.Spec{}, shapeErr("attention of %v, %v and %v, want three of rank 3 or more", q, k, v)
	}
	same := k[:r-1].Equal(v[:r-1]) && q[:r-3].Equal(k[:r-3]) && q[r-1].Equal(k[r-1])
	if !same || !divides(k[r-3], q[r-3]) {
		return plan.Spec{}, shapeErr("attention of %v, %v and %v, want [..., heads, queries, dim], [..., kvHeads, keys, dim] and [..., kvHeads, keys, width]", q, k, v)
	}
	out := append(append(plan.Shape(nil), q[:r-1]...), v[r-1])
	return plan.Spec{DType: plan.F32, Shape: out}, o.inferMasks(in)
}

// divides reports whether groups of b/a heads share one of a heads, at all
// sizes.
func divides(a, b plan.Dim) bool {
	if a.Equal(b) {
		return true
	}
	n, ok := b.Div(a)
	c, constant := n.Const()
	return ok && constant && c > 0
}

func (o Attention) inferMasks(in []plan.Spec) error {
	q, k := in[0].Shape, in[1].Shape
	r := len(q)
	scores := append(append(plan.Shape(nil), q[:r-1]...), k[r-2])
	if i := o.MaskInput(); i >= 0 {
		want := plan.F32
		if o.Mask == MaskBool {
			want = plan.Bool
		}
		if in[i].DType != want {
			return dtypeErr("attention with a mask of %v, want %v", in[i].DType, want)
		}
		if s, err := broadcast(in[i].Shape, scores); err != nil || !s.Equal(scores) {
			return shapeErr("attention with a mask %v for scores %v", in[i].Shape, scores)
		}
	}
	if i := o.StartInput(); i >= 0 {
		if !in[i].DType.IsInt() {
			return dtypeErr("attention start is %v, want i32 or i64", in[i].DType)
		}
		if len(in[i].Shape) != 1 || !in[i].Shape[0].Equal(q[0]) {
			return shapeErr("attention start %v for queries %v, want [batch]", in[i].Shape, q)
		}
	}
	return nil
}

// Rows are those of the queries, the last ones if positions count, or parts of
// the batch, or heads where each has its own keys.
func (o Attention) Rows(in []plan.Spec, out plan.Spec, s Slice) ([]int, Op, bool) {
	r := len(out.Shape)
	if s.Axis == r-1 || s.Axis == r-2 && o.Causal && !s.Stop.Equal(out.Shape[r-2]) ||
		s.Axis == r-3 && !in[0].Shape[r-3].Equal(in[1].Shape[r-3]) {
		return nil, nil, false
	}
	axes := firstRows(in, s)
	if s.Axis < r-2 {
		axes[1], axes[2] = s.Axis, s.Axis
	}
	if i := o.MaskInput(); i >= 0 {
		if a := s.Axis - r + len(in[i].Shape); a >= 0 && (!in[i].Shape[a].Is(1) || out.Shape[s.Axis].Is(1)) {
			axes[i] = a
		}
	}
	if i := o.StartInput(); i >= 0 && s.Axis == 0 {
		axes[i] = 0
	}
	return axes, o, true
}

// FLOPs are those of two products, and for each score of the scale, the softmax,
// and what else changes it.
func (o Attention) FLOPs(in [][]int, out []int) float64 {
	q, k := in[0], in[1]
	each := 1.0 + 5
	if o.Softcap > 0 {
		each += 3
	}
	if o.Mask == MaskAdd {
		each++
	}
	scores := fproduct(q[:len(q)-1]) * float64(k[len(k)-2])
	return scores * (2*float64(q[len(q)-1]) + 2*float64(out[len(out)-1]) + each)
}

// Range is the keys that query i of q may attend to as far as positions say, lo
// to hi, exclusive.
func (o Attention) Range(i, q, k, start int) (lo, hi int) {
	if o.Causal {
		return CausalMask{o.Window}.Range(i, q, k, start)
	}
	return max(start, 0), k
}
