package op

import (
	"slices"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// RoPE rotates pairs of the last axis of x [..., t, d] by angles whose cosines
// and sines are the other two inputs, [..., t, n/2], which broadcast to the
// leading axes of x: rotary position embedding, Su et al., 2021. n is Dims, or
// d where Dims is 0; the elements from n on stay. The pairs are (i, i+n/2), or
// with Interleaved (2i, 2i+1). A pair (a, b) becomes (a*cos - b*sin, b*cos +
// a*sin).
type RoPE struct {
	Interleaved bool
	Dims        int
}

// Name is rope.
func (RoPE) Name() string { return "rope" }

// Traits are those of position-dependent elementwise work.
func (RoPE) Traits() Traits { return Traits{Class: ClassElementwise, Aligned: true} }

// Attrs are the number of rotated elements and their pairing.
func (o RoPE) Attrs() plan.Attrs {
	return plan.Attrs{plan.Int("dims", o.Dims), plan.BoolAttr("interleaved", o.Interleaved)}
}

func decodeRoPE(r *plan.AttrReader) Op {
	return RoPE{Dims: r.Int("dims"), Interleaved: r.Bool("interleaved")}
}

// Infer keeps the shape of x.
func (o RoPE) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 3, 3); err != nil {
		return plan.Spec{}, err
	}
	x := in[0].Shape
	if len(x) < 2 {
		return plan.Spec{}, shapeErr("rotation of %v, want [..., t, d]", x)
	}
	n := x[len(x)-1]
	if o.Dims != 0 {
		if d, ok := n.Const(); o.Dims < 0 || !ok || o.Dims > d {
			return plan.Spec{}, shapeErr("rotation of the first %d elements of %v", o.Dims, x)
		}
		n = plan.C(o.Dims)
	}
	half, ok := n.Div(plan.C(2))
	if !ok {
		return plan.Spec{}, shapeErr("rotation of %v elements of %v, want pairs", n, x)
	}
	want := append(slices.Clone(x[:len(x)-1]), half)
	for i, angles := range in[1:] {
		s, err := broadcast(angles.Shape, want)
		if err != nil || !s.Equal(want) || len(angles.Shape) == 0 || !angles.Shape[len(angles.Shape)-1].Equal(half) {
			return plan.Spec{}, shapeErr("rotation of %v with %s %v, want them to broadcast to %v", x, [...]string{"cosines", "sines"}[i], angles.Shape, want)
		}
	}
	return in[0], wantF32(in...)
}

// Rows are those of the input, along any axis but the last.
func (o RoPE) Rows(in []plan.Spec, out plan.Spec, s Slice) ([]int, Op, bool) {
	axes := firstRows(in, s)
	for i, x := range in[1:] {
		if a := s.Axis - len(out.Shape) + len(x.Shape); a >= 0 && (!x.Shape[a].Is(1) || out.Shape[s.Axis].Is(1)) {
			axes[i+1] = a
		}
	}
	return axes, o, s.Axis < len(out.Shape)-1
}

// FLOPs is three per element.
func (RoPE) FLOPs(_ [][]int, out []int) float64 { return 3 * fproduct(out) }

// Eval is the reference kernel.
func (o RoPE) Eval(out *Array, in []*Array, h halt.Func) error {
	last := len(out.Shape) - 1
	d, n := out.Shape[last], o.Dims
	if n == 0 {
		n = d
	}
	half, step := n/2, 1
	if o.Interleaved {
		step = 2
	}
	other := half
	if o.Interleaved {
		other = 1
	}
	y, x, c, s := out.F32(), in[0].F32(), in[1].F32(), in[2].F32()
	sy, sx := out.Strides[last], in[0].Strides[last]
	angles := append(slices.Clone(out.Shape[:last]), half)
	cs, ss := in[1].BroadcastStrides(angles), in[2].BroadcastStrides(angles)
	ask := h.Counter()
	return rows(out.Shape, last, &ask, func(p []int) {
		for i := range half {
			if i%innerWork == innerWork-1 && ask.Stop(2*elementWork*innerWork) {
				return
			}
			a, b := float64(x[p[1]+i*step*sx]), float64(x[p[1]+(i*step+other)*sx])
			cos, sin := float64(c[p[2]+i*cs[last]]), float64(s[p[3]+i*ss[last]])
			y[p[0]+i*step*sy] = float32(a*cos - b*sin)
			y[p[0]+(i*step+other)*sy] = float32(b*cos + a*sin)
		}
		for i := n; i < d; i++ {
			if i%innerWork == innerWork-1 && ask.Stop(elementWork*innerWork) {
				return
			}
			y[p[0]+i*sy] = x[p[1]+i*sx]
		}
	}, out.Strides, in[0].Strides, cs, ss)
}
