package gorgonia_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"

	"github.com/genie-sdk/go/internal/lazygraph"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	lazygorgonia "github.com/genie-sdk/go/lazy/gorgonia"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// gpt is the size of a GPT-2-like model.
type gpt struct {
	layers, heads, hidden, vocab, context int

	ragged bool // sequences begin with padding: a start input
}

var tiny = gpt{layers: 2, heads: 2, hidden: 12, vocab: 29, context: 16}

// weigher makes weights; nil data (a benchmark of capture) shares zeros.
type weigher struct {
	g     *lazy.Graph
	rng   *rand.Rand
	zeros []byte
	n     int
}

func (w *weigher) make(scale, offset float64, shape ...int) *lazy.Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	w.n++
	name := fmt.Sprintf("w%d", w.n)
	if w.rng == nil {
		return w.g.AddWeight(transport.Weight{Name: name, Storage: plan.F32, Shape: shape, Data: w.zeros[:4*n], Hash: plan.Hash{byte(w.n), byte(w.n >> 8)}})
	}
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(w.rng.NormFloat64()*scale + offset)
	}
	return w.g.WeightF32(name, v, shape...)
}

// layerWeights are those of one block.
type layerWeights struct {
	g1, b1, wqkv, bqkv, wo, bo, g2, b2, w1, bb1, w2, bb2 *lazy.Tensor
}

type gptWeights struct {
	wte, wpe, gf, bf *lazy.Tensor
	layers           []layerWeights
}

func (c gpt) weights(w *weigher) gptWeights {
	h := c.hidden
	out := gptWeights{wte: w.make(1, 0, c.vocab, h), wpe: w.make(0.3, 0, c.context, h), gf: w.make(0.1, 1, h), bf: w.make(0.1, 0, h)}
	for range c.layers {
		out.layers = append(out.layers, layerWeights{
			w.make(0.1, 1, h), w.make(0.1, 0, h), w.make(0.4, 0, h, 3*h), w.make(0.1, 0, 3*h), w.make(0.3, 0, h, h), w.make(0.1, 0, h),
			w.make(0.1, 1, h), w.make(0.1, 0, h), w.make(0.4, 0, h, 4*h), w.make(0.1, 0, 4*h), w.make(0.3, 0, 4*h, h), w.make(0.1, 0, h),
		})
	}
	return out
}

// program is a captured model.
type program struct {
	*lazy.Graph

	ids, pos, start, logits *lazy.Tensor
	past, next              []*lazy.Tensor // keys and values, layer by layer
}

// capture is the textbook form: fused QKV cut by slices, heads by reshape and
// transpose, KV by concatenation, tied head.
func (c gpt) capture(g *lazy.Graph, w gptWeights) *program {
	p := &program{Graph: g}
	hd := c.hidden / c.heads
	p.ids, p.pos = g.Input("ids", lazy.I32, "batch", "seq"), g.Input("pos", lazy.I32, "batch", "seq")
	if c.ragged {
		p.start = g.Input("start", lazy.I32, "batch")
	}
	heads := func(x *lazy.Tensor) *lazy.Tensor {
		return lazy.Transpose(lazy.Reshape(x, "batch", "seq", c.heads, hd), 0, 2, 1, 3)
	}
	x := lazy.Add(lazy.Embedding(w.wte, p.ids), lazy.Embedding(w.wpe, p.pos))
	for i, l := range w.layers {
		qkv := lazy.Linear(lazy.LayerNorm(x, l.g1, l.b1, 1e-5), l.wqkv, l.bqkv)
		cut := lazy.Split(qkv, 3, -1)
		q := heads(cut[0])
		var kv [2]*lazy.Tensor
		for j, name := range []string{"k", "v"} {
			past := g.Input(fmt.Sprintf("%s.%d", name, i), lazy.F32, "batch", c.heads, "past", hd)
			kv[j] = lazy.Concat(2, past, heads(cut[1+j]))
			g.Carry(past, kv[j])
			p.past, p.next = append(p.past, past), append(p.next, kv[j])
		}
		scores := lazy.Scale(lazy.MatMul(q, kv[0], lazy.TransB), float32(1/math.Sqrt(float64(hd))))
		probs := lazy.Softmax(lazy.CausalMask(scores, p.start), -1)
		att := lazy.Reshape(lazy.Transpose(lazy.MatMul(probs, kv[1]), 0, 2, 1, 3), "batch", "seq", c.hidden)
		x = lazy.Add(x, lazy.Linear(att, l.wo, l.bo))
		mlp := lazy.GELUTanh(lazy.Linear(lazy.LayerNorm(x, l.g2, l.b2, 1e-5), l.w1, l.bb1))
		x = lazy.Add(x, lazy.Linear(mlp, l.w2, l.bb2))
	}
	p.logits = g.Output("logits", lazy.MatMul(lazy.LayerNorm(x, w.gf, w.bf, 1e-5), w.wte, lazy.TransB))
	return p
}

func newProgram(tb testing.TB, c gpt) *program {
	tb.Helper()
	g := lazy.NewGraph("gpt")
	p := c.capture(g, c.weights(&weigher{g: g, rng: rand.New(rand.NewPCG(1, 9))}))
	require.NoError(tb, g.Err())
	return p
}

func f32s(v []float32, shape ...int) transport.Tensor {
	a := op.FromF32(v, shape...)
	return transport.Tensor{DType: plan.F32, Shape: shape, Data: a.Data}
}

func i32s(v []int32, shape ...int) transport.Tensor {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, uint32(x))
	}
	return transport.Tensor{DType: plan.I32, Shape: shape, Data: b}
}

func floats(x transport.Tensor) []float32 { return (&op.Array{Data: x.Data}).F32() }

// eval computes tensors directly, kernel by kernel, without Gorgonia.
func eval(tb testing.TB, g *lazy.Graph, sizes plan.Bindings, feeds map[*lazy.Tensor]transport.Tensor) map[*lazy.Tensor]transport.Tensor {
	tb.Helper()
	out := map[*lazy.Tensor]transport.Tensor{}
	for _, x := range g.Tensors() {
		dims, err := x.Shape().Eval(sizes)
		require.NoError(tb, err)
		switch x.Kind() {
		case lazy.KindInput:
			require.Equal(tb, dims, feeds[x].Shape, x.Name())
			out[x] = feeds[x]
		case lazy.KindWeight:
			h, _ := x.WeightRef()
			w, err := g.Weight(h)
			require.NoError(tb, err)
			require.Equal(tb, plan.F32, w.Storage)
			out[x] = transport.Tensor{DType: plan.F32, Shape: dims, Data: w.Data}
		case lazy.KindConst:
			out[x] = transport.Tensor{DType: x.DType(), Shape: dims, Data: x.ConstData()}
		case lazy.KindOp:
			o, err := op.Bind(lazygraph.Op(x), sizes)
			require.NoError(tb, err)
			var in []*op.Array
			for _, y := range x.In() {
				v := out[y]
				in = append(in, &op.Array{DType: v.DType, Shape: v.Shape, Strides: op.ContiguousStrides(v.Shape), Data: v.Data})
			}
			a := op.NewArray(x.DType(), dims...)
			require.NoError(tb, o.Eval(a, in, nil), x.String())
			out[x] = transport.Tensor{DType: x.DType(), Shape: dims, Data: a.Data}
		}
	}
	return out
}

// instance runs the instantiated graph on Gorgonia's TapeMachine.
func instance(tb testing.TB, g *lazy.Graph, sizes plan.Bindings, feeds map[*lazy.Tensor]transport.Tensor) *lazygorgonia.Instance {
	tb.Helper()
	inst, err := lazygorgonia.Instantiate(g, sizes)
	require.NoError(tb, err)
	for x, v := range feeds {
		require.NoError(tb, inst.Feed(x, v))
	}
	m := gorgonia.NewTapeMachine(inst.ExprGraph)
	defer m.Close()
	require.NoError(tb, m.RunAll())
	return inst
}

// step is the sizes and inputs of one call.
func (c gpt) step(p *program, batch, seq, past int, rng *rand.Rand) (plan.Bindings, map[*lazy.Tensor]transport.Tensor) {
	feeds := map[*lazy.Tensor]transport.Tensor{}
	ids, pos := make([]int32, batch*seq), make([]int32, batch*seq)
	for i := range ids {
		ids[i], pos[i] = int32(rng.IntN(c.vocab)), int32(past+i%seq)
	}
	feeds[p.ids], feeds[p.pos] = i32s(ids, batch, seq), i32s(pos, batch, seq)
	if c.ragged {
		start := make([]int32, batch)
		for i := range start {
			start[i] = int32(i % (past + seq))
		}
		feeds[p.start] = i32s(start, batch)
	}
	hd := c.hidden / c.heads
	for _, x := range p.past {
		v := make([]float32, batch*c.heads*past*hd)
		for i := range v {
			v[i] = float32(rng.NormFloat64())
		}
		feeds[x] = f32s(v, batch, c.heads, past, hd)
	}
	return plan.Bindings{"batch": batch, "seq": seq, "past": past}, feeds
}

func requireClose(tb testing.TB, want, got transport.Tensor, tol float64) {
	tb.Helper()
	require.Equal(tb, want.Shape, got.Shape)
	require.Equal(tb, want.DType, got.DType)
	w, g := floats(want), floats(got)
	for i := range w {
		if d := math.Abs(float64(w[i]) - float64(g[i])); d > tol || math.IsNaN(d) {
			tb.Fatalf("element %d of %v: %v, want %v", i, want.Shape, g[i], w[i])
		}
	}
}
