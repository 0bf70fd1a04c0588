package engine_test

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// scaled builds a plan value by value.
type scaled struct {
	t *testing.T
	p plan.Plan
}

func newScaled(t *testing.T) *scaled {
	return &scaled{t: t, p: plan.Plan{Version: plan.Version, Name: "scaled"}}
}

func (b *scaled) value(v plan.Value) int {
	b.p.Values = append(b.p.Values, v)
	return len(b.p.Values) - 1
}

func f32s(dims ...plan.Dim) plan.Spec { return plan.Spec{DType: plan.F32, Shape: dims} }

func ints(dims ...int) plan.Spec { return plan.Spec{DType: plan.F32, Shape: op.Static(dims)} }

func (b *scaled) input(s plan.Spec) int {
	v := b.value(plan.Value{Kind: plan.KindInput, Spec: s, Buffer: plan.NoBuffer})
	b.p.Inputs = append(b.p.Inputs, plan.Port{Name: fmt.Sprint("x", v), Value: v})
	return v
}

func (b *scaled) weight(content int, s plan.Spec) int {
	var h plan.Hash
	binary.LittleEndian.PutUint64(h[:], uint64(content)+1)
	return b.value(plan.Value{Kind: plan.KindWeight, Name: fmt.Sprint("w", content), Spec: s, Buffer: plan.NoBuffer, Hash: h, Storage: plan.F32})
}

func (b *scaled) state(s plan.Spec) int {
	return b.value(plan.Value{Kind: plan.KindState, Spec: s, Buffer: plan.NoBuffer})
}

func (b *scaled) carry(mode plan.StateMode, in, out int) {
	b.p.States = append(b.p.States, plan.State{Name: fmt.Sprint("s", in), Mode: mode, In: in, Out: out})
}

func (b *scaled) step(o op.Op, in ...int) int {
	specs := make([]plan.Spec, len(in))
	for i, v := range in {
		specs[i] = b.p.Values[v].Spec
	}
	out, err := o.Infer(specs)
	require.NoError(b.t, err)
	v := b.value(plan.Value{Kind: plan.KindTemp, Spec: out, Buffer: plan.NoBuffer})
	b.p.Steps = append(b.p.Steps, plan.Step{Op: o.Name(), Attrs: o.Attrs(), In: in, Out: v})
	return v
}

func (b *scaled) output(v int) {
	b.p.Outputs = append(b.p.Outputs, plan.Output{Name: fmt.Sprint("y", v), Value: v, Place: plan.Download, Cause: plan.CauseActivation})
}

// finish gives every root a buffer of its own.
func (b *scaled) finish() *plan.Plan {
	if len(b.p.Outputs) == 0 {
		b.output(len(b.p.Values) - 1)
	}
	r, err := op.Resolve(&b.p)
	require.NoError(b.t, err)
	for v := range b.p.Values {
		if r.InScratch(v) {
			b.p.Values[v].Buffer = b.p.Buffers
			b.p.Buffers++
		}
	}
	for v, base := range r.Base {
		b.p.Values[v].Buffer = b.p.Values[base].Buffer
	}
	return &b.p
}

// shapes are plans that each contain a large amount of one thing that compiling
// examines. n is about the number of values.
var shapes = map[string]func(b *scaled, n int){
	"weights": func(b *scaled, n int) {
		for i := range n {
			b.weight(i, ints(1))
		}
		b.step(op.Exp{}, b.input(ints(1)))
	},
	"one weight many times": func(b *scaled, n int) {
		for range n {
			b.weight(7, ints(1))
		}
		b.step(op.Exp{}, b.input(ints(1)))
	},
	"alive at once": func(b *scaled, n int) {
		x := b.input(ints(1))
		for range n {
			b.output(b.step(op.Exp{}, x))
		}
	},
	"sizes of their own": func(b *scaled, n int) {
		var open []int
		for i := range n / 3 {
			open = append(open, b.step(op.Exp{}, b.input(ints(1+i*7919%n))))
		}
		for _, v := range open {
			b.output(b.step(op.Reduce{Kind: "sum", Axes: []int{0}}, v))
		}
	},
	"chain": func(b *scaled, n int) {
		x := b.input(f32s(plan.Sym("a"), plan.C(3)))
		for range n {
			x = b.step(op.Exp{}, x)
		}
	},
	"chain of views": func(b *scaled, n int) {
		x := b.input(f32s(plan.Sym("a"), plan.Sym("b")))
		for range n {
			x = b.step(op.Transpose{Perm: []int{1, 0}}, x)
		}
		b.step(op.Exp{}, x)
	},
	"chain of slices": func(b *scaled, n int) {
		x := b.input(f32s(plan.Sym("a").Scale(8), plan.Sym("b")))
		for range n {
			x = b.step(op.Slice{Axis: 0, Start: plan.Sym("a"), Stop: plan.Sym("a").Scale(2)}, x)
			x = b.step(op.Reshape{Shape: plan.Shape{plan.Sym("b"), plan.Sym("a")}}, x)
			x = b.step(op.Reshape{Shape: plan.Shape{plan.Sym("a"), plan.Sym("b")}}, x)
			x = b.step(op.Concat{Axis: 0}, x, x, x)
			if len(b.p.Values) > n {
				break
			}
		}
	},
	"fan-out": func(b *scaled, n int) {
		x := b.step(op.Exp{}, b.input(f32s(plan.Sym("a"))))
		for range n / 2 {
			b.output(b.step(op.Add(), x, b.step(op.Identity{}, x)))
		}
	},
	"64 inputs": func(b *scaled, n int) {
		x := b.input(f32s(plan.Sym("a"), plan.C(2)))
		in := make([]int, plan.MaxOpInputs)
		for i := range in {
			in[i] = x
		}
		for range n / 16 {
			b.output(b.step(op.Concat{Axis: 0}, in...))
		}
	},
	"inputs and outputs": func(b *scaled, n int) {
		for range n / 2 {
			b.output(b.step(op.Exp{}, b.input(f32s(plan.Sym("a"), plan.Sym("b").Add(plan.C(1))))))
		}
	},
	"shapes of their own": func(b *scaled, n int) {
		for i := range n / 2 {
			b.output(b.step(op.Exp{}, b.input(f32s(plan.Sym("a").Add(plan.C(i)), plan.Sym("b").Scale(1+i%50), plan.C(3)))))
		}
	},
	"products with shapes of their own": func(b *scaled, n int) {
		w := b.weight(1, ints(2, 2))
		for i := range n / 2 {
			b.output(b.step(op.MatMul{}, b.input(ints(1+i, 2)), w))
		}
	},
	"stages after a write": func(b *scaled, n int) {
		w := b.weight(1, ints(2, 2))
		old := b.state(ints(4, 2))
		var products []int
		for range n / 2 {
			products = append(products, b.step(op.MatMul{}, old, w))
		}
		b.carry(plan.StateWrite, old, b.step(op.WriteRows{}, old, b.input(ints(1, 2)), b.position()))
		x := products[0]
		for _, p := range products[1:] {
			x = b.step(op.Add(), x, p)
		}
	},
	"products far from their stages": func(b *scaled, n int) {
		w, x := b.weight(1, ints(2, 2)), b.input(ints(4, 2))
		old := b.state(ints(4, 2))
		var products []int
		for range n / 3 {
			products = append(products, b.step(op.MatMul{}, x, w))
		}
		for range n / 6 { // of unknown rows
			b.step(op.WriteRows{}, x, x, b.position())
		}
		b.carry(plan.StateWrite, old, b.step(op.WriteRows{}, old, b.input(ints(1, 2)), b.position()))
		for _, p := range products {
			b.output(b.step(op.ReLU{}, p))
		}
	},
	"states": func(b *scaled, n int) {
		row, at := b.input(ints(1, 2)), b.position()
		var old []int
		for range min(plan.MaxStates, n/8) {
			old = append(old, b.state(ints(4, 2)))
		}
		for range n / 2 / len(old) {
			for _, s := range old {
				b.step(op.Exp{}, s)
			}
		}
		for _, s := range old {
			b.carry(plan.StateWrite, s, b.step(op.WriteRows{}, s, row, at))
		}
	},
	"filters": func(b *scaled, n int) {
		x := b.input(ints(1, 1, 3, 3))
		for i := range n / 4 {
			f := b.weight(1, ints(1, 1, 1, 1))
			b.output(b.step(op.Conv2D{Stride: [2]int{1, 1}, Pad: [2]int{i % 7, i % 5}, Dilation: [2]int{1 + i%3, 1}, Groups: 1}, x, f, b.weight(2+i, ints(1))))
		}
	},
	"many symbols": func(b *scaled, n int) {
		for i := range n / 2 {
			b.output(b.step(op.Exp{}, b.input(f32s(plan.Sym(fmt.Sprint("s", i%60)), plan.Sym(fmt.Sprint("s", (i+1)%60)).Scale(1+i%9)))))
		}
	},
}

// position is an input that selects where rows are written.
func (b *scaled) position() int {
	return b.input(plan.Spec{DType: plan.I32, Shape: op.Static([]int{1})})
}

// prepared does all of a worker's work on a plan that arrives for the first
// time.
func prepared(t *testing.T, e *engine.Engine, encoded []byte) time.Duration {
	begin := time.Now()
	p, err := plan.Decode(encoded)
	require.NoError(t, err)
	prog, err := e.CompileHashed(t.Context(), p, plan.HashEncoded(encoded), nil)
	require.NoError(t, err)
	s := e.NewSession()
	defer s.Close()
	require.NoError(t, s.Use(prog))
	require.NoError(t, e.Fits(prog, nil))
	missing := e.MissingIDs(prog)
	for _, id := range missing {
		_, err := e.WeightForm(prog, prog.Plan().Values[id])
		require.NoError(t, err)
	}
	sizes := make([]int, len(prog.Symbols()))
	for i := range sizes {
		sizes[i] = 1
	}
	c, err := s.NewCall(prog, sizes)
	if len(missing) == 0 && len(prog.Plan().States) == 0 {
		require.NoError(t, err)
	}
	if err == nil {
		c.Release()
	}
	return time.Since(begin)
}

// TestCompileIsLinear prepares plans of n and of 4n values of each kind: four
// times the plan may take nine times as long, where a quadratic pass would take
// sixteen. It retries on a busy machine.
func TestCompileIsLinear(t *testing.T) {
	const n, attempts = scaledValues, 6
	for name, shape := range shapes {
		for _, branches := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/branches=%v", name, branches), func(t *testing.T) {
				var encoded [2][]byte
				for i, n := range []int{n, 4 * n} {
					b := newScaled(t)
					shape(b, n)
					var err error
					encoded[i], err = b.finish().Encode()
					require.NoError(t, err)
				}
				for attempt := range attempts {
					var took [2]time.Duration
					for i := range took {
						e, err := engine.New(engine.Options{Device: cpu.Open, Threads: 1, Branches: branches})
						require.NoError(t, err)
						took[i] = prepared(t, e, encoded[i])
						require.NoError(t, e.Close())
					}
					if took[1] < 9*took[0]+5*time.Millisecond {
						return
					}
					t.Logf("attempt %d: %v, and four times the plan %v", attempt, took[0], took[1])
				}
				t.Fatal("the time grows faster than the plan")
			})
		}
	}
}
