package gorgonia_test

import (
	"encoding/binary"
	"math"
	"os"
	"strconv"
	"sync"
	"testing"

	"gorgonia.org/gorgonia"

	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/internal/lazygraph"
	"github.com/genie-sdk/go/lazy"
	lazygorgonia "github.com/genie-sdk/go/lazy/gorgonia"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

func TestMain(m *testing.M) {
	benchname.Declare(os.Stdout, "ns/node better=lower", "nodes/op assume=exact")
	os.Exit(m.Run())
}

type captureBench struct {
	name string
	run  func(b *testing.B)
}

// content is the content of every weight of benchGraph. It is not zero:
// gonum's products skip zeros.
var content = sync.OnceValue(func() []byte {
	b := make([]byte, 0, 4*50257*768)
	for i := range 50257 * 768 {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(i*7919%2003-1001)/40000))
	}
	return b
})

// benchGraph is the textbook form of GPT-2: 12 layers, 12 heads, 768 wide.
func benchGraph() *lazy.Graph {
	const layers, heads, hidden, vocab, context = 12, 12, 768, 50257, 1024
	g := lazy.NewGraph("gpt2")
	n := 0
	weight := func(shape ...int) *lazy.Tensor {
		n++
		size := 4
		for _, d := range shape {
			size *= d
		}
		return g.AddWeight(transport.Weight{Name: strconv.Itoa(n), Hash: plan.Hash{byte(n), byte(n >> 8)}, Storage: lazy.F32, Shape: shape, Data: content()[:size]})
	}
	split := func(x *lazy.Tensor) *lazy.Tensor {
		return lazy.Transpose(lazy.Reshape(x, "batch", "seq", heads, hidden/heads), 0, 2, 1, 3)
	}
	wte := weight(vocab, hidden)
	x := lazy.Add(lazy.Embedding(wte, g.Input("ids", lazy.I32, "batch", "seq")), lazy.Embedding(weight(context, hidden), g.Input("pos", lazy.I32, "batch", "seq")))
	for range layers {
		qkv := lazy.Linear(lazy.LayerNorm(x, weight(hidden), weight(hidden), 1e-5), weight(hidden, 3*hidden), weight(3*hidden))
		cut := lazy.Split(qkv, 3, -1)
		n++
		kIn, vIn := g.Input("k"+strconv.Itoa(n), lazy.F32, "batch", heads, "past", hidden/heads), g.Input("v"+strconv.Itoa(n), lazy.F32, "batch", heads, "past", hidden/heads)
		k, v := lazy.Concat(2, kIn, split(cut[1])), lazy.Concat(2, vIn, split(cut[2]))
		g.Carry(kIn, k)
		g.Carry(vIn, v)
		p := lazy.Softmax(lazy.CausalMask(lazy.Scale(lazy.MatMul(split(cut[0]), k, lazy.TransB), 0.125), nil), -1)
		a := lazy.Reshape(lazy.Transpose(lazy.MatMul(p, v), 0, 2, 1, 3), "batch", "seq", hidden)
		x = lazy.Add(x, lazy.Linear(a, weight(hidden, hidden), weight(hidden)))
		h := lazy.GELUTanh(lazy.Linear(lazy.LayerNorm(x, weight(hidden), weight(hidden), 1e-5), weight(hidden, 4*hidden), weight(4*hidden)))
		x = lazy.Add(x, lazy.Linear(h, weight(4*hidden, hidden), weight(hidden)))
	}
	g.Output("logits", lazy.MatMul(lazy.LayerNorm(x, weight(hidden), weight(hidden), 1e-5), wte, lazy.TransB))
	return g
}

// BenchmarkCapture compares capture with what Gorgonia alone takes to make the
// same nodes: the same leaves, operators and children, nothing inferred.
func BenchmarkCapture(b *testing.B) {
	ref := benchGraph()
	if err := ref.Err(); err != nil {
		b.Fatal(err)
	}
	for _, c := range []captureBench{
		{"lazy", func(b *testing.B) {
			for b.Loop() {
				if benchGraph().Err() != nil {
					b.Fatal("capture failed")
				}
			}
		}},
		{"applyop", func(b *testing.B) {
			for b.Loop() {
				if err := rebuild(ref); err != nil {
					b.Fatal(err)
				}
			}
		}},
	} {
		b.Run(benchname.Of("capture", c.name, "model=gpt2"), func(b *testing.B) {
			b.ReportAllocs()
			c.run(b)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(ref.Tensors())), "ns/node")
		})
	}
}

// BenchmarkStock is what the local-gorgonia baseline pays for one length of
// GPT-2 124M: phase=build lowers and compiles, phase=run runs one step.
func BenchmarkStock(b *testing.B) {
	g := benchGraph()
	for _, c := range []struct {
		name  string
		sizes plan.Bindings
	}{
		{"step=decode", plan.Bindings{"batch": 1, "seq": 1, "past": 72}},
		{"step=prefill", plan.Bindings{"batch": 1, "seq": 72, "past": 0}},
	} {
		b.Run(benchname.Of("lower", "local-gorgonia", "phase=build", c.name, "model=gpt2"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := lazygorgonia.LowerStock(g, c.sizes); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(benchname.Of("lower", "local-gorgonia", "phase=run", c.name, "model=gpt2"), func(b *testing.B) {
			p, err := lazygorgonia.LowerStock(g, c.sizes)
			if err != nil {
				b.Fatal(err)
			}
			for _, t := range g.Inputs() {
				shape, err := t.Shape().Eval(c.sizes)
				if err != nil {
					b.Fatal(err)
				}
				x := transport.Tensor{DType: t.DType(), Shape: shape}
				x.Data = make([]byte, x.Elements()*x.DType.Size())
				if err := p.Feed(t, x); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				if err := p.Run(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(p.AllNodes())), "nodes/op")
		})
	}
}

// rebuild makes the nodes of g with Gorgonia's functions alone.
func rebuild(g *lazy.Graph) error {
	expr := gorgonia.NewGraph()
	nodes := make([]*gorgonia.Node, len(g.Tensors()))
	for i, t := range g.Tensors() {
		if lazygraph.Op(t) == nil {
			nodes[i] = gorgonia.NewTensor(expr, lazygraph.Node(t).Dtype(), lazygraph.Node(t).Dims(), gorgonia.WithName(lazygraph.Node(t).Name()), gorgonia.WithShape(lazygraph.Node(t).Shape()...))
			continue
		}
		kids := make([]*gorgonia.Node, len(t.In()))
		for j, x := range t.In() {
			kids[j] = nodes[x.ID()]
		}
		var err error
		if nodes[i], err = gorgonia.ApplyOp(lazygraph.Node(t).Op(), kids...); err != nil {
			return err
		}
	}
	return nil
}
