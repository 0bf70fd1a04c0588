package gorgonia_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/worker/workertest"
	lazygorgonia "github.com/genie-sdk/go/lazy/gorgonia"
)

// graphBuilder makes a Gorgonia program: inputs and weights with random values.
type graphBuilder struct {
	g      *gorgonia.ExprGraph
	rng    *rand.Rand
	inputs gorgonia.Nodes
	feed   genie.Feed
}

func newGraphBuilder() *graphBuilder {
	return &graphBuilder{g: gorgonia.NewGraph(), rng: rand.New(rand.NewPCG(7, 11)), feed: genie.Feed{}}
}

func (b *graphBuilder) values(n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(b.rng.NormFloat64()) / 2
	}
	return out
}

// node is a leaf with the given elements.
func (b *graphBuilder) node(name string, data []float32, shape ...int) *gorgonia.Node {
	if len(shape) == 0 {
		return gorgonia.NewScalar(b.g, gorgonia.Float32, gorgonia.WithName(name), gorgonia.WithValue(data[0]))
	}
	return gorgonia.NewTensor(b.g, gorgonia.Float32, len(shape), gorgonia.WithName(name), gorgonia.WithShape(shape...),
		gorgonia.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(append([]float32(nil), data...)))))
}

// given is an input with the given elements.
func (b *graphBuilder) given(name string, data []float32, shape ...int) *gorgonia.Node {
	n := b.node(name, data, shape...)
	b.inputs = append(b.inputs, n)
	b.feed[name] = genie.Float32s(data, shape...)
	return n
}

func elements(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// in is an input with random elements, and w such a weight.
func (b *graphBuilder) in(name string, shape ...int) *gorgonia.Node {
	return b.given(name, b.values(elements(shape)), shape...)
}

func (b *graphBuilder) w(name string, shape ...int) *gorgonia.Node {
	return b.node(name, b.values(elements(shape)), shape...)
}

// positive is an input of numbers between a tenth and about three.
func (b *graphBuilder) positive(name string, shape ...int) *gorgonia.Node {
	v := b.values(elements(shape))
	for i := range v {
		v[i] = float32(math.Abs(float64(v[i]))) + 0.1
	}
	return b.given(name, v, shape...)
}

// indices is an input of ints.
func (b *graphBuilder) indices(name string, v ...int) *gorgonia.Node {
	n := gorgonia.NewTensor(b.g, tensor.Int, 1, gorgonia.WithName(name), gorgonia.WithShape(len(v)),
		gorgonia.WithValue(tensor.New(tensor.WithShape(len(v)), tensor.WithBacking(append([]int(nil), v...)))))
	b.inputs = append(b.inputs, n)
	wide := make([]int64, len(v))
	for i, x := range v {
		wide[i] = int64(x)
	}
	b.feed[name] = genie.Int64s(wide, len(v))
	return n
}

func must(n *gorgonia.Node, err error) *gorgonia.Node { return gorgonia.Must(n, err) }

// imported imports the program with all of its inputs.
func (b *graphBuilder) imported(t testing.TB, outputs gorgonia.Nodes, opts ...lazygorgonia.ImportOption) *lazygorgonia.Imported {
	t.Helper()
	for _, n := range b.inputs {
		opts = append(opts, lazygorgonia.WithInput(n, ""))
	}
	p, err := lazygorgonia.Import(b.g, outputs, opts...)
	require.NoError(t, err)
	require.Len(t, p.Outputs(), len(outputs))
	return p
}

// outputsOf runs an imported program.
func outputsOf(t testing.TB, s *genie.Session, p *lazygorgonia.Imported, feed genie.Feed) []*genie.Value {
	t.Helper()
	var out []*genie.Value
	for _, o := range p.Outputs() { // each alone: an output may be another one's operand
		v, err := s.Run(context.Background(), feed, o.Tensor)
		require.NoError(t, err)
		out = append(out, v...)
	}
	return out
}

func numbers(t testing.TB, v *genie.Value) []float32 {
	t.Helper()
	if v.DType().String() == "bool" {
		b, err := v.Bools(context.Background())
		require.NoError(t, err)
		out := make([]float32, len(b))
		for i, x := range b {
			if x {
				out[i] = 1
			}
		}
		return out
	}
	out, err := v.Float32s(context.Background())
	require.NoError(t, err)
	return out
}

// machineNumbers are the elements of a value of Gorgonia.
func machineNumbers(t testing.TB, v gorgonia.Value) []float32 {
	t.Helper()
	require.NotNil(t, v)
	if d, ok := v.(*tensor.Dense); ok && (d.RequiresIterator() || !d.DataOrder().IsContiguous()) {
		v = d.Materialize().(*tensor.Dense)
	}
	switch d := v.Data().(type) {
	case float32:
		return []float32{d}
	case []float32:
		return append([]float32(nil), d...)
	case float64:
		return []float32{float32(d)}
	case []float64:
		out := make([]float32, len(d))
		for i, x := range d {
			out[i] = float32(x)
		}
		return out
	case []bool:
		out := make([]float32, len(d))
		for i, x := range d {
			if x {
				out[i] = 1
			}
		}
		return out
	}
	require.Failf(t, "element type", "%T", v.Data())
	return nil
}

// machineValues runs the graph on Gorgonia's TapeMachine, one output at a time,
// so that none is overwritten by another.
func machineValues(t testing.TB, g *gorgonia.ExprGraph, outputs gorgonia.Nodes) (out [][]float32) {
	t.Helper()
	m := gorgonia.NewTapeMachine(g)
	defer func() { require.NoError(t, m.Close()) }()
	require.NoError(t, m.RunAll())
	for _, n := range outputs {
		out = append(out, machineNumbers(t, n.Value()))
	}
	return out
}

// requireNear compares within 1e-5, of one for small numbers and of the number
// itself for large ones.
func requireNear(t testing.TB, want, got []float32, about ...string) {
	t.Helper()
	require.Len(t, got, len(want), about)
	for i, w := range want {
		g := float64(got[i])
		if math.IsInf(float64(w), 0) || w != w {
			require.Equal(t, w, got[i], about)
			continue
		}
		require.InDelta(t, w, g, 1e-5*max(1, math.Abs(float64(w))), "element %d %v", i, about)
	}
}

func session(t testing.TB, url string) *genie.Session {
	t.Helper()
	client, err := genie.Open(context.Background(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	s, err := client.NewSession(context.Background())
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestImportOracle imports programs as people write them with Gorgonia and
// compares with the TapeMachine on the same graph, in process and for whole
// models on a worker.
func TestImportOracle(t *testing.T) {
	local := session(t, "local:")
	remote := session(t, "tcp://"+workertest.Start(t, nil).TCP)
	require.GreaterOrEqual(t, len(importPrograms), 40)
	for _, c := range importPrograms {
		t.Run(c.name, func(t *testing.T) {
			b := newGraphBuilder()
			outputs := c.build(b)
			p := b.imported(t, outputs)
			want := machineValues(t, b.g, outputs)
			sessions := []*genie.Session{local}
			if c.model {
				sessions = append(sessions, remote)
			}
			for _, s := range sessions {
				for i, v := range outputsOf(t, s, p, b.feed) {
					require.Equal(t, append([]int{}, outputs[i].Shape()...), append([]int{}, v.Shape()...))
					requireNear(t, want[i], numbers(t, v))
				}
			}
		})
	}
}
