package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/kernelchoice"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// alone is a device whose kernels a test calls on arrays of its own.
func alone(t testing.TB, threads int) *Device {
	t.Helper()
	d, err := Open(device.Options{Threads: threads})
	require.NoError(t, err)
	t.Cleanup(d.Close)
	return d.(*Device)
}

// elementStep is a step of one elementwise operator.
func elementStep(t testing.TB, d *Device, o op.Op, out *op.Array, in ...*op.Array) *step {
	t.Helper()
	specs := make([]plan.Spec, len(in))
	for i, a := range in {
		specs[i] = plan.Spec{DType: a.DType, Shape: op.Static(a.Shape)}
	}
	b := &blockProgram{steps: []blockStep{{run: elementKernel(o, specs), in: [3]int{1, 2, 3}, inputs: len(in)}}, wide: len(in), sizes: []int{out.DType.Size()}}
	require.NotNil(t, b.steps[0].run, "%s of %v has no kernel", o.Name(), specs)
	for _, a := range in {
		b.sizes = append(b.sizes, a.DType.Size())
	}
	b.widest = slices.Max(b.sizes)
	s := &step{
		op: o, group: &program.Group{}, in: in, out: out, job: newJob(), pool: d.pool,
		work: &workspace{d: d}, nest: new(nest), blocks: b,
	}
	if e, ok := pointwiseKernel(o); ok {
		s.elements = []elementwise{e}
	}
	s.work.place(make([]byte, s.workspace()))
	return s
}

// layOut is an array of the shape whose axes are stored in a random order, some
// of them with gaps.
func layOut(rng *rand.Rand, t plan.DType, shape []int) *op.Array {
	a := &op.Array{DType: t, Shape: shape, Strides: make([]int, len(shape))}
	order := rng.Perm(len(shape))
	if rng.IntN(3) == 0 {
		slices.Sort(order)
		slices.Reverse(order)
	}
	n := 1
	for _, d := range order {
		a.Strides[d] = n
		n *= shape[d]
		if rng.IntN(4) == 0 {
			n += rng.IntN(3)
		}
	}
	a.Data = make([]byte, n*t.Size())
	for i := range n {
		setElement(rng, a, i)
	}
	return a
}

func setElement(rng *rand.Rand, a *op.Array, i int) {
	switch a.DType {
	case plan.F32:
		a.F32()[i] = float32(rng.NormFloat64() * 3)
		if rng.IntN(4) == 0 {
			a.F32()[i] = float32(rng.IntN(5) - 2)
		}
		if rng.IntN(200) == 0 {
			a.F32()[i] = []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 1e30, -1e30}[rng.IntN(5)]
		}
	case plan.Bool:
		a.Data[i] = byte(rng.IntN(3))
	default:
		a.SetInt(i, rng.IntN(9)-4)
	}
}

// broadcastable is a shape that broadcasts to the given one.
func broadcastable(rng *rand.Rand, shape []int) []int {
	s := slices.Clone(shape[rng.IntN(len(shape)+1):])
	if rng.IntN(3) == 0 {
		s = slices.Clone(shape)
	}
	for i := range s {
		if rng.IntN(3) == 0 {
			s[i] = 1
		}
	}
	return s
}

// elementary are operators of the elementwise kernels, with the types of their
// inputs.
func elementaryOps() (ops []op.Op, types [][]plan.DType) {
	add := func(o op.Op, in ...plan.DType) { ops, types = append(ops, o), append(types, in) }
	all := []plan.DType{plan.F32, plan.I32, plan.I64, plan.Bool}
	for _, name := range op.Names() {
		for _, attrs := range []plan.Attrs{nil, {plan.BoolAttr("tanh", true)}, {plan.BoolAttr("fmod", true)}, {plan.BoolAttr("fmod", false)}, {plan.Float("max", 1), plan.Float("min", -0.5)}} {
			o, err := op.New(name, attrs)
			if err != nil || !o.Traits().Pointwise || name == "bias" {
				continue
			}
			for _, t := range all {
				for n := 1; n <= 2; n++ {
					in := slices.Repeat([]plan.Spec{{DType: t, Shape: plan.Shape{plan.C(2)}}}, n)
					if _, err := o.Infer(in); err == nil && kernelchoice.Of(&program.Group{Steps: []int{0}}, []op.Op{o}).Kernel == pointwiseName {
						add(o, slices.Repeat([]plan.DType{t}, n)...)
					}
				}
			}
		}
	}
	for _, t := range all {
		add(op.Where{}, plan.Bool, t, t)
		for _, to := range all {
			add(op.Cast{To: to}, t)
		}
	}
	return ops, types
}

// requireElements compares an array with the reference's, element by element.
func requireElements(t *testing.T, want, got *op.Array, what string) {
	t.Helper()
	if want.DType != plan.F32 {
		require.Equal(t, want.Data, got.Data, what)
		return
	}
	for i, w := range want.F32() {
		g := got.F32()[i]
		near := math.Abs(float64(g)-float64(w)) <= max(2e-7, 1e-6*math.Abs(float64(w)))
		require.True(t, near || g == w || g != g && w != w, "%s: element %d is %g, the reference has %g", what, i, g, w)
	}
}

// TestElementsOfAnyLayout compares the elementwise kernels with the operators'
// references on random shapes and layouts, and holds that the bits depend on
// neither the layout nor the number of threads.
func TestElementsOfAnyLayout(t *testing.T) {
	rng := rand.New(rand.NewPCG(41, 42))
	d, single := alone(t, 3), alone(t, 1)
	ops, types := elementaryOps()
	require.Greater(t, len(ops), 60)
	shapes := [][]int{{}, {1}, {7}, {3, 5}, {40000}, {3, 70, 9}, {130, 257}, {2, 3, 1, 1200}, {9, 5, 4, 3, 33}, {3000, 3}, {11, 1, 2500}, {1, 1, 1, 6}, {0, 3}}
	for i, o := range ops {
		for round := range 6 {
			elementsRound(t, rng, d, single, o, types[i], shapes[rng.IntN(len(shapes))], round)
		}
	}
}

// elementsRound computes an operator of inputs of these types, one of which has
// the shape.
func elementsRound(t *testing.T, rng *rand.Rand, d, single *Device, o op.Op, types []plan.DType, shape []int, round int) {
	t.Helper()
	in := make([]*op.Array, len(types))
	specs := make([]plan.Spec, len(in))
	for k, dt := range types {
		s := shape
		if k > 0 || len(in) > 1 && rng.IntN(2) == 0 {
			s = broadcastable(rng, shape)
		}
		in[k] = layOut(rng, dt, s)
		specs[k] = plan.Spec{DType: dt, Shape: op.Static(s)}
	}
	spec, err := o.Infer(specs)
	require.NoError(t, err)
	out, err := spec.Shape.Eval(nil)
	require.NoError(t, err)
	want, got, again := op.NewArray(spec.DType, out...), op.NewArray(spec.DType, out...), op.NewArray(spec.DType, out...)
	require.NoError(t, o.Eval(want, in, nil))
	what := fmt.Sprintf("%s %d of %v", o.Name(), round, in2string(in))
	require.NoError(t, runPointwise(elementStep(t, d, o, got, in...)), what)
	requireElements(t, want, got, what)
	for k, a := range in {
		in[k] = rowMajor(a)
	}
	require.NoError(t, runPointwise(elementStep(t, single, o, again, in...)), what)
	requireSameBits(t, got, again, what)
}

// FuzzElements draws an operator, a shape and layouts from a number.
func FuzzElements(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed, uint8(seed*37), uint8(seed*11), uint8(7), uint8(seed))
	}
	ops, types := elementaryOps()
	f.Fuzz(func(t *testing.T, seed uint64, which, a, b, c uint8) {
		d, single := alone(t, 2), alone(t, 1)
		i := int(which) % len(ops)
		elementsRound(t, rand.New(rand.NewPCG(seed, 1)), d, single, ops[i], types[i], []int{int(a), int(b) % 40, int(c) % 40}, 0)
	})
}

// requireSameBits compares bits, any NaN being equal to any other.
func requireSameBits(t *testing.T, want, got *op.Array, what string) {
	t.Helper()
	if want.DType == plan.F32 {
		for i, w := range want.F32() {
			if g := got.F32()[i]; math.Float32bits(w) != math.Float32bits(g) && (w == w || g == g) {
				require.Equal(t, math.Float32bits(w), math.Float32bits(g), "%s: element %d: %v and %v", what, i, w, g)
			}
		}
		return
	}
	require.Equal(t, want.Data, got.Data, what)
}

func in2string(in []*op.Array) (out []string) {
	for _, a := range in {
		out = append(out, fmt.Sprintf("%v %v stored %v", a.DType, a.Shape, a.Strides))
	}
	return out
}

// TestElementsPastTheCaches covers outputs that are streamed.
func TestElementsPastTheCaches(t *testing.T) {
	d := alone(t, 2)
	n := streamBytes/4 + 77
	a, b, out := op.NewArray(plan.F32, n), op.NewArray(plan.F32, 1), op.NewArray(plan.F32, n)
	for i := range a.F32() {
		a.F32()[i] = float32(i)
	}
	b.F32()[0] = 3
	s := elementStep(t, d, op.Sub(), out, a, b)
	require.NoError(t, runPointwise(s))
	for i, x := range out.F32() {
		if x != float32(i)-3 {
			require.Equal(t, float32(i)-3, x, "element %d", i)
		}
	}
}

// TestElementsAllocateNothing: kernels of elementwise operators take their memory
// from the workspace.
func TestElementsAllocateNothing(t *testing.T) {
	d := alone(t, 2)
	rng := rand.New(rand.NewPCG(43, 44))
	x := op.NewArray(plan.F32, 50, 300, 4)
	turned := &op.Array{DType: plan.F32, Shape: []int{50, 300, 4}, Strides: []int{1, 50, 15000}, Data: x.Data}
	mask := layOut(rng, plan.Bool, []int{300, 4})
	for _, s := range []*step{
		elementStep(t, d, op.Add(), op.NewArray(plan.F32, 50, 300, 4), turned, op.NewArray(plan.F32, 4)),
		elementStep(t, d, op.Where{}, op.NewArray(plan.F32, 50, 300, 4), mask, x, op.NewArray(plan.F32)),
		elementStep(t, d, op.Less(), op.NewArray(plan.Bool, 50, 300, 4), x, op.NewArray(plan.F32, 300, 1)),
		elementStep(t, d, op.Cast{To: plan.I64}, op.NewArray(plan.I64, 50, 300, 4), turned),
	} {
		require.Zero(t, testing.AllocsPerRun(20, func() {
			if err := runPointwise(s); err != nil {
				panic(err)
			}
		}), s.op.Name())
	}
}
