package gorgonia_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/lazy"
	lazygorgonia "github.com/genie-sdk/go/lazy/gorgonia"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// requireStock fails when a node of the program runs an operator of ours.
func requireStock(tb testing.TB, p *lazygorgonia.StockProgram) {
	tb.Helper()
	for _, n := range p.AllNodes() {
		if n.Op() == nil {
			continue
		}
		require.True(tb, strings.HasPrefix(strings.TrimLeft(fmt.Sprintf("%T", n.Op()), "*"), "gorgonia."), "%T", n.Op())
	}
}

// runStock lowers, feeds and runs.
func runStock(tb testing.TB, g *lazy.Graph, sizes plan.Bindings, feeds map[*lazy.Tensor]transport.Tensor, outs ...*lazy.Tensor) *lazygorgonia.StockProgram {
	tb.Helper()
	p, err := lazygorgonia.LowerStock(g, sizes, outs...)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, p.Close()) })
	requireStock(tb, p)
	for x, v := range feeds {
		require.NoError(tb, p.Feed(x, v))
	}
	require.NoError(tb, p.Run())
	return p
}

// TestStockGPT compares the stock program with direct evaluation, twice on the
// same inputs: the second run must not see what the first one left.
func TestStockGPT(t *testing.T) {
	for _, c := range []struct {
		batch, seq, past int
		ragged           bool
	}{
		{1, 5, 0, false},
		{1, 1, 0, false},
		{1, 1, 6, false},
		{2, 1, 3, false},
		{1, 3, 4, false},
		{3, 4, 0, true},
		{2, 1, 5, true},
		{1, 1, 7, true},
		{3, 2, 4, true},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			m := tiny
			m.ragged = c.ragged
			p := newProgram(t, m)
			sizes, feeds := m.step(p, c.batch, c.seq, c.past, rand.New(rand.NewPCG(8, 4)))
			before := map[*lazy.Tensor]string{}
			for x, v := range feeds {
				before[x] = string(v.Data)
			}
			want := eval(t, p.Graph, sizes, feeds)
			outs := append([]*lazy.Tensor{p.logits}, p.next...)
			s := runStock(t, p.Graph, sizes, feeds, outs...)
			for range 2 {
				for _, o := range outs {
					got, err := s.Value(o)
					require.NoError(t, err)
					requireClose(t, want[o], got, 1e-4)
				}
				require.NoError(t, s.Run())
			}
			for x, v := range feeds {
				require.Equal(t, before[x], string(v.Data), "input %q was overwritten", x.Name())
			}
			again := eval(t, p.Graph, sizes, feeds)
			require.Equal(t, want[p.logits].Data, again[p.logits].Data, "a weight was overwritten")
		})
	}
}

// TestStockDecodeLoop decodes as the benchmark does: a program for each
// length, each fed with the last one's keys and values.
func TestStockDecodeLoop(t *testing.T) {
	p := newProgram(t, tiny)
	rng := rand.New(rand.NewPCG(2, 2))
	sizes, feeds := tiny.step(p, 1, 4, 0, rng)
	outs := append([]*lazy.Tensor{p.logits}, p.next...)
	for past := 4; past < 9; past++ {
		want := eval(t, p.Graph, sizes, feeds)
		s := runStock(t, p.Graph, sizes, feeds, outs...)
		got, err := s.Value(p.logits)
		require.NoError(t, err)
		requireClose(t, want[p.logits], got, 1e-4)
		sizes = plan.Bindings{"batch": 1, "seq": 1, "past": past}
		next := map[*lazy.Tensor]transport.Tensor{p.ids: i32s([]int32{int32(past % tiny.vocab)}, 1, 1), p.pos: i32s([]int32{int32(past)}, 1, 1)}
		for i, x := range p.past {
			v, err := s.Value(p.next[i])
			require.NoError(t, err)
			next[x] = v
		}
		feeds = next
	}
}

// TestStockWide cuts a fused QKV of GPT-2's width, whose slices Gorgonia takes
// for one.
func TestStockWide(t *testing.T) {
	m := gpt{layers: 1, heads: 12, hidden: 768, vocab: 31, context: 8}
	g := lazy.NewGraph("wide")
	w := m.weights(&weigher{g: g, rng: rand.New(rand.NewPCG(1, 1))})
	x := g.Input("x", lazy.F32, 3, 2304)
	cut := lazy.Split(lazy.Bias(x, w.layers[0].bqkv), 3, -1)
	y := g.Output("y", lazy.Add(lazy.Sub(cut[0], cut[1]), lazy.Mul(cut[2], cut[2])))
	v := make([]float32, 3*2304)
	for i := range v {
		v[i] = float32(i%97) / 10
	}
	feeds := map[*lazy.Tensor]transport.Tensor{x: f32s(v, 3, 2304)}
	want := eval(t, g, nil, feeds)
	got, err := runStock(t, g, nil, feeds).Value(y)
	require.NoError(t, err)
	requireClose(t, want[y], got, 1e-4)
}

// TestStockOperators lowers small programs of one or two operators, among them
// those where Gorgonia would overwrite an operand that is read again.
func TestStockOperators(t *testing.T) {
	for name, f := range map[string]func(g *lazy.Graph, x *lazy.Tensor) *lazy.Tensor{
		"tanh of an input": func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { return lazy.Tanh(x) },
		"relu":             func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { return lazy.Add(lazy.ReLU(x), x) },
		"gelu":             func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { return lazy.GELUTanh(x) },
		"div":              func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { return lazy.Div(x, lazy.Add(lazy.Mul(x, x), x)) },
		"sub of itself":    func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { return lazy.Sub(x, x) },
		"softmax twice": func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor {
			return lazy.Sub(lazy.Softmax(x, -1), lazy.Softmax(lazy.Scale(x, 2), -1))
		},
		"sum":          func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { return lazy.Sum(x, -1) },
		"max":          func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { return lazy.Max(x, -1) },
		"max of a row": func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { return lazy.Max(lazy.Reshape(x, 1, 24), -1) },
		"softmax of far rows": func(g *lazy.Graph, x *lazy.Tensor) *lazy.Tensor {
			return lazy.Softmax(lazy.Mul(x, g.Const([]float32{1, -1e4, 1e4}, 3, 1)), -1)
		},
		"mean of two": func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { return lazy.Mean(x, 1, 2) },
		"const row": func(g *lazy.Graph, x *lazy.Tensor) *lazy.Tensor {
			return lazy.Sub(x, g.Const([]float32{1, 2, 3, 4}, 4))
		},
		"const column": func(g *lazy.Graph, x *lazy.Tensor) *lazy.Tensor {
			return lazy.Mul(g.Const([]float32{1, 2, 3}, 3, 1), x)
		},
		"middle axis": func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor {
			return lazy.Add(x, lazy.Reshape(lazy.Mean(x, -1), 2, 3, 1))
		},
		"both broadcast": func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor {
			return lazy.Add(lazy.SliceN(x, 0, 1, 2), lazy.SliceN(x, 1, 0, 1))
		},
		"three axes":         func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { return lazy.Mul(x, lazy.SliceN(x, 1, 2, 3)) },
		"scalar plus tensor": func(g *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { return lazy.Add(g.Const([]float32{3}, 1), x) },
		"minus scalar":       func(g *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { return lazy.Sub(x, g.Const([]float32{3}, 1)) },
		"by scalar":          func(g *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { return lazy.Div(x, g.Const([]float32{3}, 1)) },
		"transpose":          func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { return lazy.Transpose(x, 2, 0, 1) },
		"transpose of ones": func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor {
			return lazy.Transpose(lazy.SliceN(x, 1, 1, 2), 1, 2, 0)
		},
		"concat":              func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { return lazy.Concat(1, x, lazy.Tanh(x), x) },
		"concat of one":       func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { return lazy.Add(lazy.Concat(-1, x), x) },
		"slice of the first":  func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { return lazy.SliceN(x, 0, 1, 2) },
		"slice of the middle": func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { return lazy.SliceN(x, 1, 1, 3) },
		"one element": func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor {
			return lazy.Tanh(lazy.SliceN(lazy.SliceN(lazy.SliceN(x, 0, 0, 1), 1, 2, 3), 2, 3, 4))
		},
		"batched product":  func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { return lazy.MatMul(x, x, lazy.TransB) },
		"transposed first": func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { return lazy.MatMul(x, x, lazy.TransA) },
		"row product": func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor {
			r := lazy.SliceN(x, 1, 0, 1)
			return lazy.MatMul(r, r, lazy.TransB)
		},
		"window": func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor {
			return lazy.Softmax(lazy.WindowMask(lazy.MatMul(x, x, lazy.TransB), nil, 2), -1)
		},
		"reshape and overwrite": func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor {
			y := lazy.Tanh(x)
			return lazy.Add(lazy.Reshape(lazy.Tanh(lazy.Reshape(y, 6, 4)), 2, 3, 4), y)
		},
		"reshape twice": func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor {
			y := lazy.Reshape(lazy.Tanh(x), 24)
			return lazy.Add(lazy.Scale(y, 2), lazy.Scale(lazy.Identity(y), 3))
		},
		"constant rows": func(g *lazy.Graph, x *lazy.Tensor) *lazy.Tensor {
			return lazy.Embedding(lazy.Reshape(x, 6, 4), g.ConstInt([]int32{5, 0, 5}, 3))
		},
		"layer norm without parameters": func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor {
			return lazy.Add(lazy.LayerNorm(x, nil, nil, 1e-5), x)
		},
		"layer norm without beta": func(g *lazy.Graph, x *lazy.Tensor) *lazy.Tensor {
			return lazy.LayerNorm(x, g.Const([]float32{1, 2, 3, 4}, 4), nil, 1e-5)
		},
		"layer norm of an input": func(g *lazy.Graph, x *lazy.Tensor) *lazy.Tensor {
			return lazy.Add(lazy.LayerNorm(x, g.Const([]float32{1, 2, 3, 4}, 4), g.Const([]float32{4, 3, 2, 1}, 4), 1e-5), x)
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := lazy.NewGraph(name)
			x := g.Input("x", lazy.F32, 2, 3, 4)
			mid := f(g, x)
			y := g.Output("y", mid)
			require.NoError(t, g.Err())
			v := make([]float32, 24)
			for i := range v {
				v[i] = float32(math.Sin(float64(i)*1.7)) + 0.1
			}
			feeds := map[*lazy.Tensor]transport.Tensor{x: f32s(v, 2, 3, 4)}
			was := string(feeds[x].Data)
			want := eval(t, g, nil, feeds)
			p := runStock(t, g, nil, feeds)
			for range 2 {
				got, err := p.Value(y)
				require.NoError(t, err)
				requireClose(t, want[y], got, 1e-5)
				require.NoError(t, p.Run())
			}
			require.Equal(t, was, string(feeds[x].Data), "the input was overwritten")
		})
	}
}

func TestStockRefuses(t *testing.T) {
	for name, f := range map[string]func(g *lazy.Graph, x *lazy.Tensor) *lazy.Tensor{
		"gelu":    func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { return lazy.GELU(x) },
		"argmax":  func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { return lazy.ArgMax(x, -1) },
		"softmax": func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { return lazy.Softmax(x, 0) },
		"reduce":  func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { return lazy.Max(x, 0) },
		"where": func(g *lazy.Graph, x *lazy.Tensor) *lazy.Tensor {
			return lazy.Where(g.Input("c", lazy.Bool, 1), x, x)
		},
		"cast": func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { return lazy.Cast(x, lazy.I32) },
		"topk": func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { v, _ := lazy.TopK(x, 1); return v },
		"write_rows": func(g *lazy.Graph, x *lazy.Tensor) *lazy.Tensor {
			return lazy.WriteRows(x, x, g.Input("p", lazy.I32, 1), 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := lazy.NewGraph(name)
			y := f(g, g.Input("x", lazy.F32, 2, 3))
			require.NoError(t, g.Err())
			_, err := lazygorgonia.LowerStock(g, nil, y)
			require.ErrorIs(t, err, lazygorgonia.ErrNoStock)
			require.ErrorContains(t, err, name)
		})
	}
}

func TestStockErrors(t *testing.T) {
	p := newProgram(t, tiny)
	sizes, feeds := tiny.step(p, 1, 2, 0, rand.New(rand.NewPCG(8, 4)))
	_, err := lazygorgonia.LowerStock(p.Graph, plan.Bindings{"batch": 1})
	require.ErrorIs(t, err, plan.ErrInvalid, "sizes are missing")
	_, err = lazygorgonia.LowerStock(p.Graph, sizes, nil)
	require.ErrorIs(t, err, lazy.ErrCapture)
	_, err = lazygorgonia.LowerStock(lazy.NewGraph("empty"), nil)
	require.ErrorIs(t, err, lazy.ErrCapture)
	s, err := lazygorgonia.LowerStock(p.Graph, sizes)
	require.NoError(t, err)
	require.ErrorIs(t, s.Run(), transport.ErrUnknownInput, "nothing is fed")
	_, err = s.Value(p.logits)
	require.ErrorIs(t, err, lazy.ErrCapture)
	require.ErrorIs(t, s.Feed(p.ids, f32s(make([]float32, 2), 1, 2)), lazy.ErrDType)
	require.ErrorIs(t, s.Feed(p.ids, i32s(make([]int32, 3), 1, 3)), lazy.ErrShape)
	require.ErrorIs(t, s.Feed(p.ids, i32s([]int32{0, 29}, 1, 2)), transport.ErrIndexRange)
	require.ErrorIs(t, s.Feed(p.logits, feeds[p.ids]), lazy.ErrCapture)
	require.ErrorIs(t, s.Feed(nil, feeds[p.ids]), lazy.ErrCapture)
	_, err = s.Value(p.next[0])
	require.ErrorIs(t, err, lazy.ErrCapture, "not among the outputs")
}

// TestStockHalfWeights widens f16 and bf16 once for all programs.
func TestStockHalfWeights(t *testing.T) {
	g := lazy.NewGraph("half")
	x := g.Input("x", lazy.F32, 1, 2)
	half := func(name string, dt plan.DType, v ...uint16) *lazy.Tensor {
		var b []byte
		for _, h := range v {
			b = binary.LittleEndian.AppendUint16(b, h)
		}
		return g.AddWeight(transport.Weight{Name: name, Storage: dt, Shape: []int{2}, Data: b, Hash: transport.HashWeight(dt, []int{2}, b)})
	}
	y := g.Output("y", lazy.Mul(lazy.Mul(x, half("h", plan.F16, 0x3c00, 0xc100)), half("b", plan.BF16, 0x3fc0, 0x4000)))
	for range 2 {
		got, err := runStock(t, g, nil, map[*lazy.Tensor]transport.Tensor{x: f32s([]float32{1, 2}, 1, 2)}).Value(y)
		require.NoError(t, err)
		require.Equal(t, []float32{1.5, -10}, floats(got))
	}
}
