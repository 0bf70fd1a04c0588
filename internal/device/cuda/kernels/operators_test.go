package kernels

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// evaluation is an operator and its inputs.
type evaluation struct {
	o  op.Op
	in []operand
}

func eval(o op.Op, in ...operand) evaluation { return evaluation{o, in} }

func dims(n ...int) plan.Shape { return op.Static(n) }

// coded are the activations that need a code: elementary functions may lack
// one.
func coded() []op.Op {
	return slices.DeleteFunc(op.Activations(), func(o op.Op) bool {
		_, elementary := o.(op.Unary)
		_, _, ok := CodeOf(o)
		return elementary && !ok
	})
}

// evaluations are those of the operators that this package's kernels compute,
// except products, attention, state and sampling, which have tests of their own.
func evaluations() (all []evaluation) {
	activations := append(coded(), op.GELU{}, op.GELU{Tanh: true})
	for _, o := range activations {
		of := floats
		if o.Name() == "sqrt" {
			of = positive
		}
		for _, s := range [][]int{{1}, {}, {3, 7, 5}, {2, 3, 17, 19}, {0, 3}, {1031}, {6, 64}} {
			all = append(all, eval(o, of(s...)))
		}
	}
	for _, o := range []op.Op{op.Add(), op.Sub(), op.Mul(), op.Div()} {
		for _, s := range [][2][]int{
			{{5}, {5}},
			{{3, 7}, {7}},
			{{3, 1, 5}, {2, 5}},
			{{}, {3, 3}},
			{{2, 3, 5, 7}, {3, 1, 7}},
			{{67, 33}, {67, 1}},
			{{0, 3}, {3}},
			{{5, 64}, {64}},
			{{5, 64}, {5, 1}},
			{{1031}, {1}},
			{{1031}, {1031}},
			{{3, 4, 8}, {3, 1, 8}},
			{{2, 1, 2, 1, 2, 1, 2, 3}, {2, 1, 3, 1, 2, 1, 1}},
		} {
			all = append(all, eval(o, floats(s[0]...), floats(s[1]...)))
		}
	}
	add := func(e ...evaluation) { all = append(all, e...) }
	add(eval(op.Bias{}, floats(3, 5, 7), floats(7)), eval(op.Bias{}, floats(1, 129), floats(129)), eval(op.Bias{}, floats(9, 160), floats(160)))
	for _, to := range []plan.DType{plan.F32, plan.I32, plan.I64, plan.Bool} {
		c := op.Cast{To: to}
		add(eval(c, floats(3, 5)), eval(c, ints(plan.I32, 1000, 3, 5)), eval(c, ints(plan.I64, 1000, 7)), eval(c, ints(plan.Bool, 2, 9)))
	}
	for _, t := range []plan.DType{plan.F32, plan.I32, plan.I64} {
		of := func(s ...int) operand { return operand{t: t, most: 3, shape: s} }
		add(eval(op.Equal{}, of(5, 7), of(7)), eval(op.Equal{}, of(9), of(1)), eval(op.Equal{}, of(2, 3, 1), of(3, 5)))
	}
	for _, t := range []plan.DType{plan.F32, plan.I32, plan.I64, plan.Bool} {
		of := func(s ...int) operand { return operand{t: t, most: 100, shape: s} }
		add(eval(op.Where{}, ints(plan.Bool, 2, 3, 5), of(3, 5), of(5)), eval(op.Where{}, ints(plan.Bool, 2, 7), of(1), of(3, 7)))
	}
	add(normCases()...)
	add(ropeCases()...)
	add(moveCases()...)
	return append(all, lookupCases()...)
}

// ropeCases rotate all and some elements, with angles that broadcast in any way.
func ropeCases() (all []evaluation) {
	for _, interleaved := range []bool{false, true} {
		add := func(dims int, shape, cos, sin []int) {
			all = append(all, eval(op.RoPE{Interleaved: interleaved, Dims: dims}, floats(shape...), floats(cos...), floats(sin...)))
		}
		add(0, []int{2, 3, 5, 8}, []int{5, 4}, []int{2, 1, 5, 4})
		add(34, []int{3, 5, 67}, []int{1, 17}, []int{3, 1, 17})
		add(0, []int{7, 64}, []int{32}, []int{7, 32})
		add(2, []int{2, 1, 2, 1, 2, 1, 2, 3}, []int{1}, []int{1, 2, 1})
		add(0, []int{0, 4}, []int{2}, []int{2})
		add(0, []int{3, 0}, []int{0}, []int{0})
	}
	return all
}

func normCases() (all []evaluation) {
	add := func(e ...evaluation) { all = append(all, e...) }
	for _, s := range [][]int{{3, 17}, {2, 3, 65}, {1, 1}, {5}, {9, 64}, {2, 1600}, {2, 1023}, {3, 0}, {0, 3}, {2, 8192}, {1, 8196}, {1, 8201}} {
		n := s[len(s)-1]
		add(eval(op.LayerNorm{Eps: 1e-5}, floats(s...)), eval(op.LayerNorm{Eps: 1e-5}, floats(s...), floats(n)))
		add(eval(op.RMSNorm{Eps: 1e-5}, floats(s...)), eval(op.RMSNorm{Eps: 1e-5, Offset: 1}, floats(s...), floats(n)), eval(op.LogSoftmax{Axis: -1}, floats(s...)))
		add(eval(op.LayerNorm{Eps: 1e-5}, floats(s...), floats(n), floats(n)), eval(op.Softmax{Axis: -1}, floats(s...)))
	}
	add(eval(op.Softmax{Axis: 0}, floats(5, 3)), eval(op.Softmax{Axis: 1}, floats(2, 33, 4)))
	add(
		eval(op.BatchNorm{Eps: 1e-3}, floats(2, 3, 5, 7), floats(3), floats(3), floats(3), positive(3)),
		eval(op.BatchNorm{Eps: 1e-5}, floats(1, 17, 1, 1), floats(17), floats(17), floats(17), positive(17)),
		eval(op.BatchNorm{Eps: 1e-5}, floats(5, 4), floats(4), floats(4), floats(4), positive(4)),
	)
	for _, w := range []int{0, 1, 2, 100} {
		mask := op.CausalMask{Window: w}
		add(
			eval(mask, floats(2, 3, 5, 9)), eval(mask, floats(3, 7, 7)), eval(mask, floats(1, 1)), eval(mask, floats(9, 5)), eval(mask, floats(2, 0, 3)),
			eval(mask, floats(2, 3, 5, 9), ints(plan.I32, 4, 2)), eval(mask, floats(3, 1, 300), ints(plan.I64, 400, 3)),
		)
	}
	for _, kind := range []string{"sum", "mean", "max"} {
		reduce := func(keep bool, axes ...int) op.Op { return op.Reduce{Kind: kind, Keep: keep, Axes: axes} }
		add(
			eval(reduce(false, 1), floats(3, 7, 5)), eval(reduce(true, -1), floats(3, 17)), eval(reduce(false, 0, 2), floats(3, 5, 7)),
			eval(reduce(false, 2, 3), floats(2, 5, 7, 7)), eval(reduce(true, 0), floats(129)), eval(reduce(false, 0, 1, 2), floats(3, 1, 5)),
			eval(reduce(true, 1), floats(4, 300)), eval(reduce(false, 0), floats(9000, 1)), eval(reduce(false, 0), floats(300, 35)), eval(reduce(true, 1), floats(2, 7, 70)), eval(reduce(false), floats(3, 4)),
		)
		if kind != "max" {
			add(eval(reduce(false, 1), floats(3, 0)), eval(reduce(true, 0, 1), floats(0, 3)))
		}
	}
	pool := func(kernel, pad, stride int) op.Op {
		return op.MaxPool2D{Kernel: [2]int{kernel, kernel}, Pad: [2]int{pad, pad}, Stride: [2]int{stride, stride}}
	}
	add(eval(pool(3, 1, 2), floats(2, 3, 9, 7)), eval(pool(2, 0, 2), floats(1, 1, 5, 5)), eval(pool(1, 0, 1), floats(1, 5, 3, 3)))
	return all
}

func moveCases() (all []evaluation) {
	for _, t := range []plan.DType{plan.F32, plan.I64, plan.Bool} {
		of := func(s ...int) operand { return operand{t: t, most: 2, shape: s} }
		for _, s := range [][]int{{1}, {}, {3, 7, 5}, {2, 3, 17, 19}, {0, 3}, {1031}, {4, 64}} {
			all = append(all, eval(op.Contiguous{}, of(s...)))
		}
		all = append(all, eval(op.Identity{}, of(3, 5)), eval(op.Expand{Shape: dims(3, 5, 7)}, of(5, 1)), eval(op.Expand{Shape: dims(2, 3)}, of()))
		for _, e := range [][2][]int{
			{{1, 0}, {3, 7}},
			{{1, 0}, {40, 70}},
			{{0, 2, 1, 3}, {2, 3, 5, 8}},
			{{2, 0, 1}, {3, 5, 7}},
			{{0, 2, 1}, {3, 33, 64}},
			{{3, 1, 2, 0}, {9, 2, 3, 31}},
		} {
			all = append(all, eval(op.Transpose{Perm: e[0]}, of(e[1]...)))
		}
	}
	return all
}

func lookupCases() (all []evaluation) {
	for _, t := range []plan.DType{plan.I32, plan.I64} {
		all = append(
			all, eval(op.Embedding{}, floats(11, 5), ints(t, 11, 3, 2)), eval(op.Embedding{}, floats(7, 33), ints(t, 7, 5)),
			eval(op.Embedding{}, floats(3, 1), ints(t, 3, 0)), eval(op.Embedding{}, floats(5, 64), ints(t, 5, 4)), eval(op.Embedding{}, floats(5, 1600), ints(t, 5)),
			eval(op.Embedding{}, floats(5, 0), ints(t, 5, 2)),
			eval(op.Pick{}, floats(3, 7, 5), ints(t, 7, 3)), eval(op.Pick{}, floats(1, 2, 33), ints(t, 2, 1)), eval(op.Pick{}, floats(4, 3), ints(t, 3, 4)),
			eval(op.Pick{}, floats(2, 3, 2, 2), ints(t, 3, 2)),
		)
	}
	return all
}

// tolerance is how far a result may be from the reference's, relative to the
// largest number.
const tolerance = 2e-6

// TestOperators computes all evaluations in all layouts of inputs and outputs,
// with all kernels of the modules of this test.
func TestOperators(t *testing.T) {
	m := newRig(t)
	for i, e := range evaluations() {
		in := e.make(i)
		want, err := reference(t, e.o, in)
		require.NoError(t, err)
		for k, f := range [][2]memory{{dense, dense}, {turned, dense}, {dense, turned}, {ragged, dense}, {dense, ragged}, {shifted, dense}, {dense, shifted}, {gapped, dense}, {dense, gapped}} {
			if k > 2 && in[0].Len() > 1000 {
				break // one of each kernel, and time for the race detector
			}
			what := fmt.Sprint(e.o.Name(), e.o.Attrs(), " of ", e.in, " in layouts ", f)
			got, err := m.compute(e.o, in, f[0], f[1])
			require.NoError(t, err, what)
			if e.o.Traits().Moves || e.o.Traits().Gathers {
				requireBits(t, want, got, what)
			}
			requireNear(t, want, got, tolerance, what)
		}
	}
	for _, module := range []string{"copy", "gather", "norm", "pointwise", "reduce"} {
		for _, name := range modules[module] {
			if name != "fill_words" && name != "embedding_packed" && name != "copy_2" && name != "transpose_2" {
				require.Contains(t, m.launched, name, "no evaluation launches it")
			}
		}
	}
}

func (e evaluation) make(seed int) (in []*op.Array) {
	for k, x := range e.in {
		in = append(in, x.make(1000*seed+k))
	}
	return in
}

// TestSplit computes evaluations in parts.
func TestSplit(t *testing.T) {
	m := newRig(t)
	m.set.indexed = 40
	for i, e := range evaluations() {
		in := e.make(i)
		if in[0].Len() > 700 {
			continue
		}
		want, err := reference(t, e.o, in)
		require.NoError(t, err)
		what := fmt.Sprint(e.o.Name(), e.o.Attrs(), " of ", e.in)
		got, err := m.compute(e.o, in, dense, dense)
		if p, ok := e.o.(op.MaxPool2D); ok && want.Shape[2]*want.Shape[3] > 40 {
			require.ErrorIs(t, err, op.ErrShape, p)
			continue
		}
		require.NoError(t, err, what)
		requireNear(t, want, got, tolerance, what)
	}
}

// TestActivationsHaveCodes holds the table of codes complete.
func TestActivationsHaveCodes(t *testing.T) {
	for _, o := range coded() {
		c, _, ok := CodeOf(o)
		require.True(t, ok, "activation %s has no code", o.Name())
		require.False(t, c.Binary())
		require.NotZero(t, c)
	}
	_, _, ok := CodeOf(op.Cast{To: plan.F32})
	require.False(t, ok)
}

// special are the numbers at which functions go wrong.
func special() []float32 {
	v := []float32{
		0, 1, 0.5, 2, 0.59999996, 0.6, 1e-20, 1e-38, 1e-45, 3, 5, 8, 9, 10, 14.4, 14.5, 14.6, 20, 37, 50, 87, 88.7, 88.8, 89, 103, 103.9, 104, 105, 1e4, 1e10, 1e20,
		math.MaxFloat32, float32(math.Inf(1)), 1 << 23, 1 << 24, 1 << 31, 1 << 32, 1 << 62, 1 << 63,
		math.Nextafter32(1<<31, 0), math.Nextafter32(1<<63, 0), 2.5, -0.9,
	}
	for _, x := range slices.Clone(v) {
		v = append(v, -x)
	}
	return append(v, float32(math.NaN()), float32(math.Copysign(0, -1)))
}

// TestSpecialNumbers computes with infinities, NaN and the smallest and largest
// numbers. Results of the reference that its own rounding spoils are below 1e-15.
func TestSpecialNumbers(t *testing.T) {
	m := newRig(t)
	x := op.FromF32(special(), len(special()))
	for _, o := range append(coded(), op.GELU{}, op.GELU{Tanh: true}) {
		want, err := reference(t, o, []*op.Array{x})
		require.NoError(t, err)
		got, err := m.compute(o, []*op.Array{x}, dense, dense)
		require.NoError(t, err)
		requireEach(t, o, x, want, got)
	}
	for _, to := range []plan.DType{plan.F32, plan.I32, plan.I64, plan.Bool} {
		for _, in := range []*op.Array{x, wideInts(plan.I32), wideInts(plan.I64)} {
			want, err := reference(t, op.Cast{To: to}, []*op.Array{in})
			require.NoError(t, err)
			got, err := m.compute(op.Cast{To: to}, []*op.Array{in}, dense, dense)
			require.NoError(t, err)
			requireBits(t, want, got, fmt.Sprint(in.DType, to))
		}
	}
	column := *x
	column.Shape, column.Strides = []int{len(special()), 1}, []int{1, 1}
	pairs := []*op.Array{&column, x}
	for _, o := range []op.Op{op.Add(), op.Sub(), op.Mul(), op.Div(), op.Equal{}} {
		want, err := reference(t, o, pairs)
		require.NoError(t, err)
		got, err := m.compute(o, pairs, dense, dense)
		require.NoError(t, err)
		requireBits(t, want, got, o.Name())
	}
}

func wideInts(dt plan.DType) *op.Array {
	v := []int{0, 1, -1, math.MaxInt32, math.MinInt32, math.MaxInt32 + 1, math.MinInt32 - 1, math.MaxInt64, math.MinInt64, 1<<53 + 1, 1<<24 + 1, -1<<24 - 1, 1<<60 + 1<<36 + 1, 1<<60 + 1<<36}
	a := op.NewArray(dt, len(v))
	for i, n := range v {
		a.SetInt(i, n)
	}
	return a
}

// requireEach compares element by element. The exponent of a sigmoid is rounded,
// which matters where it is large.
func requireEach(t *testing.T, o op.Op, x, want, got *op.Array) {
	t.Helper()
	relative := 1e-6
	if o.Name() == "quick_gelu" || o == op.Op(op.GELU{Tanh: true}) {
		relative = 5e-6
	}
	for i, w := range want.F32() {
		g := got.F32()[i]
		if w == g || w != w && g != g || math.Abs(float64(w-g)) <= relative*math.Abs(float64(w))+1e-15 {
			continue
		}
		require.Failf(t, o.Name(), "of %v is %v, want %v", x.F32()[i], g, w)
	}
}

// TestAccuracy samples all floats. Results of the reference that its own
// rounding spoils are below 1e-15.
func TestAccuracy(t *testing.T) {
	const n = 1 << 14
	m := newRig(t)
	x := op.NewArray(plan.F32, n)
	for i := range n {
		x.F32()[i] = math.Float32frombits(uint32(i)<<18 | uint32(i)*2654435761>>14)
	}
	for _, o := range append(coded(), op.GELU{}, op.GELU{Tanh: true}) {
		want, err := reference(t, o, []*op.Array{x})
		require.NoError(t, err)
		got, err := m.compute(o, []*op.Array{x}, dense, dense)
		require.NoError(t, err)
		requireEach(t, o, x, want, got)
	}
}
