package semantic_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// programs each contain a large amount of one thing that capture, analysis and
// planning examine. n is about the number of tensors.
var programs = map[string]func(g *lazy.Graph, n int){
	"chain": func(g *lazy.Graph, n int) {
		x := g.Input("x", lazy.F32, "a", 4)
		for range n {
			x = lazy.ReLU(x)
		}
		g.Output("y", x)
	},
	"outputs": func(g *lazy.Graph, n int) {
		x := g.Input("x", lazy.F32, "a", 4)
		for i := range n {
			g.Output(fmt.Sprint("y", i), lazy.ReLU(x))
		}
	},
	"inputs": func(g *lazy.Graph, n int) {
		for i := range n / 2 {
			g.Output(fmt.Sprint("y", i), lazy.ReLU(g.Input(fmt.Sprint("x", i), lazy.F32, "a", 4)))
		}
	},
	"tokens": func(g *lazy.Graph, n int) {
		for i := range n / 2 {
			g.Output(fmt.Sprint("y", i), lazy.ArgMax(g.Input(fmt.Sprint("x", i), lazy.F32, "a", 4), -1))
		}
	},
	"weights": func(g *lazy.Graph, n int) {
		x := g.Input("x", lazy.F32, 1, 1)
		for i := range n / 2 {
			x = lazy.Add(x, g.AddWeight(transport.Weight{Name: fmt.Sprint("w", i), Storage: plan.F32, Shape: []int{1, 1}, Data: make([]byte, 4), Hash: plan.HashEncoded([]byte(strconv.Itoa(i)))}))
		}
		g.Output("y", x)
	},
	"views": func(g *lazy.Graph, n int) {
		x := g.Input("x", lazy.F32, "a", "b")
		for range n {
			x = lazy.Transpose(x, 1, 0)
		}
		g.Output("y", lazy.ReLU(x))
	},
	"slices": func(g *lazy.Graph, n int) {
		x := g.Input("x", lazy.F32, plan.Sym("a").Add(plan.C(n)), 4)
		for i := range n {
			x = lazy.Slice(x, 0, plan.C(1), plan.Sym("a").Add(plan.C(n-i)))
		}
		g.Output("y", lazy.ReLU(x))
	},
	"fan-out": func(g *lazy.Graph, n int) {
		x := lazy.ReLU(g.Input("x", lazy.F32, "a", 4))
		sum := x
		for range n / 2 {
			sum = lazy.Add(sum, lazy.Tanh(x))
		}
		g.Output("y", sum)
	},
	"caches": func(g *lazy.Graph, n int) {
		x := g.Input("x", lazy.F32, 1, "seq", 4)
		for i := range min(n/8, plan.MaxStates) {
			past := g.Input(fmt.Sprint("k", i), lazy.F32, 1, "past", 4)
			k := lazy.Concat(1, past, x)
			g.Carry(past, k)
			scores := lazy.Softmax(lazy.MatMul(x, k, lazy.TransB), -1)
			x = lazy.Add(x, lazy.MatMul(scores, k))
		}
		g.Output("y", x)
	},
	"heads": func(g *lazy.Graph, n int) {
		x := g.Input("x", lazy.F32, 1, "seq", 4)
		w := g.WeightF32("w", make([]float32, 16), 4, 4)
		for range n / 8 {
			q := lazy.MatMul(x, w)
			x = lazy.Add(x, lazy.MatMul(lazy.Softmax(lazy.MatMul(q, q, lazy.TransB), -1), q))
		}
		g.Output("y", x)
	},
	"rows of a chain": func(g *lazy.Graph, n int) {
		x := g.Input("x", lazy.F32, plan.Sym("a").Add(plan.C(1)), 4)
		bias := g.WeightF32("b", make([]float32, 4), 4)
		for range n / 2 {
			x = lazy.Bias(lazy.ReLU(x), bias)
		}
		g.Output("y", lazy.Slice(x, 0, plan.Sym("a"), plan.Sym("a").Add(plan.C(1))))
	},
	"slices of one": func(g *lazy.Graph, n int) {
		x := lazy.ReLU(g.Input("x", lazy.F32, plan.Sym("a").Add(plan.C(1)), 4))
		for i := range n {
			g.Output(fmt.Sprint("y", i), lazy.Slice(x, 0, plan.Sym("a"), plan.Sym("a").Add(plan.C(1))))
		}
	},
	"written caches": func(g *lazy.Graph, n int) {
		x, at := g.Input("x", lazy.F32, 1, 1, 4), g.Input("at", lazy.I32, 1)
		for i := range min(n/8, plan.MaxStates) {
			old := g.Input(fmt.Sprint("k", i), lazy.F32, 1, "all", 4)
			k := lazy.WriteRows(old, x, at, 1)
			g.Carry(old, k)
			x = lazy.Add(x, lazy.MatMul(lazy.Softmax(lazy.MatMul(x, k, lazy.TransB), -1), k))
		}
		g.Output("y", x)
	},
	"joins of work": func(g *lazy.Graph, n int) {
		x := g.Input("x", lazy.F32, "a", 4)
		w := g.WeightF32("w", make([]float32, 16), 4, 4)
		for range n / 2 {
			x = lazy.Tanh(x)
		}
		for range n / 12 {
			a, b := lazy.ReLU(lazy.MatMul(lazy.ReLU(x), w)), lazy.ReLU(lazy.MatMul(lazy.Tanh(x), w))
			x = lazy.Mul(lazy.MatMul(a, w), lazy.MatMul(b, w))
		}
		g.Output("y", x)
	},
	"sums of products": func(g *lazy.Graph, n int) {
		x := g.Input("x", lazy.F32, "a", 4)
		w := g.WeightF32("w", make([]float32, 16), 4, 4)
		sum := x
		for range n / 3 {
			sum = lazy.Add(sum, lazy.Tanh(lazy.MatMul(x, w)))
		}
		g.Output("y", sum)
	},
	"towers": func(g *lazy.Graph, n int) {
		var sum *lazy.Tensor
		for i := range n / 8 {
			x := g.Input(fmt.Sprint("x", i), lazy.F32, "a", 4)
			for range 6 {
				x = lazy.Tanh(x)
			}
			if sum == nil {
				sum = x
			} else {
				sum = lazy.Add(sum, x)
			}
		}
		g.Output("y", sum)
	},
}

// planned does all of the client's work on a program before it is sent.
func planned(t *testing.T, build func(g *lazy.Graph, n int), n int) time.Duration {
	begin := time.Now()
	g := lazy.NewGraph("scaled")
	build(g, n)
	require.NoError(t, g.Err())
	srg, err := semantic.Analyze(g)
	require.NoError(t, err)
	b := plan.Bindings{}
	for _, in := range g.Inputs() {
		for _, d := range in.Shape() {
			for _, s := range d.Symbols(nil) {
				b[s] = 2
			}
		}
	}
	for _, p := range []semantic.Policy{semantic.Full(), semantic.Blind(), semantic.Resident()} {
		s, err := p.Schedule(srg, semantic.Request{})
		require.NoError(t, err)
		_, err = s.Plan.Encode()
		require.NoError(t, err)
	}
	_, err = semantic.Explain(srg, semantic.Full(), b)
	require.NoError(t, err)
	return time.Since(begin)
}

// TestPlanningIsLinear captures, analyses, plans and explains programs of n and
// of 4n tensors: four times the program may take ten times as long, where a
// quadratic pass would take sixteen. It retries on a busy machine.
func TestPlanningIsLinear(t *testing.T) {
	const attempts = 6
	for name, build := range programs {
		t.Run(name, func(t *testing.T) {
			for attempt := range attempts {
				one := planned(t, build, scaledTensors)
				four := planned(t, build, 4*scaledTensors)
				if four < 10*one+10*time.Millisecond {
					return
				}
				t.Logf("attempt %d: %v, and four times the program %v", attempt, one, four)
			}
			t.Fatal("the time grows faster than the program")
		})
	}
}

// TestHostileShapes captures programs whose shapes multiply to huge
// polynomials: the first invalid shape is an error of its tensor, with its
// cause, at once.
func TestHostileShapes(t *testing.T) {
	long := func(i int) plan.Dim {
		d := plan.C(0)
		for k := range 16 {
			d = d.Add(plan.Sym(fmt.Sprint("s", i, "_", k)))
		}
		return d
	}
	huge := plan.Sym("a").Scale(1 << 40)
	begin := time.Now()
	for name, build := range map[string]func(g *lazy.Graph) *lazy.Tensor{
		"input": func(g *lazy.Graph) *lazy.Tensor { return g.Input("x", lazy.F32, long(0).Mul(long(1)).Mul(long(2))) },
		"coefficient": func(g *lazy.Graph) *lazy.Tensor {
			return g.Input("x", lazy.F32, huge.Mul(huge))
		},
		"reshape": func(g *lazy.Graph) *lazy.Tensor {
			return lazy.Reshape(g.Input("x", lazy.F32, long(0), long(1), long(2), long(3)), -1)
		},
		"reshape to": func(g *lazy.Graph) *lazy.Tensor {
			return lazy.Reshape(g.Input("x", lazy.F32, 1), long(0), long(1), long(2), long(3))
		},
		"concat": func(g *lazy.Graph) *lazy.Tensor {
			var in []*lazy.Tensor
			for i := range 20 {
				in = append(in, g.Input(fmt.Sprint("x", i), lazy.F32, long(i)))
			}
			return lazy.Concat(0, in...)
		},
		"slice": func(g *lazy.Graph) *lazy.Tensor {
			return lazy.Slice(g.Input("x", lazy.F32, "n"), 0, plan.C(0), huge.Mul(huge))
		},
		"expand": func(g *lazy.Graph) *lazy.Tensor {
			return lazy.Expand(g.Input("x", lazy.F32, 1), long(0).Mul(long(1)).Mul(long(2)))
		},
	} {
		g := lazy.NewGraph(name)
		x := build(g)
		require.ErrorIs(t, x.Err(), lazy.ErrShape, name)
		require.ErrorIs(t, lazy.ReLU(x).Err(), lazy.ErrShape, name)
		require.ErrorIs(t, g.Err(), lazy.ErrShape, name)
		_, err := semantic.Analyze(g)
		require.ErrorIs(t, err, lazy.ErrShape, name)
	}
	// Strides are computed when a plan is made.
	g := lazy.NewGraph("strides")
	g.Output("y", lazy.ReLU(g.Input("x", lazy.F32, long(0), long(1), long(2), long(3), long(4), long(5))))
	require.NoError(t, g.Err())
	srg, err := semantic.Analyze(g)
	require.NoError(t, err)
	_, err = semantic.Full().Schedule(srg, semantic.Request{})
	require.ErrorIs(t, err, plan.ErrInvalid)
	require.ErrorIs(t, err, semantic.ErrPolicy)
	require.Less(t, time.Since(begin), 10*time.Second)
}
