package engine_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// network is a program under construction with random weights.
type network struct {
	g   *lazy.Graph
	rng *rand.Rand
	n   int

	stats transport.Stats // of the last run
}

func (n *network) floats(count int, scale, shift float64) []float32 {
	out := make([]float32, count)
	for i := range out {
		out[i] = float32(n.rng.NormFloat64()*scale + shift)
	}
	return out
}

func (n *network) weight(scale, shift float64, shape ...int) *lazy.Tensor {
	n.n++
	count := 1
	for _, d := range shape {
		count *= d
	}
	return n.g.WeightF32(fmt.Sprintf("w%d", n.n), n.floats(count, scale, shift), shape...)
}

func (n *network) conv(x *lazy.Tensor, in, out, kernel int, bias bool, c lazy.Conv) *lazy.Tensor {
	perGroup := in / max(c.Groups, 1)
	w := n.weight(1/math.Sqrt(float64(perGroup*kernel*kernel)), 0, out, perGroup, kernel, kernel)
	if bias {
		return lazy.Conv2D(x, w, n.weight(1, 0, out), c)
	}
	return lazy.Conv2D(x, w, nil, c)
}

func (n *network) norm(x *lazy.Tensor, c int) *lazy.Tensor {
	variance := n.floats(c, 0.1, 1)
	for i := range variance {
		variance[i] = float32(math.Abs(float64(variance[i]))) + 0.1
	}
	n.n++
	v := n.g.WeightF32(fmt.Sprintf("w%d", n.n), variance, c)
	return lazy.BatchNorm(x, n.weight(0.2, 1, c), n.weight(1, 0, c), n.weight(1, 0, c), v, 1e-5)
}

// cnn has each kind of convolution that is fused and some that are not.
func (n *network) cnn() {
	g := n.g
	x := g.Input("x", lazy.F32, "batch", 3, 29, 31)
	h := lazy.ReLU(n.norm(n.conv(x, 3, 18, 7, false, lazy.Conv{Stride: [2]int{2, 2}, Pad: [2]int{3, 3}}), 18))
	h = lazy.MaxPool2D(h, [2]int{3, 3}, [2]int{2, 2}, [2]int{1, 1})
	short := n.norm(n.conv(h, 18, 32, 1, false, lazy.Conv{Stride: [2]int{2, 2}}), 32)
	b := lazy.ReLU(n.norm(n.conv(h, 18, 18, 3, true, lazy.Conv{Stride: [2]int{2, 2}, Pad: [2]int{1, 1}}), 18))
	b = n.norm(n.conv(b, 18, 32, 1, false, lazy.Conv{}), 32)
	h = lazy.ReLU(lazy.Add(b, short))
	tapped := n.conv(h, 32, 32, 3, true, lazy.Conv{Pad: [2]int{1, 1}}) // read twice
	g.Output("tap", tapped)
	h = lazy.Add(lazy.Tanh(tapped), h)
	h = lazy.ReLU(n.norm(n.conv(h, 32, 32, 3, false, lazy.Conv{Pad: [2]int{1, 1}, Groups: 32}), 32))
	h = n.conv(h, 32, 24, 3, true, lazy.Conv{Pad: [2]int{2, 2}, Dilation: [2]int{2, 2}, Groups: 2})
	h = n.norm(lazy.GELU(h), 24) // not after a convolution
	g.Output("image", h)
	g.Output("classes", lazy.Bias(lazy.MatMul(lazy.Mean(h, 2, 3), n.weight(0.2, 0, 10, 24), lazy.TransB), n.weight(1, 0, 10)))
}

// norms has normalisations that are not fused with a convolution: with separate
// channels, interleaved ones, values far from zero, and an order without a
// kernel.
func (n *network) norms() {
	g := n.g
	x := g.Input("x", lazy.F32, "batch", 20, 9, 7)
	g.Output("planes", n.norm(x, 20))
	g.Output("sequences", n.norm(g.Input("sequences", lazy.F32, "batch", 20, 33), 20))
	g.Output("rows", n.norm(g.Input("rows", lazy.F32, "batch", 300), 300))
	g.Output("pixels", n.norm(lazy.Tanh(n.conv(x, 20, 300, 3, true, lazy.Conv{})), 300))
	g.Output("turned", n.norm(lazy.Transpose(x, 0, 3, 1, 2), 7))
	far := n.floats(20, 1, 1000)
	near := make([]float32, 20)
	for i := range near {
		near[i] = 0.25 + n.rng.Float32()
	}
	mean, variance := g.WeightF32("far", far, 20), g.WeightF32("near", near, 20)
	shifted := lazy.Add(lazy.Reshape(g.Input("shifted", lazy.F32, "batch", 20, 1), "batch", 20, 1), g.WeightF32("thousand", []float32{1000}, 1))
	g.Output("far", lazy.BatchNorm(shifted, n.weight(0.2, 1, 20), n.weight(1, 0, 20), mean, variance, 1e-5))
}

// transformer has products with all stages, attention with and without a mask,
// and results that are read twice.
func (n *network) transformer() {
	g := n.g
	const width, heads = 48, 3
	table := n.weight(1, 0, 29, width)
	tokens := g.Input("tokens", lazy.I32, "batch", "seq")
	start := g.Input("start", lazy.I32, "batch")
	h := lazy.Add(lazy.Embedding(table, tokens), n.weight(1, 0, width)) // a row for each
	split := func(x *lazy.Tensor) *lazy.Tensor {
		return lazy.Transpose(lazy.Reshape(x, "batch", "seq", heads, width/heads), 0, 2, 1, 3)
	}
	for i := range 2 {
		qkv := lazy.Split(lazy.Linear(h, n.weight(0.2, 0, width, 3*width), n.weight(1, 0, 3*width)), 3, 2)
		scores := lazy.Scale(lazy.MatMul(split(qkv[0]), split(qkv[1]), lazy.TransB), 0.25)
		if i == 0 {
			scores = lazy.CausalMask(scores, start)
		}
		a := lazy.Transpose(lazy.MatMul(lazy.Softmax(scores, -1), split(qkv[2])), 0, 2, 1, 3)
		h = lazy.Add(h, lazy.Linear(lazy.Reshape(a, "batch", "seq", width), n.weight(0.2, 0, width, width), n.weight(1, 0, width)))
		f := lazy.Linear(h, n.weight(0.2, 0, width, 80), n.weight(1, 0, 80))
		if i == 0 {
			f = lazy.GELUTanh(f)
		} else {
			f = lazy.QuickGELU(f)
			f = lazy.ReLU(lazy.Mul(f, f))
		}
		h = lazy.Add(lazy.Linear(f, n.weight(0.2, 0, 80, width), n.weight(1, 0, width)), h)
	}
	g.Output("hidden", h)
	g.Output("logits", lazy.MatMul(h, table, lazy.TransB))
	// A product of columns, whose rows have gaps.
	g.Output("turned", lazy.Tanh(lazy.MatMul(lazy.Transpose(lazy.Slice(h, 2, plan.C(3), plan.C(20)), 0, 2, 1), lazy.Slice(h, 2, plan.C(1), plan.C(4)))))
}

// TestFused runs networks fused, step by step with the same kernels, and by
// the references.
func TestFused(t *testing.T) {
	labels := map[string][]string{
		"cnn": {
			"conv2d[18, 3, 7, 7]+batch_norm+relu", "conv2d[32, 18, 1, 1]+batch_norm+add+relu", "conv2d[18, 18, 3, 3]+batch_norm+relu",
			"conv2d[32, 1, 3, 3]+batch_norm+relu", "conv2d[32, 32, 3, 3]", "conv2d[24, 16, 3, 3]", "matmul[10, 24]+bias",
		},
		"transformer": {
			"attention+reshape", "matmul[48, 144]+bias",
			"matmul[48, 48]+bias+add", "matmul[48, 80]+bias+gelu", "matmul[48, 80]+bias+quick_gelu", "matmul[80, 48]+bias+add", "matmul[29, 48]",
		},
		"norms": {"batch_norm"},
	}
	for name, build := range map[string]func(*network){"cnn": (*network).cnn, "norms": (*network).norms, "transformer": (*network).transformer} {
		t.Run(name, func(t *testing.T) {
			n := &network{g: lazy.NewGraph(name), rng: rand.New(rand.NewPCG(3, 4))}
			build(n)
			require.NoError(t, n.g.Err())
			srg, err := semantic.Analyze(n.g)
			require.NoError(t, err)
			sch, err := semantic.Full().Schedule(srg, semantic.Request{Profile: semantic.Profile{}, Outputs: n.g.Outputs()})
			require.NoError(t, err)
			for _, batch := range []int{1, 3} {
				fused := n.run(t, sch.Plan, batch, func() (*engine.Engine, error) {
					return engine.New(engine.Options{Device: cpu.Open, Threads: 2, Profile: true})
				})
				for _, l := range labels[name] {
					require.Contains(t, n.stats.Kernels, l)
				}
				alone := n.run(t, sch.Plan, batch, func() (*engine.Engine, error) {
					return engine.NewReference(engine.Options{Device: cpu.Open, Threads: 1}, false)
				})
				plain := n.run(t, sch.Plan, batch, func() (*engine.Engine, error) {
					return engine.NewReference(engine.Options{Device: cpu.Open, Threads: 1}, true)
				})
				for i, o := range sch.Plan.Outputs {
					top := 0.0
					for _, v := range plain[i] {
						top = max(top, math.Abs(float64(v)))
					}
					require.Greater(t, top, 0.1)
					if name != "cnn" {
						require.Equal(t, alone[i], fused[i], "%s: fused", o.Name)
					}
					require.InDeltaSlice(t, alone[i], fused[i], 2e-5*top, "%s: fused", o.Name)
					require.InDeltaSlice(t, plain[i], fused[i], 2e-5*top, "%s: reference", o.Name)
				}
			}
		})
	}
}

// run runs a plan on a separate engine, with the same inputs each time.
func (n *network) run(t *testing.T, p *plan.Plan, batch int, open func() (*engine.Engine, error)) [][]float32 {
	t.Helper()
	e, err := open()
	require.NoError(t, err)
	defer e.Close()
	prog, err := e.Compile(p)
	require.NoError(t, err)
	for _, v := range e.Missing(prog) {
		w, err := n.g.Weight(v.Hash)
		require.NoError(t, err)
		ww, err := e.PutWeight(prog, v)
		require.NoError(t, err)
		_, err = ww.Write(w.Data)
		require.NoError(t, err)
		require.NoError(t, ww.Commit())
	}
	sizes := map[string]int{"batch": batch, "seq": 37}
	var bindings []int
	for _, s := range prog.Symbols() {
		bindings = append(bindings, sizes[s])
	}
	s := e.NewSession()
	defer s.Close()
	var out [][]float32
	for range 2 { // the second time in used memory
		c, err := s.NewCall(prog, bindings)
		require.NoError(t, err)
		rng := rand.New(rand.NewPCG(5, uint64(batch)))
		for i, in := range p.Inputs {
			buf, err := c.AllocInput(i)
			require.NoError(t, err)
			a := op.Array{Data: buf}
			switch in.Name {
			case "tokens":
				for j := range a.I32() {
					a.I32()[j] = int32(rng.IntN(29))
				}
			case "start":
				for j := range a.I32() {
					a.I32()[j] = int32(2 * j)
				}
			default:
				for j := range a.F32() {
					a.F32()[j] = float32(rng.NormFloat64())
				}
			}
		}
		taken := e.Memory().Used()
		require.NoError(t, c.Run(context.Background()))
		require.Equal(t, taken, e.Memory().Used(), "a run takes no memory that its call has not taken")
		out = nil
		for i := range p.Outputs {
			o, _ := c.Output(i)
			out = append(out, append([]float32(nil), (&op.Array{Data: o.Data}).F32()...))
		}
		c.Release()
	}
	n.stats = e.Stats()
	return out
}

// TestChoices runs argmax and top k with many ties, by kernel and by reference.
func TestChoices(t *testing.T) {
	n := &network{g: lazy.NewGraph("choices"), rng: rand.New(rand.NewPCG(9, 9))}
	table := n.floats(40*70, 3, 0)
	for i, v := range table {
		table[i] = float32(math.Round(float64(v)))
	}
	rows := lazy.Embedding(n.g.WeightF32("table", table, 40, 70), n.g.Input("tokens", lazy.I32, "batch", "seq"))
	n.g.Output("argmax", lazy.ArgMax(rows, -1))
	values, indices := lazy.TopK(rows, 9)
	n.g.Output("values", values)
	n.g.Output("indices", indices)
	require.NoError(t, n.g.Err())
	srg, err := semantic.Analyze(n.g)
	require.NoError(t, err)
	sch, err := semantic.Full().Schedule(srg, semantic.Request{Profile: semantic.Profile{}, Outputs: n.g.Outputs()})
	require.NoError(t, err)
	want := n.run(t, sch.Plan, 2, func() (*engine.Engine, error) { return engine.NewReference(engine.Options{Device: cpu.Open}, true) })
	require.Equal(t, want, n.run(t, sch.Plan, 2, func() (*engine.Engine, error) { return engine.New(engine.Options{Device: cpu.Open}) }))
}
