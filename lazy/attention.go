package lazy

import (
	"fmt"
	"math"

	"github.com/genie-sdk/go/internal/op"
)

// AttentionOptions are the variations of [Attention]. The zero value is plain
// attention with the usual scale.
type AttentionOptions struct {
	// Scale multiplies the scores; 0 means 1/sqrt(dim).
	Scale float32
	// Causal lets query i, whose key position is keys-queries+i, attend to no
	// later key, and with a Window only to that many last ones.
	Causal bool
	Window int
	// Softcap c makes a score c*tanh(score/c); 0 means no cap.
	Softcap float32
	// Mask, if not nil, broadcasts to [batch, ..., heads, queries, keys]: f32 is
	// added to the scores, bool is true where a query may attend to a key.
	Mask *Tensor
	// Start, if not nil, is i32 or i64 [batch]: the number of padding keys
	// before each sequence, which no query attends to.
	Start *Tensor
}

// Attention is softmax(q x k^T * scale) x v: q [batch, ..., heads, queries,
// dim], k [batch, ..., kvHeads, keys, dim] and v [batch, ..., kvHeads, keys,
// width] give [batch, ..., heads, queries, width]. heads is a multiple of
// kvHeads, and heads/kvHeads query heads in a row share one head of keys and
// values. A query that may attend to no key has the mean of all values.
func Attention(q, k, v *Tensor, o AttentionOptions) *Tensor {
	in := []*Tensor{q, k, v}
	a := op.Attention{Scale: o.Scale, Causal: o.Causal, Window: o.Window, Softcap: o.Softcap, Mask: op.MaskNone}
	if o.Mask != nil {
		a.Mask = op.MaskAdd
		if o.Mask.DType() == Bool {
			a.Mask = op.MaskBool
		}
		in = append(in, o.Mask)
	}
	if o.Start != nil {
		a.Start = true
		in = append(in, o.Start)
	}
	if a.Scale == 0 && q.Err() == nil {
		d, ok := q.Dim(-1).Const()
		if !ok || d < 1 {
			return q.g.fail("attention", in, fmt.Errorf("%w: attention of %v without a scale, want a known last dimension", ErrShape, q.spec.Shape))
		}
		a.Scale = float32(1 / math.Sqrt(float64(d)))
	}
	return Apply(a, in...)
}

// RoPEOptions are the variations of [RoPE].
type RoPEOptions struct {
	// Interleaved rotates elements 2i and 2i+1, as GPT-J does; otherwise i and
	// i+n/2, as GPT-NeoX and Llama do.
	Interleaved bool
	// Dims is n, the number of elements that are rotated, the first ones of the
	// last axis; 0 means all.
	Dims int
}

// RoPE rotates pairs of elements of the last axis of x [..., t, d] by angles of
// which cos and sin are given, [..., t, n/2], with broadcasting: (a, b) becomes
// (a*cos - b*sin, b*cos + a*sin).
func RoPE(x, cos, sin *Tensor, o RoPEOptions) *Tensor {
	return Apply(op.RoPE{Interleaved: o.Interleaved, Dims: o.Dims}, x, cos, sin)
}
