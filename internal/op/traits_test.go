package op_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// traitExamples are operators with attributes that suit small inputs.
func traitExamples() []op.Op {
	out := []op.Op{
		op.Append{},
		op.ArgMax{Axis: -1},
		op.Concat{Axis: -1},
		op.Softmax{Axis: 0},
		op.Softmax{Axis: -1},
		op.LogSoftmax{Axis: -1},
		op.Attention{Scale: 0.5, Mask: op.MaskNone},
		op.Attention{Scale: 0.5, Mask: op.MaskAdd, Softcap: 2},
		op.Attention{Scale: 0.5, Mask: op.MaskBool, Causal: true, Window: 2},
		op.Attention{Scale: 0.5, Mask: op.MaskNone, Causal: true, Start: true},
		op.Attention{Scale: 0.5, Mask: op.MaskAdd, Start: true},
		op.RMSNorm{Eps: 1e-5},
		op.RMSNorm{Eps: 1e-5, Offset: 1},
		op.RoPE{},
		op.RoPE{Interleaved: true, Dims: 2},
		op.CausalMask{},
		op.Conv2D{Stride: [2]int{1, 1}, Pad: [2]int{1, 0}, Dilation: [2]int{1, 1}, Groups: 1},
		op.MaxPool2D{Kernel: [2]int{2, 1}, Stride: [2]int{1, 1}},
		op.LayerNorm{Eps: 1e-5},
		op.MatMul{},
		op.MatMul{TransA: true},
		op.MatMul{TransB: true},
		op.Reduce{Kind: "sum", Axes: []int{0}},
		op.Slice{Axis: 0, Start: plan.C(1), Stop: plan.C(2)},
		op.TopK{K: 1},
		op.Transpose{Perm: []int{1, 0}},
		op.Transpose{Perm: []int{2, 0, 1}},
		op.Expand{Shape: plan.Shape{plan.C(2), plan.C(3)}},
		op.Reshape{Shape: plan.Shape{plan.C(2), plan.C(3), plan.C(2)}},
		op.WriteRows{Axis: 0},
		op.ArgMin{Axis: -1},
		op.Resize{Shape: plan.Shape{plan.C(2), plan.C(5)}, Mode: "linear", Coords: "half_pixel", Nearest: "floor"},
		op.Recurrent{Kind: op.CellLSTM, Direction: "forward", Activations: "sigmoid,tanh,tanh"},
		op.Recurrent{Kind: op.CellGRU, Direction: "reverse", Activations: "sigmoid,tanh"},
		op.Recurrent{Kind: op.CellRNN, Direction: "both", Activations: "tanh,relu"},
		op.MaxPool2D{Kernel: [2]int{2, 1}, Stride: [2]int{1, 1}, Dilation: [2]int{2, 1}, Ceil: true},
		op.AvgPool2D{Kernel: [2]int{2, 1}, Stride: [2]int{1, 2}, Dilation: [2]int{1, 1}, Pad: [4]int{1, 0, 0, 0}},
		op.ConvTranspose2D{Stride: [2]int{1, 2}, Dilation: [2]int{1, 1}, Groups: 1},
		op.GroupNorm{Groups: 1, Eps: 1e-5},
		op.Gather{}, op.Gather{Axis: -1}, op.GatherElements{}, op.GatherND{},
		op.ScatterElements{Combine: op.CombineNone}, op.ScatterND{Combine: op.CombineNone},
		op.Pad{Mode: op.PadEdge, Before: []int{1, 0}, After: []int{0, 2}},
		op.CumSum{Axis: -1}, op.CumSum{Axis: 0, Reverse: true}, op.TriLU{},
		op.Range{DType: plan.I32, Length: plan.C(5), Start: 1, Step: 2},
	}
	has := map[string]bool{}
	for _, o := range out {
		has[o.Name()] = true
	}
	for _, o := range examples() {
		if !has[o.Name()] {
			out = append(out, o)
		}
	}
	return out
}

// evaluation is an operator with valid inputs.
type evaluation struct {
	o     op.Op
	specs []plan.Spec
	in    []*op.Array
	spec  plan.Spec
	out   *op.Array
}

// evaluations are the cases, of n random inputs, that an operator accepts.
func evaluations(t *testing.T, o op.Op, n int) (out []evaluation) {
	rng := rand.New(rand.NewPCG(1, 2))
	for try := 0; try < 400000 && len(out) < n; try++ {
		e := evaluation{o: o}
		rank, dims := rng.IntN(5), [5]int{1 + rng.IntN(3), 1 + rng.IntN(3), 1 + rng.IntN(3), 1 + rng.IntN(3), 1 + rng.IntN(3)}
		for range rng.IntN(7) {
			s := plan.Spec{DType: []plan.DType{plan.F32, plan.F32, plan.F32, plan.I32, plan.I64, plan.Bool}[rng.IntN(6)]}
			r := rank
			if rng.IntN(2) == 0 {
				r = rng.IntN(5)
			}
			for d := range r {
				size := dims[(d+5-r)%5] // the same last axes
				if rng.IntN(8) == 0 {
					size = 1
				}
				s.Shape = append(s.Shape, plan.C(size))
			}
			e.specs = append(e.specs, s)
		}
		if r, ok := o.(op.Recurrent); ok { // nor are these
			e.specs = recurrentSpecs(r, dims)
		}
		if o.Name() == "sample" { // six matching inputs are not found by chance
			b := plan.C(dims[0])
			e.specs = []plan.Spec{
				{DType: plan.F32, Shape: plan.Shape{b, plan.C(dims[1])}},
				{DType: plan.F32, Shape: plan.Shape{b}},
				{DType: plan.F32, Shape: plan.Shape{b}},
				{DType: plan.I32, Shape: plan.Shape{b}},
				{DType: plan.I64, Shape: plan.Shape{b}},
				{DType: plan.I32, Shape: plan.Shape{b}},
			}
		}
		if spec, err := o.Infer(e.specs); err == nil && e.fill(rng, spec) {
			out = append(out, e)
		}
	}
	require.NotEmpty(t, out, "%s takes nothing", o.Name())
	return out
}

// recurrentSpecs are inputs of a recurrent layer.
func recurrentSpecs(o op.Recurrent, dims [5]int) []plan.Spec {
	gates, dirs := map[op.Cell]int{op.CellLSTM: 4, op.CellGRU: 3, op.CellRNN: 1}[o.Kind], map[string]int{"both": 2}[o.Direction]
	dirs = max(dirs, 1)
	h := dims[3]
	in := []plan.Spec{f32(dims[0], dims[1], dims[2]), f32(dirs, gates*h, dims[2]), f32(dirs, gates*h, h), f32(dirs, 2*gates*h), f32(dirs, dims[1], h)}
	if o.Kind == op.CellLSTM {
		in = append(in, in[4])
	}
	return in
}

func (e *evaluation) fill(rng *rand.Rand, spec plan.Spec) bool {
	for _, s := range e.specs {
		a := newArray(s)
		for i := range a.Len() {
			switch s.DType {
			case plan.F32:
				a.F32()[i] = float32(rng.IntN(1000)+1) / 256
			case plan.Bool:
				a.Data[i] = byte(rng.IntN(2))
			default:
				a.SetInt(i, rng.IntN(2))
			}
		}
		e.in = append(e.in, a)
	}
	e.spec = spec
	var err error
	e.out, err = eval(e.o, spec, e.in)
	return err == nil
}

func newArray(s plan.Spec) *op.Array {
	shape, _ := s.Shape.Eval(nil)
	return op.NewArray(s.DType, shape...)
}

func eval(o op.Op, spec plan.Spec, in []*op.Array) (*op.Array, error) {
	out := newArray(spec)
	return out, o.Eval(out, in, nil)
}

// TestTraitsHold compares each operator's traits with what it computes.
func TestTraitsHold(t *testing.T) {
	for _, o := range traitExamples() {
		t.Run(o.Name(), func(t *testing.T) {
			traits := o.Traits()
			_, viewer := o.(op.Viewer)
			require.Equal(t, viewer, traits.View)
			parts := 0
			for _, e := range evaluations(t, o, 60) {
				if traits.Pointwise {
					e.pointwise(t)
				}
				if traits.Aligned {
					require.Equal(t, e.specs[0], e.spec)
				}
				if traits.Moves {
					e.moves(t)
				}
				if traits.Commutative {
					back, err := eval(o, e.spec, []*op.Array{e.in[1], e.in[0]})
					require.NoError(t, err)
					require.Equal(t, e.out.Data, back.Data)
				}
				parts += e.rows(t)
			}
			m, _ := o.(op.MatMul)
			if _, ok := o.(op.RowWise); (ok || traits.Pointwise) && !m.TransA {
				require.Positive(t, parts, "a part of no result was computed")
			}
		})
	}
}

// pointwise changes the elements of an input one at a time: no output element
// at another position may change.
func (e *evaluation) pointwise(t *testing.T) {
	for _, x := range e.in {
		places := x.BroadcastStrides(e.out.Shape)
		size := x.DType.Size()
		for at := range x.Len() {
			old := bytes.Clone(x.Data)
			x.Data[at*size+size-1] ^= 1
			again, err := eval(e.o, e.spec, e.in)
			require.NoError(t, err)
			copy(x.Data, old)
			i := 0
			op.Walk(e.out.Shape, func(off []int) {
				n := e.out.DType.Size()
				if off[0] != at {
					require.Equal(t, e.out.Data[i*n:i*n+n], again.Data[i*n:i*n+n], "element %d depends on one at another place", i)
				}
				i++
			}, places)
		}
	}
}

// moves looks up each output element among the input elements.
func (e *evaluation) moves(t *testing.T) {
	n := e.out.DType.Size()
	known := map[string]bool{}
	for _, x := range e.in {
		for i := 0; i+n <= len(x.Data) && x.DType == e.out.DType; i += n {
			known[string(x.Data[i:i+n])] = true
		}
	}
	for i := 0; i+n <= len(e.out.Data); i += n {
		require.True(t, known[string(e.out.Data[i:i+n])], "an element of no input")
	}
}

// rows computes parts of the output from parts of the inputs and counts them.
func (e *evaluation) rows(t *testing.T) (parts int) {
	for axis := range e.spec.Shape {
		for from := range e.out.Shape[axis] {
			for to := from + 1; to <= e.out.Shape[axis]; to++ {
				s := op.Slice{Axis: axis, Start: plan.C(from), Stop: plan.C(to)}
				axes, o, ok := op.Rows(e.o, e.specs, e.spec, s)
				if !ok {
					continue
				}
				parts++
				require.Len(t, axes, len(e.in))
				specs, in := make([]plan.Spec, len(e.in)), make([]*op.Array, len(e.in))
				for i, x := range e.in {
					specs[i], in[i] = e.specs[i], x
					if axes[i] >= 0 {
						specs[i], in[i] = part(t, op.Slice{Axis: axes[i], Start: s.Start, Stop: s.Stop}, e.specs[i], x)
					}
				}
				spec, err := o.Infer(specs)
				require.NoError(t, err)
				want, whole := part(t, s, e.spec, e.out)
				require.Equal(t, want, spec)
				got, err := eval(o, spec, in)
				require.NoError(t, err)
				require.Equal(t, whole.Data, got.Data, "positions %d to %d of axis %d", from, to, axis)
			}
		}
	}
	return parts
}

func part(t *testing.T, s op.Slice, spec plan.Spec, x *op.Array) (plan.Spec, *op.Array) {
	sliced, err := s.Infer([]plan.Spec{spec})
	require.NoError(t, err)
	out, err := eval(s, sliced, []*op.Array{x})
	require.NoError(t, err)
	return sliced, out
}

// TestTraitsOfAll checks that the test above covers every operator of the
// table.
func TestTraitsOfAll(t *testing.T) {
	seen := map[string]bool{}
	for _, o := range traitExamples() {
		seen[o.Name()] = true
	}
	for _, name := range op.Names() {
		require.True(t, seen[name], name)
	}
}
