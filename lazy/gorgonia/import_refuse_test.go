package gorgonia_test

import (
	"errors"
	"fmt"
	"hash"
	"math"
	"testing"

	"github.com/chewxy/hm"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy"
	lazygorgonia "github.com/genie-sdk/go/lazy/gorgonia"
)

// TestImportRefuses: what has no counterpart is refused by name.
func TestImportRefuses(t *testing.T) {
	for name, build := range map[string]func(b *graphBuilder) *gorgonia.Node{
		"sparsemaxOp": func(b *graphBuilder) *gorgonia.Node { return must(gorgonia.Sparsemax(b.in("x", 2, 3))) },
		"avgPoolOp": func(b *graphBuilder) *gorgonia.Node {
			return must(gorgonia.AveragePool2D(b.in("x", 1, 1, 4, 4), tensor.Shape{2, 2}, []int{1, 1}, []int{1, 1}))
		},
		"dropoutOp": func(b *graphBuilder) *gorgonia.Node { return must(gorgonia.Dropout(b.in("x", 2, 3), 0.5)) },
		"randomOp": func(b *graphBuilder) *gorgonia.Node {
			return must(gorgonia.Add(b.in("x", 2), gorgonia.UniformRandomNode(b.g, gorgonia.Float32, 0, 1, 2)))
		},
		"readOp": func(b *graphBuilder) *gorgonia.Node {
			var v gorgonia.Value
			return gorgonia.Read(b.in("x", 2), &v)
		},
		"maxPoolDiffOp": func(b *graphBuilder) *gorgonia.Node {
			x := b.in("x", 1, 1, 4, 4)
			y := must(gorgonia.MaxPool2D(x, tensor.Shape{2, 2}, []int{0, 0}, []int{2, 2}))
			grads, err := gorgonia.Grad(must(gorgonia.Sum(y)), x)
			return must(grads[0], err)
		},
		"gorgonia_test.foreignOp": func(b *graphBuilder) *gorgonia.Node { return must(gorgonia.ApplyOp(foreignOp{}, b.in("x", 2))) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newGraphBuilder()
			y := build(b)
			fine := must(gorgonia.Neg(b.in("z", 2)))
			_, err := lazygorgonia.Import(b.g, gorgonia.Nodes{fine, y})
			require.ErrorIs(t, err, lazygorgonia.ErrNotImported)
			e, ok := errors.AsType[*lazygorgonia.ImportError](err)
			require.True(t, ok)
			require.Equal(t, name, e.Op)
			require.ErrorContains(t, err, name)
			_, err = lazygorgonia.Import(b.g, gorgonia.Nodes{fine})
			require.NoError(t, err, "the output does not need it")
		})
	}
}

// foreignOp is an operator of another package; asking it anything panics.
type foreignOp struct{}

func (foreignOp) Arity() int    { return 1 }
func (foreignOp) Type() hm.Type { return hm.NewFnType(hm.TypeVariable('a'), hm.TypeVariable('a')) }
func (foreignOp) InferShape(s ...gorgonia.DimSizer) (tensor.Shape, error) {
	return s[0].(tensor.Shape), nil
}
func (foreignOp) Do(...gorgonia.Value) (gorgonia.Value, error) { panic("do") }
func (foreignOp) ReturnsPtr() bool                             { panic("returns pointer") }
func (foreignOp) CallsExtern() bool                            { panic("calls extern") }
func (foreignOp) OverwritesInput() int                         { panic("overwrites input") }
func (foreignOp) WriteHash(h hash.Hash)                        { _, _ = fmt.Fprint(h, "foreign") }
func (foreignOp) Hashcode() uint32                             { return 1 }
func (foreignOp) String() string                               { panic("string") }

// TestImportRandomAsInput: a random node becomes an input where it is declared
// one, and so does any other node.
func TestImportRandomAsInput(t *testing.T) {
	b := newGraphBuilder()
	noise := gorgonia.UniformRandomNode(b.g, gorgonia.Float32, 0, 1, 2)
	log := must(gorgonia.Log(noise))
	y := must(gorgonia.Add(noise, log))
	p, err := lazygorgonia.Import(b.g, gorgonia.Nodes{y}, lazygorgonia.WithInput(noise, "noise"), lazygorgonia.WithInput(log, "log"))
	require.NoError(t, err)
	feed := genie.Feed{"noise": genie.Float32s([]float32{1, 2}, 2), "log": genie.Float32s([]float32{3, 4}, 2)}
	require.Equal(t, []float32{4, 6}, numbers(t, outputsOf(t, session(t, "local:"), p, feed)[0]))
	require.Equal(t, lazy.KindInput, p.Tensor(log).Kind())
	require.Nil(t, p.Tensor(nil))
}

// TestImportInference: layers in training are imported as in inference where
// that is asked for.
func TestImportInference(t *testing.T) {
	b := newGraphBuilder()
	x := b.given("x", []float32{1, 2, 3, 4}, 2, 2)
	y, _, _, op, err := gorgonia.BatchNorm(must(gorgonia.Dropout(x, 0.5)), b.node("scale", []float32{2, 4}, 1, 2), b.node("bias", []float32{1, -1}, 1, 2), 0.9, 0)
	require.NoError(t, err)
	require.NoError(t, op.SetStats(vector(1, 2), vector(4, 0.25)))
	p := b.imported(t, gorgonia.Nodes{y}, lazygorgonia.ForInference())
	require.Equal(t, []float32{1, -1, 3, 15}, numbers(t, outputsOf(t, session(t, "local:"), p, b.feed)[0]))
}

// TestImportFloat64 narrows only where that is asked for.
func TestImportFloat64(t *testing.T) {
	g := gorgonia.NewGraph()
	x := gorgonia.NewVector(g, gorgonia.Float64, gorgonia.WithShape(2), gorgonia.WithName("x"))
	w := gorgonia.NewVector(g, gorgonia.Float64, gorgonia.WithShape(2), gorgonia.WithName("w"),
		gorgonia.WithValue(tensor.New(tensor.WithShape(2), tensor.WithBacking([]float64{1.0 / 3, math.Inf(1)}))))
	y := must(gorgonia.Mul(gorgonia.NewConstant(2.5), must(gorgonia.Add(x, w))))
	out := gorgonia.Nodes{must(gorgonia.Sigmoid(must(gorgonia.Sub(y, gorgonia.NewConstant(0.5)))))}
	_, err := lazygorgonia.Import(g, out)
	require.ErrorIs(t, err, lazygorgonia.ErrNotImported)
	require.ErrorIs(t, err, lazy.ErrDType)
	p, err := lazygorgonia.Import(g, out, lazygorgonia.NarrowFloat64())
	require.NoError(t, err)
	got := numbers(t, outputsOf(t, session(t, "local:"), p, genie.Feed{"x": genie.Float32s([]float32{1, 2}, 2)})[0])
	requireNear(t, []float32{float32(1 / (1 + math.Exp(-(2.5*4/3. - 0.5)))), 1}, got)
	require.NoError(t, gorgonia.Let(w, tensor.New(tensor.WithShape(2), tensor.WithBacking([]float64{1e39, 0}))))
	_, err = lazygorgonia.Import(g, out, lazygorgonia.NarrowFloat64())
	require.ErrorIs(t, err, lazy.ErrDType, "a number that float32 does not have")
}

// TestImportValues: views, transposed memory and numbers of rank 0.
func TestImportValues(t *testing.T) {
	whole := tensor.New(tensor.WithShape(3, 4), tensor.WithBacking([]float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}))
	column, err := whole.Slice(nil, gorgonia.S(1, 3))
	require.NoError(t, err)
	turned := whole.Clone().(*tensor.Dense)
	require.NoError(t, turned.T())
	fortran := tensor.New(tensor.WithShape(2, 3), tensor.AsFortran([]float32{1, 2, 3, 4, 5, 6}))
	s := session(t, "local:")
	for name, c := range map[string]struct {
		v    *tensor.Dense
		want []float32
	}{
		"dense":        {whole, []float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
		"view":         {column.(*tensor.Dense), []float32{1, 2, 5, 6, 9, 10}},
		"transposed":   {turned, []float32{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11}},
		"column major": {fortran, []float32{1, 2, 3, 4, 5, 6}}, // AsFortran transposes what it is given
	} {
		t.Run(name, func(t *testing.T) {
			at, err := c.v.At(1, 1)
			require.NoError(t, err)
			require.Equal(t, c.want[c.v.Shape()[1]+1], at)
			g := gorgonia.NewGraph()
			w := gorgonia.NodeFromAny(g, c.v, gorgonia.WithName("w"))
			p, err := lazygorgonia.Import(g, gorgonia.Nodes{must(gorgonia.Neg(w))})
			require.NoError(t, err)
			got := numbers(t, outputsOf(t, s, p, nil)[0])
			for i := range got {
				got[i] = -got[i]
			}
			require.Equal(t, c.want, got)
		})
	}
}

// TestImportNames: names of outputs and weights are unique.
func TestImportNames(t *testing.T) {
	b := newGraphBuilder()
	x := b.in("x", 2)
	a := gorgonia.NewVector(b.g, gorgonia.Float32, gorgonia.WithShape(2), gorgonia.WithValue(vector(1, 2)))
	c := gorgonia.NewMatrix(b.g, gorgonia.Float32, gorgonia.WithShape(1, 2), gorgonia.WithName("w"), gorgonia.WithValue(tensor.New(tensor.WithShape(1, 2), tensor.WithBacking([]float32{3, 4}))))
	d := gorgonia.NewVector(b.g, gorgonia.Float32, gorgonia.WithShape(2), gorgonia.WithName("w"), gorgonia.WithValue(vector(5, 6)))
	y := must(gorgonia.Add(must(gorgonia.Add(x, a)), must(gorgonia.Add(d, must(gorgonia.Reshape(c, tensor.Shape{2}))))))
	gorgonia.WithName("y")(y)
	p := b.imported(t, gorgonia.Nodes{y, y, x, must(gorgonia.Neg(y))})
	var names []string
	for _, o := range p.Outputs() {
		names = append(names, o.Name)
	}
	require.Equal(t, []string{"y", "output.1", "x", "output.3"}, names)
	require.Same(t, p.Outputs()[0].Tensor, p.Tensor(y))
	b.feed["x"] = genie.Float32s([]float32{10, 20}, 2)
	require.Equal(t, []float32{19, 32}, numbers(t, outputsOf(t, session(t, "local:"), p, b.feed)[0]))
}

// TestImportCarries: a program that carries its state is declared so after the
// import, as an LSTM by hand.
func TestImportCarries(t *testing.T) {
	b := newGraphBuilder()
	x, h := b.given("x", []float32{1, 2}, 2), b.given("h", []float32{0, 0}, 2)
	next := must(gorgonia.Add(must(gorgonia.Mul(h, gorgonia.NewConstant(float32(0.5)))), x))
	p := b.imported(t, gorgonia.Nodes{next})
	p.Carry(p.Tensor(h), p.Tensor(next))
	require.NoError(t, p.Err())
	s := session(t, "local:")
	feed := genie.Feed{"x": b.feed["x"]}
	require.Equal(t, []float32{1, 2}, numbers(t, outputsOf(t, s, p, feed)[0]))
	require.Equal(t, []float32{1.5, 3}, numbers(t, outputsOf(t, s, p, feed)[0]))
}

// TestImportOdd: arguments and graphs that are no programs are errors.
func TestImportOdd(t *testing.T) {
	b := newGraphBuilder()
	x := b.in("x", 2)
	y := must(gorgonia.Neg(x))
	other := newGraphBuilder()
	foreign := must(gorgonia.Neg(other.in("x", 2)))
	unnamed := gorgonia.NewVector(b.g, gorgonia.Float32, gorgonia.WithShape(2))
	bytes := gorgonia.NewVector(b.g, tensor.Uint8, gorgonia.WithShape(2), gorgonia.WithName("b"))
	bools := gorgonia.NewVector(b.g, gorgonia.Bool, gorgonia.WithShape(2), gorgonia.WithName("c"), gorgonia.WithValue(tensor.New(tensor.WithShape(2), tensor.WithBacking([]bool{true, false}))))
	masked := tensor.New(tensor.WithShape(2), tensor.WithBacking([]float32{1, 2}, []bool{true, false}))
	hidden := gorgonia.NewVector(b.g, gorgonia.Float32, gorgonia.WithShape(2), gorgonia.WithName("d"), gorgonia.WithValue(masked))
	for name, c := range map[string]struct {
		g       *gorgonia.ExprGraph
		outputs gorgonia.Nodes
	}{
		"no graph":           {nil, gorgonia.Nodes{y}},
		"no outputs":         {b.g, nil},
		"nil output":         {b.g, gorgonia.Nodes{y, nil}},
		"another graph":      {b.g, gorgonia.Nodes{foreign}},
		"empty node":         {b.g, gorgonia.Nodes{&gorgonia.Node{}}},
		"input without name": {b.g, gorgonia.Nodes{unnamed}},
		"bytes":              {b.g, gorgonia.Nodes{bytes}},
		"bool weight":        {b.g, gorgonia.Nodes{bools}},
		"masked weight":      {b.g, gorgonia.Nodes{hidden}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := lazygorgonia.Import(c.g, c.outputs)
			require.Nil(t, p)
			require.ErrorIs(t, err, lazygorgonia.ErrNotImported)
			require.ErrorIs(t, err, lazy.ErrCapture)
			require.NotEmpty(t, err.Error())
		})
	}
}

// TestImportDeep: a chain of many nodes needs no deep recursion.
func TestImportDeep(t *testing.T) {
	b := newGraphBuilder()
	y := b.given("x", []float32{1, 2}, 2)
	for range 20_000 {
		y = must(gorgonia.ApplyOp(gorgonia.Iop{}, y))
	}
	p := b.imported(t, gorgonia.Nodes{must(gorgonia.Neg(y))})
	require.Equal(t, []float32{-1, -2}, numbers(t, outputsOf(t, session(t, "local:"), p, b.feed)[0]))
}

// TestImportInts: integers are indices, as inputs, weights and constants, and are
// converted where the graph converts them.
func TestImportInts(t *testing.T) {
	b := newGraphBuilder()
	table := b.given("table", []float32{1, 2, 3, 4, 5, 6}, 3, 2)
	rows := gorgonia.NewVector(b.g, tensor.Int, gorgonia.WithShape(2), gorgonia.WithName("rows"),
		gorgonia.WithValue(tensor.New(tensor.WithShape(2), tensor.WithBacking([]int{2, 0}))))
	fixed := gorgonia.NewConstant(tensor.New(tensor.WithShape(2), tensor.WithBacking([]int{1, 1})))
	fed := b.indices("fed", 2, 1)
	out := gorgonia.Nodes{
		must(gorgonia.ByIndices(table, rows, 0)), must(gorgonia.ByIndices(table, fixed, 0)), must(gorgonia.ByIndices(table, fed, 0)),
		must(gorgonia.ConvType(fed, tensor.Int, tensor.Float32)),
	}
	p := b.imported(t, out)
	got := outputsOf(t, session(t, "local:"), p, b.feed)
	for i, want := range [][]float32{{5, 6, 1, 2}, {3, 4, 3, 4}, {5, 6, 3, 4}, {2, 1}} {
		require.Equal(t, want, numbers(t, got[i]))
	}
	b.feed["fed"] = genie.Int64s([]int64{3, 0}, 2)
	_, err := session(t, "local:").Run(t.Context(), b.feed, p.Outputs()[2].Tensor)
	require.ErrorIs(t, err, genie.ErrIndexRange)
	twice, err := lazygorgonia.Import(b.g, gorgonia.Nodes{must(gorgonia.Add(fed, fed))})
	require.NoError(t, err)
	sums, err := outputsOf(t, session(t, "local:"), twice, nil)[0].Int64s(t.Context())
	require.NoError(t, err)
	require.Equal(t, []int64{4, 2}, sums)
}
