package normal

import (
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/lazy"
)

// decoder is a GPT-2 as this module's models are written, with caches.
func decoder(layers int) *lazy.Graph {
	g := lazy.NewGraph("decoder")
	h := lazy.Embedding(param(g, "wte", 50, 8), g.Input("ids", lazy.I64, "b", "t"))
	for i := range layers {
		name := func(s string) string { return s + strconv.Itoa(i) }
		norm := func(s string, x *lazy.Tensor) *lazy.Tensor {
			return lazy.LayerNorm(x, param(g, name(s+"g"), 8), param(g, name(s+"b"), 8), 1e-5)
		}
		linear := func(s string, x *lazy.Tensor, in, out int) *lazy.Tensor {
			return lazy.Linear(x, param(g, name(s+"w"), in, out), param(g, name(s+"c"), out))
		}
		heads := func(x *lazy.Tensor) *lazy.Tensor {
			return lazy.Transpose(lazy.Reshape(x, "b", "t", 2, 4), 0, 2, 1, 3)
		}
		parts := lazy.Split(linear("qkv", norm("n", h), 8, 24), 3, -1)
		q, k, v := heads(parts[0]), heads(parts[1]), heads(parts[2])
		for j, x := range []**lazy.Tensor{&k, &v} {
			in := g.Input(name("cache"+strconv.Itoa(j)+"."), lazy.F32, "b", 2, "past", 4)
			*x = lazy.Concat(2, in, *x)
			g.Carry(in, *x)
		}
		p := lazy.Softmax(lazy.CausalMask(lazy.Scale(lazy.MatMul(q, k, lazy.TransB), 0.5), nil), -1)
		a := lazy.Reshape(lazy.Transpose(lazy.MatMul(p, v), 0, 2, 1, 3), "b", "t", 8)
		h = lazy.Add(h, linear("o", a, 8, 8))
		h = lazy.Add(h, linear("down", lazy.GELUTanh(linear("up", norm("m", h), 8, 32)), 32, 8))
	}
	g.Output("logits", lazy.MatMul(h, g.Tensors()[0], lazy.TransB))
	return g
}

// encoder is a BERT in primitives, as exporters write one: about 85 nodes a
// layer.
func encoder(layers int) *lazy.Graph {
	g := lazy.NewGraph("encoder")
	s := func(v float32) *lazy.Tensor { return g.Const([]float32{v}, 1) }
	h := lazy.Embedding(param(g, "wte", 50, 8), g.Input("ids", lazy.I64, "b", "t"))
	mask := g.Input("mask", lazy.I64, "b", "t")
	for i := range layers {
		name := func(what string) string { return what + strconv.Itoa(i) }
		linear := func(what string, x *lazy.Tensor, in, out int) *lazy.Tensor {
			return lazy.Add(param(g, name(what+"c"), out), lazy.MatMul(x, lazy.Transpose(param(g, name(what+"w"), out, in), 1, 0)))
		}
		mean := func(x *lazy.Tensor) *lazy.Tensor { return lazy.Reshape(lazy.Mean(x, 2), "b", "t", 1) }
		norm := func(what string, x *lazy.Tensor) *lazy.Tensor {
			d := lazy.Sub(x, mean(x))
			y := lazy.Div(d, lazy.Sqrt(lazy.Add(mean(lazy.Pow(d, s(2))), s(1e-5))))
			return lazy.Add(lazy.Mul(y, param(g, name(what+"g"), 8)), param(g, name(what+"b"), 8))
		}
		heads := func(x *lazy.Tensor) *lazy.Tensor {
			return lazy.Transpose(lazy.Identity(lazy.Reshape(x, "b", "t", 2, 4)), 0, 2, 1, 3)
		}
		q, k, v := heads(linear("q", h, 8, 8)), heads(linear("k", h, 8, 8)), heads(linear("v", h, 8, 8))
		scores := lazy.Div(lazy.MatMul(q, lazy.Transpose(k, 0, 1, 3, 2)), s(2))
		keep := lazy.Cast(lazy.Expand(lazy.Reshape(mask, "b", 1, 1, "t"), "b", 1, "t", "t"), lazy.F32)
		p := lazy.Softmax(lazy.Add(scores, lazy.Mul(lazy.Sub(s(1), keep), s(-1e9))), -1)
		a := lazy.Reshape(lazy.Transpose(lazy.MatMul(p, v), 0, 2, 1, 3), "b", "t", 8)
		h = norm("n", lazy.Add(h, linear("o", a, 8, 8)))
		u := linear("up", h, 8, 32)
		u = lazy.Mul(lazy.Mul(u, s(0.5)), lazy.Add(lazy.Erf(lazy.Div(u, s(math.Sqrt2))), s(1)))
		h = norm("m", lazy.Add(h, linear("down", u, 32, 8)))
	}
	g.Output("hidden", h)
	return g
}

func param(g *lazy.Graph, name string, shape ...int) *lazy.Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	data := make([]float32, n)
	for i := range data {
		data[i] = float32(i%7)/8 - 0.25
	}
	return g.WeightF32(name, data, shape...)
}

// TestLargePrograms normalises programs of 48 layers and 2,000 nodes: quickly,
// and in a time that grows with the program. Alone on a machine it takes half of
// 20 ms; the limit is for machines that do other work.
func TestLargePrograms(t *testing.T) {
	limit := 60 * time.Millisecond
	if raceEnabled {
		limit *= 10
	}
	for name, program := range map[string]func(int) *lazy.Graph{"decoder": decoder, "encoder": encoder} {
		t.Run(name, func(t *testing.T) {
			layers := 48
			if name == "encoder" {
				layers = 24
			}
			g, half := program(layers), program(layers/2)
			require.NoError(t, g.Err())
			require.Greater(t, len(g.Tensors()), 1500)
			// The machine does other work too: one quick run of many is enough.
			whole := quickest(t, g, limit)
			t.Logf("%d nodes in %v", len(g.Tensors()), whole)
			require.Less(t, whole, limit)
			allocs := func(g *lazy.Graph) float64 {
				return testing.AllocsPerRun(2, func() { _, _ = Of(g, nil, nil) })
			}
			require.Less(t, allocs(g), 2.5*allocs(half), "linear growth")
		})
	}
}

// quickest is the least time of some runs; it stops at one below enough.
func quickest(t *testing.T, g *lazy.Graph, enough time.Duration) time.Duration {
	best := time.Hour
	for range 30 {
		start := time.Now()
		_, err := Of(g, nil, nil)
		best = min(best, time.Since(start))
		require.NoError(t, err)
		if best < enough/2 {
			break
		}
	}
	return best
}

// TestLargeProgramsKeepTheirValues compares the small ones of them.
func TestLargeProgramsKeepTheirValues(t *testing.T) {
	for _, g := range []*lazy.Graph{decoder(2), encoder(2)} {
		f := formOf(t, g)
		if g.Name() == "encoder" {
			require.NotSame(t, g, f.Graph)
		}
	}
}

func BenchmarkForm(b *testing.B) {
	for _, g := range []*lazy.Graph{decoder(48), encoder(24)} {
		b.Run(benchname.Of("normal-form", "genie", "program="+g.Name()), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Of(g, nil, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
