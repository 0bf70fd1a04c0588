package op_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// examples has at least one value of every operator, with attributes that are
// not the zero value. Activations without attributes get theirs from their
// traits.
func examples() []op.Op {
	return append(op.Activations(), []op.Op{
		op.Add(), op.Sub(), op.Mul(), op.Div(),
		op.Append{Axis: 2},
		op.ArgMax{Axis: -1},
		op.Attention{Scale: 0.125, Causal: true, Window: 7, Softcap: 30, Mask: op.MaskAdd, Start: true},
		op.Attention{Mask: op.MaskBool},
		op.BatchNorm{Eps: 1e-5},
		op.Bias{},
		op.Cast{To: plan.I64},
		op.CausalMask{Window: 7},
		op.Concat{Axis: -3},
		op.Contiguous{},
		op.Conv2D{Stride: [2]int{1, 2}, Pad: [2]int{3, 4}, Dilation: [2]int{5, 6}, Groups: 7},
		op.Embedding{},
		op.Equal{}, op.Less(), op.LessEqual(), op.Greater(), op.GreaterEqual(),
		op.And(), op.Or(), op.Xor(), op.Not(), op.IsNaN(), op.IsInf(),
		op.Min(), op.Max(), op.Pow(), op.Mod{}, op.Mod{Fmod: true}, op.Neg(),
		op.Clip{Min: -1, Max: math.Inf(1)},
		op.ArgMin{Axis: -2},
		op.Resize{Shape: plan.Shape{plan.Sym("b"), plan.C(3)}, Mode: "linear", Coords: "half_pixel", Nearest: "floor", Cubic: -0.75},
		op.Resize{Shape: plan.Shape{plan.Sym("b"), plan.C(3)}, Mode: "nearest", Coords: "asymmetric", Nearest: "ceil", Scales: []float64{1, 0.3}},
		op.Recurrent{Kind: op.CellLSTM, Direction: "both", Activations: "sigmoid,tanh,tanh,relu,tanh,tanh", Clip: 3, Coupled: true, Lengths: true, Peepholes: true},
		op.Recurrent{Kind: op.CellGRU, Direction: "reverse", Activations: "sigmoid,tanh"},
		op.Recurrent{Kind: op.CellRNN, Direction: "forward", Activations: "tanh"},
		op.MaxPool2D{Kernel: [2]int{1, 2}, Stride: [2]int{3, 4}, Dilation: [2]int{2, 1}, Ceil: true},
		op.AvgPool2D{Kernel: [2]int{1, 2}, Stride: [2]int{3, 4}, Dilation: [2]int{2, 1}, Pad: [4]int{1, 2, 3, 4}, CountPad: true},
		op.ConvTranspose2D{Stride: [2]int{1, 2}, Dilation: [2]int{3, 4}, OutPad: [2]int{5, 6}, Pad: [4]int{1, 2, 3, 4}, Groups: 2},
		op.GroupNorm{Groups: 3, Eps: 1e-5},
		op.Gather{Axis: 1}, op.GatherElements{Axis: -1}, op.GatherND{Batch: 1},
		op.ScatterElements{Axis: 1, Combine: op.CombineAdd}, op.ScatterND{Combine: op.CombineMax},
		op.Pad{Mode: op.PadReflect, Before: []int{1, 2}, After: []int{3, -4}, Value: -1},
		op.CumSum{Axis: 1, Exclusive: true}, op.CumSum{Reverse: true},
		op.TriLU{Upper: true, K: -3},
		op.Range{DType: plan.I64, Length: plan.Sym("n").Add(plan.C(2)), Start: -3, Step: 2},
		op.Expand{Shape: plan.Shape{plan.Sym("b"), plan.C(3)}},
		op.GELU{},
		op.GELU{Tanh: true},
		op.Identity{},
		op.LayerNorm{Eps: math.SmallestNonzeroFloat64},
		op.LayerNorm{Eps: math.Inf(1)},
		op.LogSoftmax{Axis: -2},
		op.MatMul{TransA: true},
		op.MatMul{TransB: true},
		op.MaxPool2D{Kernel: [2]int{1, 2}, Stride: [2]int{3, 4}, Pad: [2]int{5, 6}},
		op.Pick{},
		op.Reduce{Kind: "mean", Axes: []int{1, -1}, Keep: true},
		op.Reshape{Shape: plan.Shape{plan.Sym("a").Add(plan.C(2)), plan.C(300)}},
		op.RMSNorm{Eps: 1e-6, Offset: 1},
		op.RoPE{Interleaved: true, Dims: 64},
		op.Sample{},
		op.Slice{Axis: 1, Start: plan.C(768), Stop: plan.Sym("seq").Scale(3)},
		op.Softmax{Axis: -1},
		op.TopK{K: 5},
		op.TopK{K: 5, Indices: true},
		op.Transpose{Perm: []int{2, 0, 1}},
		op.Where{},
		op.WriteRows{Axis: 3},
	}...)
}

// TestActivations verifies that the traits find the activations, and nothing
// else.
func TestActivations(t *testing.T) {
	var names []string
	for _, o := range op.Activations() {
		names = append(names, o.Name())
		require.Empty(t, o.Attrs())
	}
	require.IsIncreasing(t, names)
	require.Subset(t, names, []string{"exp", "quick_gelu", "relu", "sqrt", "tanh"})
	for _, name := range []string{"add", "bias", "cast", "gelu", "identity", "softmax", "where"} {
		require.NotContains(t, names, name)
	}
}

// TestAttrsRoundTrip makes every operator again from its own attributes.
func TestAttrsRoundTrip(t *testing.T) {
	seen := map[string]bool{}
	keys := map[string]bool{}
	for _, o := range examples() {
		seen[o.Name()] = true
		attrs := o.Attrs()
		require.True(t, slices.IsSortedFunc(attrs, func(a, b plan.Attr) int { return map[bool]int{true: -1}[a.Key < b.Key] }), "%s: keys are not sorted", o.Name())
		back, err := op.New(o.Name(), attrs)
		require.NoError(t, err, o.Name())
		require.Equal(t, o.Name(), back.Name())
		require.Equal(t, attrs.Key(), back.Attrs().Key())
		require.Equal(t, o, back)
		key := o.Name() + attrs.Key()
		require.False(t, keys[key], "two operators are both %s", key)
		keys[key] = true

		for i := range attrs {
			without := slices.Delete(slices.Clone(attrs), i, i+1)
			if !optional(o.Name(), attrs[i].Key) {
				_, err := op.New(o.Name(), without)
				require.ErrorIs(t, err, plan.ErrInvalid, "%s without %q", o.Name(), attrs[i].Key)
			}
			wrong := slices.Clone(attrs)
			wrong[i] = plan.Attr{Key: attrs[i].Key, Kind: attrs[i].Kind%plan.AttrDims + 1}
			_, err = op.New(o.Name(), wrong)
			require.ErrorIs(t, err, plan.ErrInvalid, "%s with %q of another kind", o.Name(), attrs[i].Key)
		}
		_, err = op.New(o.Name(), append(slices.Clone(attrs), plan.Int("zz_colour", 3)))
		require.ErrorIs(t, err, plan.ErrInvalid, "%s with an unknown attribute", o.Name())
		if len(attrs) > 0 {
			_, err = op.New(o.Name(), append(slices.Clone(attrs), attrs[0]))
			require.ErrorIs(t, err, plan.ErrInvalid, "%s with an attribute twice", o.Name())
		}
	}
	for _, n := range op.Names() {
		require.True(t, seen[n], "operator %q has no example", n)
	}
}

// optional reports whether an attribute may be missing.
func optional(name, key string) bool {
	return name == "max_pool2d" && (key == "ceil" || key == "dilation") || name == "resize" && key == "scale1"
}

func TestNewRefuses(t *testing.T) {
	pad := func(v ...int) plan.Attrs {
		return plan.Attrs{plan.Ints("kernel", []int{2, 2}), plan.Ints("pad", v), plan.Ints("stride", []int{1, 1})}
	}
	for _, c := range []struct {
		name  string
		op    string
		attrs plan.Attrs
	}{
		{"unknown operator", "exec", nil},
		{"no name", "", nil},
		{"short list", "max_pool2d", pad(0)},
		{"long list", "max_pool2d", pad(0, 0, 0)},
		{"empty list", "max_pool2d", pad()},
		{"type above a byte", "cast", plan.Attrs{plan.Int("to", 257)}},
		{"scale that is no float32", "attention", plan.Attrs{
			plan.BoolAttr("causal", false), plan.Str("mask", "none"), plan.Float("scale", 0.1), plan.Float("softcap", 0),
			plan.BoolAttr("start", false), plan.Int("window", 0),
		}},
		{"boolean two", "gelu", plan.Attrs{plan.Int("tanh", 2)}},
		{"two dimensions", "slice", plan.Attrs{plan.Int("axis", 0), plan.Dims("start", plan.C(0), plan.C(1)), plan.Dims("stop", plan.C(1))}},
		{"no dimension", "slice", plan.Attrs{plan.Int("axis", 0), plan.Dims("start"), plan.Dims("stop", plan.C(1))}},
		{"many attributes", "relu", make(plan.Attrs, plan.MaxAttrs+1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := op.New(c.op, c.attrs)
			require.ErrorIs(t, err, plan.ErrInvalid)
		})
	}
	o, err := op.New("slice", plan.Attrs{plan.Dims("stop", plan.C(1)), plan.Int("axis", 0), plan.Dims("start", plan.C(0))})
	require.NoError(t, err, "order does not matter")
	require.Equal(t, op.Slice{Stop: plan.C(1)}.Attrs(), o.Attrs())
}

// source hands out a fuzzer's bytes as mostly hostile values.
type source []byte

func (s *source) byte() int {
	if len(*s) == 0 {
		return 0
	}
	b := (*s)[0]
	*s = (*s)[1:]
	return int(b)
}

func (s *source) int() int {
	b := s.byte()
	switch {
	case b < 200:
		return b%12 - 3
	case b < 210:
		return math.MaxInt
	case b < 220:
		return math.MinInt
	case b < 230:
		return 1 << 40
	case b < 240:
		return -(1 << 40)
	}
	return b
}

func (s *source) dim() plan.Dim {
	switch b := s.byte(); {
	case b < 120:
		return plan.C(s.int())
	case b < 220:
		return plan.Sym([]string{"a", "b", "c"}[b%3])
	case b < 240:
		return plan.Sym("a").Add(plan.Sym("b")).Scale(s.int())
	}
	return plan.Sym("a").Mul(plan.Sym("a")).Sub(plan.C(s.int()))
}

func (s *source) spec() plan.Spec {
	p := plan.Spec{DType: plan.DType(1 + s.byte()%6)}
	for range s.byte() % (plan.MaxRank + 1) {
		p.Shape = append(p.Shape, s.dim())
	}
	return p
}

func (s *source) attrs(template plan.Attrs) plan.Attrs {
	out := slices.Clone(template)
	for i := range out {
		a := &out[i]
		switch a.Kind {
		case plan.AttrInt:
			a.Int = int64(s.int())
		case plan.AttrFloat:
			a.F64 = []float64{0, -1, math.NaN(), math.Inf(1), 1e-5}[s.byte()%5]
		case plan.AttrString:
			if s.byte()%2 == 0 { // else the operator's own
				a.Str = []string{"sum", "mean", "max", "", "\xff", "none", "reflect", "edge", "i64", "both", "add", "bool"}[s.byte()%12]
			}
		case plan.AttrInts:
			a.Ints = nil
			for range s.byte() % 10 {
				a.Ints = append(a.Ints, int64(s.int()))
			}
		case plan.AttrDims:
			a.Dims = nil
			for range s.byte() % 10 {
				a.Dims = append(a.Dims, s.dim())
			}
		}
	}
	return out
}

// FuzzNewInfer decodes operators with hostile attributes and shapes: errors of
// the contract, never a panic; what is accepted is stable.
func FuzzNewInfer(f *testing.F) {
	for i := range len(examples()) {
		f.Add([]byte{byte(i), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14})
		f.Add([]byte{byte(i), 205, 215, 225, 235, 250, 130, 230, 245, 0, 205, 3, 215})
		f.Add([]byte{byte(i)})
	}
	ops := examples()
	f.Fuzz(func(t *testing.T, data []byte) {
		s := source(data)
		template := ops[s.byte()%len(ops)]
		o, err := op.New(template.Name(), s.attrs(template.Attrs()))
		if err != nil {
			require.ErrorIs(t, err, plan.ErrInvalid)
			return
		}
		in := make([]plan.Spec, s.byte()%8)
		for i := range in {
			in[i] = s.spec()
		}
		out, err := o.Infer(in)
		if err != nil {
			require.True(t, errors.Is(err, op.ErrShape) || errors.Is(err, op.ErrDType) || errors.Is(err, plan.ErrInvalid), "%v", err)
			return
		}
		require.True(t, out.DType.Valid())
		if v, ok := o.(op.Viewer); ok {
			if l, ok := v.View(in[0], op.DenseLayout(in[0].Shape), out); ok {
				require.Len(t, l.Strides, len(out.Shape))
			}
		}
		again, err := op.New(o.Name(), o.Attrs())
		require.NoError(t, err)
		out2, err := again.Infer(in)
		require.NoError(t, err)
		require.Equal(t, out.String(), out2.String())
	})
}
