package operatortest

import (
	"math"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	_ "unsafe" // for go:linkname

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport/local"
	"github.com/genie-sdk/go/transport/plan"
)

// The tables of operators, of the CPU's kernels and of their choice are variables that only
// their declaration sets. The tests add a line to each as an author would,
// before any of them runs, and remove it afterwards.

//go:linkname operators github.com/genie-sdk/go/internal/op.table
var operators map[string]func(r *plan.AttrReader) op.Op

//go:linkname kernels github.com/genie-sdk/go/internal/device/cpu.pointwise
var kernels map[string]func(o op.Op) elementwise

//go:linkname choices github.com/genie-sdk/go/internal/kernelchoice.pointwise
var choices map[string]bool

// elementwise is the CPU's type of that name.
type elementwise struct {
	unary func(dst, src []float32)
	_     func(dst, a, b []float32)
	_     func(dst, a []float32, b float32)
}

// kernelCalls counts the calls of the new kernel.
var kernelCalls atomic.Int64

func TestMain(m *testing.M) {
	operators["soft_sign"] = func(*plan.AttrReader) op.Op { return activation{"soft_sign", softSign} }
	operators["cube"] = func(*plan.AttrReader) op.Op { return activation{"cube", cube} }
	kernels["soft_sign"] = func(op.Op) elementwise {
		return elementwise{unary: func(dst, src []float32) {
			kernelCalls.Add(1)
			for i, x := range src {
				dst[i] = softSign(x)
			}
		}}
	}
	choices["soft_sign"] = true
	code := m.Run()
	delete(choices, "soft_sign")
	delete(operators, "soft_sign")
	delete(operators, "cube")
	delete(kernels, "soft_sign")
	os.Exit(code)
}

func softSign(x float32) float32 { return x / (1 + float32(math.Abs(float64(x)))) }
func cube(x float32) float32     { return x * x * x }

// activation is an operator as its file in internal/op defines it.
type activation struct {
	name string
	f    func(x float32) float32
}

func (o activation) Name() string    { return o.name }
func (activation) Attrs() plan.Attrs { return nil }

func (activation) Traits() op.Traits {
	return op.Traits{Class: op.ClassElementwise, Pointwise: true, NonLinear: true}
}

func (activation) Infer(in []plan.Spec) (plan.Spec, error) { return op.ReLU{}.Infer(in) }

func (activation) FLOPs(_ [][]int, out []int) float64 { return 3 * op.ReLU{}.FLOPs(nil, out) }

func (o activation) Eval(out *op.Array, in []*op.Array, h halt.Func) error {
	if err := (op.Contiguous{}).Eval(out, in, h); err != nil {
		return err
	}
	y := out.F32()
	for i, x := range y {
		y[i] = o.f(x)
	}
	return nil
}

func apply(name string, x *lazy.Tensor) *lazy.Tensor {
	return lazy.Apply(operators[name](nil), x)
}

const side = 8

// program is an operator after a product, alone, and after a product of which
// one row is read.
func program(name string) (g *lazy.Graph, outputs []*lazy.Tensor) {
	g = lazy.NewGraph(name)
	x := g.Input("x", lazy.F32, "n", side)
	w, b := g.WeightF32("w", ramp(side*side), side, side), g.WeightF32("b", ramp(side), side)
	behind := g.Output("behind", apply(name, lazy.Linear(x, w, b)))
	alone := g.Output("alone", apply(name, x))
	last := lazy.Slice(apply(name, lazy.MatMul(x, g.WeightF32("v", ramp(side*side), side, side))), 0, plan.Sym("n").Sub(plan.C(1)), plan.Sym("n"))
	row := g.Output("row", lazy.Add(last, last))
	return g, []*lazy.Tensor{behind, alone, row}
}

func ramp(n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(i%7-3) / 4
	}
	return out
}

// want is the same by plain loops.
func want(f func(x float32) float32, x []float32) [][]float32 {
	w, b := ramp(side*side), ramp(side)
	rows := len(x) / side
	behind, alone, products := make([]float32, len(x)), make([]float32, len(x)), make([]float32, len(x))
	for i := range rows {
		for j := range side {
			for k := range side {
				products[i*side+j] += x[i*side+k] * w[k*side+j]
			}
		}
	}
	for i := range x {
		behind[i], alone[i] = f(products[i]+b[i%side]), f(x[i])
	}
	last := make([]float32, side)
	for j := range last {
		last[j] = 2 * f(products[len(x)-side+j])
	}
	return [][]float32{behind, alone, last}
}

// expected is the expectation for each operator.
var expected = []struct {
	name    string
	f       func(x float32) float32
	kernels map[string]int // that a run launches
}{
	{"soft_sign", softSign, map[string]int{"matmul[8, 8]+bias+soft_sign": 1, "soft_sign": 1, "matmul[8, 8]+soft_sign": 1, "add": 1}},
	{"cube", cube, map[string]int{"matmul[8, 8]+bias": 1, "matmul[8, 8]": 1, "cube": 3, "add": 1}},
}

// device is the reference device, which has no kernel for the cube.
func device() semantic.Device {
	d := semantic.ReferenceDevice()
	d.Lacks = append(d.Lacks, "cube")
	return d
}

// TestEveryExecutor runs a new operator, fused and alone, on each executor,
// with and without a kernel.
func TestEveryExecutor(t *testing.T) {
	worker := workertest.StartEngine(t, engine.Options{Threads: 2, Profile: true}, nil)
	here, err := local.Open(local.WithProfile())
	require.NoError(t, err)
	defer func() { require.NoError(t, here.Close()) }()
	clients := map[string]func() (*genie.Client, error){
		"local": func() (*genie.Client, error) { return genie.NewClient(here), nil },
		"tcp":   func() (*genie.Client, error) { return genie.Open(t.Context(), "tcp://"+worker.TCP) },
		"grpc":  func() (*genie.Client, error) { return genie.Open(t.Context(), "grpc://"+worker.GRPC) },
	}
	for _, tt := range expected {
		for executor, open := range clients {
			t.Run(tt.name+"/"+executor, func(t *testing.T) {
				before := kernelCalls.Load()
				c, err := open()
				require.NoError(t, err)
				defer func() { require.NoError(t, c.Close()) }()
				session, err := c.NewSession(t.Context())
				require.NoError(t, err)
				defer func() { require.NoError(t, session.Close()) }()
				g, outputs := program(tt.name)
				require.NoError(t, g.Err())
				x := ramp(3 * side)
				values, err := session.Run(t.Context(), genie.Feed{"x": genie.Float32s(x, 3, side)}, outputs...)
				require.NoError(t, err)
				for i, w := range want(tt.f, x) {
					got, err := values[i].Float32s(t.Context())
					require.NoError(t, err)
					require.InDeltaSlice(t, w, got, 1e-5, g.Outputs()[i].Name)
				}
				stats := worker.Engine.Stats()
				if executor == "local" {
					stats, err = here.Stats(t.Context())
					require.NoError(t, err)
				}
				for kernel := range tt.kernels {
					require.Contains(t, stats.Kernels, kernel, "launched")
				}
				require.Equal(t, tt.name == "soft_sign", kernelCalls.Load() > before, "its kernel ran")
			})
		}
	}
}

// TestPriced checks that the cost model knows an operator by its traits: which
// kernels a run launches, of which class, over what work; and that only a row
// is computed where only a row is read.
func TestPriced(t *testing.T) {
	for _, tt := range expected {
		t.Run(tt.name, func(t *testing.T) {
			g, outputs := program(tt.name)
			s, err := semantic.Analyze(g)
			require.NoError(t, err)
			const n = 64
			kernels, err := s.KernelsOn(device(), plan.Bindings{"n": n})
			require.NoError(t, err)
			got := map[string]int{}
			for _, k := range kernels {
				got[k.Name]++
				switch {
				case strings.HasPrefix(k.Name, "matmul[8, 8]+bias"):
					require.Equal(t, semantic.ClassNarrow, k.Class, k.Name)
				case k.Name == tt.name:
					require.Equal(t, semantic.ClassElementwise, k.Class, k.Name)
					require.Contains(t, []float64{3 * n * side, 3 * side}, k.Cost.FLOPs, "all rows, or the one that is read")
				}
			}
			require.Equal(t, tt.kernels, got)
			rows := 0
			schedule, err := semantic.Full().Schedule(s, semantic.Request{Outputs: []lazy.Named{{Name: "row", Tensor: outputs[2]}}})
			require.NoError(t, err)
			for _, step := range schedule.Plan.Steps {
				if step.Op == tt.name {
					require.Equal(t, plan.Shape{plan.C(1), plan.C(side)}, schedule.Plan.Values[step.Out].Spec.Shape, "one row is computed")
					rows++
				}
			}
			require.Equal(t, 1, rows)
		})
	}
}

// TestExplained checks that every form of an explanation shows a new operator.
func TestExplained(t *testing.T) {
	for _, tt := range expected {
		g, _ := program(tt.name)
		s, err := semantic.Analyze(g)
		require.NoError(t, err)
		e, err := semantic.Explain(s, semantic.Full(), plan.Bindings{"n": 4})
		require.NoError(t, err)
		nodes := 0
		for _, n := range e.Nodes {
			if n.Op == tt.name {
				nodes++
				require.InDelta(t, 3*4*side, n.Cost.FLOPs, 0.5)
			}
		}
		require.Equal(t, 3, nodes)
		for form, text := range map[string]string{"text": e.Text(), "dot": e.Dot()} {
			require.GreaterOrEqual(t, strings.Count(text, tt.name), 2*3, form+": in the graph and in the plan")
		}
	}
}
