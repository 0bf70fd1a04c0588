package gorgonia_test

import (
	"context"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/genie-sdk/go/internal/benchname"
)

// importBenchmarks are programs of which the TapeMachine takes a millisecond or
// more, at the sizes of Gorgonia's examples.
var importBenchmarks = map[string]func(b *graphBuilder) gorgonia.Nodes{
	"mnist": func(b *graphBuilder) gorgonia.Nodes {
		x := b.in("x", 100, 784)
		h := must(gorgonia.Rectify(must(gorgonia.Mul(x, b.w("w0", 784, 300)))))
		h = must(gorgonia.Rectify(must(gorgonia.Mul(h, b.w("w1", 300, 100)))))
		return gorgonia.Nodes{must(gorgonia.SoftMax(must(gorgonia.Mul(h, b.w("w2", 100, 10)))))}
	},
	"convnet": func(b *graphBuilder) gorgonia.Nodes {
		layer := func(x *gorgonia.Node, name string, out, in, k int) *gorgonia.Node {
			pad := []int{k / 2, k / 2}
			c := must(gorgonia.Conv2d(x, b.w(name, out, in, k, k), tensor.Shape{k, k}, pad, []int{1, 1}, []int{1, 1}))
			return must(gorgonia.MaxPool2D(must(gorgonia.Rectify(c)), tensor.Shape{2, 2}, []int{0, 0}, []int{2, 2}))
		}
		p := layer(layer(layer(b.in("x", 10, 1, 28, 28), "w0", 32, 1, 3), "w1", 64, 32, 3), "w2", 128, 64, 3)
		flat := must(gorgonia.Reshape(p, tensor.Shape{10, 128 * 3 * 3}))
		fc := must(gorgonia.Rectify(must(gorgonia.Mul(flat, b.w("w3", 128*3*3, 625)))))
		return gorgonia.Nodes{must(gorgonia.SoftMax(must(gorgonia.Mul(fc, b.w("w4", 625, 10)))))}
	},
	"residual": func(b *graphBuilder) gorgonia.Nodes {
		x := b.in("x", 1, 64, 56, 56)
		conv := func(x *gorgonia.Node, name string) *gorgonia.Node {
			return must(gorgonia.Conv2d(x, b.w(name, 64, 64, 3, 3), tensor.Shape{3, 3}, []int{1, 1}, []int{1, 1}, []int{1, 1}))
		}
		h := must(gorgonia.Rectify(conv(x, "w0")))
		return gorgonia.Nodes{must(gorgonia.Rectify(must(gorgonia.Add(conv(h, "w1"), x))))}
	},
	"autoencoder": func(b *graphBuilder) gorgonia.Nodes {
		x, w0, w1 := b.in("x", 64, 784), b.w("w0", 784, 500), b.w("w1", 500, 250)
		layer := func(x, w *gorgonia.Node, name string, n int) *gorgonia.Node {
			return must(gorgonia.Sigmoid(must(gorgonia.BroadcastAdd(must(gorgonia.Mul(x, w)), b.w(name, 1, n), nil, []byte{0}))))
		}
		code := layer(layer(x, w0, "b0", 500), w1, "b1", 250)
		return gorgonia.Nodes{layer(layer(code, must(gorgonia.Transpose(w1)), "b2", 500), must(gorgonia.Transpose(w0)), "b3", 784)}
	},
	"charrnn": charRNN(16),
}

// BenchmarkImported compares an imported program with Gorgonia's TapeMachine on
// the same graph.
func BenchmarkImported(b *testing.B) {
	for _, name := range []string{"mnist", "convnet", "residual", "autoencoder", "charrnn"} {
		b.Run(benchname.Of("gorgonia-program", "genie", "program="+name), func(b *testing.B) {
			g := newGraphBuilder()
			p := g.imported(b, importBenchmarks[name](g))
			s := session(b, "local:")
			out := p.Outputs()[0].Tensor
			run := func() {
				if _, err := s.Run(context.Background(), g.feed, out); err != nil {
					b.Fatal(err)
				}
			}
			run()
			for b.Loop() {
				run()
			}
		})
		b.Run(benchname.Of("gorgonia-program", "tape-machine", "program="+name), func(b *testing.B) {
			g := newGraphBuilder()
			importBenchmarks[name](g)
			m := gorgonia.NewTapeMachine(g.g)
			defer m.Close()
			values := map[*gorgonia.Node]gorgonia.Value{}
			for _, n := range g.g.Inputs() {
				values[n] = n.Value()
			}
			for b.Loop() {
				for n, v := range values { // a reshape changes the shape of what is bound
					if err := v.(tensor.Tensor).Reshape(n.Shape()...); err != nil {
						b.Fatal(err)
					}
				}
				m.Reset()
				if err := m.RunAll(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
