package gorgonia_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy"
	lazygorgonia "github.com/genie-sdk/go/lazy/gorgonia"
)

// batchPrograms are programs with a batch, built for a number of examples.
var batchPrograms = map[string]func(b *graphBuilder, batch int) *gorgonia.Node{
	"convnet": func(b *graphBuilder, batch int) *gorgonia.Node {
		x := b.in("x", batch, 2, 6, 6)
		c := must(gorgonia.Conv2d(x, b.w("w0", 3, 2, 3, 3), tensor.Shape{3, 3}, []int{1, 1}, []int{1, 1}, []int{1, 1}))
		c = must(gorgonia.BroadcastAdd(c, b.w("b0", 1, 3, 1, 1), nil, []byte{0, 2, 3}))
		p := must(gorgonia.MaxPool2D(must(gorgonia.Rectify(c)), tensor.Shape{2, 2}, []int{0, 1, 0, 1}, []int{2, 2}))
		s := p.Shape()
		flat := must(gorgonia.Reshape(p, tensor.Shape{batch, s[1] * s[2] * s[3]}))
		y := must(gorgonia.Mul(flat, b.w("w1", s[1]*s[2]*s[3], 4)))
		return must(gorgonia.SoftMax(must(gorgonia.BroadcastAdd(y, b.w("b1", 1, 4), nil, []byte{0}))))
	},
	"mean over the batch": func(b *graphBuilder, batch int) *gorgonia.Node {
		return must(gorgonia.Mean(must(gorgonia.Square(b.in("x", batch, 5))), 0))
	},
	"size of the batch": func(b *graphBuilder, batch int) *gorgonia.Node {
		x := b.in("x", batch, 5)
		return must(gorgonia.Mul(x, must(gorgonia.SizeOf(0, x))))
	},
	"batch statistics": func(b *graphBuilder, batch int) *gorgonia.Node {
		y, _, _, _, err := gorgonia.BatchNorm(b.in("x", batch, 3, 2, 2), b.w("scale", 1, 3, 1, 1), b.w("bias", 1, 3, 1, 1), 0.9, 1e-5)
		return must(y, err)
	},
	"reshapes": func(b *graphBuilder, batch int) *gorgonia.Node {
		x := b.in("x", batch, 3, 4)
		y := must(gorgonia.Reshape(x, tensor.Shape{batch * 3, 4}))
		y = must(gorgonia.Mul(y, b.w("w", 4, 6)))
		y = must(gorgonia.Reshape(y, tensor.Shape{batch, 3, 6}))
		y = must(gorgonia.Transpose(y, 1, 0, 2))
		return must(gorgonia.Reshape(y, tensor.Shape{3 * batch, 6}))
	},
	"unconcat": func(b *graphBuilder, batch int) *gorgonia.Node {
		parts, err := gorgonia.Unconcat(b.in("x", batch, 6), 1, 2)
		return must(gorgonia.HadamardProd(must(parts[0], err), parts[1]))
	},
	"groups": func(b *graphBuilder, batch int) *gorgonia.Node {
		return must(gorgonia.GroupNorm(b.in("x", batch, 4, 2, 2), b.w("scale", 1, 4, 1, 1), b.w("bias", 1, 4, 1, 1), 2, 4, 1e-5))
	},
	"strided columns": func(b *graphBuilder, batch int) *gorgonia.Node {
		return must(gorgonia.Slice(b.in("x", batch, 8), nil, gorgonia.S(1, 7, 2)))
	},
}

// TestImportSymbolic imports each program once, from a graph with 7 examples, and
// runs it for other numbers of them; Gorgonia builds a graph for each.
func TestImportSymbolic(t *testing.T) {
	s := session(t, "local:")
	for name, build := range batchPrograms {
		t.Run(name, func(t *testing.T) {
			b := newGraphBuilder()
			y := build(b, 7)
			dims := make([]any, 0, 4)
			for _, d := range b.inputs[0].Shape() {
				dims = append(dims, d)
			}
			dims[0] = "batch"
			p, err := lazygorgonia.Import(b.g, gorgonia.Nodes{y}, lazygorgonia.WithInput(b.inputs[0], "", dims...))
			require.NoError(t, err)
			weights := map[string]gorgonia.Value{}
			for _, n := range b.g.Inputs() {
				weights[n.Name()] = n.Value()
			}
			for _, batch := range []int{7, 1, 2, 5, 33} {
				other := newGraphBuilder()
				want := build(other, batch)
				for _, n := range other.g.Inputs() { // random numbers after x depend on its size
					if n != other.inputs[0] {
						require.NoError(t, gorgonia.Let(n, weights[n.Name()]))
					}
				}
				got := outputsOf(t, s, p, other.feed)[0]
				if batch > 1 { // Gorgonia's slices drop an axis of size one
					require.Equal(t, append([]int{}, want.Shape()...), append([]int{}, got.Shape()...))
				}
				requireNear(t, machineValues(t, other.g, gorgonia.Nodes{want})[0], numbers(t, got), fmt.Sprintf("batch %d", batch))
			}
		})
	}
}

// TestImportAmbiguous refuses what would be a guess for other sizes.
func TestImportAmbiguous(t *testing.T) {
	for name, c := range map[string]struct {
		build func(x *gorgonia.Node) *gorgonia.Node
		shape []int
	}{
		"two places": {func(x *gorgonia.Node) *gorgonia.Node {
			return must(gorgonia.Reshape(x, tensor.Shape{3, 6, 12}))
		}, []int{6, 36}},
		"size one": {func(x *gorgonia.Node) *gorgonia.Node {
			return must(gorgonia.Reshape(x, tensor.Shape{1, 1, 6}))
		}, []int{1, 6}},
		"to the end": {func(x *gorgonia.Node) *gorgonia.Node {
			return must(gorgonia.Slice(x, gorgonia.S(2, 6)))
		}, []int{6, 3}},
		"every second": {func(x *gorgonia.Node) *gorgonia.Node {
			return must(gorgonia.Slice(x, gorgonia.S(0, 4, 2)))
		}, []int{6, 3}},
		"no place": {func(x *gorgonia.Node) *gorgonia.Node {
			return must(gorgonia.Reshape(x, tensor.Shape{4, 9}))
		}, []int{6, 6}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newGraphBuilder()
			x := b.in("x", c.shape...)
			y := c.build(x)
			dims := []any{"n"}
			for _, d := range c.shape[1:] {
				dims = append(dims, d)
			}
			_, err := lazygorgonia.Import(b.g, gorgonia.Nodes{y}, lazygorgonia.WithInput(x, "", dims...))
			require.ErrorIs(t, err, lazygorgonia.ErrNotImported)
			require.ErrorContains(t, err, "ambiguous")
			_, err = lazygorgonia.Import(b.g, gorgonia.Nodes{y}, lazygorgonia.WithInput(x, ""))
			require.NoError(t, err, "with numbers there is nothing to guess")
		})
	}
}

// TestImportKeepsRow: a constant position of a named dimension is what it says.
func TestImportKeepsRow(t *testing.T) {
	b := newGraphBuilder()
	x := b.in("x", 6, 2)
	y := must(gorgonia.Slice(x, gorgonia.S(1)))
	p, err := lazygorgonia.Import(b.g, gorgonia.Nodes{y}, lazygorgonia.WithInput(x, "rows", lazy.Dim("n"), 2))
	require.NoError(t, err)
	got := outputsOf(t, session(t, "local:"), p, genie.Feed{"rows": genie.Float32s([]float32{1, 2, 3, 4}, 2, 2)})[0]
	require.Equal(t, []float32{3, 4}, numbers(t, got))
}

// TestImportSizes: one name is one size, and dimensions agree with the node.
func TestImportSizes(t *testing.T) {
	b := newGraphBuilder()
	x, y := b.in("x", 3, 4), b.in("y", 2, 4)
	out := gorgonia.Nodes{must(gorgonia.Concat(0, x, y))}
	for name, opts := range map[string][]lazygorgonia.ImportOption{
		"two sizes":          {lazygorgonia.WithInput(x, "", "n", 4), lazygorgonia.WithInput(y, "", "n", 4)},
		"another size":       {lazygorgonia.WithInput(x, "", 5, 4)},
		"too few dimensions": {lazygorgonia.WithInput(x, "", "n")},
		"another sum":        {lazygorgonia.WithInput(x, "", "n", 4), lazygorgonia.WithInput(y, "", lazy.Dim("n").Scale(2), 4)},
		"unknown symbol":     {lazygorgonia.WithInput(x, "", lazy.Dim("n").Scale(2), 4)},
		"twice":              {lazygorgonia.WithInput(x, ""), lazygorgonia.WithInput(x, "z")},
		"one name":           {lazygorgonia.WithInput(x, "a"), lazygorgonia.WithInput(y, "a")},
		"bad name":           {lazygorgonia.WithInput(x, "", "9 lives", 4)},
		"negative":           {lazygorgonia.WithInput(x, "", -3, 4)},
		"nil":                {lazygorgonia.WithInput(nil, "x")},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := lazygorgonia.Import(b.g, out, opts...)
			require.ErrorIs(t, err, lazygorgonia.ErrNotImported)
			require.ErrorIs(t, err, lazy.ErrCapture)
		})
	}
	p, err := lazygorgonia.Import(b.g, out, nil, lazygorgonia.WithInput(x, "", "n", 4), lazygorgonia.WithInput(y, "", "m", 4))
	require.NoError(t, err)
	require.Equal(t, "f32[m+n, 4]", p.Outputs()[0].Tensor.Spec().String())
}
