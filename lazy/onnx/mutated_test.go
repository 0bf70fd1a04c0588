package onnx

import (
	"cmp"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/onnxfile"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// TestMutatedModels imports models with a few changes each: another operator, inputs
// that are missing, doubled or swapped, other attributes, other shapes. Whatever they
// are, the answer is a program or an error that Open promises, soon.
func TestMutatedModels(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(cmp.Or(os.Getenv("GENIE_ONNX_CASES"), filepath.Join("testdata", "backend")), "*", "*", "model.onnx"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	names := Operators()
	rounds := 60
	if testing.Short() {
		rounds = 5
	}
	for i, path := range paths {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		for round := range rounds {
			f, err := onnxfile.Read(data)
			require.NoError(t, err)
			m := mutator{rand.New(rand.NewPCG(uint64(i), uint64(round))), names}
			for range 1 + m.IntN(4) {
				m.change(f.Model.Graph)
			}
			started := time.Now()
			_, err = load(context.Background(), f, m.shapeValues(f.Model.Graph))
			require.Less(t, time.Since(started), 20*time.Second, "%s, round %d", path, round)
			if err != nil && !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrMalformed) {
				t.Fatalf("%s, round %d: %v", path, round, err)
			}
		}
	}
}

type mutator struct {
	*rand.Rand

	operators []string
}

var oddNumbers = []int64{-2, -1, 0, 1, 2, 3, 7, 64, 1 << 16, 1 << 31, 1 << 40, math.MaxInt64, math.MinInt64}

func (m mutator) number() int64 { return oddNumbers[m.IntN(len(oddNumbers))] }

func (m mutator) change(g *onnxfile.Graph) {
	if len(g.Nodes) == 0 {
		return
	}
	n := g.Nodes[m.IntN(len(g.Nodes))]
	switch m.IntN(7) {
	case 0, 1:
		n.OpType = m.operators[m.IntN(len(m.operators))]
	case 2:
		if len(n.Inputs) > 0 {
			n.Inputs = n.Inputs[:m.IntN(len(n.Inputs))]
		}
	case 3:
		if len(n.Inputs) > 0 {
			n.Inputs[m.IntN(len(n.Inputs))] = ""
		}
	case 4:
		if len(n.Inputs) > 0 {
			n.Inputs = append(n.Inputs, n.Inputs[m.IntN(len(n.Inputs))])
		}
	case 5:
		m.attribute(n)
	case 6:
		if len(g.Inputs) > 0 {
			t := &g.Inputs[m.IntN(len(g.Inputs))].Type
			t.Dims = append(t.Dims, onnxfile.Dim{Size: m.number(), Known: m.IntN(2) == 0, Param: "n"})
			if m.IntN(2) == 0 {
				t.Dims = t.Dims[m.IntN(len(t.Dims)):]
			}
		}
	}
}

func (m mutator) attribute(n *onnxfile.Node) {
	if len(n.Attrs) == 0 || m.IntN(4) == 0 {
		names := []string{"axis", "axes", "keepdims", "perm", "kernel_shape", "strides", "pads", "dilations", "group", "to", "k", "blocksize", "num_groups", "size", "num_heads", "split"}
		n.Attrs = append(n.Attrs, &onnxfile.Attr{Name: names[m.IntN(len(names))], I: m.number(), Ints: []int64{m.number(), m.number()}})
		return
	}
	a := *n.Attrs[m.IntN(len(n.Attrs))]
	a.I, a.F = m.number(), float32(m.number())
	for i := range a.Ints {
		if m.IntN(2) == 0 {
			a.Ints[i] = m.number()
		}
	}
	if m.IntN(3) == 0 {
		a.Ints = append(a.Ints, m.number())
	}
	if m.IntN(4) == 0 {
		a.S, a.T, a.G = "odd", nil, nil
	}
	n.Attrs[m.IntN(len(n.Attrs))] = &a
}

// shapeValues gives small integers for the inputs, which shapes then depend on.
func (m mutator) shapeValues(g *onnxfile.Graph) []Option {
	var out []Option
	for _, i := range g.Inputs {
		if i.Type.Elem != onnxfile.Int64 || m.IntN(2) == 0 {
			continue
		}
		n := m.IntN(5)
		v := &elems{dt: onnxfile.Int64, shape: []int{n}}
		for range n {
			v.v = append(v.v, whole(m.number()))
		}
		b, _ := v.bytes(plan.I64)
		out = append(out, WithShapeValue(i.Name, transport.Tensor{DType: plan.I64, Shape: v.shape, Data: b}))
	}
	return out
}
