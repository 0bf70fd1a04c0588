package semantic

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

func TestCurveSeconds(t *testing.T) {
	two := Curve{{100, 3}, {200, 5}}
	tests := []struct {
		name  string
		curve Curve
		work  float64
		want  float64
	}{
		{"nothing measured", nil, 7, 0},
		{"one point, in proportion", Curve{{100, 2}}, 50, 1},
		{"no work measured", Curve{{0, 2}}, 50, 2},
		{"at a point", two, 100, 3},
		{"between", two, 150, 4},
		{"below, the line goes on", two, 50, 2},
		{"below, no work", two, 0, 1},
		{"below, never under nothing", Curve{{100, 1}, {200, 5}}, 10, 0},
		{"above, in proportion", two, 400, 10},
		{"negative work", two, -1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { require.InDelta(t, tt.want, tt.curve.Seconds(tt.work), 1e-12) })
	}
}

// TestFitCurve recovers the latency and rates of two regimes from noisy points.
func TestFitCurve(t *testing.T) {
	truth := func(bytes float64) float64 {
		const knee = 1 << 20
		return 20e-6 + min(bytes, knee)/4e9 + max(bytes-knee, 0)/1e9
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var exact, noisy []Point
	for n := 256.0; n <= 1<<28; n *= 2 {
		exact = append(exact, Point{n, truth(n)})
		for range 5 {
			noisy = append(noisy, Point{n, truth(n) * (1 + 0.05*rng.NormFloat64())})
		}
	}
	rng.Shuffle(len(exact), func(i, j int) { exact[i], exact[j] = exact[j], exact[i] })
	rng.Shuffle(len(noisy), func(i, j int) { noisy[i], noisy[j] = noisy[j], noisy[i] })
	right, near := FitCurve(exact...), FitCurve(noisy...)
	require.InEpsilon(t, 20e-6, right.Seconds(0), 1e-9, "the latency is where no byte moves")
	for n := 300.0; n <= 1<<28; n *= 1.37 {
		require.InEpsilon(t, truth(n), right.Seconds(n), 1e-9, n)
		require.InEpsilon(t, truth(n), near.Seconds(n), 0.15, n)
	}
	last := 0.0
	for n := 0.0; n < 1<<29; n = 1.1*n + 100 {
		s := near.Seconds(n)
		require.GreaterOrEqual(t, s, last, "more work takes longer")
		last = s
	}
	require.Equal(t, Curve{{1, 1}, {2, 3}, {3, 3}, {4, 3}, {5, 9}},
		FitCurve(Point{2, 4}, Point{1, 1}, Point{4, 3}, Point{3, 2}, Point{5, 9}, Point{5, 9}, Point{5, 100}, Point{6, math.NaN()}, Point{-1, 1}),
		"what falls is pooled, repetitions count as their median")
}

func TestClassText(t *testing.T) {
	c := Calibration{Kernels: map[Class]Curve{ClassNarrow: {{1, 2}}}, Call: 3}
	b, err := json.Marshal(c)
	require.NoError(t, err)
	require.Contains(t, string(b), `"narrow_product"`)
	var back Calibration
	require.NoError(t, json.Unmarshal(b, &back))
	require.Equal(t, c, back)
	require.ErrorIs(t, json.Unmarshal([]byte(`{"kernels":{"gemm":[]}}`), &back), ErrCalibration)
	for c := range numClasses {
		var same Class
		require.NoError(t, same.UnmarshalText([]byte(c.String())))
		require.Equal(t, c, same)
	}
}

// TestKernels checks the kernel names of small programs.
func TestKernels(t *testing.T) {
	zeros := func(g *lazy.Graph, name string, shape ...int) *lazy.Tensor {
		n := 1
		for _, d := range shape {
			n *= d
		}
		return g.WeightF32(name, make([]float32, n), shape...)
	}
	type group struct {
		class Class
		ops   int
		bytes float64
	}
	tests := []struct {
		name  string
		build func(g *lazy.Graph) *lazy.Tensor
		want  []group
	}{
		{"product with bias, activation and residual", func(g *lazy.Graph) *lazy.Tensor {
			x := g.Input("x", lazy.F32, 32, 64)
			return lazy.Add(x, lazy.GELU(lazy.Linear(x, zeros(g, "w", 64, 64), zeros(g, "b", 64))))
		}, []group{{ClassProduct, 4, 4 * (32*64 + 64*64 + 64 + 32*64 + 32*64)}}},
		{"a value that is read twice ends a group", func(g *lazy.Graph) *lazy.Tensor {
			h := lazy.MatMul(g.Input("x", lazy.F32, 32, 64), zeros(g, "w", 64, 64))
			return lazy.Mul(lazy.Tanh(h), h)
		}, []group{{ClassProduct, 1, 4 * (2*32*64 + 64*64)}, {ClassElementwise, 2, 8 * 32 * 64}}},
		{"convolution with normalisation, residual and ReLU", func(g *lazy.Graph) *lazy.Tensor {
			x := lazy.Conv2D(g.Input("x", lazy.F32, 1, 16, 8, 8), zeros(g, "w1", 16, 16, 1, 1), nil, lazy.Conv{})
			h := lazy.Conv2D(x, zeros(g, "w", 16, 16, 3, 3), nil, lazy.Conv{Pad: [2]int{1, 1}})
			h = lazy.BatchNorm(h, zeros(g, "g", 16), zeros(g, "b", 16), zeros(g, "m", 16), zeros(g, "v", 16), 1e-5)
			return lazy.ReLU(lazy.Add(h, x))
		}, []group{{ClassConv, 1, 4 * (2*16*64 + 16*16)}, {ClassConv3x3, 4, 4 * (3*16*64 + 16*16*9 + 4*16)}}},
		{"a residual in another layout", func(g *lazy.Graph) *lazy.Tensor {
			x := g.Input("x", lazy.F32, 1, 16, 8, 8)
			h := lazy.Conv2D(x, zeros(g, "w", 16, 16, 3, 3), nil, lazy.Conv{Pad: [2]int{1, 1}})
			return lazy.ReLU(lazy.Add(h, x))
		}, []group{{ClassConv3x3, 1, 4 * (2*16*64 + 16*16*9)}, {ClassElementwise, 2, 12 * 16 * 64}}},
		{"an activation of each kind goes with a product", func(g *lazy.Graph) *lazy.Tensor {
			x := g.Input("x", lazy.F32, 32, 64)
			for i, f := range []func(*lazy.Tensor) *lazy.Tensor{lazy.QuickGELU, lazy.Exp, lazy.Sqrt} {
				x = f(lazy.MatMul(x, zeros(g, strconv.Itoa(i), 64, 64)))
			}
			return x
		}, []group{{ClassProduct, 2, 4 * (2*32*64 + 64*64)}, {ClassProduct, 2, 4 * (2*32*64 + 64*64)}, {ClassProduct, 2, 4 * (2*32*64 + 64*64)}}},
		{"convolution of stride 2, GELU apart", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.GELU(lazy.Conv2D(g.Input("x", lazy.F32, 1, 16, 8, 8), zeros(g, "w", 16, 16, 3, 3), nil, lazy.Conv{Stride: [2]int{2, 2}, Pad: [2]int{1, 1}}))
		}, []group{{ClassConv, 1, 4 * (16*64 + 16*16*9 + 16*16)}, {ClassElementwise, 1, 8 * 16 * 16}}},
		{"one row is narrow", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.MatMul(g.Input("x", lazy.F32, 1, 64), zeros(g, "w", 64, 64))
		}, []group{{ClassNarrow, 1, 4 * (64 + 64*64 + 64)}}},
		{"rows of a batch count together", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.MatMul(g.Input("x", lazy.F32, 32, 1, 64), zeros(g, "w", 64, 64))
		}, []group{{ClassProduct, 1, 4 * (32*64 + 64*64 + 32*64)}}},
		{"attention", func(g *lazy.Graph) *lazy.Tensor {
			q, k, v := g.Input("q", lazy.F32, 2, 8, 4), g.Input("k", lazy.F32, 2, 8, 4), g.Input("v", lazy.F32, 2, 8, 4)
			return lazy.MatMul(lazy.Softmax(lazy.CausalMask(lazy.Scale(lazy.MatMul(q, k, lazy.TransB), 0.5), nil), -1), v)
		}, []group{{ClassAttention, 5, 4 * 4 * 2 * 8 * 4}}},
		{"rows by index, their mean", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.Mean(lazy.Embedding(zeros(g, "table", 9, 64), g.Input("i", lazy.I32, 3)), 1)
		}, []group{{ClassGather, 1, 4 * (3*64 + 3 + 3*64)}, {ClassReduce, 1, 4 * (3*64 + 3)}}},
		{"views are in none", func(g *lazy.Graph) *lazy.Tensor {
			return lazy.Transpose(lazy.ReLU(g.Input("x", lazy.F32, 4, 8)), 1, 0)
		}, []group{{ClassElementwise, 1, 8 * 32}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := lazy.NewGraph(tt.name)
			g.Output("y", tt.build(g))
			s, err := Analyze(g)
			require.NoError(t, err)
			kernels, err := s.Kernels(nil)
			require.NoError(t, err)
			var got []group
			var flops float64
			for _, k := range kernels {
				got = append(got, group{k.Class, len(k.Nodes), k.Cost.BytesRead + k.Cost.BytesWritten})
				flops += k.Cost.FLOPs
			}
			require.Equal(t, tt.want, got)
			total, err := s.TotalCost(nil)
			require.NoError(t, err)
			require.InDelta(t, total.FLOPs, flops, 0.5, "no work is lost or counted twice")
		})
	}
}

// TestKernelsOfAModel checks that the kernels account for all of a model's
// work, and that they are few.
func TestKernelsOfAModel(t *testing.T) {
	g, _ := labelled(t, "gpt2", map[string]int{"layers": 3})
	s, err := Analyze(g)
	require.NoError(t, err)
	b := plan.Bindings{"batch": 2, "seq": 5, "past": 7}
	kernels, err := s.Kernels(b)
	require.NoError(t, err)
	costs, err := s.Costs(b)
	require.NoError(t, err)
	seen := map[int]bool{}
	attention := 0
	for _, k := range kernels {
		if k.Class == ClassAttention {
			attention++
		}
		for _, id := range k.Nodes {
			require.False(t, seen[id], "in two kernels")
			seen[id] = true
		}
	}
	for id, c := range costs {
		require.True(t, c == Cost{} || seen[id], "tensor %d is in no kernel", id)
	}
	require.Equal(t, 3, attention)
	_, err = s.Kernels(nil)
	require.ErrorIs(t, err, plan.ErrInvalid)
}

func TestPredict(t *testing.T) {
	g := lazy.NewGraph("predict")
	x := g.Input("x", lazy.F32, "n", 64)
	h := lazy.Tanh(lazy.MatMul(x, g.WeightF32("w", make([]float32, 64*64), 64, 64)))
	y := g.Output("y", lazy.Softmax(h, -1))
	s, err := Analyze(g)
	require.NoError(t, err)
	b := plan.Bindings{"n": 128}
	const values = 128 * 64
	product := 2*values*64 + values // and the activation that goes with it

	d := Device{FLOPS: 1e9, Bandwidth: 1e9, Link: 1e6}
	p, err := s.Predict(d, b)
	require.NoError(t, err)
	require.InEpsilon(t, float64(product)/1e9+8*values/1e9, p.Kernels, 1e-9, "the roofline of two kernels")
	require.Equal(t, [2]float64{4 * values, 4 * values}, [2]float64{p.Up, p.Down})
	require.InEpsilon(t, 8*values/1e6, p.Transfer, 1e-9)
	require.InEpsilon(t, p.Kernels+p.Transfer, p.Seconds(), 1e-12)
	d.Link = 0
	require.Zero(t, d.TransferSeconds(1, 1), "in-process")

	d.Calibration = &Calibration{
		Kernels: map[Class]Curve{ClassProduct: {{1e6, 1e-3}, {2e6, 1.5e-3}}},
		Call:    1e-5, Up: Curve{{0, 0}, {1e6, 1}}, Down: Curve{{0, 0}, {1e6, 3}},
	}
	p, err = s.Predict(d, b)
	require.NoError(t, err)
	seconds := 1e-3 + (float64(product)-1e6)*0.5e-9
	require.InEpsilon(t, seconds+8*values/1e9, p.Kernels, 1e-9, "softmax goes by the roofline: its class was not measured")
	require.InEpsilon(t, 1e-5+4*4*values/1e6, p.Transfer, 1e-9)

	edges, err := s.EdgesOn(d, b)
	require.NoError(t, err)
	for _, e := range edges {
		if e.From == h.In()[0].ID() {
			require.InEpsilon(t, 4*values/(seconds*2*values*64/float64(product)), e.Rate, 1e-9, "a kernel's time is shared by FLOPs")
		}
		if e.To == y.ID() {
			require.InEpsilon(t, 4*values/(8*values/1e9), e.Demand, 1e-9)
		}
	}
	require.Len(t, edges, 4)
}
